package main

import (
	"os"
	"path/filepath"
	"time"
)

const sayAfter = 2 * time.Second

// Lock is an OS lock on a file below <base>/locks. The system drops it when its holder ends, however that happens, so
// there are no stale locks and no process numbers to compare. Lock files are never deleted: a waiter may hold one open.
type Lock struct{ file *os.File }

// takeLock waits without limit for the lock of that name and says so after two seconds.
func takeLock(base, name, shown string) (*Lock, error) {
	dir := filepath.Join(base, "locks")
	if err := makePrivate(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+".lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, failIO(path, err)
	}
	taken, err := lockFile(file, false)
	if err == nil && !taken {
		notice := time.AfterFunc(sayAfter, func() { warn(fail("WAITING", "name", shown)) })
		_, err = lockFile(file, true)
		notice.Stop()
	}
	if err != nil {
		file.Close()
		return nil, failIO(path, err)
	}
	return &Lock{file}, nil
}

func (l *Lock) release() {
	if l != nil {
		l.file.Close()
	}
}
