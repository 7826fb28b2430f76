package main

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const (
	chunkWindow  = 8 << 20   // window of a chunk's frame, format.md section 5
	streamWindow = 128 << 20 // window of single streams, format.md section 10
)

var errDamaged = errors.New("damaged")

// decodeStream undoes every compression of a chain, the last one applied first. The result ends with io.EOF only when
// the source was used up: every codec here reads on after its end marker and takes anything but another member for damage.
func decodeStream(source io.Reader, operations []byte) (reader io.Reader, closeAll func(), err error) {
	closeAll = func() {}
	reader = source
	for i := len(operations) - 1; i >= 0; i-- {
		if operations[i] == opTar {
			break
		}
		if operations[i] == opAes256Gcm {
			continue // the outermost layer, and the caller's: it needs the key
		}
		buffered := bufio.NewReaderSize(reader, 128<<10)
		switch operations[i] {
		case opGzip:
			reader, err = gzip.NewReader(buffered)
		case opBzip2:
			reader = bzip2.NewReader(buffered)
		case opXz:
			reader, err = xz.NewReader(buffered)
		case opZstd:
			var decoder *zstd.Decoder
			if decoder, err = newDecoder(buffered, streamWindow); err == nil {
				previous := closeAll
				closeAll = func() { decoder.Close(); previous() }
				reader = decoder
			}
		}
		if err != nil {
			return nil, closeAll, decodeError(operations[i], err)
		}
		reader = &namedReader{reader, operations[i]}
	}
	return reader, closeAll, nil
}

// newDecoder makes a zstd decoder that works in the calling goroutine and keeps no more than one window.
func newDecoder(source io.Reader, window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window), zstd.WithDecodeAllCapLimit(true))
}

// namedReader says which codec found the data damaged.
type namedReader struct {
	source io.Reader
	code   byte
}

func (r *namedReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	if err != nil && err != io.EOF {
		err = decodeError(r.code, err)
	}
	return n, err
}

// decodeError keeps errors of the source (I/O, an inner codec) as they are.
func decodeError(code byte, err error) error {
	var source *sourceError
	if errors.As(err, &source) || errors.Is(err, errDamaged) {
		return err
	}
	return &codecError{code}
}

type codecError struct{ code byte }

func (e *codecError) Error() string        { return "its " + operationName(e.code) + " data is damaged" }
func (e *codecError) Is(target error) bool { return target == errDamaged }

// sourceError is a failure to read the package file itself.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// checkFrame holds a chunk to one complete zstd frame that says its content size and needs a small window.
func checkFrame(stored []byte, original uint64) error {
	var header zstd.Header
	if err := header.Decode(stored); err != nil || header.Skippable || header.DictionaryID != 0 {
		return &codecError{opZstd}
	}
	window := header.WindowSize
	if header.SingleSegment {
		window = header.FrameContentSize
	}
	if !header.HasFCS || header.FrameContentSize != original || window > chunkWindow {
		return errors.New("a chunk is not a zstd frame of its signed size")
	}
	return nil
}
