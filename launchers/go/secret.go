package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/crypto/scrypt"
)

// The key of an encrypted slot: what the signed metadata says of it, where it comes from on this machine, and whether it is
// the right one, which is known before anything is written (format.md section 11).

const (
	maxKeyText = 4096     // of a key file, or a passphrase on the terminal
	maxScrypt  = 32 << 20 // scrypt's own memory: the launcher stays below 64 MiB
)

// Encryption says how the key of a slot is made.
type Encryption struct {
	salt   []byte
	scrypt *scryptCost // for a passphrase
	source string      // env:NAME, file:PATH or prompt
}

type scryptCost struct {
	salt    []byte
	n, r, p int
}

// readEncryption reads a sealed slot's encryption and holds it to the slot's other fields.
func (f *fields) readEncryption(s *Slot, v *Value, field string) {
	encrypted := len(s.operations) > 0 && s.operations[len(s.operations)-1] == opAes256Gcm
	if encrypted == v.isNull() {
		f.bad(field, "does not go with the operations")
	}
	if !encrypted || f.err != nil {
		return
	}
	v = f.object(v, field)
	if f.text(v.get("algorithm"), field+".algorithm") != "AES-256-GCM" {
		f.bad(field+".algorithm", "is not AES-256-GCM")
	}
	if chunk, _ := v.get("chunk").uint(); chunk != cipherChunk {
		f.bad(field+".chunk", "is not 1048576")
	}
	e := &Encryption{salt: f.salt(v.get("salt"), field+".salt"), source: f.text(v.get("key_source"), field+".key_source")}
	cost := v.get("scrypt")
	switch kdf := f.text(v.get("kdf"), field+".kdf"); {
	case kdf == "scrypt":
		e.scrypt = f.scryptCost(f.object(cost, field+".scrypt"), field+".scrypt")
	case kdf != "HKDF-SHA256" || !cost.isNull():
		f.bad(field+".kdf", "is not HKDF-SHA256, or scrypt with its parameters")
	}
	if !isKeySource(e.source) || e.source == "prompt" && e.scrypt == nil {
		f.bad(field+".key_source", "is not env:NAME, file:PATH or prompt")
	}
	if s.share {
		f.bad(field, "may not stand in a shared slot")
	}
	if !isCipherSize(s.size) {
		f.bad(field, "does not go with the size of the slot")
	}
	s.encryption = e
}

func (f *fields) salt(v *Value, field string) []byte {
	text := f.text(v, field)
	salt, err := hex.DecodeString(text)
	if err != nil || len(salt) != 32 || strings.ToLower(text) != text {
		f.bad(field, "is not 64 hex digits")
	}
	return salt
}

func (f *fields) scryptCost(v *Value, field string) *scryptCost {
	n, _ := v.get("n").uint()
	r, _ := v.get("r").uint()
	p, _ := v.get("p").uint()
	sound := n >= 1<<14 && n <= 1<<18 && n&(n-1) == 0 && r >= 1 && r <= 32 && p >= 1 && p <= 4
	if !sound || 128*n*r > maxScrypt {
		f.bad(field, "is out of range")
	}
	return &scryptCost{f.salt(v.get("salt"), field+".salt"), int(n), int(r), int(p)}
}

func isKeySource(text string) bool {
	kind, rest, found := strings.Cut(text, ":")
	switch {
	case !found:
		return text == "prompt"
	case kind == "env":
		return isVariable(rest)
	case kind == "file":
		control := func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
		return rest != "" && len(rest) <= maxKeyText && strings.IndexFunc(rest, control) < 0
	}
	return false
}

