package rules

import (
	"slices"
	"strings"
)

// didYouMean returns a hint that names the valid word nearest to the one given,
// or lists the valid words where none is near and they are few.
func didYouMean(word string, valid []string) string {
	const few = 12
	if near := nearest(word, valid); near != "" {
		return "did you mean " + near + "?"
	}
	if len(valid) == 0 || len(valid) > few {
		return ""
	}
	return "one of: " + strings.Join(valid, ", ")
}

// nearest returns the valid word that fewest edits turn the given one into, or
// "" when none is near enough to be meant: a third of the word may differ.
func nearest(word string, valid []string) string {
	const longest = 64
	if len(word) > longest {
		return ""
	}
	plain := plainWord(word)
	best, fewest := "", max(1, len(plain)/3)+1
	for _, v := range valid {
		if d := edits(plain, plainWord(v)); d < fewest {
			best, fewest = v, d
		}
	}
	if best == "" && len(plain) >= 4 {
		i := slices.IndexFunc(valid, func(v string) bool { return strings.HasPrefix(plainWord(v), plain) })
		if i >= 0 {
			best = valid[i]
		}
	}
	return best
}

// plainWord drops what people most often get wrong: case, hyphens, underscores,
// and the American spelling.
func plainWord(s string) string {
	s = strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	return strings.ReplaceAll(s, "license", "licence")
}

// edits is the Damerau-Levenshtein distance with adjacent transpositions.
func edits(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
