package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"touchstone.dev/touchstone"
)

// ground is what every decision of a moment stands on.
type ground struct {
	book  *Book
	rules string // names the book by what it says
	known string // names the advisories, the golden bases and the day
	now   time.Time
}

// id names the ground: a decision holds as long as it stays the same.
func (g *ground) id() string { return g.rules + "\n" + g.known }

// knownBook is the last book that was named.
type knownBook struct {
	book *Book
	id   string
}

func (d *Door) ground(ctx context.Context) (*ground, error) {
	book, err := d.c.Road.Book(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the rules and waivers in force: %w", err)
	}
	g := &ground{book: book, now: d.c.Now()}
	if last := d.book.Load(); last != nil && last.book == book {
		g.rules = last.id
	} else {
		said, err := json.Marshal([]any{book.Rules.Version, book.Waivers, book.Freezes})
		if err != nil {
			return nil, fmt.Errorf("reading the rules and waivers in force: %w", err)
		}
		g.rules = string(touchstone.DigestOf(said))
		d.book.Store(&knownBook{book, g.rules})
	}
	// Both files are replaced whole, so that a look at them tells a change. The day
	// is there because releases go out of support by the calendar.
	g.known = stamp(filepath.Join(d.c.Gate.Advisories.Dir(), "state.json")) + " " + stamp(d.c.Gate.Golden.Path()) + " " +
		g.now.UTC().Format(time.DateOnly)
	return g, nil
}

// stamp tells one state of a file from another.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "none"
	}
	return fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
}

// know returns what the index and the golden bases know of an artifact's
// evidence.
func (d *Door) know(ctx context.Context, g *ground, in Inspected) *touchstone.Knowledge {
	key := d.knowledgeKey(g, in)
	if k, ok := d.knowledge.get(key); ok {
		return k
	}
	k := d.c.Gate.know(ctx, in, g.now)
	if ctx.Err() == nil { // a problem may be only that nobody waited
		d.knowledge.put(key, &k, knowledgeCost(&k))
	}
	return &k
}

// knowledgeKey names what is known of an artifact's evidence on a ground.
func (d *Door) knowledgeKey(g *ground, in Inspected) string {
	key := string(in.Evidence.ID) + "\n" + g.known
	if d.c.Gate.VEX != nil { // statements are about artifacts
		key += "\n" + in.Artifact.Name + "\n" + string(in.Artifact.Digest)
	}
	return key
}

// knowledgeCost is about the bytes that it takes in memory.
func knowledgeCost(k *touchstone.Knowledge) int64 {
	return int64(1024 + 900*(len(k.Matches)+len(k.Upgrades)) + 150*len(k.Coverage))
}
