package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// SEALIFT_VERIFY=full: what a slot holds against what lies on disk and what the marker says of it.

// errChanged says that a file is not what it was when the environment was made.
var errChanged = errors.New("changed")

// Comparison knows the marker of the folder that a slot went to. Setup commands may have changed or removed files after they
// were unpacked: then the marker says so, and only size, time and mode are compared.
type Comparison struct{ recorded map[string]Mark }

// comparer compares bytes with a file.
type comparer struct{ file *os.File }

// look compares what lies at path with the marker; false means that the marker does not know it.
func (c *Comparison) look(path, name string) (recorded Mark, known bool, err error) {
	recorded, known = c.recorded[name]
	if !known {
		return recorded, false, nil
	}
	found, err := lookAt(path, name)
	if err != nil || found.kind != recorded.kind {
		return recorded, true, errChanged
	}
	// Times and modes of links mean nothing; some systems keep no modes.
	if found.kind == 'f' && (found.size != recorded.size || found.mtime != recorded.mtime) {
		return recorded, true, errChanged
	}
	if found.kind != 'l' && found.mode != recorded.mode && runtime.GOOS != "windows" {
		return recorded, true, errChanged
	}
	return recorded, true, nil
}

// lookAt describes what lies at path now, without following a link.
func lookAt(path, name string) (Mark, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Mark{}, err
	}
	switch {
	case info.IsDir():
		return Mark{'d', 0, 0, uint32(info.Mode().Perm()), name}, nil
	case info.Mode()&os.ModeSymlink != 0:
		return Mark{'l', 0, 0, 0o777, name}, nil
	}
	return Mark{'f', info.Size(), info.ModTime().UnixNano(), uint32(info.Mode().Perm()), name}, nil
}

// open starts the comparison of one file, or returns nil where the marker is all there is to compare with.
func (c *Comparison) open(path, name string, packed Mark) (*Output, error) {
	recorded, known, err := c.look(path, name)
	if err != nil || !known || recorded.size != packed.size || recorded.mtime != packed.mtime {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errChanged
	}
	return &Output{comparer: &comparer{file}}, nil
}

func (c *Comparison) folder(path, name string) error {
	_, _, err := c.look(path, name)
	return err
}

func (c *Comparison) symbolic(path, name, target string) error {
	if _, known, err := c.look(path, name); err != nil || !known {
		return err
	}
	if have, err := os.Readlink(path); err == nil && filepath.ToSlash(have) != target {
		return errChanged
	}
	return nil
}

func (c *Comparison) hard(path, source, name string) error {
	if _, known, err := c.look(path, name); err != nil || !known {
		return err
	}
	if one, err := os.Lstat(path); err == nil {
		if other, err := os.Lstat(source); err == nil && !os.SameFile(one, other) && one.ModTime().Equal(other.ModTime()) {
			return errChanged
		}
	}
	return nil
}

// WriteAt compares data with the file at offset.
func (c *comparer) WriteAt(data []byte, offset int64) (int, error) {
	have := make([]byte, min(len(data), 64<<10))
	for done := 0; done < len(data); {
		part := data[done:min(len(data), done+len(have))]
		n, err := c.file.ReadAt(have[:len(part)], offset+int64(done))
		if n != len(part) || (err != nil && err != io.EOF) || string(have[:n]) != string(part) {
			return done, errChanged
		}
		done += n
	}
	return len(data), nil
}

func (c *comparer) close() error { return c.file.Close() }

// readFiles reads the whole list of a marker; nil means that there is none that can be believed.
func readFiles(path string) map[string]Mark {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parseFiles(string(data))
}
