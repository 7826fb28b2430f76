package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/adler32"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A second, independent writer of sealed packages, by format.md alone. Tests change its output in every way.

type M = map[string]any

// slotSpec is one slot to write: content is what lies before the operations.
type slotSpec struct {
	id, target, operations, lifecycle, permissions string
	content                                        []byte
	chunk                                          int // chunks for a zstd file slot of this many bytes
	chunks                                         [][]byte
	stored                                         []byte // stored bytes as they are, when the test makes them
	more                                           M
}

type packageSpec struct {
	name, version string
	launcher      []byte
	slots         []slotSpec
	execution     M
	more          M                        // keys merged into the JSON
	edit          func(doc M)              // last change before signing
	rawJSON       []byte                   // instead of the document
	key           ed25519.PrivateKey       // default testKey(1)
	coSigners     []ed25519.PrivateKey     //
	tamper        func(index, file []byte) // last change before the index checksum
}

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32))
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func gzipStored(text []byte) []byte {
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	for rest := text; ; {
		block := rest[:min(65535, len(rest))]
		rest = rest[len(block):]
		last := byte(0)
		if len(rest) == 0 {
			last = 1
		}
		out = append(out, last)
		out = binary.LittleEndian.AppendUint16(out, uint16(len(block)))
		out = binary.LittleEndian.AppendUint16(out, ^uint16(len(block)))
		out = append(out, block...)
		if last == 1 {
			break
		}
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(out, uint32(len(text)))
}

func zstdFrame(t testing.TB, data []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20), zstd.WithSingleSegment(len(data) < 1<<16))
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	return encoder.EncodeAll(data, nil)
}

// encode applies one operation.
func encode(t testing.TB, operation string, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	switch operation {
	case "tar":
		return data
	case "zstd":
		return zstdFrame(t, data)
	case "gzip":
		w := gzip.NewWriter(&out)
		_, _ = w.Write(data)
		_ = w.Close()
	case "xz":
		w, err := xz.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
		_ = w.Close()
	case "bzip2":
		return bzip2Of(t, data)
	default:
		t.Fatalf("no encoder for %s", operation)
	}
	return out.Bytes()
}

// storeSlot returns stored bytes, original size and the chunk list.
func storeSlot(t testing.TB, s slotSpec) (stored []byte, original int, chunks [][2]int) {
	t.Helper()
	parts := s.chunks
	if s.chunk > 0 {
		for at := 0; at < len(s.content); at += s.chunk {
			parts = append(parts, s.content[at:min(len(s.content), at+s.chunk)])
		}
	}
	for _, part := range parts {
		frame := zstdFrame(t, part)
		chunks = append(chunks, [2]int{len(frame), len(part)})
		stored = append(stored, frame...)
		original += len(part)
	}
	if parts != nil {
		return stored, original, chunks
	}
	if s.stored != nil {
		return s.stored, len(s.content), nil
	}
	chain, err := parseOperations(s.operations)
	if err != nil {
		t.Fatal(err)
	}
	stored = s.content
	for _, code := range chain {
		stored = encode(t, operationName(code), stored)
	}
	return stored, len(s.content), nil
}

func pad8(file []byte) []byte {
	for len(file)%8 != 0 {
		file = append(file, 0)
	}
	return file
}

func or(text, missing string) string {
	if text == "" {
		return missing
	}
	return text
}

