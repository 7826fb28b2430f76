package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// mountedNoexec tells whether programs on the file system of path cannot be started.
func mountedNoexec(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Flags&unix.ST_NOEXEC != 0
}

// syncAll brings everything below dir to disk. One call for the file system costs far less than one per file, and nothing
// on tmpfs.
func syncAll(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Syncfs(int(file.Fd()))
}
