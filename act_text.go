package touchstone

import (
	"strconv"
	"strings"
)

// String says for people what is run: "tmp/x (program, sha256:ab12cd34ef56, 1.2 MB)".
// Names are as what runs has them: escape them where they are shown.
func (e *Execution) String() string {
	kind, content, volume := string(e.Kind), "", ""
	if kind != "" {
		kind += ", "
	}
	if e.SHA256 != "" {
		content = contentText(e.SHA256) + ", "
	}
	if e.Volume != "" {
		volume = ", in the volume " + nameText(e.Volume)
	}
	return nameText(e.Path) + " (" + kind + content + sizeText(e.Size) + volume + ")"
}

// String says for people what differs: "etc/app.conf was changed: content, mode 0777
// instead of 0644". Names are as what runs has them: escape them where they are
// shown.
func (d *Drift) String() string {
	s := "a file"
	if d.Path != "" {
		s = nameText(d.Path)
	}
	if d.Volume != "" {
		s += " in the volume " + nameText(d.Volume)
	}
	switch {
	case d.Change == "":
		return s + " differs"
	case d.Change == Added && d.Have != nil:
		return s + " was added (" + fileText(d.Have) + ")"
	case d.Want == nil || d.Have == nil:
		return s + " was " + string(d.Change)
	default:
		return s + " was " + string(d.Change) + d.differences()
	}
}

// data reports whether neither what was there nor what is there can be executed.
func (d *Drift) data() bool {
	return (d.Want != nil || d.Have != nil) && !d.Want.executable() && !d.Have.executable()
}

// executable reports whether the file can be executed or loaded, by its content or
// by its mode.
func (f *File) executable() bool {
	const anybody = 0o111
	return f != nil && (f.Exec != ExecNone || f.Kind == FileRegular && f.Mode&anybody != 0)
}

// differences names what of the file is not as it should be.
func (d *Drift) differences() string {
	var out []string
	instead := func(what, have, want string) {
		if have != want {
			out = append(out, what+" "+have+" instead of "+want)
		}
	}
	want, have := d.Want, d.Have
	instead("kind", string(have.Kind), string(want.Kind))
	instead("content", contentText(have.SHA256), contentText(want.SHA256))
	instead("link to", nameText(have.Link), nameText(want.Link))
	instead("mode", modeText(have.Mode), modeText(want.Mode))
	instead("owner", ownerText(have), ownerText(want))
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

// fileText says what a file is that was not there before.
func fileText(f *File) string {
	what := string(f.Kind)
	if f.Exec != ExecNone {
		what = string(f.Exec)
	}
	switch f.Kind {
	case FileRegular:
		what += ", " + contentText(f.SHA256) + ", " + sizeText(f.Size)
	case FileSymlink:
		what += " to " + nameText(f.Link)
	}
	return what + ", mode " + modeText(f.Mode)
}

func contentText(d Digest) string {
	if d == "" {
		return "unknown"
	}
	return "sha256:" + d.Short()
}

func modeText(mode uint32) string { return "0" + strconv.FormatUint(uint64(mode), 8) }

func ownerText(f *File) string { return strconv.Itoa(f.UID) + ":" + strconv.Itoa(f.GID) }

// sizeText writes a number of bytes.
func sizeText(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " bytes"
	case n < 1e6:
		return strconv.FormatInt((n+500)/1000, 10) + " kB"
	default:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	}
}

// nameText shortens a name that is too long for a sentence, in its middle: what runs
// chooses how long its names are.
func nameText(name string) string {
	const most = 200
	if len(name) <= most {
		return name
	}
	head, tail := name[:most/2], name[len(name)-most/2:]
	return strings.ToValidUTF8(head, "") + "…" + strings.ToValidUTF8(tail, "")
}
