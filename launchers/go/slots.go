package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
)

// Slot is one part of the package: what the signed JSON and the slot table say about it.
type Slot struct {
	index        int
	id           string
	target       string // cleaned, relative, "" is the root
	size         uint64 // stored bytes
	original     uint64 // decoded bytes; for packages of other writers the most that it may be
	exact        bool   // original is the signed exact size
	offset       uint64
	checksum     [32]byte
	signedSum    bool   // checksum comes from the signed JSON
	shortSum     uint64 // else these eight bytes from the table
	operations   []byte // in packing order
	packed       uint64
	purpose      string
	lifecycle    string
	mode         uint32
	os, arch     string
	share        bool
	chunks       []Chunk
	operationSet string // canonical text
	encryption   *Encryption
}

// Chunk is one zstd frame of a chunked slot.
type Chunk struct{ stored, original uint64 }

const maxForeignOriginal = 64 << 30

var lifecycleCodes = [...]struct {
	name string
	code byte
}{
	{"init", 0}, {"startup", 1}, {"volatile", 1}, {"runtime", 2}, {"shutdown", 3}, {"cache", 4}, {"temp", 5}, {"temporary", 5},
	{"lazy", 6}, {"eager", 7}, {"dev", 8}, {"config", 9}, {"persistent", 9}, {"platform", 10},
}

func lifecycleCode(name string) (byte, bool) {
	for _, l := range lifecycleCodes {
		if l.name == name {
			return l.code, true
		}
	}
	return 2, false
}

func purposeCode(name string) byte {
	switch name {
	case "runtime", "code":
		return 1
	case "tool", "config":
		return 2
	case "media":
		return 3
	}
	return 0
}

func platformCode(os string) byte {
	switch os {
	case "linux":
		return 1
	case "darwin":
		return 2
	case "windows":
		return 3
	}
	return 0
}

// platform is the text that os and arch came from.
func (s *Slot) platform() string {
	if s.arch == "" {
		return s.os
	}
	return s.os + "_" + s.arch
}

// isTar tells whether the decoded slot is a tar stream.
func (s *Slot) isTar() bool { return len(s.operations) > 0 && s.operations[0] == opTar }

// parseChecksum reads "sha256:<64 hex>"; one earlier writer doubles the prefix.
func parseChecksum(text string) (sum [32]byte, ok bool) {
	text = strings.TrimPrefix(strings.TrimPrefix(text, "sha256:"), "sha256:")
	if len(text) != 64 || strings.ToLower(text) != text {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(text))
	return sum, err == nil
}

func readSlots(plan *Plan, v *Value, f *fields) error {
	items := f.list(v, "slots")
	if len(items) > maxSlots {
		f.bad("slots", "has more than 65,535 entries")
	}
	seen := make(map[string]bool, len(items))
	plan.slots = make([]Slot, 0, len(items))
	for i := range items {
		field := "slots[" + itoa(i) + "]"
		slot := Slot{index: i}
		if items[i].kind != kindObject {
			f.bad(field, "is not an object")
			break
		}
		f.readCommon(&slot, &items[i], field)
		if f.sealed {
			f.readSealed(&slot, &items[i], field)
		} else {
			f.readForeign(&slot, &items[i], field)
		}
		folded := foldCase(slot.id)
		if f.sealed && seen[folded] {
			f.bad(field+".id", "is not unique")
		}
		seen[folded] = true
		if f.err != nil {
			return f.err
		}
		plan.slots = append(plan.slots, slot)
	}
	return f.err
}

// readCommon reads what every dialect writes the same way.
func (f *fields) readCommon(s *Slot, v *Value, field string) {
	s.id = f.text(v.get("id"), field+".id")
	if s.id == "" && !f.sealed {
		s.id = "slot_" + itoa(s.index)
	}
	s.purpose = f.required(v.get("purpose"), field+".purpose")
	s.lifecycle = f.text(v.get("lifecycle"), field+".lifecycle")
	target := f.required(v.get("target"), field+".target")
	cleaned, err := insideWorkenv(target)
	if err != nil {
		f.bad(field+".target", err.Error())
	}
	s.target = cleaned
	if s.target == "" && runtime.GOOS == "windows" && reservedOnWindows(s.id) {
		f.bad(field+".id", "is a name that Windows reserves") // a file slot without a target goes by its id
	}
	platform := f.text(v.get("platform"), field+".platform")
	if platform != "" && platform != "any" {
		s.os, s.arch, _ = strings.Cut(platform, "_")
	}
	if share := v.get("share"); !f.sealed {
		s.share = false
	} else if share.kind == kindBool {
		s.share = share.text == "true"
	} else if !share.isNull() {
		f.bad(field+".share", "is not true or false")
	}
	s.mode = f.mode(v.get("permissions"), field+".permissions", 0o600)
}

