package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// plain turns a value into what encoding/json makes of the same text.
func plain(v *Value) any {
	switch v.kind {
	case kindBool:
		return v.text == "true"
	case kindNumber:
		return json.Number(v.text)
	case kindString:
		return v.text
	case kindArray:
		list := []any{}
		for i := range v.items {
			list = append(list, plain(&v.items[i]))
		}
		return list
	case kindObject:
		object := map[string]any{}
		for i := range v.members {
			object[v.members[i].key] = plain(&v.members[i].value)
		}
		return object
	}
	return nil
}

func agree(t *testing.T, text string) {
	t.Helper()
	value, err := parseJSON([]byte(text))
	if err != nil {
		return // what is stricter here has tests of its own
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var want any
	if err := decoder.Decode(&want); err != nil {
		t.Fatalf("%q is accepted, encoding/json says %v", text, err)
	}
	if got := plain(value); !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: got %v, want %v", text, got, want)
	}
}

func TestJSONReadsWhatTheStandardLibraryReads(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, ` {"a" : [1, -2.5e+3, true, false, null, "x\n\u00e9\ud83d\udce6/"]} `, `0`, `"é"`, `-0`, `1E9`,
		`{"a":{"b":{"c":[[]]}}}`, `"\"\\\/\b\f\n\r\t"`} {
		if _, err := parseJSON([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		agree(t, text)
	}
}

func TestJSONRefuses(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	for name, text := range map[string]string{
		"duplicate key":              `{"a":1,"a":2}`,
		"duplicate key by an escape": `{"a":1,"\u0061":2}`,
		"duplicate key deep inside":  `[{"x":{"b":1,"c":2,"b":3}}]`,
		"duplicate among many":       `{` + strings.Join(many, ",") + `,"k3":1}`,
		"depth":                      strings.Repeat("[", 65) + strings.Repeat("]", 65),
		"depth 10,000":               strings.Repeat(`{"a":`, 10_000),
		"not UTF-8":                  "\"\xff\"",
		"overlong UTF-8":             "\"\xc0\xaf\"",
		"byte order mark":            "\ufeff{}",
		"lone surrogate":             `"\ud800"`,
		"surrogates in wrong order":  `"\udc00\ud800"`,
		"control character":          "\"a\nb\"",
		"trailing comma":             `[1,]`,
		"trailing text":              `{} x`,
		"two values":                 `{}{}`,
		"leading zero":               `01`,
		"bare minus":                 `-`,
		"no digit after the point":   `1.`,
		"single quotes":              `{'a':1}`,
		"comment":                    `{} // x`,
		"cut off":                    `{"a":`,
		"cut off string":             `"abc`,
		"cut off escape":             `"\u12`,
		"empty":                      ``,
		"NaN":                        `NaN`,
	} {
		if _, err := parseJSON([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range []string{`{"a":[1,2.5,"x\u00e9"],"b":null}`, `[[[[]]]]`, `"\ud83d\udce6"`, `{"a":1,"a":2}`, `-0.0e-1`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { agree(t, text) })
}

func TestWriterEscapes(t *testing.T) {
	w := newWriter()
	w.open('{').text("a\"", "x\\\n\u00e9\xff").bool("b", true).number("c", -1).close('}')
	var got map[string]any
	if err := json.Unmarshal([]byte(w.String()), &got); err != nil || got["a\""] != "x\\\n\u00e9\ufffd" || got["b"] != true {
		t.Errorf("%s: %v", w.String(), err)
	}
}
