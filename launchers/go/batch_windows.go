package main

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Batch files are started by cmd.exe, which takes a command line apart by rules of its own: without these, a user's argument
// such as `"&calc` would be a command.

func isBatch(path string) bool {
	ending := strings.ToLower(filepath.Ext(path))
	return ending == ".bat" || ending == ".cmd"
}

// batchLine returns the interpreter and the command line that gives a batch file its arguments as they are.
func batchLine(path string, args []string) (interpreter, line string, err error) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return "", "", err
	}
	var out strings.Builder
	out.WriteString(`cmd.exe /e:ON /v:OFF /d /c ""` + path + `"`)
	for _, arg := range args {
		if strings.ContainsAny(arg, "\r\n\x00") {
			return "", "", plainError("a batch file cannot take an argument with a line break")
		}
		out.WriteByte(' ')
		writeBatchWord(&out, arg)
	}
	out.WriteByte('"')
	return filepath.Join(system, "cmd.exe"), out.String(), nil
}

// writeBatchWord quotes unless every character is known to be harmless. A quote is doubled and the backslashes before it too;
// "%" is followed by a substring of no length, so that no variable is put in.
func writeBatchWord(out *strings.Builder, word string) {
	quoted := word == "" || word[len(word)-1] == '\\'
	for i := 0; i < len(word); i++ {
		c := word[i]
		alnum := isLetter(c) || c >= '0' && c <= '9' || c >= 0x80
		quoted = quoted || !alnum && strings.IndexByte(`#$*+-./:?@\_`, c) < 0
	}
	if !quoted {
		out.WriteString(word)
		return
	}
	out.WriteByte('"')
	backslashes := 0
	for i := 0; i < len(word); i++ {
		switch c := word[i]; c {
		case '\\':
			backslashes++
		case '"':
			out.WriteString(strings.Repeat(`\`, backslashes) + `"`)
			backslashes = 0
		case '%':
			out.WriteString("%%cd:~,")
			backslashes = 0
		default:
			backslashes = 0
		}
		out.WriteByte(word[i])
	}
	out.WriteString(strings.Repeat(`\`, backslashes) + `"`)
}
