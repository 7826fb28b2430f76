package main

import (
	"os"
	"unicode/utf16"

	"golang.org/x/sys/windows"
)

// askTerminal reads a line from the console of this process without showing it, whatever its standard streams are. An error
// means that there is none. Ctrl-C ends the process as ever: a console forgets the mode with the handle's process.
func askTerminal(question string) ([]byte, error) {
	input, err := os.OpenFile("CONIN$", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer input.Close()
	output, err := os.OpenFile("CONOUT$", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	console := windows.Handle(input.Fd())
	var before uint32
	if err := windows.GetConsoleMode(console, &before); err != nil {
		return nil, err
	}
	_, _ = output.WriteString(question)
	if err := windows.SetConsoleMode(console, before&^windows.ENABLE_ECHO_INPUT|windows.ENABLE_LINE_INPUT); err != nil {
		return nil, err
	}
	defer func() {
		_ = windows.SetConsoleMode(console, before)
		_, _ = output.WriteString("\r\n")
	}()
	return readConsoleLine(console)
}

func readConsoleLine(console windows.Handle) ([]byte, error) {
	var typed []uint16
	part := make([]uint16, 256)
	for len(typed) < maxKeyText {
		var n uint32
		if err := windows.ReadConsole(console, &part[0], uint32(len(part)), &n, nil); err != nil || n == 0 {
			return nil, err
		}
		for _, c := range part[:n] {
			if c == '\r' || c == '\n' {
				return []byte(string(utf16.Decode(typed))), nil
			}
			typed = append(typed, c)
		}
	}
	return []byte(string(utf16.Decode(typed))), nil
}
