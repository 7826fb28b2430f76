package main

import (
	"errors"
	"io"
	"os"
)

// errChanged says that a file of the work environment is not what the package holds.
var errChanged = errors.New("changed")

// Output is a file being made from a slot, or being compared with it when the environment is only verified.
type Output struct {
	file    plainFile
	compare *os.File
	at      int64
}

func openOutput(path string, mode uint32, compare bool) (*Output, error) {
	if !compare {
		file, err := createPlain(path, mode)
		return &Output{file: file}, err
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, errChanged
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, errChanged
	}
	return &Output{compare: file}, nil
}

func (o *Output) Write(data []byte) (int, error) {
	if o.compare == nil {
		return o.file.Write(data)
	}
	n, err := o.WriteAt(data, o.at)
	o.at += int64(n)
	return n, err
}

// WriteAt puts data at an offset; chunks of one file arrive in any order.
func (o *Output) WriteAt(data []byte, offset int64) (int, error) {
	if o.compare == nil {
		return o.file.WriteAt(data, offset)
	}
	have := make([]byte, min(len(data), 64<<10))
	for done := 0; done < len(data); {
		part := data[done:min(len(data), done+len(have))]
		n, err := o.compare.ReadAt(have[:len(part)], offset+int64(done))
		if n != len(part) || (err != nil && err != io.EOF) || string(have[:n]) != string(part) {
			return done, errChanged
		}
		done += n
	}
	return len(data), nil
}

// finish closes the file; a file under comparison must also end where the slot's ends.
func (o *Output) finish(size, mtime int64) error {
	if o.compare != nil {
		defer o.compare.Close()
		if info, err := o.compare.Stat(); err != nil || info.Size() != size {
			return errChanged
		}
		return nil
	}
	err := o.file.close()
	if err == nil {
		err = o.file.setTime(mtime)
	}
	return err
}

func (o *Output) abandon() {
	if o.compare != nil {
		o.compare.Close()
		return
	}
	_ = o.file.close()
}
