package containerd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/anypb"
)

// ociSpec is the part of the OCI runtime specification's config.json that is
// read (runtime-spec v1, config.md and config-linux.md).
type ociSpec struct {
	Process struct {
		Terminal bool `json:"terminal"`
		User     struct {
			UID uint32 `json:"uid"`
			GID uint32 `json:"gid"`
		} `json:"user"`
		Args         []string `json:"args"`
		Capabilities struct {
			Bounding    []string `json:"bounding"`
			Effective   []string `json:"effective"`
			Permitted   []string `json:"permitted"`
			Inheritable []string `json:"inheritable"`
			Ambient     []string `json:"ambient"`
		} `json:"capabilities"`
		NoNewPrivileges bool `json:"noNewPrivileges"`
	} `json:"process"`
	Root struct {
		Readonly bool `json:"readonly"`
	} `json:"root"`
	Mounts []ociMount `json:"mounts"`
	Linux  struct {
		CgroupsPath string `json:"cgroupsPath"`
		Namespaces  []struct {
			Type string `json:"type"`
		} `json:"namespaces"`
		MaskedPaths []string  `json:"maskedPaths"`
		Seccomp     *struct{} `json:"seccomp"`
	} `json:"linux"`
}

type ociMount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

// parseSpec reads the spec as containerd keeps it: JSON, whatever its type's name.
func parseSpec(spec *anypb.Any) (*ociSpec, error) {
	o := &ociSpec{}
	if len(spec.GetValue()) == 0 {
		return o, fmt.Errorf("reading the OCI spec: there is none")
	}
	if err := json.Unmarshal(spec.GetValue(), o); err != nil {
		return o, fmt.Errorf("reading the OCI spec: %w", err)
	}
	return o, nil
}

// kept returns what is kept of the spec. podUID tells the kubelet's own mounts.
func (o *ociSpec) kept(podUID string) (s Spec, clipped bool) {
	p := &o.Process
	s = Spec{
		Terminal: p.Terminal, UID: p.User.UID, GID: p.User.GID,
		NoNewPrivileges: p.NoNewPrivileges, Seccomp: o.Linux.Seccomp != nil, ReadonlyRoot: o.Root.Readonly,
		HostPID: true, HostNetwork: true, HostIPC: true, HostUser: true,
	}
	s.Command, clipped = keptWords(p.Args)
	s.Capabilities = capabilities(p.Capabilities.Bounding, p.Capabilities.Effective, p.Capabilities.Permitted, p.Capabilities.Inheritable, p.Capabilities.Ambient)
	for _, n := range o.Linux.Namespaces {
		switch n.Type {
		case "pid":
			s.HostPID = false
		case "network":
			s.HostNetwork = false
		case "ipc":
			s.HostIPC = false
		case "user":
			s.HostUser = false
		}
	}
	s.Privileged = len(o.Linux.MaskedPaths) == 0
	for _, name := range []string{"SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE"} {
		s.Privileged = s.Privileged && slices.Contains(s.Capabilities, name)
	}
	mounts := o.Mounts
	if len(mounts) > maxMounts {
		mounts, clipped = mounts[:maxMounts], true
	}
	for i := range mounts {
		s.Mounts = append(s.Mounts, mounts[i].kept(podUID))
	}
	return s, clipped
}

func capabilities(sets ...[]string) []string {
	var out []string
	for _, set := range sets {
		for _, name := range set {
			if len(out) >= 1024 {
				break // there are about 40; the rest is a joke
			}
			out = append(out, clip(strings.TrimPrefix(name, "CAP_"), maxName))
		}
	}
	slices.Sort(out)
	return slices.Clip(slices.Compact(out))
}

// keptWords returns the words of a command up to a bound.
func keptWords(words []string) (kept []string, clipped bool) {
	if len(words) > maxWords {
		words, clipped = words[:maxWords], true
	}
	if len(words) == 0 {
		return nil, false
	}
	kept = make([]string, len(words))
	for i, w := range words {
		kept[i], clipped = clip(w, maxWord), clipped || len(w) > maxWord
	}
	return kept, clipped
}
