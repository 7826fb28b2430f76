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

// processExists asks for a process by number; one that belongs to somebody else exists too.
func processExists(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }

func isTerminal(file *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// searchPath finds a program by its bare name in a PATH, or "".
func searchPath(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		// An empty part would mean the current folder: a program there is nobody's intention.
		if dir == "" {
			continue
		}
		candidate := strings.TrimSuffix(dir, "/") + "/" + name
		if _, _, regular := statFile(candidate); regular && executable(candidate) {
			return candidate
		}
	}
	return ""
}