func (f *fields) readSealed(s *Slot, v *Value, field string) {
	if n, ok := v.get("slot").uint(); !ok || n != uint64(s.index) {
		f.bad(field+".slot", "is not the position of the slot")
	}
	if !validName(s.id) || len(s.id) > 255 {
		f.bad(field+".id", "is not a slot id")
	}
	if _, known := lifecycleCode(s.lifecycle); !known {
		f.bad(field+".lifecycle", "is unknown")
	}
	if s.os != "" && platformCode(s.os) == 0 {
		f.bad(field+".platform", "is unknown")
	}
	var ok bool
	if s.size, ok = v.get("size").uint(); !ok {
		f.bad(field+".size", "is not a size")
	}
	if s.original, ok = v.get("original_size").uint(); !ok {
		f.bad(field+".original_size", "is not a size")
	}
	if s.checksum, ok = parseChecksum(f.text(v.get("checksum"), field+".checksum")); !ok {
		f.bad(field+".checksum", "is not a SHA-256")
	}
	s.exact, s.signedSum = true, true
	operations, err := parseOperations(f.required(v.get("operations"), field+".operations"))
	if err != nil && f.err == nil {
		f.err = fail("PSPF_OPERATION", "file", f.file, "slot", slotName(s), "detail", err.Error())
	}
	s.setOperations(operations)
	f.readChunks(s, v.get("chunks"), field+".chunks")
	f.readEncryption(s, v.get("encryption"), field+".encryption")
}

func (s *Slot) setOperations(operations []byte) {
	s.operations, s.packed, s.operationSet = operations, packOperations(operations), formatOperations(operations)
}

// slotName is how messages name a slot.
func slotName(s *Slot) string {
	if s.id != "" {
		return s.id
	}
	return itoa(s.index)
}

func (f *fields) readChunks(s *Slot, v *Value, field string) {
	if v.isNull() {
		return
	}
	if s.operationSet != "zstd" && s.operationSet != "tar|zstd" {
		f.bad(field, "stands only with zstd")
	}
	var stored, original uint64
	for _, item := range f.list(v, field) {
		if len(item.items) != 2 {
			f.bad(field, "is not a list of pairs")
			return
		}
		a, okA := item.items[0].uint()
		b, okB := item.items[1].uint()
		if !okA || !okB || a > s.size-stored || b > s.original-original {
			f.bad(field, "does not add up to the slot")
			return
		}
		stored, original = stored+a, original+b
		s.chunks = append(s.chunks, Chunk{a, b})
	}
	if stored != s.size || original != s.original || len(s.chunks) == 0 {
		f.bad(field, "does not add up to the slot")
	}
}

// readForeign reads the loose slot entries of other writers; the table is authoritative for sizes and operations.
func (f *fields) readForeign(s *Slot, v *Value, field string) {
	if _, known := lifecycleCode(s.lifecycle); !known {
		s.lifecycle = "runtime"
	}
	s.original = maxForeignOriginal
	if n, ok := v.get("original_size").uint(); ok {
		s.original = n
	}
	s.checksum, s.signedSum = parseChecksum(f.text(v.get("checksum"), field+".checksum"))
}

// adoptTable gives the slots of another writer's package their place and chain, checked against the file.
func adoptTable(pkg *Package) error {
	slots, index := pkg.plan.slots, pkg.index
	if len(slots) != int(index.slotCount) {
		return slotCountFailure(pkg)
	}
	previous, end := index.dataStart(), index.packageSize-trailerSize
	for i := range slots {
		s, entry := &slots[i], pkg.table[i*slotEntrySize:]
		le := binary.LittleEndian
		s.offset, s.size, s.shortSum = le.Uint64(entry[16:]), le.Uint64(entry[24:]), le.Uint64(entry[48:])
		if s.size > 0 {
			if s.offset < previous || s.offset > end || s.size > end-s.offset {
				return fail("PSPF_REGION", "file", pkg.file, "field", "slot "+itoa(i))
			}
			previous = s.offset + s.size
		}
		operations, err := unpackOperations(le.Uint64(entry[40:]))
		if err == nil && bytes.IndexByte(operations, opAes256Gcm) >= 0 {
			err = errors.New("aes256gcm") // only the sealed profile says how a slot is encrypted
		}
		if err != nil {
			return fail("PSPF_OPERATION", "file", pkg.file, "slot", slotName(s), "detail", err.Error())
		}
		s.setOperations(operations)
		if s.lifecycle == "platform" && s.os == "" && entry[59] <= 3 {
			s.os = [...]string{"", "linux", "darwin", "windows"}[entry[59]]
		}
		if len(operations) == 0 || (len(operations) == 1 && s.isTar()) {
			s.original = min(s.original, s.size)
		}
		if s.isTar() {
			s.target = parentOf(s.target)
		}
	}
	return nil
}

// parentOf is where the earlier launchers put the members of a tar slot: beside the last part of its target.
func parentOf(target string) string {
	if cut := strings.LastIndexByte(target, '/'); cut >= 0 {
		return target[:cut]
	}
	return ""
}
