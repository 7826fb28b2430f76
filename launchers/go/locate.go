package main

import (
	"encoding/binary"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// The trailer and index block of format.md sections 1 and 7.
const (
	trailerSize   = 8200
	indexSize     = 8192
	slotEntrySize = 64
	formatVersion = 0x20250001
	maxSlots      = 65535
	maxStoredMeta = 16 << 20
)

const (
	magicHead = "\xf0\x9f\x93\xa6"
	magicTail = "\xf0\x9f\xaa\x84"
)

// Index holds the fields of the index block that say where things are; raw keeps all of it.
type Index struct {
	raw                       []byte
	packageSize, launcherSize uint64
	metadataOffset            uint64
	metadataSize              uint64
	tableOffset, tableSize    uint64
	slotCount                 uint32
}

// openSelf opens the file that is running. /proc/self/exe still names it when it was moved or replaced
// since, so it is asked first; the path of the same file is what {self} stands for.
func openSelf(arg0 string) (string, *os.File, error) {
	path, err := os.Executable()
	if err != nil {
		if path, err = searchSelf(arg0); err != nil {
			return "", nil, failIO(arg0, err)
		}
	}
	if runtime.GOOS == "linux" { // elsewhere anybody might make a file of that name
		if file, err := openImage("/proc/self/exe"); err == nil {
			return path, file, nil
		}
	}
	file, err := openImage(path)
	if err != nil {
		return "", nil, failIO(path, err)
	}
	return path, file, nil
}

// searchSelf finds the own file from the word it was started by, for systems without /proc.
func searchSelf(arg0 string) (string, error) {
	if filepath.Base(arg0) != arg0 {
		return filepath.Abs(arg0)
	}
	found := searchPath(arg0, os.Getenv("PATH"), func(string) bool { return false })
	if found == "" {
		return "", os.ErrNotExist
	}
	return filepath.Abs(found)
}

func openNamed(name string) (string, *os.File, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return "", nil, failIO(name, err)
	}
	file, err := openImage(path)
	if err != nil {
		return "", nil, failIO(path, err)
	}
	return path, file, nil
}

// attached tells a package from a bare stub. A file without a trailer is still a (damaged) package when it is
// longer than its own executable headers say: only a stub that ends where they end is bare.
func attached(image *os.File) bool {
	info, err := image.Stat()
	if err != nil {
		return false
	}
	size := uint64(info.Size())
	if size < trailerSize {
		return false
	}
	var magic [4]byte
	if _, err := image.ReadAt(magic[:], int64(size)-4); err == nil && string(magic[:]) == magicTail {
		return true
	}
	end := executableEnd(image)
	return end != 0 && size > end
}

// locate reads and checks the index block and returns it with the metadata bytes still stored.
func locate(image *os.File, name string) (*Index, error) {
	info, err := image.Stat()
	if err != nil {
		return nil, failIO(name, err)
	}
	size := uint64(info.Size())
	if !info.Mode().IsRegular() || size < trailerSize {
		return nil, fail("PSPF_TRAILER", "file", name)
	}
	trailer := make([]byte, trailerSize)
	if _, err := image.ReadAt(trailer, int64(size-trailerSize)); err != nil {
		return nil, failIO(name, err)
	}
	return parseTrailer(trailer, size, name)
}

func parseTrailer(trailer []byte, size uint64, name string) (*Index, error) {
	if string(trailer[:4]) != magicHead || string(trailer[trailerSize-4:]) != magicTail {
		return nil, fail("PSPF_TRAILER", "file", name)
	}
	index := readIndex(trailer[4 : 4+indexSize])
	if v := binary.LittleEndian.Uint32(index.raw); v != formatVersion {
		return nil, fail("PSPF_VERSION", "file", name, "actual", "0x"+hex8(v))
	}
	if indexChecksum(index.raw) != binary.LittleEndian.Uint32(index.raw[4:]) {
		return nil, fail("PSPF_CHECKSUM", "file", name)
	}
	if index.packageSize != size {
		return nil, fail("PSPF_SIZE", "file", name, "expected", itoa(index.packageSize), "actual", itoa(size))
	}
	if field := index.misplaced(); field != "" {
		return nil, fail("PSPF_REGION", "file", name, "field", field)
	}
	return index, nil
}

func hex8(v uint32) string {
	text := strconv.FormatUint(uint64(v), 16)
	return "00000000"[:8-len(text)] + text
}

func readIndex(raw []byte) *Index {
	le := binary.LittleEndian
	return &Index{
		raw:            raw,
		packageSize:    le.Uint64(raw[8:]),
		launcherSize:   le.Uint64(raw[16:]),
		metadataOffset: le.Uint64(raw[24:]),
		metadataSize:   le.Uint64(raw[32:]),
		tableOffset:    le.Uint64(raw[40:]),
		tableSize:      le.Uint64(raw[48:]),
		slotCount:      le.Uint32(raw[56:]),
	}
}

// indexChecksum is the Adler-32 of the block as if its checksum field were zero.
func indexChecksum(raw []byte) uint32 {
	digest := adler32.New()
	_, _ = digest.Write(raw[:4])
	_, _ = digest.Write(make([]byte, 4))
	_, _ = digest.Write(raw[8:])
	return digest.Sum32()
}

// misplaced names the first region that does not lie in the file in the order of format.md section 1, or "".
// Subtractions only ever take a checked smaller number from a larger one, so nothing here can wrap around.
func (x *Index) misplaced() string {
	end := x.packageSize - trailerSize
	if x.launcherSize > end {
		return "launcher_size"
	}
	if x.metadataOffset < x.launcherSize || x.metadataOffset > end {
		return "metadata_offset"
	}
	if x.metadataSize > end-x.metadataOffset || x.metadataSize > maxStoredMeta {
		return "metadata_size"
	}
	if x.slotCount > maxSlots {
		return "slot_count"
	}
	if x.tableSize != uint64(x.slotCount)*slotEntrySize {
		return "slot_table_size"
	}
	if x.slotCount == 0 && x.tableOffset == 0 {
		return ""
	}
	if x.tableOffset < x.metadataOffset+x.metadataSize || x.tableOffset > end || x.tableSize > end-x.tableOffset {
		return "slot_table_offset"
	}
	return ""
}

// dataStart is the first byte after the slot table (or the metadata, when there is no table).
func (x *Index) dataStart() uint64 {
	if x.slotCount == 0 && x.tableOffset == 0 {
		return x.metadataOffset + x.metadataSize
	}
	return x.tableOffset + x.tableSize
}

// readRange reads exactly length bytes; callers have checked both numbers against the file.
func readRange(image *os.File, offset, length uint64, name string) ([]byte, error) {
	data := make([]byte, length)
	if _, err := image.ReadAt(data, int64(offset)); err != nil && !(err == io.EOF && length == 0) {
		return nil, failIO(name, err)
	}
	return data, nil
}
