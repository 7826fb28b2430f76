package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"io"
)

// Encrypted slots: chunks of 1 MiB under AES-256-GCM (format.md section 11). The nonce counts the chunks and marks the last
// one, so a chunk that was cut off, repeated or moved does not authenticate.

const (
	cipherChunk = 1 << 20 // plain bytes of every chunk but the last
	cipherTag   = 16
)

// SlotCipher opens the chunks of one slot.
type SlotCipher struct{ gcm cipher.AEAD }

func newSlotCipher(key []byte) (*SlotCipher, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return &SlotCipher{gcm}, err
}

// open decrypts chunk number in place; false when it does not authenticate.
func (c *SlotCipher) open(number uint64, last bool, chunk []byte) ([]byte, bool) {
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[3:], number)
	if last {
		nonce[11] = 1
	}
	plain, err := c.gcm.Open(chunk[:0], nonce[:], chunk, nil)
	return plain, err == nil
}

// nextChunk is how many stored bytes the chunk has that begins where left are left.
func nextChunk(left uint64) int { return int(min(left, cipherChunk+cipherTag)) }

// isCipherSize tells sizes that chunks can have: none is empty, but for the one chunk of an empty slot.
func isCipherSize(size uint64) bool {
	rest := size % (cipherChunk + cipherTag)
	return size == cipherTag || rest > cipherTag || rest == 0 && size > 0
}

// decrypter reads the plain bytes of an encrypted slot.
type decrypter struct {
	source io.Reader
	cipher *SlotCipher
	left   uint64
	number uint64
	buffer []byte
	plain  []byte // not handed out yet
}

func newDecrypter(source io.Reader, cipher *SlotCipher, size uint64) *decrypter {
	return &decrypter{source: source, cipher: cipher, left: size, buffer: make([]byte, nextChunk(size))}
}

func (d *decrypter) Read(p []byte) (int, error) {
	for len(d.plain) == 0 {
		if d.left == 0 {
			return 0, io.EOF
		}
		chunk := d.buffer[:nextChunk(d.left)]
		if _, err := io.ReadFull(d.source, chunk); err != nil {
			return 0, err
		}
		d.left -= uint64(len(chunk))
		var sound bool
		if d.plain, sound = d.cipher.open(d.number, d.left == 0, chunk); !sound {
			d.plain = nil
			return 0, &codecError{opAes256Gcm}
		}
		d.number++
	}
	n := copy(p, d.plain)
	d.plain = d.plain[n:]
	return n, nil
}
