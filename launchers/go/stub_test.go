package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var testTime = time.Unix(315532800, 0)

// TestMain lets the test program be the stub: started with SEALIFT_TEST_STUB it is one.
func TestMain(m *testing.M) {
	if os.Getenv("SEALIFT_TEST_STUB") != "" {
		os.Exit(run(os.Args))
	}
	os.Exit(m.Run())
}

// world is a place to start packages in: an own cache, home and data folder.
type world struct {
	t   testing.TB
	dir string
	env map[string]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, env: map[string]string{
		"SEALIFT_TEST_STUB": "1", "PATH": "/usr/bin:/bin", "HOME": filepath.Join(dir, "home"),
		"SEALIFT_CACHE": filepath.Join(dir, "cache"), "SEALIFT_DATA": filepath.Join(dir, "data"),
	}}
	if err := os.Mkdir(w.env["HOME"], 0o700); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) with(pairs ...string) *world {
	other := &world{t: w.t, dir: w.dir, env: map[string]string{}}
	for k, v := range w.env {
		other.env[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		other.env[pairs[i]] = pairs[i+1]
	}
	return other
}

func (w *world) without(name string) *world {
	other := w.with()
	delete(other.env, name)
	return other
}

// outcome is how a start ended.
type outcome struct {
	code           int
	stdout, stderr string
}

func (w *world) command(argv ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	command := exec.Command(self, argv...)
	for k, v := range w.env {
		command.Env = append(command.Env, k+"="+v)
	}
	command.Dir = w.dir
	return command
}

func finish(t testing.TB, command *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{exitCode(command.ProcessState), stdout.String(), stderr.String()}
}

// start runs a package file with this test program as its stub.
func (w *world) start(file string, args ...string) outcome {
	w.t.Helper()
	return finish(w.t, w.command(append([]string{"--run-package", file}, args...)...))
}

// cli runs one command of CLI mode.
func (w *world) cli(file string, args ...string) outcome {
	w.t.Helper()
	return w.with("SEALIFT_LAUNCHER_CLI", "1").start(file, args...)
}

func (o outcome) fails(t testing.TB, code string) {
	t.Helper()
	message := find(code)
	fixed, _, _ := strings.Cut(message.text, "{")
	if o.code != message.exit || !strings.Contains(o.stderr, "sealift: error: "+fixed) {
		t.Fatalf("expected %s (%d), got %d:\n%s", code, message.exit, o.code, o.stderr)
	}
	if hint, _, _ := strings.Cut(message.hint, "{"); !strings.Contains(o.stderr, "hint: "+hint) {
		t.Fatalf("expected the hint of %s, got:\n%s", code, o.stderr)
	}
	for _, piece := range strings.Split(message.text, "{")[1:] {
		if _, rest, _ := strings.Cut(piece, "}"); !strings.Contains(o.stderr, rest) {
			t.Fatalf("expected %q in the message of %s, got:\n%s", rest, code, o.stderr)
		}
	}
}

func (o outcome) prints(t testing.TB, stdout string) {
	t.Helper()
	if o.code != 0 || o.stdout != stdout {
		t.Fatalf("expected %q, got exit code %d, %q:\n%s", stdout, o.code, o.stdout, o.stderr)
	}
}

// shell is a package that runs a shell script with one tree slot beside it.
func shell(script string, slots ...slotSpec) packageSpec {
	return packageSpec{
		slots:     append([]slotSpec{{id: "script", target: "bin/run", operations: "gzip", permissions: "0755", content: []byte("#!/bin/sh\n" + script)}}, slots...),
		execution: M{"argv": []string{"{workenv}/bin/run"}},
	}
}
