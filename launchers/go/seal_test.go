package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// judge does what a first start checks before anything is written, and returns the code of the refusal, or "".
func judge(t testing.TB, file *os.File) string {
	t.Helper()
	pkg, err := openPackage(file, "demo.psp")
	if err == nil {
		err = checkRest(pkg)
	}
	for i := 0; err == nil && i < len(pkg.plan.slots); i++ {
		err = unpackAll(pkg, []*Task{{slot: &pkg.plan.slots[i], skip: true}}, nil)
	}
	if err == nil {
		return ""
	}
	var known *Failure
	if !errors.As(err, &known) {
		t.Fatalf("an error without a code: %v", err)
	}
	return known.code
}

func judgeBytes(t testing.TB, data []byte) string {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "p"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	return judge(t, file)
}

func small(t testing.TB) []byte {
	return build(t, packageSpec{execution: M{"argv": []string{"x"}}, coSigners: []ed25519.PrivateKey{testKey(2)}, slots: []slotSpec{
		{id: "a", target: "a", operations: "gzip", content: []byte("abc")},
		{id: "b", target: "t", operations: "tar|zstd", content: tarOf(t, true, member{name: "x", text: "x"})},
	}})
}

// regionOf says which refusals a changed byte may lead to.
func regionOf(data []byte, at int) string {
	index := data[len(data)-8196:]
	le := binary.LittleEndian
	metadata, size, table := int(le.Uint64(index[24:])), int(le.Uint64(index[32:])), int(le.Uint64(index[40:]))
	switch {
	case at < metadata:
		return "SEAL_LAUNCHER"
	case at < metadata+size:
		return "SEAL_METADATA"
	case at < table:
		return "SEAL_PADDING"
	case at < table+128:
		return "SEAL_TABLE"
	case at >= len(data)-8200 && (at < len(data)-8196 || at >= len(data)-4):
		return "PSPF_TRAILER"
	case at >= len(data)-8196:
		return "PSPF_CHECKSUM PSPF_VERSION"
	}
	return "SEAL_SLOT SEAL_PADDING"
}

func TestEveryFlippedByteIsRefused(t *testing.T) {
	data := small(t)
	file, err := os.OpenFile(writePackage(t, data), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if code := judge(t, file); code != "" {
		t.Fatalf("the honest package is refused: %s", code)
	}
	for at := range data {
		for _, flip := range []byte{0x01, 0x80} {
			_, _ = file.WriteAt([]byte{data[at] ^ flip}, int64(at))
			if code := judge(t, file); code == "" || !strings.Contains(regionOf(data, at), code) {
				t.Fatalf("byte %d flipped by %#x: %q, expected %s", at, flip, code, regionOf(data, at))
			}
		}
		_, _ = file.WriteAt(data[at:at+1], int64(at))
	}
}

func TestEveryFlippedIndexByteIsRefusedWithARightChecksum(t *testing.T) {
	data := small(t)
	file, err := os.OpenFile(writePackage(t, data), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	start := len(data) - 8196
	for at := 0; at < 8192; at++ {
		if at >= 4 && at < 8 {
			continue // the checksum itself
		}
		changed := append([]byte(nil), data[start:start+8192]...)
		changed[at] ^= 0x01
		fixChecksum(changed)
		_, _ = file.WriteAt(changed, int64(start))
		if code := judge(t, file); code == "" || code == "PSPF_CHECKSUM" {
			t.Fatalf("index byte %d: %q", at, code)
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	data := small(t)
	path := writePackage(t, data)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := len(data) - 1; size >= 0; size -= 1 + size/1500 {
		if err := file.Truncate(int64(size)); err != nil {
			t.Fatal(err)
		}
		if code := judge(t, file); code != "PSPF_TRAILER" {
			t.Fatalf("cut to %d bytes: %q", size, code)
		}
	}
	if code := judgeBytes(t, append(data, 0)); code != "PSPF_TRAILER" {
		t.Fatalf("one byte appended: %q", code)
	}
}

func TestHugeNumbersInTheIndexAreRefused(t *testing.T) {
	for _, field := range []int{8, 16, 24, 32, 40, 48} {
		for _, value := range []uint64{0, 1, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 53, 1<<63 - 1, 1 << 63, 1<<64 - 8200, 1<<64 - 1} {
			data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, slots: []slotSpec{{id: "a", target: "a", content: []byte("abc")}},
				tamper: func(index, _ []byte) { binary.LittleEndian.PutUint64(index[field:], value) }})
			if code := judgeBytes(t, data); code == "" {
				t.Errorf("field at %d = %#x is accepted", field, value)
			}
		}
	}
	for _, count := range []uint32{0, 2, 65535, 65536, 1<<32 - 1} {
		data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, slots: []slotSpec{{id: "a", target: "a", content: []byte("abc")}},
			tamper: func(index, _ []byte) { binary.LittleEndian.PutUint32(index[56:], count) }})
		if code := judgeBytes(t, data); code == "" {
			t.Errorf("slot count %d is accepted", count)
		}
	}
}

