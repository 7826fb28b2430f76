package main

import (
	"encoding/json"
	"os"
	"testing"
)

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func TestMessagesAreThoseOfTheContract(t *testing.T) {
	var contract map[string]struct {
		Exit          int
		Message, Hint string
	}
	readJSON(t, "../../test/conformance/messages.json", &contract)
	if len(contract) != len(messages) {
		t.Errorf("the contract has %d messages, the table %d", len(contract), len(messages))
	}
	for _, m := range messages {
		if c := contract[m.code]; c.Exit != m.exit || c.Message != m.text || c.Hint != m.hint {
			t.Errorf("%s differs from the contract", m.code)
		}
	}
}

func TestVersionIsThatOfTheRepository(t *testing.T) {
	var manifest struct{ Version string }
	readJSON(t, "../../package.json", &manifest)
	if manifest.Version != version {
		t.Errorf("package.json says %s, the stub %s", manifest.Version, version)
	}
}

func TestValuesAreNeverFilledAgain(t *testing.T) {
	f := fail("IO", "path", "{detail}", "detail", "broken")
	if got := f.Error(); got != "{detail}: broken" {
		t.Errorf("got %q", got)
	}
}
