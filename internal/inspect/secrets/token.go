package secrets

import (
	"bytes"
	"hash/crc32"
	"slices"
	"strings"
)

// alphabet is a set of bytes.
type alphabet [256]bool

func newAlphabet(chars string) *alphabet {
	var a alphabet
	for _, c := range []byte(chars) {
		a[c] = true
	}
	return &a
}

// length returns how many bytes from the offset on are of the alphabet, at most
// limit + 1.
func (a *alphabet) length(text []byte, at, limit int) int {
	n := 0
	for at+n < len(text) && n <= limit && a[text[at+n]] {
		n++
	}
	return n
}

// before returns the same for the bytes that end at the offset.
func (a *alphabet) before(text []byte, at, limit int) int {
	n := 0
	for at-n > 0 && n <= limit && a[text[at-n-1]] {
		n++
	}
	return n
}

// alphanumeric are the digits of base 62, in order.
const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// isToken reports whether a byte may be part of a token: of base64 for URLs.
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// fresh reports whether a token may begin at the offset: not within a word. The
// letter of an escaped line break ("\n") is none.
func fresh(text []byte, at int) bool {
	return at == 0 || !isToken(text[at-1]) || at > 1 && text[at-2] == '\\' && strings.IndexByte("nrt", text[at-1]) >= 0
}

// run finds tokens that are their anchor and between least and most bytes of the
// alphabet, followed by tail and by nothing more of the alphabet.
func run(chars string, least, most int, tail string) finder {
	set := newAlphabet(chars)
	return func(text []byte, from, to int) (match, bool) {
		n := set.length(text, to, most)
		if n < least || n > most || !fresh(text, from) || !hasAt(text, to+n, tail) {
			return match{}, false
		}
		for tail == "" && n > least && (text[to+n-1] == '.' || text[to+n-1] == '-') {
			n-- // the end of a sentence
		}
		return match{from: from, to: to + n + len(tail)}, plausible(text[to : to+n])
	}
}

// around finds tokens with a fixed part in their middle: least bytes or more of
// the alphabet on both sides, the whole beginning with head.
func around(head, chars string, least int) finder {
	const most = 200
	set := newAlphabet(chars)
	return func(text []byte, from, to int) (match, bool) {
		left, right := set.before(text, from, most), set.length(text, to, most)
		start := from - left
		if left > most || right > most || left < least+len(head) || right < least || !hasAt(text, start, head) {
			return match{}, false
		}
		return match{from: start, to: to + right}, plausible(text[start:from]) && plausible(text[to:to+right])
	}
}

// slackToken finds tokens whose parts are joined by "-", the first of them a
// number: xoxb-123456789012-….
func slackToken() finder {
	set, digits := newAlphabet(alphanumeric+"-_"), newAlphabet("0123456789")
	return func(text []byte, from, to int) (match, bool) {
		n := set.length(text, to, 250)
		first := digits.length(text, to, 20)
		if n < 40 || n > 250 || first < 8 || first > 20 || !hasAt(text, to+first, "-") || !fresh(text, from) {
			return match{}, false
		}
		return match{from: from, to: to + n}, plausible(text[to+first : to+n])
	}
}

// checked finds tokens of given lengths that end in a checksum: six digits in
// base 62 of the CRC-32 of what lies between anchor and checksum.
func checked(lengths ...int) finder {
	set := newAlphabet(alphanumeric)
	return func(text []byte, from, to int) (match, bool) {
		n := set.length(text, to, 100)
		if !slices.Contains(lengths, n) || !fresh(text, from) {
			return match{}, false
		}
		body, sum := text[to:to+n-6], text[to+n-6:to+n]
		return match{from: from, to: to + n}, bytes.Equal(sum, base62(crc32.ChecksumIEEE(body)))
	}
}

// base62 returns the last six digits of n in base 62.
func base62(n uint32) []byte {
	out := make([]byte, 6)
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = alphanumeric[n%62]
		n /= 62
	}
	return out
}

// awsKey finds the secret of an access key. The identifier that the anchor
// begins is no secret by itself; the secret, 40 bytes of base64, stands beside
// it wherever both are kept, and something there says "secret".
func awsKey(chars string) finder {
	const reach = 300
	id := newAlphabet(chars)
	set := newAlphabet(alphanumeric + "+/")
	return func(text []byte, from, to int) (match, bool) {
		if id.length(text, to, 16) != 16 || !fresh(text, from) || !plausible(text[from:to+16]) {
			return match{}, false
		}
		start, end := max(0, from-reach), min(len(text), to+16+reach)
		if !bytes.Contains(bytes.ToLower(text[start:end]), []byte("secret")) {
			return match{}, false
		}
		for i := start; i < end; {
			n := set.length(text, i, end-i)
			if secret := text[i:min(i+n, end)]; n == 40 && mixed(secret) && plausible(secret) {
				return match{from: i, to: i + n}, true
			}
			i += n + 1
		}
		return match{}, false
	}
}

// mixed reports whether upper and lower case and digits are in the text: true of
// practically every 40 random bytes of base64, and of no hash in hexadecimal and
// no path.
func mixed(text []byte) bool {
	var upper, lower, digit bool
	for _, c := range text {
		upper = upper || c >= 'G' && c <= 'Z'
		lower = lower || c >= 'a' && c <= 'z'
		digit = digit || c >= '0' && c <= '9'
	}
	return upper && lower && digit
}
