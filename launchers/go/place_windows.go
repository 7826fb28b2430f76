package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// checkBase: the user's local application data is private by its access list; all that is checked here is that the base is a folder.
func checkBase(base string) error {
	info, err := os.Stat(base)
	if err == nil && !info.IsDir() {
		return fail("CACHE_CREATE", "path", base, "detail", "it is not a folder")
	}
	if err != nil && !os.IsNotExist(err) {
		return fail("CACHE_CREATE", "path", base, "detail", reason(err))
	}
	return nil
}

// freeBytes asks the volume that holds path, or its nearest existing parent, what this user may still write.
func freeBytes(path string) (uint64, bool) {
	for {
		name, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return 0, false
		}
		var free uint64
		if windows.GetDiskFreeSpaceEx(name, &free, nil, nil) == nil {
			return free, true
		}
		parent := filepath.Dir(path)
		if parent == path {
			return 0, false
		}
		path = parent
	}
}

func clearMask() (restore func()) { return func() {} }

func mountedNoexec(string) bool { return false }

// syncAll does nothing: every file was written back when it was closed, and the marker is flushed after them.
func syncAll(string) error { return nil }
