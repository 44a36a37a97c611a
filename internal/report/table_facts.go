package report

import (
	"strconv"
	"strings"

	"touchstone.dev/touchstone"
)

// facts writes what was judged, on what base and with what knowledge.
func (s *screen) facts(c *touchstone.Check, assumed []string) {
	fact := func(label, text string) {
		if text != "" {
			s.entry(2, 10, cell{label, faint}, cell{text, normal})
		}
	}
	fact("artifact", described(c))
	fact("base", based(&c.Lineage, len(c.Layers)))
	fact("assumed", strings.Join(assumed, "; "))
	fact("advisories", confirmed(c, s.o))
	fact("platforms", platforms(c.Platforms))
}

// described says what the artifact is.
func described(c *touchstone.Check) string {
	var parts []string
	add := func(text string) {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if c.Artifact.Digest != "" {
		add("sha256:" + c.Artifact.Digest.Short())
	}
	add(c.Artifact.Platform)
	if c.OS.Name != "" {
		add(c.OS.Name)
	} else {
		add(strings.TrimSpace(c.OS.ID + " " + c.OS.Version))
	}
	if len(c.Layers) > 0 {
		add(counted(len(c.Layers), "layer"))
	}
	if len(c.Layers)+len(c.Packages) > 0 { // else it was never read, and 0 would say something
		add(counted(len(c.Packages), "package"))
	}
	if c.Manifest.Files > 0 {
		add(counted(c.Manifest.Executables, "executable"))
	}
	return strings.Join(parts, ", ")
}

// based says what the artifact stands on; nothing where nobody asked.
func based(l *touchstone.Lineage, layers int) string {
	switch {
	case l.Base == nil && !l.Known:
		return l.Problem
	case l.Base == nil:
		return "none that is approved, so base and application cannot be told apart"
	}
	text := l.Base.Name
	if l.Base.Owner != "" {
		text += " by " + l.Base.Owner
	}
	if layers > 0 {
		text += ", " + strconv.Itoa(l.Layers) + " of " + counted(layers, "layer")
	}
	if l.Newer != "" {
		text += "; a newer one is approved: " + l.Newer
	}
	return text
}

// confirmed says how current the advisories are: as of their oldest part.
func confirmed(c *touchstone.Check, o Options) string {
	if c.Index.Problem != "" {
		text := c.Index.Problem
		if c.Index.Remedy != "" {
			text += "; mend it with: " + c.Index.Remedy
		}
		return text
	}
	var oldest *touchstone.Coverage
	var missing []string
	for i := range c.Coverage {
		cov := &c.Coverage[i]
		switch {
		case cov.Packages == 0:
		case !cov.Covered:
			missing = append(missing, ecosystem(cov))
		case oldest == nil || cov.Confirmed.Before(oldest.Confirmed):
			oldest = cov
		}
	}
	var parts []string
	switch {
	case oldest == nil:
	case oldest.Confirmed.IsZero():
		parts = append(parts, ecosystem(oldest)+" never confirmed current")
	default:
		parts = append(parts, ecosystem(oldest)+" confirmed current "+o.aged(oldest.Confirmed))
	}
	if len(missing) > 0 {
		parts = append(parts, "none for "+first(missing, 3))
	}
	return strings.Join(parts, "; ")
}

func ecosystem(c *touchstone.Coverage) string {
	if c.Ecosystem == "" {
		return "packages without an ecosystem"
	}
	return c.Ecosystem
}

func platforms(of []touchstone.PlatformVerdict) string {
	if len(of) < 2 {
		return ""
	}
	var parts []string
	for _, p := range of {
		parts = append(parts, p.Platform+" "+string(p.Verdict))
	}
	return strings.Join(parts, ", ") + "; what follows is of the worst"
}