func TestHugeNumbersInTheMetadataAreRefused(t *testing.T) {
	for _, key := range []string{"size", "original_size", "slot"} {
		for _, value := range []any{-1, 1.5, 1 << 53, uint64(1<<63 - 1), uint64(1<<64 - 1), "3", nil, 3e30} {
			data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, slots: []slotSpec{{id: "a", target: "a", content: []byte("abc"), more: M{key: value}}}})
			if code := judgeBytes(t, data); code == "" {
				t.Errorf("%s = %v is accepted", key, value)
			}
		}
	}
}

func TestFieldsOfTheSealedProfileAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(doc, slot M)
		code string
	}{
		"seal version":      {func(doc, _ M) { doc["seal"] = M{"version": 2} }, "PSPF_SEAL_VERSION"},
		"seal without one":  {func(doc, _ M) { doc["seal"] = M{} }, "PSPF_FIELD"},
		"no purpose":        {func(_, s M) { delete(s, "purpose") }, "PSPF_FIELD"},
		"no operations":     {func(_, s M) { delete(s, "operations") }, "PSPF_FIELD"},
		"no target":         {func(_, s M) { delete(s, "target") }, "PSPF_FIELD"},
		"source hash":       {func(doc, _ M) { doc["seal"] = M{"version": 1, "index": M{"source_hash": ""}} }, "PSPF_FIELD"},
		"format":            {func(doc, _ M) { doc["format"] = "PSPF/2026" }, "PSPF_FIELD"},
		"package name":      {func(doc, _ M) { doc["package"] = M{"name": "../x", "version": "1"} }, "PSPF_FIELD"},
		"version":           {func(doc, _ M) { doc["package"] = M{"name": "x", "version": "1/2"} }, "PSPF_FIELD"},
		"id":                {func(_, s M) { s["id"] = "a/b" }, "PSPF_FIELD"},
		"target":            {func(_, s M) { s["target"] = "../x" }, "PSPF_FIELD"},
		"absolute target":   {func(_, s M) { s["target"] = "/x" }, "PSPF_FIELD"},
		"state target":      {func(_, s M) { s["target"] = "{workenv}/.Sealift/ready" }, "PSPF_FIELD"},
		"checksum":          {func(_, s M) { s["checksum"] = "sha256:00" }, "PSPF_FIELD"},
		"other checksum":    {func(_, s M) { s["checksum"] = sha([]byte("other")) }, "SEAL_TABLE"},
		"operation":         {func(_, s M) { s["operations"] = "gzip|lz4" }, "PSPF_OPERATION"},
		"tar in the middle": {func(_, s M) { s["operations"] = "gzip|tar" }, "PSPF_OPERATION"},
		"nine operations":   {func(_, s M) { s["operations"] = "gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip,gzip" }, "PSPF_OPERATION"},
		"lifecycle":         {func(_, s M) { s["lifecycle"] = "sometimes" }, "PSPF_FIELD"},
		"platform":          {func(_, s M) { s["platform"] = "plan9" }, "PSPF_FIELD"},
		"permissions":       {func(_, s M) { s["permissions"] = "0999" }, "PSPF_FIELD"},
		"chunks":            {func(_, s M) { s["chunks"] = [][]int{{3, 3}} }, "PSPF_FIELD"},
		"share":             {func(_, s M) { s["share"] = "yes" }, "PSPF_FIELD"},
		"license":           {func(doc, _ M) { doc["seal"] = M{"version": 1, "index": M{"license_id": strings.Repeat("x", 17)}} }, "PSPF_FIELD"},
		"launcher size":     {func(doc, _ M) { doc["launcher"] = M{"tool": "t", "tool_version": "0", "size": 1, "checksum": sha(nil)} }, "SEAL_INDEX"},
		"setup type":        {func(doc, _ M) { doc["setup_commands"] = []any{M{"type": "shell"}} }, "SETUP_TYPE"},
		"variable":          {func(doc, _ M) { doc["execution"] = M{"argv": []string{"x"}, "env": M{"A=B": "1"}} }, "PSPF_FIELD"},
	} {
		data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, slots: []slotSpec{{id: "a", target: "a", content: []byte("abc")}},
			edit: func(doc M) { test.edit(doc, doc["slots"].([]any)[0].(M)) }})
		if code := judgeBytes(t, data); code != test.code {
			t.Errorf("%s: %q, expected %s", name, code, test.code)
		}
	}
}

