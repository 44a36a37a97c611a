package server

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"touchstone.dev/touchstone/internal/record"
)

// kindOnce is the kind of the facts that keep what a call with an Idempotency-Key
// came to, by the token's id and the key's digest, for a day; and of their entries,
// which say who called what.
const kindOnce = "idempotency"

const onceLife = 24 * time.Hour

// done is what a call came to. A call whose process died in the middle has no
// Status: nobody knows how far it came.
type done struct {
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Body   string    `json:"body"` // SHA-256 of the request's, hexadecimal
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"`
	Kind   string    `json:"kind,omitempty"` // the answer's media type
	// Answer is sealed: it may hold a token's secret, which nobody but the caller
	// may read, not even from the disk (see seal).
	Answer []byte `json:"answer,omitempty"`
}

// once does a call, or answers with what it came to the first time.
//
// The fact is written before anything is done and again afterwards. If the process
// dies between the two, the same key is refused: doing nothing twice is worth more
// than an answer, and the caller can look.
func (s *Server) once(w http.ResponseWriter, c *call, key string, h handler) error {
	if len(key) > 256 {
		return problem(http.StatusBadRequest, "the Idempotency-Key has more than 256 characters", "use a random one, such as a UUID")
	}
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return err
	}
	c.Body = io.NopCloser(bytes.NewReader(body))
	sum, name := sha256.Sum256(body), sha256.Sum256([]byte(key))
	fact := c.caller.ID + " " + hex.EncodeToString(name[:])
	if c.caller.ID == "" {
		return h(w, c)
	}
	defer s.turns.take(fact)()

	this := done{Method: c.Method, Path: c.URL.Path, Body: hex.EncodeToString(sum[:]), At: s.now().UTC()}
	expect := record.Condition{Absent: true}
	switch before, f, err := record.Get[done](c.Context(), s.store, kindOnce, fact); {
	case errors.Is(err, record.ErrNotFound):
	case err != nil:
		return fmt.Errorf("looking up the Idempotency-Key: %w", err)
	case this.At.Sub(before.At) >= onceLife:
		expect = record.Condition{Seq: f.Seq}
	default:
		return s.again(w, c, key, &before, &this)
	}
	seq, err := s.keepDone(c.Context(), c, fact, &this, expect)
	if err != nil {
		return err
	}
	first := &recorded{header: w.Header()}
	if err := h(first, c); err != nil {
		writeProblem(first, err)
		if asProblem(err).Status >= http.StatusInternalServerError {
			s.log.Error("a call has failed", "request", c.id, "method", c.Method, "path", c.URL.Path, "error", err)
		}
	}
	if first.status == 0 {
		first.status = http.StatusOK
	}
	s.finish(c, key, fact, &this, first, seq)
	return send(w, first.status, first.body.Bytes())
}

// send answers with a body, where the status may have one.
func send(w http.ResponseWriter, status int, body []byte) error {
	w.WriteHeader(status)
	if len(body) == 0 {
		return nil
	}
	_, err := w.Write(body)
	return err
}

// finish keeps what the call came to. What failed for a reason of the server's is
// forgotten instead, so that the same key may be tried again.
func (s *Server) finish(c *call, key, fact string, this *done, first *recorded, seq uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), patience)
	defer cancel()
	var err error
	if first.status >= http.StatusInternalServerError {
		_, err = s.store.Commit(ctx, record.Change{Kind: kindOnce, Actor: c.caller.Name, About: c.Method + " " + c.URL.Path, Body: []byte(`{"failed":true}`),
			Facts: []record.Fact{{Kind: kindOnce, Key: fact, If: record.Condition{Seq: seq}}}})
	} else {
		this.Status, this.Kind = first.status, first.header.Get("Content-Type")
		if this.Answer, err = seal(c.caller, key, first.body.Bytes()); err == nil {
			_, err = s.keepDone(ctx, c, fact, this, record.Condition{Seq: seq})
		}
	}
	if err != nil {
		s.log.Error("what a call came to is not kept; the same Idempotency-Key will be refused", "request", c.id, "error", err)
	}
}

