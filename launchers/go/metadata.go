package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"os"
)

const maxExpandedMeta = 64 << 20

// Package is an opened package whose metadata is verified against its signature.
type Package struct {
	image    *os.File
	file     string
	index    *Index
	json     []byte // the signed bytes
	meta     *Value
	plan     *Plan
	identity string   // SHA-256 of json, lower-case hex
	signers  [][]byte // raw Ed25519 keys, each with a verified signature
	table    []byte   // the slot table as stored
	metaTail []byte   // the bytes between metadata and slot table
}

// openPackage does everything that a warm start checks: contract section 1, format.md section 8, points 1 to 3.
func openPackage(image *os.File, file string) (*Package, error) {
	index, err := locate(image, file)
	if err != nil {
		return nil, err
	}
	head, err := readRange(image, index.metadataOffset, index.dataStart()-index.metadataOffset, file)
	if err != nil {
		return nil, err
	}
	return readPackage(image, file, index, head)
}

// readPackage verifies the metadata and slot table in head, the bytes from metadata_offset to the end of the table.
func readPackage(image *os.File, file string, index *Index, head []byte) (*Package, error) {
	stored := head[:index.metadataSize]
	if digest := sha256.Sum256(stored); string(digest[:]) != string(index.raw[96:128]) {
		return nil, fail("SEAL_METADATA", "file", file)
	}
	text, canonical, err := expandMetadata(stored)
	if err != nil {
		return nil, fail("PSPF_METADATA", "file", file, "detail", err.Error())
	}
	signers, err := verifySigners(index.raw, text, file)
	if err != nil {
		return nil, err
	}
	meta, err := parseJSON(text)
	if err != nil {
		return nil, fail("PSPF_METADATA", "file", file, "detail", err.Error())
	}
	identity := sha256.Sum256(text)
	pkg := &Package{image: image, file: file, index: index, json: text, meta: meta,
		identity: hex.EncodeToString(identity[:]), signers: signers,
		table:    head[uint64(len(head))-index.tableSize:],
		metaTail: head[index.metadataSize : uint64(len(head))-index.tableSize]}
	if pkg.plan, err = readPlan(meta, file); err != nil {
		return nil, err
	}
	if !pkg.plan.sealed {
		return pkg, adoptTable(pkg)
	}
	if !canonical {
		return nil, fail("PSPF_METADATA", "file", file, "detail", "it is not in the stored form of the sealed profile")
	}
	return pkg, checkSeal(pkg)
}

// expandMetadata returns the JSON text and whether it was in the one stored form of the sealed profile.
func expandMetadata(stored []byte) (text []byte, canonical bool, err error) {
	if text, ok := storedForm(stored); ok {
		return text, true, nil
	}
	text, err = gunzip(stored)
	return text, false, err
}

var gzipHead = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}

// storedForm reads the gzip member of format.md section 2. There is one such encoding of a text, so what is read here
// needs no second digest: blocks of 65,535 bytes, the last one shorter and final, then CRC-32 and length.
func storedForm(stored []byte) ([]byte, bool) {
	const full = 65535
	if len(stored) < len(gzipHead)+5+8 || !bytes.Equal(stored[:len(gzipHead)], gzipHead) {
		return nil, false
	}
	rest, tail := stored[len(gzipHead):len(stored)-8], stored[len(stored)-8:]
	var text []byte
	for {
		if len(rest) < 5 {
			return nil, false
		}
		last, length, inverse := rest[0], binary.LittleEndian.Uint16(rest[1:]), binary.LittleEndian.Uint16(rest[3:])
		if last > 1 || length != ^inverse || int(length) > len(rest)-5 {
			return nil, false
		}
		block := rest[5 : 5+int(length)]
		rest = rest[5+int(length):]
		if final := len(rest) == 0; (last == 1) != final || (!final && length != full) || (final && text != nil && length == 0) {
			return nil, false
		}
		if text == nil && last == 1 {
			text = block
		} else {
			text = append(text, block...)
		}
		if last == 1 {
			break
		}
	}
	crc, size := binary.LittleEndian.Uint32(tail), binary.LittleEndian.Uint32(tail[4:])
	return text, crc == crc32.ChecksumIEEE(text) && size == uint32(len(text))
}

// gunzip expands the metadata of other writers, bounded.
func gunzip(stored []byte) ([]byte, error) {
	source := bytes.NewReader(stored)
	reader, err := gzip.NewReader(source)
	if err != nil {
		return nil, errors.New("it is not a gzip member")
	}
	reader.Multistream(false)
	text, err := io.ReadAll(io.LimitReader(reader, maxExpandedMeta+1))
	if err != nil {
		return nil, errors.New("the gzip member is damaged")
	}
	if len(text) > maxExpandedMeta {
		return nil, errors.New("it expands to more than 64 MiB")
	}
	if source.Len() != 0 {
		return nil, errors.New("bytes follow the gzip member")
	}
	return text, nil
}
