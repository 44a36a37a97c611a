package drift

import (
	"fmt"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/rules"
)

// Line describes a difference for people, in one line that holds nothing which a
// terminal obeys: what became of it, where, what was expected and what is there.
//
//	changed  usr/bin/ls   sha256:9c0f1a2b3c4d… → sha256:51fe77aa01b2…, 0755 → 4755
//	added    tmp/x        program, sha256:51fe77aa01b2…, 8,192 bytes, 0755, owner 0:0
//	removed  etc/motd     file, sha256:e3b0c44298fc…, 0 bytes, 0644, owner 0:0
func Line(d *touchstone.Drift) string {
	var what []string
	switch {
	case d.Want != nil && d.Have != nil:
		what = contrast(d.Want, d.Have)
	case d.Have != nil:
		what = portrait(d.Have)
	case d.Want != nil:
		what = portrait(d.Want)
	}
	if d.Volume != "" {
		what = append(what, "in the volume "+visible(d.Volume))
	}
	if d.Managed != "" {
		what = append(what, "by "+visible(d.Managed))
	}
	return fmt.Sprintf("%-8s %s  %s", d.Change, visible(d.Path), strings.Join(what, ", "))
}

// GapLine describes what could not be told, like Line.
func GapLine(g *touchstone.Gap) string {
	return fmt.Sprintf("%-8s %s  %s", "unknown", visible(g.Path), rules.Printable(g.Reason))
}

// visible makes a stranger's name fit for one line in which names end at blanks.
func visible(name string) string {
	name = rules.Printable(name)
	if name == "" {
		return "."
	}
	return strings.ReplaceAll(name, "  ", ` \x20`)
}

// contrast says in what two files of one path differ.
func contrast(want, have *touchstone.File) []string {
	var out []string
	arrow := func(from, to string) { out = append(out, from+" → "+to) }
	if want.Kind != have.Kind {
		arrow(word(want), word(have))
	} else if want.Exec != have.Exec {
		arrow(word(want), word(have))
	}
	switch {
	case want.SHA256 != "" && have.SHA256 != "" && want.SHA256 != have.SHA256:
		arrow(short(want.SHA256), short(have.SHA256))
	case want.Size != have.Size:
		arrow(bytesOf(want.Size), bytesOf(have.Size))
	}
	if want.Link != have.Link {
		arrow("to "+visible(want.Link), visible(have.Link))
	}
	if want.Mode != have.Mode && have.Kind != touchstone.FileSymlink {
		arrow(mode(want), mode(have))
	}
	if want.UID != have.UID || want.GID != have.GID {
		arrow(owner(want), fmt.Sprintf("%d:%d", have.UID, have.GID))
	}
	return out
}

// portrait says what a file is.
func portrait(f *touchstone.File) []string {
	out := []string{word(f)}
	if f.SHA256 != "" {
		out = append(out, short(f.SHA256))
	}
	if f.Kind == touchstone.FileRegular {
		out = append(out, bytesOf(f.Size))
	}
	if f.Kind == touchstone.FileSymlink {
		out = append(out, "to "+visible(f.Link))
	} else {
		out = append(out, mode(f))
	}
	return append(out, owner(f))
}

func word(f *touchstone.File) string {
	switch f.Exec {
	case touchstone.ExecELF:
		return "program"
	case touchstone.ExecLibrary:
		return "library"
	case touchstone.ExecScript:
		return "script"
	}
	switch f.Kind {
	case touchstone.FileDir:
		return "folder"
	case touchstone.FileSymlink:
		return "link"
	case touchstone.FileFifo:
		return "pipe"
	default:
		return string(f.Kind)
	}
}

func mode(f *touchstone.File) string { return fmt.Sprintf("%04o", f.Mode) }

func owner(f *touchstone.File) string { return fmt.Sprintf("owner %d:%d", f.UID, f.GID) }

// short is as much of a digest as people compare.
func short(d touchstone.Digest) string {
	const length = len("sha256:") + 12
	if len(d) <= length {
		return rules.Printable(string(d))
	}
	return rules.Printable(string(d[:length])) + "…"
}

// bytesOf writes a size with its thousands apart.
func bytesOf(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if n == 1 {
		return "1 byte"
	}
	return b.String() + " bytes"
}
