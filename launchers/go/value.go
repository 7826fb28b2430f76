package main

import (
	"strconv"
	"strings"
)

// Reading fields out of parsed JSON, and writing JSON for CLI mode and logs.

var absent = &Value{}

// get returns the member key, or a null value: absent and null mean the same to every dialect.
func (v *Value) get(key string) *Value {
	for i := range v.members {
		if v.members[i].key == key {
			return &v.members[i].value
		}
	}
	return absent
}

func (v *Value) isNull() bool { return v.kind == kindNull }

// uint is a non-negative whole number written as plain digits.
func (v *Value) uint() (uint64, bool) {
	if v.kind != kindNumber {
		return 0, false
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	return n, err == nil
}

// jsonWriter builds compact JSON; each method returns the writer so that a document reads as one expression.
type jsonWriter struct {
	strings.Builder
	comma bool
}

func newWriter() *jsonWriter { return &jsonWriter{} }

func (w *jsonWriter) key(name string) *jsonWriter {
	if w.comma {
		w.WriteByte(',')
	}
	if name != "" {
		w.quote(name)
		w.WriteByte(':')
	}
	w.comma = true
	return w
}

func (w *jsonWriter) open(bracket byte) *jsonWriter {
	w.WriteByte(bracket)
	w.comma = false
	return w
}

func (w *jsonWriter) close(bracket byte) *jsonWriter {
	w.WriteByte(bracket)
	w.comma = true
	return w
}

func (w *jsonWriter) text(name, value string) *jsonWriter {
	w.key(name).quote(value)
	return w
}

func (w *jsonWriter) bool(name string, value bool) *jsonWriter {
	w.key(name).WriteString(strconv.FormatBool(value))
	return w
}

func (w *jsonWriter) number(name string, value int64) *jsonWriter {
	w.key(name).WriteString(strconv.FormatInt(value, 10))
	return w
}

func (w *jsonWriter) unsigned(name string, value uint64) *jsonWriter {
	w.key(name).WriteString(strconv.FormatUint(value, 10))
	return w
}

// quote writes a JSON string; bytes that are not UTF-8 (from file names) become U+FFFD.
func (w *jsonWriter) quote(text string) {
	const digits = "0123456789abcdef"
	w.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			w.WriteByte('\\')
			w.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			w.WriteString(`\u00`)
			w.WriteByte(digits[r>>4])
			w.WriteByte(digits[r&15])
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
}
