package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/big"
	"strings"
)

// verifySigners checks the signer's Ed25519 signature over the JSON bytes as they stand in the file, and those of the
// co-signers, who fill the places behind it from the first on, each key once. It returns all keys, the signer's first.
func verifySigners(index, text []byte, file string) ([][]byte, error) {
	if allZero(index[128:192]) {
		return nil, fail("SEAL_UNSIGNED", "file", file)
	}
	signers := [][]byte{index[64:96]}
	if err := verifyOne(index[64:96], index[128:192], text, file); err != nil {
		return nil, err
	}
	for _, place := range coSignatures(index) {
		if contains(signers, place[:32]) {
			return nil, fail("SEAL_SIGNATURE", "file", file)
		}
		if err := verifyOne(place[:32], place[32:], text, file); err != nil {
			return nil, err
		}
		signers = append(signers, place[:32])
	}
	return signers, nil
}

// coSignatures returns the places in use: those before the first that is all zeros.
func coSignatures(index []byte) [][]byte {
	const places, size = 4, 96
	var used [][]byte
	for i := 0; i < places; i++ {
		place := index[192+i*size : 192+(i+1)*size]
		if allZero(place) {
			break
		}
		used = append(used, place)
	}
	return used
}

func verifyOne(key, signature, text []byte, file string) error {
	if !soundKey(key) {
		return fail("SEAL_KEY", "file", file)
	}
	if smallOrder(signature[:32]) || !ed25519.Verify(key, text, signature) {
		if !onCurve(key) {
			return fail("SEAL_KEY", "file", file)
		}
		return fail("SEAL_SIGNATURE", "file", file)
	}
	return nil
}

// onCurve tells whether a key that verified nothing is a point at all, for the message: whether (y²-1)/(dy²+1) is a square
// modulo 2²⁵⁵-19, where d = -121665/121666 (RFC 8032, section 5.1.3). By Euler's criterion the product tells as much as the
// quotient.
func onCurve(key []byte) bool {
	one := big.NewInt(1)
	prime := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	reversed := make([]byte, 32)
	for i, b := range key {
		reversed[31-i] = b
	}
	reversed[0] &= 0x7f
	y := new(big.Int).SetBytes(reversed)
	square := new(big.Int).Exp(y, big.NewInt(2), prime)
	d := new(big.Int).Mul(big.NewInt(-121665), new(big.Int).ModInverse(big.NewInt(121666), prime))
	above := new(big.Int).Sub(square, one)
	below := new(big.Int).Add(d.Mul(d, square), one)
	product := above.Mul(above, below)
	return big.Jacobi(product.Mod(product, prime), prime) != -1
}

// smallOrderPoints are the y coordinates of the eight points of small order in every encoding, sign bit cleared.
// A key among them accepts signatures that nobody made.
var smallOrderPoints = [7][2]string{
	{"\x00", "\x00"},
	{"\x01", "\x00"},
	{"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc", "\x05"},
	{"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03", "\x7a"},
	{"\xec", "\x7f"},
	{"\xed", "\x7f"},
	{"\xee", "\x7f"},
}

// smallOrder compares with the list above; short entries are filled with 00 or, before a last byte of 7f, with ff.
func smallOrder(point []byte) bool {
	for _, entry := range smallOrderPoints {
		fill := byte(0)
		if entry[1] == "\x7f" {
			fill = 0xff
		}
		different := (point[31] & 0x7f) ^ entry[1][0]
		for i := 0; i < 31; i++ {
			want := fill
			if i < len(entry[0]) {
				want = entry[0][i]
			}
			different |= point[i] ^ want
		}
		if different == 0 {
			return true
		}
	}
	return false
}

// soundKey refuses small-order keys and y coordinates that are not reduced modulo 2^255-19.
func soundKey(key []byte) bool {
	if smallOrder(key) {
		return false
	}
	reduced := key[31]&0x7f != 0x7f || key[0] < 0xed
	for i := 1; i < 31; i++ {
		reduced = reduced || key[i] != 0xff
	}
	return reduced
}

func allZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// checkSeal compares everything but launcher, padding and slot contents with what the signed JSON derives.
func checkSeal(pkg *Package) error {
	if len(pkg.plan.slots) != int(pkg.index.slotCount) {
		return slotCountFailure(pkg)
	}
	end, err := placeSlots(pkg)
	if err != nil {
		return err
	}
	if err := checkTable(pkg); err != nil {
		return err
	}
	index, err := deriveIndex(pkg, end)
	if err != nil {
		return err
	}
	if !bytes.Equal(index, pkg.index.raw) {
		return fail("SEAL_INDEX", "file", pkg.file, "offset", itoa(firstDifference(index, pkg.index.raw)))
	}
	return nil
}

func slotCountFailure(pkg *Package) error {
	detail := itoa(len(pkg.plan.slots)) + " slots in the metadata, " + itoa(pkg.index.slotCount) + " in the table"
	return fail("PSPF_FIELD", "file", pkg.file, "field", "slots", "detail", detail)
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

// placeSlots gives each slot the offset that section 1 derives and returns the end of the last.
func placeSlots(pkg *Package) (uint64, error) {
	end, limit := pkg.index.dataStart(), pkg.index.packageSize-trailerSize
	for i := range pkg.plan.slots {
		s := &pkg.plan.slots[i]
		s.offset = align8(end)
		if s.offset > limit || s.size > limit-s.offset {
			return 0, fail("PSPF_REGION", "file", pkg.file, "field", "slot "+itoa(i))
		}
		end = s.offset + s.size
	}
	return end, nil
}

// deriveIndex builds the index block of format.md section 7 from the signed JSON. Only what is verified in other ways is
// taken over from the file: its checksum, keys and signatures.
func deriveIndex(pkg *Package, end uint64) ([]byte, error) {
	plan, have := pkg.plan, pkg.index
	le := binary.LittleEndian
	index := make([]byte, indexSize)
	copy(index[4:8], have.raw[4:8])
	copy(index[64:192+96*len(coSignatures(have.raw))], have.raw[64:])
	le.PutUint32(index[0:], formatVersion)
	le.PutUint64(index[8:], end+trailerSize)
	le.PutUint64(index[16:], plan.launcherSize)
	le.PutUint64(index[24:], plan.launcherSize)
	le.PutUint64(index[32:], have.metadataSize)
	le.PutUint64(index[40:], align8(have.metadataOffset+have.metadataSize))
	le.PutUint64(index[48:], uint64(len(plan.slots))*slotEntrySize)
	le.PutUint32(index[56:], uint32(len(plan.slots)))
	le.PutUint32(index[644:], 4096)
	le.PutUint64(index[832:], capabilities(plan))
	le.PutUint32(index[856:], formatVersion)
	le.PutUint32(index[860:], 1)
	return index, deriveSealIndex(index, plan.sealIndex, pkg.file)
}

// capabilities: bit 7 signed, bit 6 a slot is encrypted.
func capabilities(plan *Plan) uint64 {
	for i := range plan.slots {
		if plan.slots[i].encryption != nil {
			return 128 | 64
		}
	}
	return 128
}

// deriveSealIndex fills in the optional keys of seal.index.
func deriveSealIndex(index []byte, seal *Value, file string) error {
	f := &fields{file: file, sealed: true}
	if stamp := f.object(seal, "seal.index").get("build_timestamp"); !stamp.isNull() {
		n, ok := stamp.uint()
		if !ok {
			f.bad("seal.index.build_timestamp", "is not a time in seconds")
		}
		binary.LittleEndian.PutUint64(index[704:], n)
	}
	for _, hash := range []struct {
		key string
		at  int
	}{{"source_hash", 744}, {"dependency_hash", 776}} {
		field := "seal.index." + hash.key
		value := seal.get(hash.key)
		text := f.text(value, field)
		if sum, err := hex.DecodeString(text); err == nil && text == strings.ToLower(text) && (len(sum) == 32 || value.isNull()) {
			copy(index[hash.at:hash.at+32], sum)
		} else {
			f.bad(field, "is not 64 hexadecimal digits")
		}
	}
	license := f.text(seal.get("license_id"), "seal.index.license_id")
	if len(license) > 16 {
		f.bad("seal.index.license_id", "is longer than 16 bytes")
	}
	copy(index[808:824], license)
	return f.err
}

// checkTable compares the slot table, field by field so that the message can name one.
func checkTable(pkg *Package) error {
	for i := range pkg.plan.slots {
		s := &pkg.plan.slots[i]
		want, have := deriveEntry(s), pkg.table[i*slotEntrySize:(i+1)*slotEntrySize]
		if !bytes.Equal(want[:], have) {
			field := fieldAt(firstDifference(want[:], have))
			return fail("SEAL_TABLE", "file", pkg.file, "slot", slotName(s), "field", field)
		}
	}
	return nil
}

func deriveEntry(s *Slot) (entry [slotEntrySize]byte) {
	le := binary.LittleEndian
	name := sha256.Sum256([]byte(s.id))
	lifecycle, _ := lifecycleCode(s.lifecycle)
	le.PutUint64(entry[0:], uint64(s.index))
	copy(entry[8:16], name[:8])
	le.PutUint64(entry[16:], s.offset)
	le.PutUint64(entry[24:], s.size)
	le.PutUint64(entry[32:], s.original)
	le.PutUint64(entry[40:], s.packed)
	copy(entry[48:56], s.checksum[:8])
	entry[56], entry[57], entry[58], entry[59] = purposeCode(s.purpose), lifecycle, 128, platformCode(s.os)
	le.PutUint16(entry[62:], uint16(s.mode))
	return entry
}

// fieldAt names the field of a slot table entry that holds the byte at offset.
func fieldAt(offset int) string {
	names := [...]string{"id", "name_hash", "offset", "size", "original_size", "operations", "checksum"}
	if offset < 56 {
		return names[offset/8]
	}
	tail := [...]string{"purpose", "lifecycle", "priority", "platform", "reserved", "reserved", "permissions", "permissions"}
	return tail[offset-56]
}

// checkRest verifies what a warm start leaves out: the launcher's digest and the padding (format.md section 8, point 4).
// The slots follow while they are unpacked.
func checkRest(pkg *Package) error {
	if !pkg.plan.sealed {
		return nil
	}
	if err := checkPadding(pkg); err != nil {
		return err
	}
	return checkLauncher(pkg)
}

func checkLauncher(pkg *Package) error {
	digest := sha256.New()
	source := io.NewSectionReader(pkg.image, 0, int64(pkg.plan.launcherSize))
	if _, err := io.CopyBuffer(onlyWriter{digest}, source, make([]byte, 256<<10)); err != nil {
		return failIO(pkg.file, err)
	}
	if !bytes.Equal(digest.Sum(nil), pkg.plan.launcherSum[:]) {
		return fail("SEAL_LAUNCHER", "file", pkg.file)
	}
	return nil
}

// onlyWriter hides other methods, so that io.CopyBuffer uses the buffer it is given.
type onlyWriter struct{ io.Writer }

func checkPadding(pkg *Package) error {
	at := pkg.index.metadataOffset + pkg.index.metadataSize
	if !allZero(pkg.metaTail) {
		return fail("SEAL_PADDING", "file", pkg.file, "offset", itoa(at))
	}
	at = pkg.index.dataStart()
	for i := range pkg.plan.slots {
		s := &pkg.plan.slots[i]
		gap, err := readRange(pkg.image, at, s.offset-at, pkg.file)
		if err != nil {
			return err
		}
		if !allZero(gap) {
			return fail("SEAL_PADDING", "file", pkg.file, "offset", itoa(at))
		}
		at = s.offset + s.size
	}
	return nil
}