// build writes a sealed package and returns its bytes.
func build(t testing.TB, p packageSpec) []byte {
	t.Helper()
	launcher := p.launcher
	if launcher == nil {
		launcher = []byte("#!not a launcher\n")
	}
	type laidOut struct {
		slotSpec
		stored   []byte
		original int
	}
	var slots []laidOut
	list := []any{}
	for i, s := range p.slots {
		stored, original, chunks := storeSlot(t, s)
		entry := M{"slot": i, "id": s.id, "source": s.id, "target": s.target, "size": len(stored), "original_size": original,
			"checksum": sha(stored), "operations": or(s.operations, "none"), "purpose": "payload", "lifecycle": or(s.lifecycle, "runtime"),
			"resolution": "build", "permissions": or(s.permissions, "0644")}
		if chunks != nil {
			entry["chunks"] = chunks
		}
		for k, v := range s.more {
			entry[k] = v
		}
		list = append(list, entry)
		slots = append(slots, laidOut{s, stored, original})
	}
	doc := M{"format": "PSPF/2025", "format_version": "1.0.0", "package": M{"name": or(p.name, "demo"), "version": or(p.version, "1.0")},
		"slots": list, "execution": p.execution, "launcher": M{"tool": "test", "tool_version": "0", "size": len(launcher), "checksum": sha(launcher)},
		"seal": M{"version": 1, "index": M{"build_timestamp": 315532800, "source_hash": hex.EncodeToString(make([]byte, 32)), "license_id": "Apache-2.0"}}}
	for k, v := range p.more {
		doc[k] = v
	}
	if p.edit != nil {
		p.edit(doc)
	}
	text := p.rawJSON
	if text == nil {
		var err error
		if text, err = json.Marshal(doc); err != nil {
			t.Fatal(err)
		}
	}
	metadata := gzipStored(text)
	file := append(append([]byte(nil), launcher...), metadata...)
	file = pad8(file)
	tableAt := len(file)
	file = append(file, make([]byte, 64*len(slots))...)
	for i, s := range slots {
		file = pad8(file)
		entry := file[tableAt+64*i:]
		chain, _ := parseOperations(s.operations)
		mode, _ := strconv.ParseUint(or(s.permissions, "0644"), 8, 16)
		lifecycle, _ := lifecycleCode(or(s.lifecycle, "runtime"))
		name, sum := sha256.Sum256([]byte(s.id)), sha256.Sum256(s.stored)
		le := binary.LittleEndian
		le.PutUint64(entry, uint64(i))
		copy(entry[8:], name[:8])
		le.PutUint64(entry[16:], uint64(len(file)))
		le.PutUint64(entry[24:], uint64(len(s.stored)))
		le.PutUint64(entry[32:], uint64(s.original))
		le.PutUint64(entry[40:], packOperations(chain))
		copy(entry[48:56], sum[:8])
		entry[57], entry[58] = lifecycle, 128
		if platform, ok := s.more["platform"].(string); ok {
			entry[59] = platformCode(platform[:min(len(platform), indexByte(platform, '_'))])
		}
		le.PutUint16(entry[62:], uint16(mode))
		file = append(file, s.stored...)
	}
	return append(file, trailer(p, file, text, metadata, len(launcher), tableAt, len(slots))...)
}

func indexByte(text string, c byte) int {
	for i := range text {
		if text[i] == c {
			return i
		}
	}
	return len(text)
}

func trailer(p packageSpec, file, text, metadata []byte, launcherSize, tableAt, count int) []byte {
	key := p.key
	if key == nil {
		key = testKey(1)
	}
	index := make([]byte, 8192)
	le := binary.LittleEndian
	le.PutUint32(index, 0x20250001)
	le.PutUint64(index[8:], uint64(len(file)+8200))
	le.PutUint64(index[16:], uint64(launcherSize))
	le.PutUint64(index[24:], uint64(launcherSize))
	le.PutUint64(index[32:], uint64(len(metadata)))
	le.PutUint64(index[40:], uint64(tableAt))
	le.PutUint64(index[48:], uint64(64*count))
	le.PutUint32(index[56:], uint32(count))
	copy(index[64:], key.Public().(ed25519.PublicKey))
	sum := sha256.Sum256(metadata)
	copy(index[96:], sum[:])
	copy(index[128:], ed25519.Sign(key, text))
	for i, other := range p.coSigners {
		copy(index[192+96*i:], other.Public().(ed25519.PublicKey))
		copy(index[224+96*i:], ed25519.Sign(other, text))
	}
	le.PutUint32(index[644:], 4096)
	le.PutUint64(index[704:], 315532800)
	copy(index[808:], "Apache-2.0")
	le.PutUint64(index[832:], 128)
	le.PutUint32(index[856:], 0x20250001)
	le.PutUint32(index[860:], 1)
	if p.tamper != nil {
		p.tamper(index, file)
	}
	fixChecksum(index)
	return append(append([]byte("\xf0\x9f\x93\xa6"), index...), "\xf0\x9f\xaa\x84"...)
}

func fixChecksum(index []byte) {
	copy(index[4:8], make([]byte, 4))
	binary.LittleEndian.PutUint32(index[4:], adler32.Checksum(index))
}

// member is one tar entry.
type member struct {
	name, text, link string
	kind             byte
	mode             int64
}

func tarOf(t testing.TB, closed bool, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		header := &tar.Header{Name: m.name, Typeflag: m.kind, Linkname: m.link, Mode: m.mode, Format: tar.FormatPAX}
		if m.kind == 0 {
			header.Typeflag = tar.TypeReg
		}
		if m.mode == 0 {
			header.Mode = map[byte]int64{tar.TypeDir: 0o755, tar.TypeSymlink: 0o777}[header.Typeflag] | 0o644
		}
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(m.text))
		}
		header.ModTime = testTime
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			_, _ = w.Write([]byte(m.text))
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if closed {
		_ = w.Close()
	}
	return out.Bytes()
}

// writePackage puts a package into a file that can be started.
func writePackage(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "demo.psp")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