func TestTwoSlotsOfOneIdAreRefused(t *testing.T) {
	data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, slots: []slotSpec{{id: "data", target: "a"}, {id: "DATA", target: "b"}}})
	if code := judgeBytes(t, data); code != "PSPF_FIELD" {
		t.Errorf("got %q", code)
	}
}

func TestCoSignatures(t *testing.T) {
	spec := packageSpec{execution: M{"argv": []string{"x"}}}
	with := func(tamper func(index []byte), keys ...ed25519.PrivateKey) string {
		spec.coSigners = keys
		spec.tamper = func(index, _ []byte) {
			if tamper != nil {
				tamper(index)
			}
		}
		return judgeBytes(t, build(t, spec))
	}
	if code := with(nil, testKey(2), testKey(3), testKey(4), testKey(5)); code != "" {
		t.Errorf("four co-signers: %s", code)
	}
	for name, got := range map[string]string{
		"twice the same":   with(nil, testKey(2), testKey(2)),
		"the signer again": with(nil, testKey(1)),
		"a broken one":     with(func(index []byte) { index[192+40] ^= 1 }, testKey(2)),
	} {
		if got != "SEAL_SIGNATURE" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if code := with(func(index []byte) { copy(index[288:384], index[192:288]); clear(index[192:288]) }, testKey(2)); code != "SEAL_INDEX" {
		t.Errorf("a gap: %q", code)
	}
	if code := with(func(index []byte) { clear(index[128:192]) }); code != "SEAL_UNSIGNED" {
		t.Errorf("no signature: %q", code)
	}
}

// TestForgedSignatures: with a key of small order, R = k·B + … can be found without a private key; the cheapest forgery has
// S = 0 and R = A or the identity. Every such key must be refused whatever the signature.
func TestForgedSignatures(t *testing.T) {
	encodings := []string{"00", "01", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "ecff7f", "edff7f", "eeff7f"}
	for _, text := range encodings {
		key := make([]byte, 32)
		raw, _ := hex.DecodeString(text)
		copy(key, raw)
		if strings.HasSuffix(text, "ff7f") {
			copy(key[1:31], bytes.Repeat([]byte{0xff}, 30))
			key[31] = 0x7f
		}
		for _, sign := range []byte{0, 0x80} {
			key[31] = key[31]&0x7f | sign
			if soundKey(key) {
				t.Errorf("%x is accepted", key)
			}
			data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, tamper: func(index, _ []byte) {
				copy(index[64:96], key)
				clear(index[128:192])
				index[128] = 1
			}})
			if code := judgeBytes(t, data); code != "SEAL_KEY" {
				t.Errorf("%x: %q", key, code)
			}
		}
	}
	for low := byte(0xed); low != 0; low++ {
		key := append([]byte{low}, bytes.Repeat([]byte{0xff}, 31)...)
		if soundKey(key) {
			t.Errorf("the unreduced key %x is accepted", key)
		}
	}
	for seed := byte(0); seed < 100; seed++ {
		if !soundKey(testKey(seed).Public().(ed25519.PublicKey)) {
			t.Errorf("the key of seed %d is refused", seed)
		}
	}
}

