package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// statusAt is where a tiny program has its exit status.
const statusAt = 64 + 56 + 1

// tiny is the smallest program for amd64: it ends at once with a status. All have
// the same size.
func tiny(status byte) []byte {
	const base, head = 0x400000, 64 + 56
	code := []byte{0xbf, status, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05} // exit(status)
	b := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 62, 0, 1, 0, 0, 0}
	for _, v := range []uint64{base + head, 64, 0} { // entry, program headers, sections
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 1, 0, 0, 0, 5, 0, 0, 0) // PT_LOAD, read and execute
	for _, v := range []uint64{0, base, base, head + uint64(len(code)), head + uint64(len(code)), 0x1000} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return append(b, code...)
}

// writeTiny: PATH STATUS
func writeTiny(args []string) error {
	status, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return put(args[0], tiny(byte(status)), 0o755)
}

// writeFile: PATH MODE TEXT
func writeFile(args []string) error {
	mode, err := strconv.ParseUint(args[1], 8, 32)
	if err != nil {
		return err
	}
	return put(args[0], []byte(args[2]), os.FileMode(mode))
}

// copyFile: FROM TO [MORE], which is put behind the content.
func copyFile(args []string) error {
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	return put(args[1], append(data, strings.Join(args[2:], " ")...), 0o755)
}

func put(path string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	return f.Close()
}

// manyFiles: DIR N makes so many files of data.
func manyFiles(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range n {
		path := filepath.Join(args[0], strconv.Itoa(i%100), fmt.Sprintf("data-%d.txt", i))
		if i < 100 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, []byte("some data\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// endlessNames: DIR DEPTH makes folders in folders with names as long as can be, and
// some that are no text.
func endlessNames(args []string) error {
	depth, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	if err := os.Chdir(args[0]); err != nil {
		return err
	}
	for i := range depth {
		name := strings.Repeat("\xff\x1b[2J\n", 40) + strconv.Itoa(i)
		if err := os.Mkdir(name, 0o755); err != nil {
			return err
		}
		if err := os.Chdir(name); err != nil {
			return err
		}
		if err := os.WriteFile("\x00x\n"[1:]+strconv.Itoa(i), tiny(83), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("/../../../../../../etc/passwd", "out"); err != nil {
			return err
		}
	}
	return nil
}

// rotate: DIR N writes a log and renames it, so often.
func rotate(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range n {
		log := filepath.Join(args[0], "app.log")
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(f, "something happened\n"); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		if err := os.Rename(log, fmt.Sprintf("%s.%d", log, i)); err != nil {
			return err
		}
	}
	return nil
}
