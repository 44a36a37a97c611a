package secrets

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
)

// maxKey bounds the text of a private key: PGP keys with many signatures are the
// longest.
const maxKey = 64 << 10

// privateKey finds a private key around the words "PRIVATE KEY" of its first
// line. The body must be one: the mere words are in every library that reads
// keys. Line breaks may be missing or written as "\n", as in JSON and source
// code. A key that needs a passphrase is of a kind of its own.
func privateKey(text []byte, from, to int) (match, bool) {
	line := text[max(0, from-32):from]
	begin := bytes.LastIndex(line, []byte("-----BEGIN "))
	if begin < 0 {
		return match{}, false
	}
	label := string(bytes.TrimSpace(line[begin+len("-----BEGIN "):]))
	if hasAt(text, to, " BLOCK") {
		to += len(" BLOCK")
	}
	if !hasAt(text, to, "-----") || !isLabel(label) {
		return match{}, false
	}
	to += len("-----")
	length := bytes.Index(text[to:min(len(text), to+maxKey)], []byte("-----"))
	if length < 0 || !hasAt(text, to+length, "-----END") {
		return match{}, false
	}
	m := match{kind: "private-key", from: from - len(line) + begin, to: to + length}
	body := text[to : to+length]
	encrypted := label == "ENCRYPTED" || bytes.Contains(body, []byte("ENCRYPTED"))
	var ok bool
	m.value, ok = armoured(body)
	if !ok {
		return match{}, false
	}
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(m.value)))
	n, err := base64.RawStdEncoding.Decode(raw, m.value)
	if err != nil {
		return match{}, false
	}
	raw = raw[:n]
	switch {
	case label == "PGP":
		m.kind = "pgp-private-key"
		return m, n > 64 && isSecretKeyPacket(raw[0])
	case label == "OPENSSH":
		ok, encrypted = openssh(raw)
	case label == "ENCRYPTED" || !encrypted:
		ok = isSequence(raw)
	default:
		ok = n >= 64 // the body is enciphered as a whole (RFC 1421)
	}
	if encrypted {
		m.kind = "encrypted-private-key"
	}
	return m, ok
}

func isLabel(s string) bool {
	switch s {
	case "", "RSA", "DSA", "EC", "OPENSSH", "ENCRYPTED", "PGP", "ED25519":
		return true
	}
	return false
}

// armoured returns the base64 text of a key's body, without padding, header
// lines ("Proc-Type: …"), PGP's checksum, and whatever source code or JSON puts
// around lines. ok is false when something else is in it.
func armoured(body []byte) (value []byte, ok bool) {
	value = make([]byte, 0, len(body))
	body = bytes.ReplaceAll(body, []byte(`\r`), nil)
	body = bytes.ReplaceAll(body, []byte(`\n`), []byte("\n"))
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		line = unquoted(line)
		switch {
		case len(line) == 0, bytes.Contains(line, []byte(": ")), line[0] == '=':
			continue
		}
		for _, word := range bytes.Fields(bytes.TrimRight(line, "=")) {
			for _, c := range word {
				if !isToken(c) && c != '+' && c != '/' || c == '-' || c == '_' {
					return nil, false
				}
			}
			value = append(value, word...)
		}
	}
	return value, len(value) >= 60
}

// unquoted returns a line without what source code puts around it. A "+" joins
// strings only beside a quotation mark; elsewhere it is base64.
func unquoted(line []byte) []byte {
	const blanks, quotes = " \t\r,;()\\|", "\"'`"
	line = bytes.Trim(line, blanks)
	if inner := bytes.TrimRight(bytes.TrimSuffix(line, []byte("+")), blanks); len(inner) > 0 && bytes.IndexByte([]byte(quotes), inner[len(inner)-1]) >= 0 {
		line = inner
	}
	if inner := bytes.TrimLeft(bytes.TrimPrefix(line, []byte("+")), blanks); len(inner) > 0 && bytes.IndexByte([]byte(quotes), inner[0]) >= 0 {
		line = inner
	}
	return bytes.Trim(line, quotes)
}

// isSequence reports whether raw is one DER sequence and nothing else, as PKCS #1,
// PKCS #8 and SEC 1 keys are (X.690, section 8.1).
func isSequence(raw []byte) bool {
	if len(raw) < 4 || raw[0] != 0x30 {
		return false
	}
	switch n := int(raw[1]); {
	case n < 0x80:
		return len(raw) == 2+n
	case n == 0x81:
		return len(raw) == 3+int(raw[2])
	case n == 0x82:
		return len(raw) == 4+int(binary.BigEndian.Uint16(raw[2:]))
	}
	return false
}

// openssh reports whether raw is a private key in OpenSSH's own form, and
// whether a passphrase protects it (PROTOCOL.key: magic, then the name of the
// cipher as a string).
func openssh(raw []byte) (ok, encrypted bool) {
	rest, ok := bytes.CutPrefix(raw, []byte("openssh-key-v1\x00"))
	if !ok || len(rest) < 8 {
		return false, false
	}
	n := binary.BigEndian.Uint32(rest)
	return n <= 64 && int(n) <= len(rest)-4, string(rest[4:min(4+int(min(n, 64)), len(rest))]) != "none"
}

// isSecretKeyPacket reports whether a PGP packet with this first byte holds a
// secret key: tag 5 in the old or new form (RFC 4880, section 4.2).
func isSecretKeyPacket(b byte) bool {
	return b&0xc0 == 0x80 && b>>2&0x0f == 5 || b&0xc0 == 0xc0 && b&0x3f == 5
}

// encodedKey finds a private key that is encoded in base64 as a whole; the
// anchor is "-----BEGIN".
func encodedKey(text []byte, from, _ int) (match, bool) {
	set := newAlphabet(alphanumeric + "+/")
	if from > 0 && set[text[from-1]] {
		return match{}, false
	}
	n := set.length(text, from, maxKey)
	if n > maxKey {
		return match{}, false
	}
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(n))
	got, err := base64.RawStdEncoding.Decode(raw, text[from:from+n])
	if err != nil {
		return match{}, false
	}
	raw = raw[:got]
	at := bytes.Index(raw, []byte("PRIVATE KEY"))
	if at < 0 {
		return match{}, false
	}
	m, ok := privateKey(raw, at, at+len("PRIVATE KEY"))
	m.from, m.to = from, from+n
	return m, ok
}
