package bpf

import (
	"context"
	"testing"
)

func TestClosed(t *testing.T) {
	l := openLayer(t, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range l.Events(context.Background()) {
			t.Error("an event of nobody")
		}
	}()
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	<-ended
	if err := l.Beat(); err == nil {
		t.Error("a closed layer beats")
	}
	if err := l.Watch(1, Identity{}, Mode{}); err == nil {
		t.Error("a closed layer watches")
	}
	if _, err := l.Status(); err == nil {
		t.Error("a closed layer has a status")
	}
	if _, err := l.Counters(1); err == nil {
		t.Error("a closed layer counts")
	}
}
