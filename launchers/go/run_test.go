package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestManyProcessesAtOnceExtractOnce(t *testing.T) {
	spec := shell(`cat "$SEALIFT_WORKENV/made"`)
	spec.more = M{"setup_commands": []any{M{"type": "execute", "command": "/bin/sh -c 'echo one >>made; sleep 0.3'"}}}
	file := writePackage(t, build(t, spec))
	w := newWorld(t)
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if got := w.start(file); got.stdout != "one\n" || got.code != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
}

func TestAKilledFirstStartIsRepaired(t *testing.T) {
	spec := shell(`cat "$SEALIFT_WORKENV/t/x"`, slotSpec{id: "tree", target: "t", operations: "tgz", content: tarOf(t, true, member{name: "x", text: "whole\n"})})
	spec.more = M{"setup_commands": []any{"/bin/sh -c 'test -e \"$HOME/go\" || { touch \"$HOME/began\"; sleep 60; }'"}}
	file := writePackage(t, build(t, spec))
	w := newWorld(t)
	command := w.command("--run-package", file)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(w.env["HOME"], "began")) {
		time.Sleep(5 * time.Millisecond)
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	_ = os.WriteFile(filepath.Join(w.env["HOME"], "go"), nil, 0o600)
	w.start(file).prints(t, "whole\n")
}

func TestAWaiterSaysSo(t *testing.T) {
	spec := shell("echo ran")
	spec.more = M{"setup_commands": []any{"/bin/sh -c 'touch \"$HOME/began\"; sleep 3'"}}
	file := writePackage(t, build(t, spec))
	w := newWorld(t)
	first := w.command("--run-package", file)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(w.env["HOME"], "began")) {
		time.Sleep(5 * time.Millisecond)
	}
	got := w.start(file)
	got.prints(t, "ran\n")
	if !strings.Contains(got.stderr, "another process is preparing demo; waiting") {
		t.Errorf("stderr: %s", got.stderr)
	}
	_ = first.Wait()
}

