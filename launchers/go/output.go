package main

import (
	"errors"
	"os"
)

// Output is a file being made from a slot, or being compared with it when the environment is only verified.
type Output struct {
	file     plainFile
	comparer *comparer
	at       int64
}

// createOutput makes a new file. With replace it takes the place of a file that is there.
func createOutput(path string, mode uint32, replace bool) (*Output, error) {
	file, err := createPlain(path, mode)
	if replace && errors.Is(err, os.ErrExist) && os.Remove(path) == nil {
		file, err = createPlain(path, mode)
	}
	if err != nil {
		return nil, err
	}
	return &Output{file: file}, nil
}

func (o *Output) Write(data []byte) (int, error) {
	if o.comparer == nil {
		return o.file.Write(data)
	}
	n, err := o.comparer.WriteAt(data, o.at)
	o.at += int64(n)
	return n, err
}

// WriteAt puts data at an offset; chunks of one file arrive in any order.
func (o *Output) WriteAt(data []byte, offset int64) (int, error) {
	if o.comparer == nil {
		return o.file.WriteAt(data, offset)
	}
	return o.comparer.WriteAt(data, offset)
}

// finish closes the file and gives it its time.
func (o *Output) finish(mtime int64) error {
	if o.comparer != nil {
		return o.comparer.close()
	}
	err := o.file.close()
	if err == nil {
		err = o.file.setTime(mtime)
	}
	return err
}

func (o *Output) abandon() {
	if o.comparer != nil {
		_ = o.comparer.close()
		return
	}
	_ = o.file.close()
}
