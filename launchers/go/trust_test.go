package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

func publicPEM(t *testing.T, seed byte) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(testKey(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestTrustStore(t *testing.T) {
	raw := func(seed byte) string { return hex.EncodeToString(testKey(seed).Public().(ed25519.PublicKey)) }
	for name, test := range map[string]struct {
		files map[string]string
		code  string
	}{
		"trusted":                {map[string]string{"a.pub": string(publicPEM(t, 1))}, ""},
		"co-signer trusted":      {map[string]string{"a.pub": string(publicPEM(t, 2))}, ""},
		"unknown":                {map[string]string{"a.pub": string(publicPEM(t, 9))}, "TRUST_UNKNOWN"},
		"empty store":            {nil, "TRUST_UNKNOWN"},
		"revoked":                {map[string]string{"a.pub": string(publicPEM(t, 1)), "b.revoked": string(publicPEM(t, 1))}, "TRUST_REVOKED"},
		"co-signer revoked":      {map[string]string{"a.pub": string(publicPEM(t, 1)), "b.revoked": string(publicPEM(t, 2))}, "TRUST_REVOKED"},
		"pinned":                 {map[string]string{"a.pub": string(publicPEM(t, 1)), "pins": "# note\n\ndemo " + raw(1) + " # mine\n"}, ""},
		"pinned to another":      {map[string]string{"a.pub": string(publicPEM(t, 1)), "pins": "demo " + raw(9)}, "TRUST_PIN"},
		"pins of other packages": {map[string]string{"a.pub": string(publicPEM(t, 1)), "pins": "other " + raw(9)}, ""},
		"malformed key":          {map[string]string{"a.pub": "no key"}, "TRUST_STORE"},
		"small-order key":        {map[string]string{"a.pub": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n"}, "TRUST_STORE"},
		"malformed pins":         {map[string]string{"pins": "demo"}, "TRUST_STORE"},
	} {
		w := newWorld(t)
		dir := filepath.Join(w.dir, "trust")
		_ = os.Mkdir(dir, 0o700)
		for file, text := range test.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		spec := shell("echo ran")
		spec.coSigners = []ed25519.PrivateKey{testKey(2)}
		file := writePackage(t, build(t, spec))
		t.Run(name, func(t *testing.T) {
			got := w.with("SEALIFT_TRUST_DIR", dir).start(file)
			if test.code == "" {
				got.prints(t, "ran\n")
				return
			}
			got.fails(t, test.code)
			relaxed := w.with("SEALIFT_TRUST_DIR", dir, "SEALIFT_VALIDATION", "relaxed").start(file)
			if runs := test.code != "TRUST_STORE"; (relaxed.code == 0) != runs || relaxed.stderr == "" {
				t.Errorf("relaxed: %+v", relaxed)
			}
		})
	}
	w := newWorld(t).with("SEALIFT_TRUST_DIR", "/nowhere/at/all")
	w.start(writePackage(t, build(t, shell("echo ran")))).fails(t, "TRUST_STORE")
}
