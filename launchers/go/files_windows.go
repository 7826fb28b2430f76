package main

import (
	"os"
	"time"
)

// plainFile is a file opened for one purpose; on this system the os package does it.
type plainFile struct {
	file *os.File
	path string
}

func openPlain(path string) (plainFile, error) {
	file, err := os.Open(path)
	return plainFile{file, path}, err
}

// openImage opens the package file.
func openImage(path string) (*os.File, error) { return os.Open(path) }

// createPlain makes a new file; it never opens what is there already.
func createPlain(path string, mode uint32) (plainFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(mode)|0o200)
	return plainFile{file, path}, err
}

func (f plainFile) readAt(data []byte) int {
	n, _ := f.file.ReadAt(data, 0)
	return n
}

func (f plainFile) Write(data []byte) (int, error) { return f.file.Write(data) }

// WriteAt writes at an offset; several goroutines may do so at once.
func (f plainFile) WriteAt(data []byte, offset int64) (int, error) {
	return f.file.WriteAt(data, offset)
}

func (f plainFile) close() error { return f.file.Close() }

// setTime restores a modification time.
func setTime(path string, mtime int64) error {
	stamp := time.Unix(0, mtime)
	return os.Chtimes(path, stamp, stamp)
}

func (f plainFile) setTime(mtime int64) error { return setTime(f.path, mtime) }

// statFile returns size and modification time of the regular file that path leads to.
func statFile(path string) (size, mtime int64, ok bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, 0, false
	}
	return info.Size(), info.ModTime().UnixNano(), true
}

func executable(path string) bool {
	_, _, regular := statFile(withExtension(path))
	return regular
}

func syncFolder(string) error { return nil }
