package main

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Failure is an error with a code of test/conformance/messages.json and the values for its placeholders.
type Failure struct {
	code string
	args []string // name, value, name, value …
}

func fail(code string, args ...string) *Failure {
	return &Failure{code: code, args: args}
}

// failIO says which path the system refused and why.
func failIO(path string, err error) error {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	return fail("IO", "path", path, "detail", reason(err))
}

// reason is the system's own words for err, without the call and path that Go puts before them.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return strings.TrimSuffix(number.Error(), ".") // Windows speaks in sentences
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// Error renders the message without its hint.
func (f *Failure) Error() string { return f.fill(find(f.code).text) }

func (f *Failure) hint() string { return f.fill(find(f.code).hint) }

func (f *Failure) exit() int { return find(f.code).exit }

// fill puts the values into a message; what is put in is never filled again.
func (f *Failure) fill(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		out.WriteString(f.value(name))
		text = after
	}
}

func (f *Failure) value(name string) string {
	for i := 0; i+1 < len(f.args); i += 2 {
		if f.args[i] == name {
			return f.args[i+1]
		}
	}
	return "{" + name + "}"
}

func find(code string) *message {
	for i := range messages {
		if messages[i].code == code {
			return &messages[i]
		}
	}
	panic("no message " + code)
}

// asFailure gives every error a code: what the stub did not foresee is INTERNAL.
func asFailure(err error) *Failure {
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	return fail("INTERNAL", "detail", err.Error())
}

// report prints err for people, or as JSON where that was asked for, and returns its exit code.
func report(err error) int {
	f := asFailure(err)
	if logJSON {
		printErr(f.json() + "\n")
		return f.exit()
	}
	text := "sealift: error: " + printable(f.Error()) + "\n"
	if hint := f.hint(); hint != "" {
		text += "hint: " + printable(hint) + "\n"
	}
	printErr(text)
	return f.exit()
}

// warn prints the message of a code that does not stop the start.
func warn(f *Failure) {
	if logJSON {
		w := newWriter()
		w.open('{').text("level", "warn").text("code", f.code).text("message", f.Error()).close('}')
		printErr(w.String() + "\n")
		return
	}
	printErr("sealift: warning: " + printable(f.Error()) + "\n")
}

func (f *Failure) json() string {
	w := newWriter()
	w.open('{').text("schema", "sealift.error/1").bool("ok", false).text("code", f.code).text("message", f.Error()).
		text("hint", f.hint()).number("exit", int64(f.exit())).close('}')
	return w.String()
}

// printable keeps names out of packages from steering a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}

func printErr(text string) { _, _ = os.Stderr.WriteString(text) }

// printOut writes a result; a closed standard output is an I/O error, not a silent success.
func printOut(text string) error {
	if _, err := os.Stdout.WriteString(text); err != nil {
		return failIO("standard output", err)
	}
	return nil
}
