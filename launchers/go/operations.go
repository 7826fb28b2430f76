package main

import (
	"errors"
	"strings"
)

// Operation codes of format.md section 4. Packing applies a chain left to right, unpacking right to left.
const (
	opTar       = 0x01
	opGzip      = 0x10
	opBzip2     = 0x13
	opXz        = 0x16
	opZstd      = 0x1b
	opAes256Gcm = 0x31
)

var operationNames = [...]struct {
	name string
	code byte
}{{"tar", opTar}, {"gzip", opGzip}, {"bzip2", opBzip2}, {"xz", opXz}, {"zstd", opZstd}, {"aes256gcm", opAes256Gcm}}

// parseOperations reads any spelling of a chain.
func parseOperations(text string) ([]byte, error) {
	text = strings.ToLower(text)
	switch text {
	case "", "raw", "none":
		return nil, nil
	case "tgz", "tar.gz":
		return []byte{opTar, opGzip}, nil
	case "tbz2", "tar.bz2":
		return []byte{opTar, opBzip2}, nil
	case "txz", "tar.xz":
		return []byte{opTar, opXz}, nil
	case "tzst", "tar.zst":
		return []byte{opTar, opZstd}, nil
	}
	var chain []byte
	for _, name := range strings.FieldsFunc(text, func(r rune) bool { return r == '|' || r == ',' }) {
		code := operationCode(strings.TrimSpace(name))
		if code == 0 {
			return nil, errors.New(name)
		}
		chain = append(chain, code)
	}
	return chain, legalChain(chain, text)
}

func operationCode(name string) byte {
	for _, o := range operationNames {
		if o.name == name {
			return o.code
		}
	}
	return 0
}

func operationName(code byte) string {
	for _, o := range operationNames {
		if o.code == code {
			return o.name
		}
	}
	return ""
}

// legalChain: at most eight operations, tar at most once and first, encryption at most once and last.
func legalChain(chain []byte, text string) error {
	if len(chain) == 0 || len(chain) > 8 {
		return errors.New(text)
	}
	for i, code := range chain {
		if code == opTar && i > 0 || code == opAes256Gcm && i+1 < len(chain) {
			return errors.New(text)
		}
	}
	return nil
}

// formatOperations is the canonical text of a chain.
func formatOperations(chain []byte) string {
	if len(chain) == 0 {
		return "none"
	}
	if len(chain) == 2 && chain[0] == opTar && chain[1] == opGzip {
		return "tgz"
	}
	names := make([]string, len(chain))
	for i, code := range chain {
		names[i] = operationName(code)
	}
	return strings.Join(names, "|")
}

// packOperations puts the first operation into the lowest byte.
func packOperations(chain []byte) uint64 {
	packed := uint64(0)
	for i, code := range chain {
		packed |= uint64(code) << (8 * i)
	}
	return packed
}

// unpackOperations reads the chain of a descriptor; a byte after the end of the chain is as unknown as a foreign code.
func unpackOperations(packed uint64) ([]byte, error) {
	var chain []byte
	for rest := packed; rest != 0; rest >>= 8 {
		code := byte(rest)
		if operationName(code) == "" {
			return nil, errors.New("0x" + hex8(uint32(code))[6:])
		}
		chain = append(chain, code)
	}
	if chain == nil {
		return nil, nil
	}
	return chain, legalChain(chain, formatOperations(chain))
}
