//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const maxLinks = 40

// checkBase refuses a base folder that somebody else could have prepared or can change. A base that does not exist yet
// is fine as long as the way to it is.
func checkBase(base string) error {
	if err := checkWay(base); err != nil {
		return err
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(base, &stat); err != nil {
		if err == syscall.ENOENT {
			return nil
		}
		return fail("CACHE_CREATE", "path", base, "detail", reason(err))
	}
	switch {
	case stat.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return fail("CACHE_CREATE", "path", base, "detail", "it is not a folder")
	case int(stat.Uid) != os.Geteuid():
		return fail("CACHE_OWNER", "path", base)
	case stat.Mode&0o022 != 0:
		return fail("CACHE_WRITABLE", "path", base)
	}
	return nil
}

// checkWay follows path part by part. A symbolic link on it is refused when its folder can be written by others, unless
// the folder is sticky and the link belongs to the user or to root, so that nobody else can replace it.
func checkWay(path string) error {
	rest := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at := "/"
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		var stat syscall.Stat_t
		if err := syscall.Lstat(next, &stat); err != nil {
			return nil // the check of the base itself, or its creation, says what is wrong
		}
		if stat.Mode&syscall.S_IFMT != syscall.S_IFLNK {
			at = next
			continue
		}
		if links++; links > maxLinks || replaceable(at, stat.Uid) {
			return fail("CACHE_LINK", "path", next)
		}
		target, err := os.Readlink(next)
		if err != nil {
			return failIO(next, err)
		}
		if strings.HasPrefix(target, "/") {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return nil
}

// replaceable tells whether others can replace a link of that owner in dir.
func replaceable(dir string, linkOwner uint32) bool {
	var stat syscall.Stat_t
	if err := syscall.Stat(dir, &stat); err != nil {
		return true
	}
	ours := func(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }
	writable, sticky := stat.Mode&0o022 != 0, stat.Mode&syscall.S_ISVTX != 0
	return !ours(stat.Uid) || (writable && !(sticky && ours(linkOwner)))
}

// freeBytes asks the file system that holds path, or its nearest existing parent, what this user may still write.
func freeBytes(path string) (uint64, bool) {
	for {
		var stat unix.Statfs_t
		err := unix.Statfs(path, &stat)
		if err == nil {
			return uint64(stat.Bavail) * uint64(stat.Bsize), true
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return 0, false
		}
		path = parent
	}
}

// clearMask makes created files and folders get exactly the modes that are asked for.
func clearMask() (restore func()) {
	old := syscall.Umask(0)
	return func() { syscall.Umask(old) }
}
