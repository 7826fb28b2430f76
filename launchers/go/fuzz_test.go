package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// encryptedJSON is the metadata of a package with an encrypted slot.
const encryptedJSON = `{"format":"PSPF/2025","seal":{"version":1},"package":{"name":"x","version":"1"},"launcher":{"tool":"t","tool_version":"1","size":0,
"checksum":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"slots":[{"slot":0,"id":"s","target":"s","size":16,"original_size":0,
"checksum":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","operations":"aes256gcm","purpose":"data","lifecycle":"runtime",
"permissions":"0644","encryption":{"algorithm":"AES-256-GCM","chunk":1048576,"kdf":"scrypt","key_source":"env:K",
"salt":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","scrypt":{"n":32768,"r":8,"p":1,
"salt":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}}]}`

// FuzzPackage changes a small package and, so that the change reaches the deeper checks, makes checksum, digest and
// signature fit again as asked. Whatever comes out, the answer is a verdict: a plan or a code, never a panic.
func FuzzPackage(f *testing.F) {
	seed := small(f)
	f.Add(seed, byte(0))
	f.Add(seed, byte(7))
	f.Add(build(f, packageSpec{rawJSON: []byte(`{"seal":{"version":1}}`)}), byte(7))
	f.Add(build(f, packageSpec{rawJSON: []byte(`{"package":{"name":"x"},"slots":[],"execution":null}`)}), byte(7))
	f.Add(build(f, packageSpec{rawJSON: []byte(encryptedJSON)}), byte(7))
	f.Add(seed[len(seed)-8200:], byte(1))
	f.Fuzz(func(t *testing.T, data []byte, repair byte) {
		if len(data) < 8200 || len(data) > 1<<20 {
			return
		}
		data = append([]byte(nil), data...)
		refit(data, repair)
		path := filepath.Join(t.TempDir(), "p")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		pkg, err := openPackage(file, "p")
		var known *Failure
		if err != nil && !errors.As(err, &known) {
			t.Fatalf("an error without a code: %v", err)
		}
		if err == nil {
			_ = judge(t, file)
			for i := range pkg.plan.slots {
				if s := &pkg.plan.slots[i]; s.size > uint64(len(data)) || s.offset+s.size > uint64(len(data)) {
					t.Fatalf("slot %d lies outside the file", i)
				}
			}
		}
	})
}

// refit repairs what the bits of repair name: 1 the trailer's magics, version and sizes, 2 the metadata digest and
// signature, 4 the checksum.
func refit(data []byte, repair byte) {
	trailer := data[len(data)-8200:]
	index := trailer[4:8196]
	le := binary.LittleEndian
	if repair&1 != 0 {
		copy(trailer, magicHead)
		copy(trailer[8196:], magicTail)
		le.PutUint32(index, formatVersion)
		le.PutUint64(index[8:], uint64(len(data)))
	}
	offset, size := le.Uint64(index[24:]), le.Uint64(index[32:])
	if repair&2 != 0 && offset < uint64(len(data)) && size <= uint64(len(data))-offset {
		stored := data[offset : offset+size]
		sum := sha256.Sum256(stored)
		copy(index[96:128], sum[:])
		if text, _, err := expandMetadata(stored); err == nil {
			key := testKey(1)
			copy(index[64:96], key.Public().(ed25519.PublicKey))
			copy(index[128:192], ed25519.Sign(key, text))
		}
	}
	if repair&4 != 0 {
		fixChecksum(index)
	}
}

func FuzzReady(f *testing.F) {
	f.Add("sealift-ready 1\nidentity 00\npackage a 1\nentry 1 2 0755 bin/x\nstore 00\nfiles\nf 1 2 0644 a\\nb\nend 1\n")
	f.Add("sealift-ready 1\nfiles\nend 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "ready")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = readReady(path)
		for name, mark := range parseFiles(text) {
			if name != mark.path {
				t.Fatalf("%q is listed as %q", mark.path, name)
			}
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add(`a 'b c' "d\"e" f\ g`)
	f.Add("\\\n\\")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := splitWords(text)
		if err == nil && len(words) > len(text) {
			t.Fatalf("%q has %d words", text, len(words))
		}
	})
}
