package admit

import (
	"slices"
	"strconv"

	"touchstone.dev/touchstone"
)

// part is one image of a pod, as it will run.
type part struct {
	// path is the JSON pointer (RFC 6901) of the image, within the object.
	path      string
	field     string // of the spec: "containers"
	name      string // of the container or volume
	image     string
	debug     bool // an ephemeral container
	tty       bool
	container *container // nil for a volume
	settings  touchstone.Settings
}

// same reports whether nothing that is judged differs.
func (p *part) same(q *part) bool {
	return p.name == q.name && p.image == q.image && p.debug == q.debug && equal(&p.settings, &q.settings)
}

func equal(a, b *touchstone.Settings) bool {
	return a.User == b.User && a.NotRoot == b.NotRoot && a.Privileged == b.Privileged &&
		slices.Equal(a.Command, b.Command) && slices.Equal(a.Args, b.Args) &&
		slices.Equal(a.Capabilities, b.Capabilities) && slices.Equal(a.Host, b.Host)
}

// parts lists the images of a pod: containers, init containers, ephemeral ones,
// and volumes that are images.
func (s *spec) parts() []part {
	out := make([]part, 0, len(s.Containers)+len(s.Init)+len(s.Ephemeral))
	host := s.hostPaths()
	add := func(list []container, field string, debug bool) {
		for i := range list {
			c := &list[i]
			out = append(out, part{
				path: "/spec/" + field + "/" + strconv.Itoa(i) + "/image", field: field, name: c.Name, image: c.Image,
				debug: debug, tty: c.TTY, container: c, settings: s.settings(c, host),
			})
		}
	}
	add(s.Init, "initContainers", false)
	add(s.Containers, "containers", false)
	add(s.Ephemeral, "ephemeralContainers", true)
	for i := range s.Volumes {
		if v := &s.Volumes[i]; v.Image != nil {
			out = append(out, part{
				path: "/spec/volumes/" + strconv.Itoa(i) + "/image/reference", field: "volumes", name: v.Name, image: v.Image.Reference,
				// Nothing in it is run as its own user: the containers that mount it are
				// judged as theirs.
				settings: touchstone.Settings{NotRoot: true},
			})
		}
	}
	return out
}

// count returns how many images there are.
func (s *spec) count() int {
	n := len(s.Containers) + len(s.Init) + len(s.Ephemeral)
	for i := range s.Volumes {
		if s.Volumes[i].Image != nil {
			n++
		}
	}
	return n
}

// settings returns what the pod sets for the container: the container's own
// security context over the pod's (core/v1 SecurityContext), and what it shares with
// the node. host has the node's paths by the volumes that bring them.
func (s *spec) settings(c *container, host map[string]string) touchstone.Settings {
	out := touchstone.Settings{
		Command: c.Command, Args: c.Args,
		Capabilities: c.Security.Capabilities.Add, Privileged: c.Security.Privileged,
	}
	user, group := first(c.Security.User, s.Security.User), first(c.Security.Group, s.Security.Group)
	if user != nil {
		out.User = strconv.FormatInt(*user, 10)
		if group != nil {
			out.User += ":" + strconv.FormatInt(*group, 10)
		}
	}
	if b := first(c.Security.NotRoot, s.Security.NotRoot); b != nil {
		out.NotRoot = *b
	}
	if b := first(c.Security.Windows.HostProcess, s.Security.Windows.HostProcess); b != nil {
		out.Privileged = out.Privileged || *b
	}
	for _, share := range []struct {
		yes  bool
		what string
	}{{s.HostNetwork, "network"}, {s.HostPID, "pid"}, {s.HostIPC, "ipc"}} {
		if share.yes {
			out.Host = append(out.Host, share.what)
		}
	}
	for i := range c.Mounts {
		if path, ok := host[c.Mounts[i].Name]; ok && !slices.Contains(out.Host, "path "+path) {
			out.Host = append(out.Host, "path "+path)
		}
	}
	return out
}

// hostPaths returns the paths of the node that volumes bring in, by the volumes'
// names.
func (s *spec) hostPaths() map[string]string {
	var out map[string]string
	for i := range s.Volumes {
		if v := &s.Volumes[i]; v.HostPath != nil {
			if out == nil {
				out = make(map[string]string)
			}
			out[v.Name] = v.HostPath.Path
		}
	}
	return out
}

// first returns the first that is set.
func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// changed returns the parts that are not in old, or differ from it.
func changed(parts, old []part) []part {
	type key struct{ field, name string }
	was := make(map[key]*part, len(old))
	for i := range old {
		was[key{old[i].field, old[i].name}] = &old[i]
	}
	var out []part
	for i := range parts {
		before := was[key{parts[i].field, parts[i].name}]
		if before == nil || !before.same(&parts[i]) {
			out = append(out, parts[i])
		}
	}
	return out
}
