package bpf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// The committed objects are those of the sources beside them.
func TestObjectsMatchTheirSources(t *testing.T) {
	headers, err := filepath.Glob("kernel/*.h")
	if err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob("kernel/*.bpf.c")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(headers)
	sum := sha256.New()
	for _, name := range append(headers, programs...) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(content)
	}
	want := hex.EncodeToString(sum.Sum(nil))
	for _, object := range []string{"kernel_x86_bpfel.o", "kernel_arm64_bpfel.o"} {
		t.Run(object, func(t *testing.T) {
			committed, err := ebpf.LoadCollectionSpec(object)
			if err != nil {
				t.Fatal(err)
			}
			var sources [65]byte
			if err := committed.Variables[kernelVarSources].Get(&sources); err != nil {
				t.Fatal(err)
			}
			if got := string(bytes.TrimRight(sources[:], "\x00")); got != want {
				t.Fatalf("%s is of other sources\nhint: go generate ./internal/guard/bpf", object)
			}
			compareCompiled(t, committed, object, want)
		})
	}
}

// compareCompiled compiles again, and compares instruction for instruction.
func compareCompiled(t *testing.T, committed *ebpf.CollectionSpec, object, sources string) {
	if _, err := os.Stat("/usr/include/bpf/bpf_helpers.h"); err != nil {
		t.Skip("needs libbpf-dev")
	}
	clang, err := exec.LookPath("clang")
	if err != nil {
		t.Skip("needs clang")
	}
	_, arch, _ := strings.Cut(strings.TrimSuffix(object, "_bpfel.o"), "_")
	out := filepath.Join(t.TempDir(), object)
	message, err := exec.Command(clang, "-O2", "-mcpu=v1", "-g", "-target", "bpfel", "-D__TARGET_ARCH_"+arch,
		"-DSOURCES=\""+sources+"\"", "-Ikernel", "-c", "kernel/guard.bpf.c", "-o", out).CombinedOutput()
	if err != nil {
		t.Fatalf("clang: %v: %s", err, message)
	}
	compiled, err := ebpf.LoadCollectionSpec(out)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := compilerOf(t, committed), compilerOf(t, compiled); have != want {
		t.Logf("the objects were compiled by clang %s, and this is %s: that they match is known by the hash alone", have, want)
		return
	}
	for name, program := range committed.Programs {
		again := compiled.Programs[name]
		if again == nil {
			t.Errorf("there is no program %s in the sources", name)
			continue
		}
		if have, want := listing(program), listing(again); have != want {
			t.Errorf("the program %s is not what clang makes of the sources", name)
		}
	}
	if len(compiled.Programs) != len(committed.Programs) {
		t.Errorf("the sources have %d programs, the object %d", len(compiled.Programs), len(committed.Programs))
	}
}

// compilerOf returns what compiled the object.
func compilerOf(t *testing.T, spec *ebpf.CollectionSpec) string {
	t.Helper()
	var s [64]byte
	if err := spec.Variables[kernelVarCompiler].Get(&s); err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimRight(s[:], " \x00"))
}

// listing shows instructions without the lines that they came from.
func listing(p *ebpf.ProgramSpec) string {
	var b strings.Builder
	for _, i := range p.Instructions {
		b.WriteString(i.OpCode.String())
		b.WriteString(strings.Join([]string{i.Dst.String(), i.Src.String()}, " "))
		b.WriteString(hex.EncodeToString([]byte{byte(i.Offset), byte(i.Offset >> 8)}))
		b.WriteString(" " + i.Reference() + " ")
		b.WriteString(hex.EncodeToString([]byte{byte(i.Constant), byte(i.Constant >> 8), byte(i.Constant >> 16), byte(i.Constant >> 24)}))
		b.WriteByte('\n')
	}
	return b.String()
}
