//go:build unix

package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const canReplace = true

func replaceProcess(path string, argv, env []string) error { return syscall.Exec(path, argv, env) }

// forwarded are the signals that a launcher passes to its child.
var forwarded = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGALRM, syscall.SIGCONT, syscall.SIGWINCH}

// spawn runs the program as a child in the same process group, so that the terminal treats both as one job, and returns its
// exit code, 128+n for a signal.
func spawn(path string, argv, env []string) (int, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded...)
	process, err := os.StartProcess(path, argv, &os.ProcAttr{Env: env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		signal.Reset(forwarded...)
		return 0, err
	}
	go forward(process, signals)
	state, err := process.Wait()
	if err != nil {
		return 0, err
	}
	return exitCode(state), nil
}

func forward(process *os.Process, signals chan os.Signal) {
	for s := range signals {
		// What the terminal sends goes to its whole foreground group, so the child has it already.
		fromTerminal := s == syscall.SIGINT || s == syscall.SIGQUIT || s == syscall.SIGWINCH || s == syscall.SIGCONT
		if !fromTerminal || !inForeground() {
			_ = process.Signal(s)
		}
	}
}

// inForeground tells whether this process belongs to the foreground group of its terminal.
func inForeground() bool {
	terminal, err := unix.Open("/dev/tty", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(terminal)
	group, err := unix.IoctlGetInt(terminal, unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// keepRunningWithoutReader: a reader of our messages that went away must not end a first start half-way. Children get the
// system's default back, as they do for every handled signal.
func keepRunningWithoutReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// holdFolder locks a folder for as long as this process lives.
func holdFolder(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	}
	return err
}

// folderHeld tells whether a process holds the folder.
func folderHeld(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil
}

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// searchPath finds a program by its bare name in a PATH, or "". What skip names is passed over.
func searchPath(name, path string, skip func(string) bool) string {
	for _, dir := range filepath.SplitList(path) {
		// An empty part would mean the current folder: a program there is nobody's intention.
		if dir == "" {
			continue
		}
		candidate := strings.TrimSuffix(dir, "/") + "/" + name
		if _, _, regular := statFile(candidate); regular && executable(candidate) && !skip(candidate) {
			return candidate
		}
	}
	return ""
}
