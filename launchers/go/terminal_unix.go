//go:build unix

package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// askTerminal reads a line from the terminal of this process without showing it, whatever its standard streams are. An
// error means that there is none.
func askTerminal(question string) ([]byte, error) {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	fd := int(terminal.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	silent := *before
	// Ctrl-C comes as a byte, so that the terminal is itself again before the signal ends the process.
	silent.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	silent.Cc[unix.VMIN], silent.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, setTermios, &silent); err != nil {
		return nil, err
	}
	_, _ = terminal.WriteString(question)
	typed, interrupted := readHidden(terminal)
	_ = unix.IoctlSetTermios(fd, setTermios, before)
	_, _ = terminal.WriteString("\n")
	if interrupted {
		_ = unix.Kill(os.Getpid(), unix.SIGINT)
		time.Sleep(time.Second) // the signal comes to another thread; whoever ignores it gets no passphrase
	}
	return typed, nil
}

func readHidden(terminal *os.File) (typed []byte, interrupted bool) {
	var one [1]byte
	for len(typed) < maxKeyText {
		if n, err := terminal.Read(one[:]); n != 1 || err != nil {
			break
		}
		switch c := one[0]; c {
		case 3:
			return nil, true
		case 4, '\n', '\r':
			return typed, false
		case 8, 127:
			typed = withoutLast(typed)
		default:
			typed = append(typed, c)
		}
	}
	return typed, false
}

// withoutLast takes off the last character: the bytes that continue it, and the one that leads.
func withoutLast(typed []byte) []byte {
	for len(typed) > 0 {
		c := typed[len(typed)-1]
		typed = typed[:len(typed)-1]
		if c&0xc0 != 0x80 {
			break
		}
	}
	return typed
}
