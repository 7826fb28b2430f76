package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
)

// Unpacking: stored bytes are read once, hashed in order and decoded in parallel, one worker per core.

const (
	memoryLimit  = 48 << 20 // what the collector aims at, so that the process stays below 64 MiB
	memoryBudget = 36 << 20 // of chunks being decoded at one time
	chunkMemory  = 9 << 20  // chunks that decode to more are streamed
	chunkStored  = 16 << 20 // chunks stored in more are read twice: for the hash, and for the decoder
	streamBuffer = 1 << 20
	streamMemory = 10 << 20 // of a slot that is one stream: the window of the usual levels
)

// Task is what shall become of one slot.
type Task struct {
	slot    *Slot
	tree    *Tree  // a tar slot's files; nil for a file slot
	path    string // a file slot's file
	mark    string // its path in marks
	names   *Names // of the root that it goes to
	compare *Comparison
	skip    bool // only hash the stored bytes

	output *Output
	digest hash.Hash
	marks  []Mark

	mutex  sync.Mutex
	failed error // the first error while decoding
}

// Unpacker works through tasks.
type Unpacker struct {
	pkg      *Package
	progress *Progress
	jobs     chan func(*zstdPool)
	workers  sync.WaitGroup
	pending  sync.WaitGroup
	budget   *Budget
	stopped  atomic.Bool
}

// unpackAll carries out the tasks. When one fails it reports the seal's "no" before the decoder's, because damage to the
// stored bytes is the cause of whatever the decoder saw.
func unpackAll(pkg *Package, tasks []*Task, progress *Progress) error {
	// Nearly all memory is in a few large buffers without pointers: collecting often costs little and keeps the peak low.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	defer clearMask()()
	for _, task := range tasks {
		if task.skip {
			continue
		}
		if _, err := openSlot(pkg, task.slot); err != nil {
			return err // the right keys, or nothing is written
		}
	}
	for _, task := range tasks {
		if err := task.makePlace(); err != nil {
			return err
		}
	}
	u := &Unpacker{pkg: pkg, progress: progress, jobs: make(chan func(*zstdPool)), budget: newBudget(memoryBudget)}
	u.startWorkers(runtime.GOMAXPROCS(0))
	for _, task := range tasks {
		if u.stopped.Load() {
			break
		}
		u.dispatch(task)
	}
	u.pending.Wait()
	close(u.jobs)
	u.workers.Wait()
	faultPoint("links")
	defer abandonOutputs(tasks)
	for _, task := range tasks {
		if err := u.conclude(task); err != nil {
			return err
		}
	}
	return nil
}

func (u *Unpacker) startWorkers(count int) {
	for i := 0; i < count; i++ {
		u.workers.Add(1)
		go func() {
			defer u.workers.Done()
			pool := &zstdPool{}
			defer pool.close()
			for job := range u.jobs {
				job(pool)
				u.pending.Done()
			}
		}()
	}
}

// submit hands a job to the next free worker. A panic in a job is the job's error, not the process's end without a message.
func (u *Unpacker) submit(task *Task, job func(*zstdPool) error) {
	u.pending.Add(1)
	u.jobs <- func(pool *zstdPool) {
		defer func() {
			if r := recover(); r != nil {
				u.fail(task, errTar)
			}
		}()
		if err := job(pool); err != nil {
			u.fail(task, err)
		}
	}
}

func (u *Unpacker) fail(task *Task, err error) {
	task.mutex.Lock()
	defer task.mutex.Unlock()
	if task.failed == nil {
		task.failed = err
	}
	u.stopped.Store(true)
}

// dispatch starts one slot. Chunks are read and hashed here, in order; everything else is one job.
func (u *Unpacker) dispatch(task *Task) {
	task.digest = sha256.New()
	if !task.skip && task.tree == nil {
		if err := u.openFile(task); err != nil {
			u.fail(task, err)
			return
		}
		task.skip = task.output == nil
	}
	switch {
	case task.skip:
		u.submit(task, func(*zstdPool) error { return u.hashOnly(task, task.slot.offset, task.slot.size) })
	case task.slot.chunks != nil:
		u.dispatchChunks(task)
	default:
		u.budget.take(streamMemory)
		u.submit(task, func(*zstdPool) error {
			defer u.budget.give(streamMemory)
			return u.stream(task)
		})
	}
}

// openFile starts the file of a file slot; it leaves none where there is nothing to compare with.
func (u *Unpacker) openFile(task *Task) (err error) {
	if task.compare != nil {
		packed := Mark{'f', int64(task.slot.original), u.pkg.plan.fileTime(), task.slot.mode, task.mark}
		task.output, err = task.compare.open(task.path, task.mark, packed)
		return err
	}
	if err := task.names.claim(task.mark, task.slot.index, false); err != nil {
		return err
	}
	task.output, err = createOutput(task.path, task.slot.mode, task.names.layered)
	if err != nil {
		return fileRefusal(task.path, err)
	}
	return nil
}

func fileRefusal(path string, err error) error {
	if errors.Is(err, errChanged) {
		return err
	}
	return failIO(path, err)
}

// hashOnly takes stored bytes into the slot's digest.
func (u *Unpacker) hashOnly(task *Task, offset, length uint64) error {
	source := io.NewSectionReader(u.pkg.image, int64(offset), int64(length))
	n, err := io.CopyBuffer(onlyWriter{task.digest}, onlyReader{source}, make([]byte, 256<<10))
	if err == nil && uint64(n) != length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return failIO(u.pkg.file, err)
	}
	return nil
}

