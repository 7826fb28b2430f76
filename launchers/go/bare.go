package main

import (
	"encoding/binary"
	"os"
)

// executableEnd returns where the executable at the start of image ends by its own headers (ELF, PE or Mach-O,
// 64-bit little-endian, as this stub is built), or 0 when the headers say nothing. It only chooses between the
// messages "no package" and "damaged package", so it trusts what it reads.
func executableEnd(image *os.File) uint64 {
	head := make([]byte, 16<<10)
	n, _ := image.ReadAt(head, 0)
	head = head[:n]
	if n < 1024 {
		return 0
	}
	switch {
	case string(head[:4]) == "\x7fELF":
		return elfEnd(image, head)
	case string(head[:2]) == "MZ":
		return peEnd(head)
	case binary.LittleEndian.Uint32(head) == 0xfeedfacf:
		return machoEnd(head)
	}
	return 0
}

func elfEnd(image *os.File, head []byte) uint64 {
	le := binary.LittleEndian
	tableOffset, entry, count := le.Uint64(head[40:]), uint64(le.Uint16(head[58:])), uint64(le.Uint16(head[60:]))
	end := tableOffset + entry*count
	if entry < 64 {
		return 0
	}
	table := make([]byte, entry*count)
	if _, err := image.ReadAt(table, int64(tableOffset)); err != nil {
		return 0
	}
	for ; len(table) >= 64; table = table[entry:] {
		const noBits = 8
		if le.Uint32(table[4:]) != noBits {
			end = max(end, le.Uint64(table[24:])+le.Uint64(table[32:]))
		}
	}
	return end
}

func peEnd(head []byte) uint64 {
	le := binary.LittleEndian
	header := uint64(le.Uint32(head[0x3c:]))
	if header+24 > uint64(len(head)) {
		return 0
	}
	count := uint64(le.Uint16(head[header+6:]))
	section := header + 24 + uint64(le.Uint16(head[header+20:]))
	end := uint64(0)
	for ; count > 0 && section+40 <= uint64(len(head)); count, section = count-1, section+40 {
		end = max(end, uint64(le.Uint32(head[section+16:]))+uint64(le.Uint32(head[section+20:])))
	}
	symbols, symbolCount := uint64(le.Uint32(head[header+12:])), uint64(le.Uint32(head[header+16:]))
	if symbols != 0 {
		// The string table stands behind the 18-byte symbols; a stripped Go stub has its four length bytes only.
		end = max(end, symbols+18*symbolCount+4)
	}
	return end
}

func machoEnd(head []byte) uint64 {
	le := binary.LittleEndian
	const segment64 = 0x19
	end, at := uint64(0), uint64(32)
	for count := le.Uint32(head[16:]); count > 0 && at+56 <= uint64(len(head)); count-- {
		if le.Uint32(head[at:]) == segment64 {
			end = max(end, le.Uint64(head[at+40:])+le.Uint64(head[at+48:]))
		}
		at += uint64(le.Uint32(head[at+4:]))
	}
	return end
}
