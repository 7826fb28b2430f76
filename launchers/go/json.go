package main

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A strict JSON reader: RFC 8259, UTF-8 only, no duplicate keys, no lone surrogates, bounded nesting, nothing after
// the value. The standard library's reader keeps the last of two equal keys and repairs broken UTF-8 in silence, so
// two readers of one signed document could see two different packages.

const maxNesting = 64

type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// Value is one JSON value. text holds the decoded string, the number as written, or "true".
type Value struct {
	kind    kind
	text    string
	items   []Value
	members []Member
}

// Member is one key of an object, in document order.
type Member struct {
	key   string
	value Value
}

type jsonReader struct {
	data  []byte
	at    int
	depth int
}

var errJSONEnd = errors.New("the JSON text ends too early")

func parseJSON(data []byte) (*Value, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	r := &jsonReader{data: data}
	var value Value
	if err := r.value(&value); err != nil {
		return nil, err
	}
	if r.space(); r.at != len(r.data) {
		return nil, r.bad("there is something after the JSON value")
	}
	return &value, nil
}

func (r *jsonReader) bad(text string) error {
	return errors.New(text + " at byte " + strconv.Itoa(r.at))
}

func (r *jsonReader) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// peek skips white space and returns the next byte, 0 at the end (NUL is never valid there).
func (r *jsonReader) peek() byte {
	r.space()
	if r.at == len(r.data) {
		return 0
	}
	return r.data[r.at]
}

func (r *jsonReader) value(out *Value) error {
	c := r.peek()
	switch {
	case c == 0 && r.at == len(r.data):
		return errJSONEnd
	case c == '{':
		return r.nested(out, r.object)
	case c == '[':
		return r.nested(out, r.array)
	case c == '"':
		text, err := r.str()
		*out = Value{kind: kindString, text: text}
		return err
	case c == '-' || (c >= '0' && c <= '9'):
		return r.number(out)
	case r.word("true"):
		*out = Value{kind: kindBool, text: "true"}
	case r.word("false"):
		*out = Value{kind: kindBool}
	case r.word("null"):
		*out = Value{}
	default:
		return r.bad("no JSON value starts")
	}
	return nil
}

func (r *jsonReader) word(text string) bool {
	if len(r.data)-r.at >= len(text) && string(r.data[r.at:r.at+len(text)]) == text {
		r.at += len(text)
		return true
	}
	return false
}

func (r *jsonReader) nested(out *Value, read func(*Value) error) error {
	if r.depth++; r.depth > maxNesting {
		return r.bad("values are nested deeper than " + strconv.Itoa(maxNesting))
	}
	r.at++
	err := read(out)
	r.depth--
	return err
}

func (r *jsonReader) array(out *Value) error {
	out.kind = kindArray
	if r.peek() == ']' {
		r.at++
		return nil
	}
	for {
		var item Value
		if err := r.value(&item); err != nil {
			return err
		}
		out.items = append(out.items, item)
		if done, err := r.comma(']'); done || err != nil {
			return err
		}
	}
}

func (r *jsonReader) object(out *Value) error {
	out.kind = kindObject
	if r.peek() == '}' {
		r.at++
		return nil
	}
	var seen map[string]bool // only for objects with many keys
	for {
		if r.peek() != '"' {
			return r.bad("an object key is missing")
		}
		key, err := r.str()
		if err != nil {
			return err
		}
		if seen == nil && len(out.members) == 16 {
			seen = keysOf(out)
		}
		if duplicate(out, seen, key) {
			return r.bad("the key " + strconv.Quote(key) + " appears twice")
		}
		if r.peek() != ':' {
			return r.bad("a colon is missing")
		}
		r.at++
		out.members = append(out.members, Member{key: key})
		if err := r.value(&out.members[len(out.members)-1].value); err != nil {
			return err
		}
		if done, err := r.comma('}'); done || err != nil {
			return err
		}
	}
}

func keysOf(v *Value) map[string]bool {
	seen := make(map[string]bool, 4*len(v.members))
	for i := range v.members {
		seen[v.members[i].key] = true
	}
	return seen
}

func duplicate(v *Value, seen map[string]bool, key string) bool {
	if seen != nil {
		was := seen[key]
		seen[key] = true
		return was
	}
	for i := range v.members {
		if v.members[i].key == key {
			return true
		}
	}
	return false
}

// comma steps over "," or over the closing byte, and says which.
func (r *jsonReader) comma(end byte) (done bool, err error) {
	switch r.peek() {
	case ',':
		r.at++
		return false, nil
	case end:
		r.at++
		return true, nil
	}
	if r.at == len(r.data) {
		return false, errJSONEnd
	}
	return false, r.bad("a comma is missing")
}

func (r *jsonReader) digits() bool {
	start := r.at
	for r.at < len(r.data) && r.data[r.at] >= '0' && r.data[r.at] <= '9' {
		r.at++
	}
	return r.at > start
}

func (r *jsonReader) has(set string) bool {
	for i := 0; i < len(set); i++ {
		if r.at < len(r.data) && r.data[r.at] == set[i] {
			r.at++
			return true
		}
	}
	return false
}

func (r *jsonReader) number(out *Value) error {
	start := r.at
	r.has("-")
	zero := r.at < len(r.data) && r.data[r.at] == '0'
	if first := r.at; !r.digits() || (zero && r.at-first > 1) {
		return r.bad("a number is malformed")
	}
	if r.has(".") && !r.digits() {
		return r.bad("a number is malformed")
	}
	if r.has("eE") {
		r.has("+-")
		if !r.digits() {
			return r.bad("a number is malformed")
		}
	}
	*out = Value{kind: kindNumber, text: string(r.data[start:r.at])}
	return nil
}

func (r *jsonReader) str() (string, error) {
	r.at++
	start := r.at
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return string(r.data[start : r.at-1]), nil
		case c == '\\':
			return r.escaped(append([]byte(nil), r.data[start:r.at]...))
		case c < 0x20:
			return "", r.bad("a control character stands in a string")
		}
		r.at++
	}
	return "", errJSONEnd
}

// escaped continues a string from its first backslash.
func (r *jsonReader) escaped(out []byte) (string, error) {
	for r.at < len(r.data) {
		c := r.data[r.at]
		r.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < 0x20:
			return "", r.bad("a control character stands in a string")
		case c != '\\':
			out = append(out, c)
		default:
			r2, err := r.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r2)
		}
	}
	return "", errJSONEnd
}

func (r *jsonReader) escape() (rune, error) {
	if r.at == len(r.data) {
		return 0, errJSONEnd
	}
	c := r.data[r.at]
	r.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return r.unicode()
	}
	return 0, r.bad("an escape is unknown")
}

func (r *jsonReader) unicode() (rune, error) {
	first, err := r.hex4()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if !r.word(`\u`) {
		return 0, r.bad("a surrogate stands alone")
	}
	second, err := r.hex4()
	if err != nil {
		return 0, err
	}
	pair := utf16.DecodeRune(first, second)
	if pair == utf8.RuneError {
		return 0, r.bad("a surrogate stands alone")
	}
	return pair, nil
}

func (r *jsonReader) hex4() (rune, error) {
	if len(r.data)-r.at < 4 {
		return 0, errJSONEnd
	}
	n, err := strconv.ParseUint(string(r.data[r.at:r.at+4]), 16, 16)
	if err != nil {
		return 0, r.bad("a \\u escape is malformed")
	}
	r.at += 4
	return rune(n), nil
}
