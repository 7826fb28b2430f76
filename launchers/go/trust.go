package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// Store is a trust store: a folder with `*.pub`, `*.revoked` and `pins` (docs/reference/launcher.md).
type Store struct {
	dir     string
	trusted [][]byte
	revoked [][]byte
	pins    map[string][][]byte
}

const maxTrustFile = 1 << 20

// checkTrust asks the trust store about the signers. In relaxed mode its "no" is a warning.
func checkTrust(pkg *Package) error {
	relaxed, err := relaxedValidation()
	if err != nil {
		return err
	}
	store, err := openStore()
	if err != nil || store == nil {
		return err
	}
	verdict := store.judge(pkg.file, pkg.plan.name, pkg.signers)
	if verdict != nil && relaxed {
		warn(verdict)
		return nil
	}
	if verdict != nil {
		return verdict
	}
	return nil
}

func relaxedValidation() (bool, error) {
	switch level := os.Getenv("SEALIFT_VALIDATION"); level {
	case "", "strict":
		return false, nil
	case "relaxed":
		return true, nil
	default:
		return false, fail("VALIDATION_LEVEL", "actual", level)
	}
}

// storeFolders lists where a trust store may be, the most personal first.
func storeFolders() []string {
	var folders []string
	switch home := os.Getenv("HOME"); {
	case filepath.IsAbs(os.Getenv("XDG_CONFIG_HOME")):
		folders = append(folders, below(os.Getenv("XDG_CONFIG_HOME"), "sealift", "trust.d"))
	case runtime.GOOS == "windows":
		folders = append(folders, below(os.Getenv("APPDATA"), "sealift", "trust.d"))
	case runtime.GOOS == "darwin":
		folders = append(folders, below(home, "Library/Application Support/sealift/trust.d"))
	default:
		folders = append(folders, below(home, ".config/sealift/trust.d"))
	}
	if runtime.GOOS == "windows" {
		return append(folders, below(os.Getenv("PROGRAMDATA"), "sealift", "trust.d"))
	}
	return append(folders, "/etc/sealift/trust.d")
}

// below joins parts under an absolute root; without one there is no such folder.
func below(root string, parts ...string) string {
	if !filepath.IsAbs(root) {
		return ""
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// openStore returns the first store that exists and holds something, or nil when there is none.
func openStore() (*Store, error) {
	if dir := os.Getenv("SEALIFT_TRUST_DIR"); dir != "" {
		if _, err := absoluteFolder("SEALIFT_TRUST_DIR", dir); err != nil {
			return nil, err
		}
		return readStore(dir, true)
	}
	for _, dir := range storeFolders() {
		if dir == "" {
			continue
		}
		if store, err := readStore(dir, false); store != nil || err != nil {
			return store, err
		}
	}
	return nil, nil
}

// readStore reads a folder; one that is missing or holds nothing is no store, unless the user named it.
func readStore(dir string, named bool) (*Store, error) {
	names, err := listNames(dir)
	if err != nil {
		if os.IsNotExist(err) && !named {
			return nil, nil
		}
		return nil, fail("TRUST_STORE", "store", dir, "detail", reason(err))
	}
	store := &Store{dir: dir, pins: map[string][][]byte{}}
	found := named
	for _, name := range names {
		ours, err := store.read(name)
		if err != nil {
			return nil, fail("TRUST_STORE", "store", dir, "detail", name+": "+err.Error())
		}
		found = found || ours
	}
	if !found {
		return nil, nil
	}
	return store, nil
}

func listNames(dir string) ([]string, error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// read takes in one file of the store and says whether it is one of ours.
func (s *Store) read(name string) (bool, error) {
	kind := filepath.Ext(name)
	if kind != ".pub" && kind != ".revoked" && name != "pins" {
		return false, nil
	}
	data, err := readSmall(filepath.Join(s.dir, name), maxTrustFile)
	if err != nil {
		return true, err
	}
	if name == "pins" {
		return true, s.readPins(string(data))
	}
	key, err := parsePublicKey(data)
	if err != nil {
		return true, err
	}
	if kind == ".pub" {
		s.trusted = append(s.trusted, key)
	} else {
		s.revoked = append(s.revoked, key)
	}
	return true, nil
}

type plainError string

func (e plainError) Error() string { return string(e) }

// readSmall reads a whole file that must not be larger than limit.
func readSmall(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, plainError(reason(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, plainError(reason(err))
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, plainError("is not a small regular file")
	}
	data := make([]byte, info.Size())
	if _, err := file.ReadAt(data, 0); err != nil && len(data) > 0 {
		return nil, plainError(reason(err))
	}
	return data, nil
}

// spkiHead is the DER of a SubjectPublicKeyInfo for Ed25519 up to the 32 key bytes (RFC 8410).
var spkiHead = []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}

func parsePublicKey(data []byte) ([]byte, error) {
	const begin, end = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
	_, rest, found := strings.Cut(string(data), begin)
	body, _, closed := strings.Cut(rest, end)
	if !found || !closed || strings.Count(string(data), "-----BEGIN ") != 1 {
		return nil, plainError("is not a PEM public key")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil || len(der) != 44 || !bytes.Equal(der[:12], spkiHead) || !soundKey(der[12:]) {
		return nil, plainError("is not an Ed25519 public key")
	}
	return der[12:], nil
}

func (s *Store) readPins(text string) error {
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		key := []byte(nil)
		if len(words) == 2 {
			key, _ = hex.DecodeString(words[1])
		}
		if len(key) != 32 {
			return plainError("line " + itoa(number+1) + " is not a package name and a key of 64 hexadecimal digits")
		}
		s.pins[words[0]] = append(s.pins[words[0]], key)
	}
	return nil
}

// judge returns why the signers are not accepted, or nil. A revoked key counts whoever else signed.
func (s *Store) judge(file, name string, signers [][]byte) *Failure {
	args := func(key []byte) []string {
		return []string{"file", file, "name", name, "key", fingerprint(key), "store", s.dir}
	}
	for _, signer := range signers {
		if contains(s.revoked, signer) {
			return fail("TRUST_REVOKED", args(signer)...)
		}
	}
	if pins := s.pins[name]; pins != nil && !anyOf(pins, signers) {
		return fail("TRUST_PIN", args(signers[0])...)
	}
	if !anyOf(s.trusted, signers) {
		return fail("TRUST_UNKNOWN", args(signers[0])...)
	}
	return nil
}

func fingerprint(key []byte) string { return "ed25519:" + hex.EncodeToString(key) }

func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

func anyOf(keys, signers [][]byte) bool {
	for _, signer := range signers {
		if contains(keys, signer) {
			return true
		}
	}
	return false
}
