package record

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"touchstone.dev/touchstone"
)

// Checkpoint says how long a log was at some moment, and what it said.
//
// It is written as a checkpoint of C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint)
// in a signed note (c2sp.org/signed-note) with an Ed25519 key, so that the tools
// for those read and witness it. One thing is our own: Root is the Hash of the
// last entry, which stands for all entries before it by the chain, and not the
// root of a Merkle tree. There are no inclusion proofs.
type Checkpoint struct {
	Origin string            `json:"origin"` // the log's name, and that of its key
	Size   uint64            `json:"size"`   // entries, and so the Seq of the last
	Root   touchstone.Digest `json:"root"`   // the Hash of the last
}

// NewKey makes a key for checkpoints of a log with the name: the private half to
// sign with, the public half to verify with, both as golang.org/x/mod/sumdb/note
// writes them. The name may hold neither spaces nor a plus.
func NewKey(name string) (private, public string, err error) {
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return "", "", fmt.Errorf("making a key: %q cannot name a log", name)
	}
	return note.GenerateKey(rand.Reader, name)
}

// PublicKey returns the public half of a private key.
func PublicKey(private string) (string, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return "", errors.New("reading the log's key: it is malformed") // never with the key in it
	}
	const parts = 5 // PRIVATE+KEY+name+hash+key, of which the last may hold a plus
	key, err := base64.StdEncoding.DecodeString(strings.SplitN(private, "+", parts)[parts-1])
	if err != nil || len(key) != 1+ed25519.SeedSize {
		return "", errors.New("reading the log's key: it is not an Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(key[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(signer.Name(), public)
}

// Sign returns the signed note of a checkpoint; its origin is the key's name.
func Sign(private string, size uint64, root touchstone.Digest) (string, error) {
	signer, err := note.NewSigner(private)
	if err != nil {
		return "", errors.New("signing a checkpoint: the key is malformed")
	}
	if !root.Valid() || size == 0 {
		return "", fmt.Errorf("signing a checkpoint: %q is not the hash of entry %d", string(root), size)
	}
	sum, err := raw(root)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, base64.StdEncoding.EncodeToString(sum))
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

// ReadCheckpoint reads a signed note, and verifies it with the public key.
func ReadCheckpoint(signed, public string) (Checkpoint, error) {
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading the key of checkpoints: %w", err)
	}
	n, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	lines := strings.SplitN(n.Text, "\n", 4)
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return Checkpoint{}, errors.New("reading a checkpoint: it is not one of this log")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size == 0 {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %.40q is not a size", lines[1])
	}
	sum, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(sum) != sha256.Size {
		return Checkpoint{}, fmt.Errorf("reading a checkpoint: %.60q is not a hash", lines[2])
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: touchstone.NewDigest(sum)}, nil
}

// SplitNotes parts signed checkpoints that were written one after the other, an
// empty line between them. What a killed writer has left unfinished is left out.
func SplitNotes(text string) []string {
	const signature = "\n\n— " // every note has one: an empty line, then signatures
	var notes []string
	for {
		i := strings.Index(text, signature)
		if i < 0 {
			return notes
		}
		start := 0
		if unfinished := strings.LastIndex(text[:i], "\n\n"); unfinished >= 0 {
			start = unfinished + 2
		}
		end := strings.Index(text[i+2:], "\n")
		if end < 0 {
			return notes
		}
		end += i + 3
		for strings.HasPrefix(text[end:], "— ") && strings.Contains(text[end:], "\n") {
			end += strings.Index(text[end:], "\n") + 1
		}
		notes = append(notes, text[start:end])
		text = strings.TrimLeft(text[end:], "\n")
	}
}
