package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Standing is the service's folder, <data>/.service/<instance> (launcher.md, "Services"): who runs, and what was last known of
// it. The lock is the truth: the system drops it when its holder ends, however that happens, and names the holder itself, so
// a number in a file is never taken for a process.
type Standing struct{ dir string }

// State is what the supervisor wrote last. Times are seconds since 1970; 0 stands for none.
type State struct {
	version, identity   string
	supervisor, program int
	started, since      int64
	restarts, port      int64
	stopTimeout         int64
	ended               bool // a program has ended, with this code
	exit                int
}

const stateHead = "sealift-service 1\n"

func standingOf(pkg *Package, instance string) (*Standing, error) {
	data, err := dataFolder(pkg)
	if err != nil {
		return nil, err
	}
	return &Standing{filepath.Join(filepath.Dir(data), ".service", plainName(instance))}, nil
}

func (s *Standing) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Standing) open(name string) (*os.File, error) {
	file, err := os.OpenFile(s.path(name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, failIO(s.path(name), err)
	}
	return file, nil
}

func (s *Standing) write(state *State) error {
	text := stateHead + "version " + state.version + "\nidentity " + state.identity +
		"\nsupervisor " + itoa(state.supervisor) + "\nprogram " + itoa(state.program) +
		"\nstarted " + itoa(state.started) + "\nsince " + itoa(state.since) +
		"\nrestarts " + itoa(state.restarts) + "\nport " + itoa(state.port) + "\nstop_timeout " + itoa(state.stopTimeout) + "\n"
	if state.ended {
		text += "exit " + itoa(state.exit) + "\n"
	}
	temporary, path := s.path("state.new"), s.path("state")
	err := os.WriteFile(temporary, []byte(text+"end\n"), 0o600)
	if err == nil {
		err = replaceFile(temporary, path)
	}
	if err != nil {
		return failIO(path, err)
	}
	return nil
}

// read gives what was written last, or a state without anything when there is nothing whole.
func (s *Standing) read() *State {
	data, err := os.ReadFile(s.path("state"))
	text, whole := strings.CutSuffix(string(data), "\nend\n")
	text, known := strings.CutPrefix(text, stateHead)
	if err != nil || !whole || !known {
		return &State{}
	}
	fields := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		name, value, _ := strings.Cut(line, " ")
		fields[name] = value
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(fields[name], 10, 64)
		return n
	}
	_, ended := fields["exit"]
	return &State{
		version: fields["version"], identity: fields["identity"],
		supervisor: int(number("supervisor")), program: int(number("program")),
		started: number("started"), since: number("since"),
		restarts: number("restarts"), port: number("port"), stopTimeout: number("stop_timeout"),
		ended: ended, exit: int(number("exit")),
	}
}

// lastLines reads the end of the log.
func (s *Standing) lastLines(count int) []string {
	const most = 256 << 10
	file, err := os.Open(s.path("log"))
	if err != nil {
		return nil
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-most), io.SeekStart)
	}
	data, _ := io.ReadAll(file)
	if len(data) == 0 {
		return nil
	}
	lines := strings.Split(string(bytes.TrimSuffix(data, []byte("\n"))), "\n")
	return lines[max(0, len(lines)-count):]
}
