package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// Reading tar streams: a strict layer over archive/tar (format.md section 6). The library parses headers; this layer
// decides what may become a file.

const tarBlock = 512

// positioned counts what the tar reader consumed, so that the end-of-archive blocks can be told from the end of the data.
type positioned struct {
	source io.Reader
	at     int64
}

func (p *positioned) Read(data []byte) (int, error) {
	n, err := p.source.Read(data)
	p.at += int64(n)
	return n, err
}

// entryError is a refusal that names the entry.
type entryError struct{ path, detail string }

func (e *entryError) Error() string { return e.path + ": " + e.detail }

var errTar = errors.New("its tar stream is damaged")

// tarPart is which part of an archive a stream is; it decides how the stream may end.
type tarPart int

const (
	wholeArchive tarPart = iota // end-of-archive blocks, then only zeros
	innerChunk                  // no end-of-archive blocks
	lastChunk                   // two end-of-archive blocks and nothing more
)

// readTar feeds every entry of a stream to the tree. first is the position of its entries among all of the slot.
func (t *Tree) readTar(source io.Reader, first int64, part tarPart) error {
	position := &positioned{source: source}
	reader := tar.NewReader(position)
	buffer := make([]byte, 64<<10)
	for number := first; ; number++ {
		body := (position.at + tarBlock - 1) / tarBlock * tarBlock
		header, err := reader.Next()
		if err == io.EOF {
			return endOfArchive(position, position.at-body, part, buffer)
		}
		if err != nil {
			return tarError(err)
		}
		err = t.add(header, number, func(out *Output) error {
			_, err := io.CopyBuffer(onlyWriter{out}, onlyReader{reader}, buffer)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := io.CopyBuffer(io.Discard, onlyReader{reader}, buffer); err != nil {
			return tarError(err)
		}
	}
}

// readTarMemory is readTar for a chunk that lies decoded in memory: contents go to their files without a copy.
func (t *Tree) readTarMemory(data []byte, first int64, part tarPart) error {
	source := bytes.NewReader(data)
	reader := tar.NewReader(source)
	end := int64(0)
	for number := first; ; number++ {
		header, err := reader.Next()
		at := int64(len(data) - source.Len())
		if err == io.EOF {
			return endOfArchive(&positioned{source: source}, at-end, part, make([]byte, tarBlock))
		}
		if err != nil {
			return tarError(err)
		}
		if header.Size < 0 || header.Size > int64(len(data))-at {
			return errTar
		}
		body := data[at : at+header.Size]
		end = at + (header.Size+tarBlock-1)/tarBlock*tarBlock
		if end > int64(len(data)) {
			return errTar
		}
		err = t.add(header, number, func(out *Output) error {
			_, err := out.Write(body)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// endOfArchive checks how a stream ended: tail is what the reader consumed after the last entry.
func endOfArchive(rest *positioned, tail int64, part tarPart, buffer []byte) error {
	switch {
	case part == innerChunk && tail == 0:
		return nil
	case part == innerChunk || tail <= 0 || (part == lastChunk && tail != 2*tarBlock):
		return errTar
	}
	for {
		n, err := rest.Read(buffer)
		if !allZero(buffer[:n]) || (n > 0 && part == lastChunk) {
			return errors.New("something follows the end of its tar stream")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// onlyReader hides other methods, so that io.CopyBuffer uses the buffer it is given.
type onlyReader struct{ io.Reader }

// tarError keeps errors of the source and reduces the library's own to one sentence.
func tarError(err error) error {
	if err == tar.ErrHeader || err == tar.ErrFieldTooLong || err == io.ErrUnexpectedEOF || err == io.EOF {
		return errTar
	}
	if _, limited := err.(*Failure); limited {
		return err
	}
	if errors.Is(err, errDamaged) || errors.Is(err, errChanged) {
		return err
	}
	var source *sourceError
	if errors.As(err, &source) {
		return err
	}
	return errTar
}

// add checks one header and hands it to the tree.
func (t *Tree) add(header *tar.Header, number int64, write func(*Output) error) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return checkGlobal(header)
	}
	name, err := entryName(header)
	if err != nil {
		return err
	}
	if year := header.ModTime.Year(); year < 1700 || year > 2200 {
		return &entryError{name, "has a time that is out of range"}
	}
	mtime := header.ModTime.UnixNano()
	mode := uint32(header.Mode) & 0o777
	switch header.Typeflag {
	case tar.TypeReg:
		if name == "" || strings.HasSuffix(header.Name, "/") {
			return &entryError{header.Name, "is a file with the name of a directory"}
		}
		return t.file(name, number, mode, header.Size, mtime, write)
	case tar.TypeDir:
		return t.directory(name, mode, mtime)
	case tar.TypeSymlink, tar.TypeLink:
		if name == "" {
			return &entryError{header.Name, "is a link with the name of the root"}
		}
		return t.link(name, number, header.Linkname, header.Typeflag == tar.TypeLink, mtime)
	}
	return &entryError{header.Name, "is neither file, directory nor link"}
}

// checkGlobal: comments and the like apply to nothing that becomes a file; names and sizes for every entry make no sense.
func checkGlobal(header *tar.Header) error {
	for key := range header.PAXRecords {
		if key == "path" || key == "linkpath" || key == "size" || strings.HasPrefix(key, "GNU.sparse.") {
			return errTar
		}
	}
	return nil
}

// entryName checks the name and refuses sparse files, which the library would expand in silence.
func entryName(header *tar.Header) (string, error) {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "", &entryError{header.Name, "is a sparse file"}
		}
	}
	if header.Typeflag != tar.TypeReg && header.Size != 0 {
		return "", &entryError{header.Name, "has content but is no file"}
	}
	if !utf8.ValidString(header.Name) || !utf8.ValidString(header.Linkname) {
		return "", &entryError{header.Name, "has a name that is not UTF-8"}
	}
	name, err := archivePath(header.Name)
	if err != nil {
		return "", &entryError{header.Name, err.Error()}
	}
	return name, nil
}