func TestAChangedEnvironmentIsMadeAnew(t *testing.T) {
	file := writePackage(t, build(t, shell("echo honest; cat \"$SEALIFT_WORKENV/t/x\"", slotSpec{id: "tree", target: "t", operations: "tgz", content: tarOf(t, true, member{name: "x", text: "1\n"})})))
	w := newWorld(t)
	w.start(file).prints(t, "honest\n1\n")
	dirs, _ := filepath.Glob(filepath.Join(w.dir, "cache", "workenv", "*"))
	program, note := filepath.Join(dirs[0], "bin/run"), filepath.Join(dirs[0], "t/x")
	for name, change := range map[string]func() error{
		"a truncated program":  func() error { return os.Truncate(program, 0) },
		"a removed program":    func() error { return os.Remove(program) },
		"no right to run":      func() error { return os.Chmod(program, 0o644) },
		"a truncated marker":   func() error { return os.Truncate(filepath.Join(dirs[0], ".sealift/ready"), 60) },
		"an empty marker":      func() error { return os.Truncate(filepath.Join(dirs[0], ".sealift/ready"), 0) },
		"another's marker":     func() error { return replaceIn(filepath.Join(dirs[0], ".sealift/ready"), "identity ", "identity 0") },
		"a folder for program": func() error { _ = os.Remove(program); return os.Mkdir(program, 0o700) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if got := w.start(file); got.stdout != "honest\n1\n" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	stamp := time.Unix(315532800, 0)
	if err := os.WriteFile(note, []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_ = os.Chtimes(note, stamp, stamp)
	w.start(file).prints(t, "honest\n2\n")
	got := w.with("SEALIFT_VERIFY", "full").start(file)
	if got.stdout != "honest\n1\n" || !strings.Contains(got.stderr, "was changed and is made anew") {
		t.Errorf("full verification: %+v", got)
	}
	if got := w.with("SEALIFT_VERIFY", "full").start(file); got.stderr != "" || got.code != 0 {
		t.Errorf("full verification of an honest environment: %+v", got)
	}
}

func replaceIn(path, old, new string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o600)
}

func TestExitCodesAndSignals(t *testing.T) {
	for script, code := range map[string]int{"exit 0": 0, "exit 42": 42, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		file := writePackage(t, build(t, shell(script)))
		if got := newWorld(t).start(file); got.code != code {
			t.Errorf("exec %s: %+v", script, got)
		}
		if got := newWorld(t).with("SEALIFT_EXEC", "spawn").start(file); got.code != code {
			t.Errorf("spawn %s: %+v", script, got)
		}
	}
}

func TestSignalsReachASpawnedProgram(t *testing.T) {
	file := writePackage(t, build(t, shell("trap 'echo got it; exit 9' TERM\necho up\nwhile :; do sleep 0.05; done")))
	command := newWorld(t).with("SEALIFT_EXEC", "spawn").command("--run-package", file)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 3)
	_, _ = out.Read(line)
	_ = command.Process.Signal(syscall.SIGTERM)
	rest := make([]byte, 64)
	n, _ := out.Read(rest)
	if _ = command.Wait(); string(rest[:n]) != "got it\n" || exitCode(command.ProcessState) != 9 {
		t.Errorf("%q, exit code %d", rest[:n], exitCode(command.ProcessState))
	}
}

func TestArgumentsAndVariablesMayHoldAnyBytes(t *testing.T) {
	file := writePackage(t, build(t, shell(`printf '%s|%s|%s' "$1" "$2" "$ODD"`)))
	w := newWorld(t).with("ODD", "v\xfe")
	for range 2 {
		w.start(file, "a\xff b", "*'\"$x\n").prints(t, "a\xff b|*'\"$x\n|v\xfe")
	}
}

func TestEachVariableStandsOnce(t *testing.T) {
	spec := shell("env | sort | uniq -d; echo \"$GREETING $PATH $A_1 ${B_2-none} $KEPT\"")
	spec.execution["env"] = M{"GREETING": "hi from {package_name} {version}"}
	spec.more = M{"runtime": M{"env": M{"unset": []string{"A_*", "B_?"}, "pass": []string{"A_1"}, "map": M{"OLD": "KEPT"}, "set": M{"GREETING": "set"}}}}
	w := newWorld(t).with("A_1", "one", "B_2", "two", "OLD", "old", "GREETING", "mine")
	got := w.start(writePackage(t, build(t, spec)))
	if !strings.HasPrefix(got.stdout, "hi from demo 1.0 ") || !strings.HasSuffix(got.stdout, "/bin:/usr/bin:/bin one none old\n") {
		t.Errorf("%+v", got)
	}
}

func TestLyingPackagesAreRefusedAndLeaveNothing(t *testing.T) {
	honest := tarOf(t, true, member{name: "x", text: strings.Repeat("x", 5000)})
	frame := zstdFrame(t, honest)
	for name, test := range map[string]struct {
		slot slotSpec
		code string
	}{
		"a bomb":              {slotSpec{stored: encode(t, "gzip", make([]byte, 1<<20)), operations: "gzip", content: make([]byte, 1000)}, "UNPACK_SIZE"},
		"a tar bomb":          {slotSpec{stored: encode(t, "gzip", honest), operations: "tgz", content: make([]byte, 1000)}, "UNPACK"},
		"too little":          {slotSpec{stored: encode(t, "gzip", honest), operations: "gzip", content: make([]byte, 1<<20)}, "UNPACK"},
		"not gzip":            {slotSpec{stored: []byte("plain"), operations: "gzip", content: []byte("plain")}, "UNPACK"},
		"gzip and garbage":    {slotSpec{stored: append(encode(t, "gzip", honest), "tail"...), operations: "gzip", content: honest}, "UNPACK"},
		"zstd and garbage":    {slotSpec{stored: append(zstdFrame(t, honest), "tail"...), operations: "zstd", content: honest}, "UNPACK"},
		"xz and garbage":      {slotSpec{stored: append(encode(t, "xz", honest), "tail"...), operations: "xz", content: honest}, "UNPACK"},
		"cut zstd":            {slotSpec{stored: frame[:len(frame)-3], operations: "zstd", content: honest}, "UNPACK"},
		"a chunk of too much": {slotSpec{stored: frame, operations: "tar|zstd", content: make([]byte, 2048), more: M{"chunks": [][]int{{len(frame), 2048}}}}, "UNPACK"},
		"a chunk of too little": {slotSpec{stored: frame, operations: "zstd", content: make([]byte, len(honest)+1),
			more: M{"chunks": [][]int{{len(frame), len(honest) + 1}}}}, "UNPACK"},
		"an empty chunk": {slotSpec{stored: frame, operations: "tar|zstd", content: honest, more: M{"chunks": [][]int{{0, 0}, {len(frame), len(honest)}}}}, "UNPACK"},
		"a way out":      {slotSpec{operations: "tgz", content: tarOf(t, true, member{name: "../../../../x", text: "x"})}, "UNPACK_PATH"},
	} {
		test.slot.id, test.slot.target = "bad", "bad"
		w := newWorld(t)
		got := w.start(writePackage(t, build(t, shell("echo ran", test.slot))))
		if got.code != 103 || got.stdout != "" {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		got.fails(t, test.code)
		if left, _ := filepath.Glob(filepath.Join(w.dir, "cache", "workenv", "*")); len(left) != 0 {
			t.Errorf("%s leaves %v", name, left)
		}
	}
}

func TestTheCacheMustBeTheUsersOwn(t *testing.T) {
	file := writePackage(t, build(t, shell("echo ran")))
	w := newWorld(t)
	open := filepath.Join(w.dir, "open")
	_ = os.Mkdir(open, 0o700)
	_ = os.Chmod(open, 0o777)
	_ = os.Symlink(filepath.Join(w.dir, "home"), filepath.Join(open, "link"))
	plainFile := filepath.Join(w.dir, "file")
	_ = os.WriteFile(plainFile, nil, 0o600)
	w.with("SEALIFT_CACHE", open).start(file).fails(t, "CACHE_WRITABLE")
	w.with("SEALIFT_CACHE", filepath.Join(open, "link", "cache")).start(file).fails(t, "CACHE_LINK")
	w.with("SEALIFT_CACHE", "relative").start(file).fails(t, "CACHE_RELATIVE")
	w.with("SEALIFT_CACHE", plainFile).start(file).fails(t, "CACHE_CREATE")
	w.without("SEALIFT_CACHE").without("HOME").start(file).fails(t, "CACHE_UNSET")
	if os.Geteuid() == 0 {
		foreign := filepath.Join(w.dir, "foreign")
		_ = os.Mkdir(foreign, 0o700)
		_ = os.Chown(foreign, 12345, 12345)
		w.with("SEALIFT_CACHE", foreign).start(file).fails(t, "CACHE_OWNER")
	}
	w.with("SEALIFT_CACHE", filepath.Join(w.dir, "deep", "new")).start(file).prints(t, "ran\n")
	if info, err := os.Stat(filepath.Join(w.dir, "deep")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("made with mode %v", info.Mode())
	}
}

func TestWordsFollowPOSIX(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		"  a  b\tc\n":              {"a", "b", "c"},
		`'a b' "c d"`:              {"a b", "c d"},
		`a'b'"c"d`:                 {"abcd"},
		`''  ""`:                   {"", ""},
		`a\ b \'`:                  {"a b", "'"},
		`"a\"b\\c\d\$" 'x\y'`:      {`a"b\c\d$`, `x\y`},
		"a\\\nb \"c\\\nd\"":        {"ab", "cd"},
		"a \\\n b":                 {"a", "b"},
		`{workenv}/x --n="1 2" é日`: {"{workenv}/x", "--n=1 2", "é日"},
	} {
		if got, err := splitWords(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{`'a`, `"a`, `a\`, `"a\`, `"a\"`} {
		if _, err := splitWords(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestMarkersAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".sealift", "ready")
	want := &Ready{identity: strings.Repeat("ab", 32), name: "demo 1.0", stores: []string{strings.Repeat("cd", 32)},
		entries: []Mark{{0, 5, 12345678901, 0o755, "bin/a b"}, {0, 1, -1, 0o4, `odd\name` + "\n\r"}}}
	for i := range 2000 {
		want.files = append(want.files, Mark{'f', int64(i), 7, 0o644, fmt.Sprintf("dir/%04d\n", i)})
	}
	if err := writeReady(path, want); err != nil {
		t.Fatal(err)
	}
	got := readReady(path)
	files := readFiles(path)
	if got == nil || got.identity != want.identity || !reflect.DeepEqual(got.entries, want.entries) || !reflect.DeepEqual(got.stores, want.stores) {
		t.Errorf("got %+v", got)
	}
	if len(files) != 2000 || files["dir/0007\n"].size != 7 {
		t.Errorf("%d files", len(files))
	}
	data, _ := os.ReadFile(path)
	for cut := 0; cut < len(data); cut += 97 {
		if parseFiles(string(data[:cut])) != nil {
			t.Fatalf("a list cut at %d is believed", cut)
		}
	}
}

func TestTheOwnFileIsFoundWithoutProc(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(self))
	for _, word := range []string{self, filepath.Base(self)} {
		if found, err := searchSelf(word); err != nil || found != self {
			t.Errorf("%s: %s, %v", word, found, err)
		}
	}
}
