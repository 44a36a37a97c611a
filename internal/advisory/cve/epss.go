package cve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// mostEPSS bounds the rows of the scores; CVE has assigned some 300,000.
const mostEPSS = 5_000_000

// ReadEPSS reads the Exploit Prediction Scoring System's daily scores
// (https://www.first.org/epss/data_stats: a comment with the date, a heading,
// then "CVE-…,probability,percentile") and calls each for every row. It returns
// the date of the scores and how many rows were malformed.
func ReadEPSS(r io.Reader, each func(id string, probability float64)) (date time.Time, malformed int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 4096), 4096)
	rows := 0
	for n := 0; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "#"):
			for field := range strings.SplitSeq(strings.TrimLeft(line, "# "), ",") {
				if day, ok := strings.CutPrefix(field, "score_date:"); ok && len(day) >= len(time.DateOnly) {
					date, _ = time.Parse(time.DateOnly, day[:len(time.DateOnly)])
				}
			}
			continue
		case line == "" || strings.HasPrefix(line, "cve,"):
			continue
		}
		id, rest, _ := strings.Cut(line, ",")
		number, _, _ := strings.Cut(rest, ",")
		p, err := strconv.ParseFloat(number, 64)
		if err != nil || !(p >= 0 && p <= 1) || !strings.HasPrefix(id, "CVE-") || len(id) > 32 {
			malformed++
			continue
		}
		if rows++; rows > mostEPSS {
			return date, malformed, fmt.Errorf("read EPSS scores: more than %d rows", mostEPSS)
		}
		each(id, p)
	}
	if err := lines.Err(); err != nil {
		return date, malformed, fmt.Errorf("read EPSS scores: %w", err)
	}
	if rows == 0 {
		return date, malformed, errors.New("read EPSS scores: there are none")
	}
	return date, malformed, nil
}