func TestKeysThatAreNoPointAreNamed(t *testing.T) {
	none := 0
	for seed := byte(2); seed < 60; seed++ {
		key := make([]byte, 32)
		key[0] = seed
		code := judgeBytes(t, build(t, packageSpec{execution: M{"argv": []string{"x"}}, tamper: func(index, _ []byte) { copy(index[64:96], key) }}))
		if code == "SEAL_KEY" {
			none++
		} else if code != "SEAL_SIGNATURE" {
			t.Fatalf("%x: %q", key, code)
		}
		if !onCurve(testKey(seed).Public().(ed25519.PublicKey)) {
			t.Fatalf("the key of seed %d is called no point", seed)
		}
	}
	// Half of all y coordinates belong to a point.
	if none < 15 || none > 43 {
		t.Errorf("%d of 58 coordinates are called no point", none)
	}
}

func TestSignaturesWithAnUnreducedScalarAreRefused(t *testing.T) {
	// S + L is the same scalar in another encoding.
	order, _ := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	data := build(t, packageSpec{execution: M{"argv": []string{"x"}}, tamper: func(index, _ []byte) {
		carry := 0
		for i := 0; i < 32; i++ {
			sum := int(index[160+i]) + int(order[i]) + carry
			index[160+i], carry = byte(sum), sum>>8
		}
	}})
	if code := judgeBytes(t, data); code != "SEAL_SIGNATURE" {
		t.Errorf("got %q", code)
	}
}

func TestMetadataInAnotherGzipEncodingIsRefused(t *testing.T) {
	text := []byte(strings.Repeat("x", 200_000))
	for _, size := range []int{0, 1, 65534, 65535, 65536, 131070, 200_000} {
		stored := gzipStored(text[:size])
		got, ok := storedForm(stored)
		if !ok || !bytes.Equal(got, text[:size]) {
			t.Fatalf("the stored form of %d bytes is not read", size)
		}
		if again, err := gunzip(stored); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("gunzip of %d bytes: %v", size, err)
		}
	}
	stored := gzipStored([]byte(`{"format":"PSPF/2025"}`))
	for bit := 0; bit < len(stored)*8; bit++ {
		changed := append([]byte(nil), stored...)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, ok := storedForm(changed); ok {
			t.Fatalf("bit %d", bit)
		}
	}
	if _, err := gunzip(append(stored, stored...)); err == nil {
		t.Error("a second gzip member is accepted")
	}
	bomb := encode(t, "gzip", make([]byte, 65<<20))
	if _, err := gunzip(bomb); err == nil {
		t.Error("a bomb is expanded")
	}
}

func TestRandomGarbageIsRefused(t *testing.T) {
	for i := 0; i < 200; i++ {
		data := make([]byte, 8200+i*37)
		seed := sha512.Sum512([]byte{byte(i), byte(i >> 8)})
		for at := 0; at < len(data); at += len(seed) {
			copy(data[at:], seed[:])
			seed = sha512.Sum512(seed[:])
		}
		copy(data[len(data)-8200:], magicHead)
		copy(data[len(data)-4:], magicTail)
		if i%2 == 0 {
			binary.LittleEndian.PutUint32(data[len(data)-8196:], formatVersion)
			fixChecksum(data[len(data)-8196 : len(data)-4])
		}
		if code := judgeBytes(t, data); code == "" {
			t.Fatalf("garbage %d is accepted", i)
		}
	}
}
