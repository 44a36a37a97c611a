package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics asks the guard for its metrics; a sample is named with its labels.
func (g *guarding) metrics(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.tells+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for metrics: %w", err)
	}
	defer res.Body.Close()
	all := make(map[string]float64)
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil && name != "#" {
			all[name] = v
		}
	}
	return all, lines.Err()
}

// lost returns how much the guard says it could not see.
func (g *guarding) lost(ctx context.Context) (float64, error) {
	all, err := g.metrics(ctx)
	sum := 0.0
	for name, v := range all {
		if strings.HasPrefix(name, "touchstone_guard_lost_total{") {
			sum += v
		}
	}
	return sum, err
}

// within returns which part of what a histogram has seen since before was at most
// the bound, which is one of its buckets.
func within(before, now map[string]float64, histogram, bound string) (part, seen float64) {
	since := func(name string) float64 { return now[name] - before[name] }
	seen = since(histogram + "_count")
	return since(histogram+`_bucket{le="`+bound+`"}`) / seen, seen
}
