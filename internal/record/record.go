// Package record is the memory of a server: what happened, in a log that only
// grows and whose entries are chained by hash, and what is true because of it, in
// facts that are written in the same transaction.
//
//	Change ─ Commit ─► Entry (chained) ─► body, beside the chain
//	                 └► Facts (what is true now, found by kind, key and tag)
//
// A body lies beside the chain, which holds its hash: retention may remove a body
// or redact it, and the chain still verifies. Checkpoints signed with the server's
// key fix how long the log was and what it said at that moment, so that cutting
// off its end is found too.
//
// The package knows no database and gives facts no meaning: each room names the
// kinds that it writes, and reads its own. Store is implemented by a package named
// for its technology, and held to the suite in storetest.
package record

import (
	"context"
	"errors"
	"iter"
	"time"

	"touchstone.dev/touchstone"
)

// What a caller decides on.
var (
	// ErrNotFound: there is no such fact, entry or body.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a fact is not as the change expects it; read again and decide
	// again. Nothing of the commit was written.
	ErrConflict = errors.New("changed in the meantime")
	// ErrFull: the disk is full or may not be written. Nothing was written.
	ErrFull = errors.New("the store cannot be written")
	// ErrCorrupt: what is stored contradicts itself. It is never given out; a
	// backup may hold it.
	ErrCorrupt = errors.New("the store is damaged")
)

// Entry is one thing that happened, as it stands in the log.
type Entry struct {
	Seq   uint64            `json:"seq"`   // 1, 2, 3 and so on without a gap
	ID    string            `json:"id"`    // ULID (github.com/ulid/spec); those that a store makes sort as Seq
	Time  time.Time         `json:"time"`  // UTC, whole milliseconds; never before the entry before it
	Kind  string            `json:"kind"`  // "decision", "promotion"
	Actor string            `json:"actor"` // who did it: a person, a service account, "touchstone"
	About string            `json:"about"` // what it is about: "name@digest", a request's id
	Body  touchstone.Digest `json:"body"`  // SHA-256 of the body; empty where there is none
	Prev  touchstone.Digest `json:"prev"`  // Hash of the entry before; empty for the first
	Hash  touchstone.Digest `json:"hash"`  // of all of the above, see Sum
}

// Change is one thing to write down: an entry, and the facts that it makes true.
type Change struct {
	// ID is the entry's; a new one is made when it is empty. A caller that must
	// name the entry in its own facts or body makes one by NewID.
	ID    string
	Kind  string
	Actor string
	About string
	Body  []byte // JSON; kept under its SHA-256
	Facts []Fact
	// Blobs are bytes that the body or facts refer to by digest, kept as long as
	// the entry's body. The same bytes are kept once.
	Blobs [][]byte
}

// Fact is something that is true now: a document under a kind and a key.
type Fact struct {
	Kind string
	Key  string
	// Value is JSON; nil takes the fact away.
	Value []byte
	// Tags find the fact again. They are a set, replaced with the value: what is
	// read has them sorted, each once.
	Tags []string
	// Seq is that of the entry that last wrote it; set by the store.
	Seq uint64
	// If says what must hold for the change to be written.
	If Condition
}

// Condition is what a change expects of a fact that it writes, as the changes
// before it in the same commit have left it. The zero value expects nothing.
type Condition struct {
	Absent bool   // it must not be there
	Seq    uint64 // it must be as this entry left it; zero for any
}

// FactQuery selects facts of one kind.
type FactQuery struct {
	Kind   string
	Prefix string   // of the key
	Tags   []string // all of them
	// After is the key to go on after, for pages; exclusive.
	After string
	// Descending lists from the greatest key down: with ULIDs, the newest first.
	Descending bool
	Limit      int // 0 for all
}

// EntryQuery selects entries.
type EntryQuery struct {
	After uint64   // sequence number to go on after; exclusive
	Kinds []string // any of them; empty for all
	About string   // exactly; empty for all
	// Descending lists the newest first; After then is the number to go on
	// before, and zero begins at the end.
	Descending bool
	Limit      int // 0 for all
}

// Store keeps the log and the facts. It may be used from many goroutines.
type Store interface {
	// Commit writes all of the changes or none, and returns their entries. What it
	// has returned is durable: it is still there after a crash or a loss of power.
	// Errors: ErrConflict, ErrFull, or that of the context, and then nothing was
	// written.
	Commit(ctx context.Context, changes ...Change) ([]Entry, error)
	// Fact returns one fact, or ErrNotFound.
	Fact(ctx context.Context, kind, key string) (Fact, error)
	// Facts lists facts in the order of their keys, as of one moment.
	Facts(ctx context.Context, q FactQuery) iter.Seq2[Fact, error]
	// Entries lists entries in the order of the log, as of one moment. Where one is
	// damaged it yields ErrCorrupt with the Seq alone, and goes on for whoever
	// goes on; any other error is the last.
	Entries(ctx context.Context, q EntryQuery) iter.Seq2[Entry, error]
	// Blob returns the bytes with the digest, a body's among them, or ErrNotFound
	// when there are none or retention has removed them.
	Blob(ctx context.Context, d touchstone.Digest) ([]byte, error)
}
