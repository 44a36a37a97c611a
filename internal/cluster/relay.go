package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
)

// serveAPI answers at the address that pods call the API server by, in the place
// of a kube-proxy.
func (c *Cluster) serveAPI(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", apiService+":443")
	if err != nil {
		return fmt.Errorf("listening for pods: %w", err)
	}
	c.relay = l
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return // closed
			}
			go relay(from, fmt.Sprintf("127.0.0.1:%d", c.ports.api))
		}
	}()
	return nil
}

// relay passes bytes both ways until one end closes.
func relay(from net.Conn, address string) {
	defer func() { _ = from.Close() }()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	ended := make(chan struct{}, 2)
	pass := func(w io.Writer, r io.Reader) {
		_, _ = io.Copy(w, r)
		ended <- struct{}{}
	}
	go pass(to, from)
	go pass(from, to)
	<-ended
}
