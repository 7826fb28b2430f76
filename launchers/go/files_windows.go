package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// plainFile is a file opened for one purpose; on this system the os package does it.
type plainFile struct {
	file *os.File
	path string
	made bool
}

func openPlain(path string) (plainFile, error) {
	file, err := os.Open(path)
	return plainFile{file: file, path: path}, err
}

// openImage opens the package file.
func openImage(path string) (*os.File, error) { return os.Open(path) }

// createPlain makes a new file; it never opens what is there already.
func createPlain(path string, mode uint32) (plainFile, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(mode)|0o200)
	return plainFile{file: file, path: path, made: true}, err
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

func (f plainFile) close() error {
	var err error
	if f.made {
		err = f.writeBack()
	}
	if closeErr := f.file.Close(); err == nil {
		err = closeErr
	}
	return err
}

var flushBuffers = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtFlushBuffersFileEx")

// writeBack hands what was written to the disk without waiting for the disk's own cache: the flush of the marker, which is
// written last, empties that for all files at once.
func (f plainFile) writeBack() error {
	const noSync = 2
	var status windows.IO_STATUS_BLOCK
	if flushBuffers.Find() == nil {
		code, _, _ := flushBuffers.Call(f.file.Fd(), noSync, 0, 0, uintptr(unsafe.Pointer(&status)))
		if code == uintptr(windows.STATUS_SUCCESS) {
			return nil
		}
	}
	return f.file.Sync() // older systems, and file systems that know no such flush
}

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

// startedFile is the file that starts under a path: the ending may be left out.
func startedFile(path string) string { return withExtension(path) }

// diskFull is how a write ends that found no room.
const diskFull = windows.ERROR_DISK_FULL

// patience is how long something that is in use is tried again: scanners and indexers open new files for a moment.
const patience = 2 * time.Second

// patiently repeats work while it fails because a file is in use.
func patiently(work func() error) error {
	for start, pause := time.Now(), time.Millisecond; ; pause *= 2 {
		err := work()
		if !inUse(err) || time.Since(start) > patience {
			return err
		}
		time.Sleep(pause)
	}
}

func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
}

// replaceFile moves a file over another. A program that runs cannot be replaced; where it is the same program nothing is lost.
func replaceFile(from, to string) error {
	return patiently(func() error {
		err := os.Rename(from, to)
		if inUse(err) && sameContent(from, to) {
			return nil
		}
		return err
	})
}

func sameContent(one, other string) bool {
	info, err := os.Stat(one)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if size, _, regular := statFile(other); !regular || size != info.Size() {
		return false
	}
	file, err := os.Open(other)
	if err != nil {
		return false
	}
	defer file.Close()
	source, err := os.Open(one)
	if err != nil {
		return false
	}
	defer source.Close()
	_, err = io.Copy(io.NewOffsetWriter(&comparer{file}, 0), source)
	return err == nil
}

func removeAll(path string) error {
	return patiently(func() error {
		err := os.RemoveAll(path)
		if errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
			return removeEach(path) // Wine has no deletion with POSIX semantics, which RemoveAll asks for
		}
		return err
	})
}

// removeEach removes a folder one name at a time; links are removed, never followed.
func removeEach(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		names, err := listNames(path)
		for _, name := range names {
			if err == nil {
				err = removeEach(filepath.Join(path, name))
			}
		}
		if err != nil {
			return err
		}
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