func isVariable(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// removeKeys takes variables that hold keys out of the program's environment.
func (e *Environ) removeKeys(plan *Plan) {
	for i := range plan.slots {
		if encryption := plan.slots[i].encryption; encryption != nil {
			if name, isEnv := strings.CutPrefix(encryption.source, "env:"); isEnv {
				e.remove(name)
			}
		}
	}
}

// opened holds the keys that were found right, by the offset of their slot: nobody is asked twice.
var opened struct {
	sync.Mutex
	ciphers map[uint64]*SlotCipher
}

// openSlot finds the key of a slot and tries it on the first chunk; nil when the slot is not encrypted.
func openSlot(pkg *Package, slot *Slot) (*SlotCipher, error) {
	if slot.encryption == nil {
		return nil, nil
	}
	opened.Lock()
	defer opened.Unlock()
	if known := opened.ciphers[slot.offset]; known != nil {
		return known, nil
	}
	cipher, err := findCipher(pkg, slot)
	if err != nil {
		return nil, err
	}
	first := make([]byte, nextChunk(slot.size))
	if _, err := pkg.image.ReadAt(first, int64(slot.offset)); err != nil {
		return nil, failIO(pkg.file, err)
	}
	if _, sound := cipher.open(0, uint64(len(first)) == slot.size, first); !sound {
		// Damage looks the same, but then the signed digest differs too.
		if err := unpackAll(pkg, []*Task{{slot: slot, skip: true}}, nil); err != nil {
			return nil, err
		}
		return nil, fail("KEY_WRONG", "slot", slotName(slot), "source", slot.encryption.source)
	}
	if opened.ciphers == nil {
		opened.ciphers = map[uint64]*SlotCipher{}
	}
	opened.ciphers[slot.offset] = cipher
	return cipher, nil
}

// openSlots does so for every slot that a first start may need, before anything is written; a lazy slot asks for its own key
// when it is needed.
func openSlots(scope *Scope) error {
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if slot.lifecycle == "lazy" || slot.absence() != "" {
			continue
		}
		if _, err := openSlot(scope.pkg, slot); err != nil {
			return err
		}
	}
	return nil
}

func findCipher(pkg *Package, slot *Slot) (*SlotCipher, error) {
	text, err := findKeyText(pkg, slot)
	if err == nil && len(text) == 0 {
		err = errors.New("it is empty or not set")
	}
	var key []byte
	if err == nil {
		key, err = slot.encryption.derive(slot.id, text)
	}
	if err != nil {
		return nil, fail("KEY_MISSING", "slot", slotName(slot), "source", slot.encryption.source, "detail", reason(err))
	}
	return newSlotCipher(key)
}

// findKeyText reads what the source holds, as it is.
func findKeyText(pkg *Package, slot *Slot) ([]byte, error) {
	kind, rest, _ := strings.Cut(slot.encryption.source, ":")
	switch kind {
	case "env":
		return []byte(os.Getenv(rest)), nil
	case "file":
		return readKeyFile(keyPath(pkg.file, rest))
	}
	text, err := askTerminal("Passphrase of slot " + slotName(slot) + ": ")
	if err != nil {
		return nil, errors.New("there is no terminal to ask for it")
	}
	return text, nil
}

// keyPath: absolute, in the home folder, or beside the package.
func keyPath(file, path string) string {
	if rest, inHome := strings.CutPrefix(path, "~/"); inHome {
		home, _ := os.UserHomeDir()
		return filepath.Join(home, filepath.FromSlash(rest))
	}
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func readKeyFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyText+1))
	if err == nil && len(text) > maxKeyText {
		err = errors.New("it is longer than 4,096 bytes")
	}
	return text, err
}

// derive makes the slot's key from what the source holds.
func (e *Encryption) derive(id string, text []byte) (key []byte, err error) {
	master := rawKey(text)
	if e.scrypt != nil {
		// A line break at the end of a file is not part of a passphrase.
		phrase := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		master, err = scrypt.Key([]byte(phrase), e.scrypt.salt, e.scrypt.n, e.scrypt.r, e.scrypt.p, 32)
		debug.FreeOSMemory() // 32 MiB that unpacking needs
	} else if master == nil {
		err = errors.New("it holds no key: 64 hex digits, 44 characters of base64, or a file of 32 bytes")
	}
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, master, e.salt, "sealift slot 1 "+id, 32)
}

// rawKey reads the spellings of a key of 32 bytes; nil for anything else.
func rawKey(text []byte) []byte {
	trimmed := strings.Trim(string(text), " \t\r\n\f")
	if key, err := hex.DecodeString(trimmed); err == nil && len(key) == 32 {
		return key
	}
	if len(trimmed) == 44 && !strings.ContainsAny(trimmed, "\r\n") {
		if key, err := base64.StdEncoding.DecodeString(trimmed); err == nil && len(key) == 32 {
			return key
		}
	}
	if len(text) == 32 {
		return text
	}
	return nil
}