// again answers a call whose key was used before.
func (s *Server) again(w http.ResponseWriter, c *call, key string, before, this *done) error {
	if before.Method != this.Method || before.Path != this.Path || before.Body != this.Body {
		return problem(http.StatusUnprocessableEntity, "the Idempotency-Key was used for another call", "use a new key for each call")
	}
	if before.Status == 0 {
		return problem(http.StatusConflict, "a call with this Idempotency-Key has begun, and nobody knows how far it came", "look whether it was done, and call again with a new key if it was not")
	}
	plain, err := unseal(c.caller, key, before.Answer)
	if err != nil {
		return fmt.Errorf("reading what the call came to: %w", err)
	}
	if before.Kind != "" {
		w.Header().Set("Content-Type", before.Kind)
	}
	w.Header().Set("Idempotency-Replayed", "true")
	return send(w, before.Status, plain)
}

func (s *Server) keepDone(ctx context.Context, c *call, key string, this *done, expect record.Condition) (uint64, error) {
	f, err := record.Put(kindOnce, key, this)
	if err != nil {
		return 0, err
	}
	f.If = expect
	body, err := json.Marshal(map[string]any{"method": this.Method, "path": this.Path, "status": this.Status})
	if err != nil {
		return 0, err
	}
	entries, err := s.store.Commit(ctx, record.Change{Kind: kindOnce, Actor: c.caller.Name, About: this.Method + " " + this.Path, Body: body, Facts: []record.Fact{f}})
	if err != nil {
		return 0, err
	}
	return entries[0].Seq, nil
}

// forgetDone takes away what is older than a day.
func (s *Server) forgetDone(ctx context.Context) error {
	var old []record.Fact
	for d, err := range record.List[done](ctx, s.store, record.FactQuery{Kind: kindOnce}) {
		if err != nil {
			return err
		}
		if s.now().Sub(d.Content.At) >= onceLife {
			old = append(old, record.Fact{Kind: kindOnce, Key: d.Key, If: record.Condition{Seq: d.Seq}})
		}
	}
	if len(old) == 0 {
		return nil
	}
	_, err := s.store.Commit(ctx, record.Change{Kind: kindOnce, Actor: actorServer, About: "forgotten", Body: []byte("{}"), Facts: old})
	return err
}

// recorded is an answer that is kept before it is sent.
type recorded struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorded) Header() http.Header         { return r.header }
func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorded) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// seal encrypts an answer so that nobody but the one who called can have it again:
// the key is made of the token's secret, of which the server keeps the hash alone,
// and of the Idempotency-Key.
func seal(by *caller, key string, plain []byte) ([]byte, error) {
	box, err := answerBox(by, key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return box.Seal(nonce, nonce, plain, nil), nil
}

func unseal(by *caller, key string, sealed []byte) ([]byte, error) {
	box, err := answerBox(by, key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < box.NonceSize() {
		return nil, errors.New("it is too short")
	}
	return box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], nil)
}

func answerBox(by *caller, key string) (cipher.AEAD, error) {
	sum := sha256.Sum256([]byte("touchstone answer\x00" + by.secret + "\x00" + key))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// turns lets callers with the same key go one after the other.
type turns struct {
	mu      sync.Mutex
	waiting map[string]*turn
}

type turn struct {
	sync.Mutex
	wanted int
}

// take waits for the key's turn, and returns what ends it.
func (t *turns) take(key string) func() {
	t.mu.Lock()
	if t.waiting == nil {
		t.waiting = map[string]*turn{}
	}
	one := t.waiting[key]
	if one == nil {
		one = &turn{}
		t.waiting[key] = one
	}
	one.wanted++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.wanted--; one.wanted == 0 {
			delete(t.waiting, key)
		}
	}
}
