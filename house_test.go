package touchstone_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "touchstone.dev/touchstone"

// deps returns everything that the packages import, directly or not.
func deps(t *testing.T, patterns ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-deps"}, patterns...)...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

func TestTheRootImportsTheStandardLibraryAlone(t *testing.T) {
	for _, p := range deps(t, ".") {
		if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") && p != module {
			t.Errorf("the root package imports %s", p)
		}
	}
}

// The rooms of the house, low to high: a room may import those of lower floors
// and those below its own name, and never one of a higher floor.
func floors() [][]string {
	return [][]string{
		{""},
		{"artifact", "blob", "gosym", "packed", "pin", "record", "rules", "makeimage", "wholefile", "unprivileged"},
		{"manifest", "sqlite", "cluster"},
		{"inspect", "advisory", "golden", "storetest"},
		{"gate", "report", "drift", "rehydrate"},
		{"release", "kube"},
		{"api"},
		{"server", "guard"},
		{"cli", "demo", "figures", "ownimage", "trial"},
	}
}

func TestNoRoomImportsAHigherOne(t *testing.T) {
	level := make(map[string]int)
	for i, rooms := range floors() {
		for _, r := range rooms {
			level[r] = i
		}
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		from, inside := room(fields[0])
		if !inside {
			continue
		}
		if _, known := level[from]; !known {
			t.Errorf("%s is on no floor: put the room into floors, and into docs/design.md", fields[0])
		}
		for _, p := range fields[1:] {
			if to, inside := room(p); inside && to != from && level[to] >= level[from] {
				t.Errorf("%s imports %s, which is not on a lower floor", fields[0], p)
			}
		}
	}
}

// room returns the room of an import path: the first folder below internal, or
// "" for the root. Commands and foreign packages are in no room.
func room(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, module)
	if !ok || strings.HasPrefix(rest, "/cmd/") {
		return "", false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(rest, "/"), "internal/"), "/")
	return name, true
}

func TestLowerFloorsStayApart(t *testing.T) {
	never := []string{"k8s.io/", "sigs.k8s.io/", "github.com/cilium/ebpf", "github.com/jackc/pgx", "github.com/spf13/cobra"}
	for _, p := range deps(t, "./internal/inspect/...", "./internal/rules/...", "./internal/advisory/...", "./internal/artifact/...") {
		if slices.ContainsFunc(never, func(n string) bool { return strings.HasPrefix(p, n) }) {
			t.Errorf("a lower floor reaches %s", p)
		}
	}
}

func TestOnlyTheKubeRoomLinksKubernetes(t *testing.T) {
	for _, p := range deps(t, "./internal/gate", "./internal/release", "./internal/api", "./internal/server", "./internal/sqlite", "./internal/guard/...", "./internal/drift", "./internal/rehydrate") {
		if strings.HasPrefix(p, "k8s.io/") || strings.HasPrefix(p, "sigs.k8s.io/") {
			t.Errorf("a room besides kube reaches %s", p)
		}
	}
}

// What the guard sees with: each of these rooms knows nothing of the others, and the
// guard alone puts them together.
func TestTheGuardsRoomsDoNotKnowEachOther(t *testing.T) {
	eyes := []string{"guard/bpf", "guard/fanotify", "guard/containerd", "guard/session", "drift"}
	for _, eye := range eyes {
		for _, p := range deps(t, "./internal/"+eye) {
			for _, other := range append(slices.Clone(eyes), "guard", "gate") {
				if other != eye && p == module+"/internal/"+other {
					t.Errorf("internal/%s reaches internal/%s", eye, other)
				}
			}
			if eye != "guard/bpf" && strings.HasPrefix(p, "github.com/cilium/ebpf") {
				t.Errorf("internal/%s reaches %s", eye, p)
			}
		}
	}
}
