// Command actor is what the containers of these tests run. Its first process takes
// orders (orders.go); each of them is a command, often a deed of this program.
package main

import (
	"fmt"
	"os"
)

func main() {
	deeds := map[string]func([]string) error{
		"init":     obeyAll,
		"tiny":     writeTiny,
		"write":    writeFile,
		"copy":     copyFile,
		"fd":       runDescriptor,
		"path":     runPathDescriptor,
		"memfd":    runMemory,
		"unlinked": runUnlinked,
		"map":      mapFile,
		"protect":  protectFile,
		"jit":      justInTime,
		"patch":    patchMapped,
		"race":     race,
		"tmpfs":    mountMemory,
		"bind":     mountBind,
		"overlay":  mountOverlay,
		"unshare":  runApart,
		"chroot":   runBelow,
		"daemon":   runAway,
		"storm":    storm,
		"files":    manyFiles,
		"names":    endlessNames,
		"bomb":     forkBomb,
		"mounts":   manyMounts,
		"rotate":   rotate,
		"sleep":    sleep,
		"as":       runAs,
	}
	if len(os.Args) < 2 || deeds[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "no such deed:", os.Args)
		os.Exit(64)
	}
	if err := deeds[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
