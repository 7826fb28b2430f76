package main

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Chunked slots (format.md section 5): frames that workers decode and write independently.

// zstdPool keeps one worker's decoder.
type zstdPool struct{ decoder *zstd.Decoder }

func (p *zstdPool) get() (*zstd.Decoder, error) {
	var err error
	if p.decoder == nil {
		p.decoder, err = newDecoder(nil, chunkWindow)
	}
	return p.decoder, err
}

func (p *zstdPool) close() {
	if p.decoder != nil {
		p.decoder.Close()
	}
}

// dispatchChunks reads and hashes the chunks of a slot in order and hands each to a worker.
func (u *Unpacker) dispatchChunks(task *Task) {
	slot := task.slot
	offset, position := slot.offset, uint64(0)
	for i, chunk := range slot.chunks {
		last := i == len(slot.chunks)-1
		if u.stopped.Load() {
			return
		}
		if err := u.dispatchChunk(task, chunk, i, offset, position, last); err != nil {
			u.fail(task, err)
			return
		}
		u.progress.advance(int(chunk.stored))
		offset, position = offset+chunk.stored, position+chunk.original
	}
}

func (u *Unpacker) dispatchChunk(task *Task, chunk Chunk, number int, offset, position uint64, last bool) error {
	part := &part{task: task, chunk: chunk, first: int64(number) << 32, position: position, last: last}
	cost := min(chunk.original, chunkMemory) + streamBuffer
	if chunk.stored > chunkStored {
		if err := u.hashOnly(task, offset, chunk.stored); err != nil {
			return err
		}
		u.budget.take(cost)
		u.submit(task, func(*zstdPool) error {
			defer u.budget.give(cost)
			source := io.NewSectionReader(u.pkg.image, int64(offset), int64(chunk.stored))
			head := make([]byte, min(chunk.stored, zstd.HeaderMaxSize))
			if _, err := source.ReadAt(head, 0); err != nil && err != io.EOF {
				return failIO(u.pkg.file, err)
			}
			return part.stream(head, source)
		})
		return nil
	}
	cost += chunk.stored
	u.budget.take(cost)
	stored := u.budget.buffer(int(chunk.stored))[:chunk.stored]
	if _, err := u.pkg.image.ReadAt(stored, int64(offset)); err != nil && !(err == io.EOF && len(stored) == 0) {
		u.budget.give(cost)
		return failIO(u.pkg.file, err)
	}
	_, _ = task.digest.Write(stored)
	u.submit(task, func(pool *zstdPool) error {
		defer u.budget.give(cost)
		defer u.budget.back(stored)
		if chunk.original > chunkMemory {
			return part.stream(stored, bytes.NewReader(stored))
		}
		return part.decode(pool, stored, u.budget)
	})
	return nil
}

// part is one chunk on its way to files.
type part struct {
	task     *Task
	chunk    Chunk
	first    int64  // position of its first entry among all of the slot
	position uint64 // of its bytes in the decoded slot
	last     bool
}

func (p *part) part() tarPart {
	if p.last {
		return lastChunk
	}
	return innerChunk
}

// decode decodes a chunk in memory and writes from there.
func (p *part) decode(pool *zstdPool, stored []byte, budget *Budget) error {
	if err := checkFrame(stored, p.chunk.original); err != nil {
		return err
	}
	decoder, err := pool.get()
	if err != nil {
		return err
	}
	buffer := budget.buffer(int(p.chunk.original))
	defer budget.back(buffer)
	decoded, err := decoder.DecodeAll(stored, buffer[:0:p.chunk.original])
	if err != nil {
		return &codecError{opZstd}
	}
	if uint64(len(decoded)) != p.chunk.original {
		return errors.New("a chunk does not expand to its signed size")
	}
	if p.task.tree != nil {
		return p.task.tree.readTarMemory(decoded, p.first, p.part())
	}
	_, err = p.task.output.WriteAt(decoded, int64(p.position))
	return p.outputError(err)
}

func (p *part) outputError(err error) error {
	if err == nil {
		return nil
	}
	return fileRefusal(p.task.path, err)
}

// stream decodes a chunk that is too large for memory.
func (p *part) stream(head []byte, source io.Reader) error {
	if err := checkFrame(head, p.chunk.original); err != nil {
		return err
	}
	// An own decoder, because a decoder keeps the window of a stream for as long as it lives.
	decoder, err := newDecoder(&sourceReader{source}, chunkWindow)
	if err != nil {
		return decodeError(opZstd, err)
	}
	defer decoder.Close()
	bounded := &boundedReader{source: &namedReader{decoder, opZstd}, slot: p.task.slot, left: p.chunk.original}
	if p.task.tree != nil {
		err = p.task.tree.readTar(bounded, p.first, p.part())
	} else {
		err = p.copyTo(bounded)
	}
	if err == nil && bounded.left != 0 {
		err = errors.New("a chunk does not expand to its signed size")
	}
	return err
}

func (p *part) copyTo(source io.Reader) error {
	buffer := make([]byte, 256<<10)
	for at := int64(p.position); ; {
		n, err := source.Read(buffer)
		if n > 0 {
			if _, err := p.task.output.WriteAt(buffer[:n], at); err != nil {
				return p.outputError(err)
			}
			at += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sourceReader marks failures to read the package file.
type sourceReader struct{ source io.Reader }

func (r *sourceReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

const (
	bufferStep   = 512 << 10
	spareBuffers = 4
)

// Budget bounds the memory of the chunks being worked on and keeps their buffers for the next ones.
type Budget struct {
	mutex sync.Mutex
	freed *sync.Cond
	total uint64
	left  uint64
	spare [][]byte
}

func newBudget(total uint64) *Budget {
	b := &Budget{total: total, left: total}
	b.freed = sync.NewCond(&b.mutex)
	return b
}

// take waits until cost bytes are free; a cost above the whole budget waits for all of it.
func (b *Budget) take(cost uint64) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	cost = min(cost, b.total)
	for b.left < cost {
		b.freed.Wait()
	}
	b.left -= cost
}

func (b *Budget) give(cost uint64) {
	b.mutex.Lock()
	b.left += min(cost, b.total)
	b.mutex.Unlock()
	b.freed.Broadcast()
}

// buffer returns a buffer of at least size bytes. Sizes are rounded up so that the buffer of one chunk serves the next.
func (b *Budget) buffer(size int) []byte {
	rounded := (size + bufferStep - 1) / bufferStep * bufferStep
	if size > chunkMemory/2 && size <= chunkMemory {
		rounded = chunkMemory
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for i, spare := range b.spare {
		if cap(spare) >= size && cap(spare) <= rounded+4*bufferStep {
			b.spare = append(b.spare[:i], b.spare[i+1:]...)
			return spare[:size]
		}
	}
	return make([]byte, size, rounded)
}

// back keeps a buffer for the next chunk; more than a few are of no use to anyone.
func (b *Budget) back(buffer []byte) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.spare = append(b.spare, buffer); len(b.spare) > spareBuffers {
		b.spare = append(b.spare[:0], b.spare[1:]...)
	}
}
