//go:build unix

package main

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// plainFile is a file by its descriptor alone. The os package registers what it opens with the poller and a finalizer,
// which a start that only reads one marker, or writes thousands of files, pays for without use.
type plainFile struct {
	fd   int
	path string
}

func openPlain(path string) (plainFile, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != syscall.EINTR {
			return plainFile{fd, path}, err
		}
	}
}

// openImage opens the package file. It is read at offsets only, so it does not need the poller either.
func openImage(path string) (*os.File, error) {
	file, err := openPlain(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(file.fd), path), nil
}

// createPlain makes a new file with exactly mode; it never opens what is there already, nor follows a link.
func createPlain(path string, mode uint32) (plainFile, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, mode)
		if err != syscall.EINTR {
			return plainFile{fd, path}, err
		}
	}
}

// readAt fills data from the start of the file as far as it goes.
func (f plainFile) readAt(data []byte) int {
	done := 0
	for done < len(data) {
		n, err := syscall.Pread(f.fd, data[done:], int64(done))
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		done += n
	}
	return done
}

func (f plainFile) Write(data []byte) (int, error) {
	done := 0
	for done < len(data) {
		// Some systems refuse to write 2 GiB at once.
		n, err := syscall.Write(f.fd, data[done:min(len(data), done+1<<30)])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// WriteAt writes at an offset; several goroutines may do so at once.
func (f plainFile) WriteAt(data []byte, offset int64) (int, error) {
	done := 0
	for done < len(data) {
		n, err := syscall.Pwrite(f.fd, data[done:min(len(data), done+1<<30)], offset+int64(done))
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

func (f plainFile) close() error { return syscall.Close(f.fd) }

// setTime restores a modification time without following a link.
func setTime(path string, mtime int64) error {
	stamp := unix.NsecToTimespec(mtime)
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW)
}

func (f plainFile) setTime(mtime int64) error { return setTime(f.path, mtime) }

// statFile returns size and modification time of the regular file that path leads to.
func statFile(path string) (size, mtime int64, ok bool) {
	var stat syscall.Stat_t
	if err := syscall.Stat(path, &stat); err != nil || stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return 0, 0, false
	}
	return stat.Size, modified(&stat), true
}

func executable(path string) bool { return unix.Access(path, unix.X_OK) == nil }

// startedFile is the file that starts under a path.
func startedFile(path string) string { return path }

// diskFull is how a write ends that found no room.
const diskFull = unix.ENOSPC

func replaceFile(from, to string) error { return os.Rename(from, to) }

func removeAll(path string) error { return os.RemoveAll(path) }

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return failIO(dir, err)
	}
	defer folder.Close()
	// Some file systems know no fsync of folders; the rename is then as durable as they make it.
	if err := folder.Sync(); err != nil && err != syscall.EINVAL {
		debugf("folder not synced", "path", dir, "detail", reason(err))
	}
	return nil
}