// stream decodes a slot that is one stream. What the decoder leaves is read for the digest.
func (u *Unpacker) stream(task *Task) error {
	slot := task.slot
	section := io.NewSectionReader(u.pkg.image, int64(slot.offset), int64(slot.size))
	source := &hashedReader{source: section, digest: task.digest, progress: u.progress}
	if err := u.streamInto(task, source); err != nil {
		return err
	}
	if _, drain := io.CopyBuffer(io.Discard, onlyReader{source}, make([]byte, 256<<10)); drain != nil {
		return failIO(u.pkg.file, drain)
	}
	return nil
}

func (u *Unpacker) streamInto(task *Task, source io.Reader) error {
	slot := task.slot
	cipher, err := openSlot(u.pkg, slot)
	if err != nil {
		return err
	}
	if cipher != nil {
		source = newDecrypter(source, cipher, slot.size)
	}
	decoded, closeAll, err := decodeStream(source, slot.operations)
	defer closeAll()
	if err != nil {
		return err
	}
	bounded := &boundedReader{source: decoded, slot: slot, left: slot.original}
	if task.tree != nil {
		err = task.tree.readTar(bounded, 0, wholeArchive)
	} else {
		_, err = io.CopyBuffer(onlyWriter{task.output}, onlyReader{bounded}, make([]byte, 256<<10))
	}
	if err == nil && slot.exact && bounded.left != 0 {
		err = errors.New("it expands to fewer bytes than its signed " + itoa(slot.original))
	}
	task.mutex.Lock()
	slotSize := slot.original - bounded.left
	task.marks = append(task.marks, Mark{'f', int64(slotSize), 0, slot.mode, task.mark})
	task.mutex.Unlock()
	return err
}

// conclude compares the digest and finishes what the slot made.
func (u *Unpacker) conclude(task *Task) error {
	if task.digest == nil {
		return nil // never started, because an earlier slot failed
	}
	if !u.stopped.Load() && !task.sound() || task.failed != nil && u.damaged(task) {
		return fail("SEAL_SLOT", "file", u.pkg.file, "slot", slotName(task.slot))
	}
	if task.failed != nil {
		return slotFailure(task.slot, task.failed)
	}
	if task.skip || u.stopped.Load() {
		return nil
	}
	if task.tree != nil {
		if err := task.tree.finish(); err != nil {
			return slotFailure(task.slot, err)
		}
		task.marks = task.tree.marks
		return nil
	}
	return u.finishFile(task)
}

// abandonOutputs closes the files that were not finished, so that they can be removed where open files cannot.
func abandonOutputs(tasks []*Task) {
	for _, task := range tasks {
		if task.output != nil {
			task.output.abandon()
		}
	}
}

// finishFile: a file slot carries no time of its own; it gets the time that the package was built.
func (u *Unpacker) finishFile(t *Task) error {
	size, mtime := int64(t.slot.original), u.pkg.plan.fileTime()
	if len(t.marks) > 0 {
		size = t.marks[0].size
	}
	t.marks = []Mark{{'f', size, mtime, t.slot.mode, t.mark}}
	output := t.output
	t.output = nil
	if err := output.finish(mtime); err != nil {
		return fileRefusal(t.path, err)
	}
	return nil
}

// damaged tells whether stored bytes that could not be decoded were changed after they were sealed.
func (u *Unpacker) damaged(task *Task) bool {
	if isSystemError(task.failed) {
		return false
	}
	task.digest.Reset()
	return u.hashOnly(task, task.slot.offset, task.slot.size) == nil && !task.sound()
}

func (t *Task) sound() bool {
	sum := t.digest.Sum(nil)
	if t.slot.signedSum {
		return string(sum) == string(t.slot.checksum[:])
	}
	return binary.LittleEndian.Uint64(sum) == t.slot.shortSum
}

// isSystemError tells failures of the machine, which say nothing about the stored bytes.
func isSystemError(err error) bool {
	var number syscall.Errno
	var known *Failure
	return errors.As(err, &number) || errors.Is(err, errChanged) || (errors.As(err, &known) && known.exit() == 106)
}

// slotFailure gives an error of decoding or writing its message.
func slotFailure(slot *Slot, err error) error {
	var known *Failure
	var entry *entryError
	var source *sourceError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, errChanged):
		return err
	case errors.As(err, &entry):
		return fail("UNPACK_PATH", "slot", slotName(slot), "path", entry.path, "detail", entry.detail)
	case errors.As(err, &source):
		return failIO(slotName(slot), source.err)
	}
	return fail("UNPACK", "slot", slotName(slot), "detail", err.Error())
}

// hashedReader reads the package file and takes every byte into the digest.
type hashedReader struct {
	source   io.Reader
	digest   hash.Hash
	progress *Progress
}

func (r *hashedReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	_, _ = r.digest.Write(p[:n])
	r.progress.advance(n)
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}

// boundedReader stops a stream that expands to more than its slot may.
type boundedReader struct {
	source io.Reader
	slot   *Slot
	left   uint64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	if uint64(n) > r.left {
		return 0, fail("UNPACK_SIZE", "slot", slotName(r.slot), "expected", itoa(r.slot.original))
	}
	r.left -= uint64(n)
	return n, err
}
