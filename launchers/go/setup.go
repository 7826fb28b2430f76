package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// runSetup makes the directories of workenv.directories and runs the setup commands, in order, in the work environment and
// with the program's environment.
func runSetup(scope *Scope, env *Environ) error {
	for _, dir := range scope.pkg.plan.directories {
		if err := makeDirectory(scope, dir); err != nil {
			return err
		}
	}
	for i := range scope.pkg.plan.setup {
		if err := runStep(scope, &scope.pkg.plan.setup[i], i, env); err != nil {
			return err
		}
	}
	return nil
}

func makeDirectory(scope *Scope, dir Directory) error {
	tree := newTree(scope.env.root, "", 0, newNames(false))
	if err := tree.folder(dir.path); err != nil {
		return failIO(scope.env.at(dir.path), err)
	}
	if err := os.Chmod(scope.env.at(dir.path), os.FileMode(dir.mode)); err != nil {
		return failIO(scope.env.at(dir.path), err)
	}
	return nil
}

// step is one setup command with what every type shares.
type step struct {
	scope *Scope
	value *Value
	field string
	env   *Environ
}

func runStep(scope *Scope, value *Value, number int, env *Environ) error {
	s := &step{scope: scope, value: value, field: "setup_commands[" + itoa(number) + "]", env: env}
	faultPoint("setup")
	switch setupKind(value) {
	case "enumerate_and_execute":
		return s.enumerate()
	case "write_file":
		return s.writeFile()
	case "chmod":
		return s.chmod()
	}
	return s.execute(nil)
}

// setupKind is the type of a setup command; a text or a list of words is a command to execute.
func setupKind(value *Value) string {
	if kind := value.get("type"); value.kind == kindObject && !kind.isNull() {
		return kind.text
	}
	return "execute"
}

// checkSetup refuses unknown types before anything is unpacked.
func (f *fields) checkSetup(commands []Value) {
	for i := range commands {
		value := &commands[i]
		if value.kind != kindObject && value.kind != kindString && value.kind != kindArray {
			f.bad("setup_commands["+itoa(i)+"]", "is neither a text nor an object")
		}
		switch kind := setupKind(value); kind {
		case "execute", "enumerate_and_execute", "write_file", "chmod":
		default:
			if f.err == nil {
				f.err = fail("SETUP_TYPE", "name", itoa(i+1), "actual", kind)
			}
		}
	}
}

func (s *step) bad(key, detail string) error {
	field := s.field
	if key != "" {
		field += "." + key
	}
	return fail("PSPF_FIELD", "file", s.scope.pkg.file, "field", field, "detail", detail)
}

// words reads the command: a list of words, or text that is split before anything is put in.
func (s *step) words() ([]string, error) {
	command := s.value
	if command.kind == kindObject {
		if command = s.value.get("argv"); command.isNull() {
			command = s.value.get("command")
		}
	}
	f := &fields{file: s.scope.pkg.file, sealed: true}
	var words []string
	if command.kind == kindArray {
		words = f.texts(command, s.field)
	} else {
		var err error
		if words, err = splitWords(f.text(command, s.field+".command")); err != nil {
			return nil, fail("COMMAND_WORDS", "detail", s.field+": "+err.Error())
		}
	}
	if f.err == nil && len(words) == 0 {
		return nil, s.bad("command", "is empty")
	}
	if f.err != nil {
		return nil, f.err
	}
	return s.scope.fillAll(words)
}

// execute runs the command with more words behind it.
func (s *step) execute(more []string) error {
	words, err := s.words()
	if err != nil {
		return err
	}
	words = append(words, more...)
	program := programPath(words[0], s.env.get("PATH"), s.scope.pkg.image)
	if program == "" {
		return fail("EXEC_FAILED", "path", words[0], "detail", "it is not in PATH")
	}
	tail := &tailWriter{}
	command := &exec.Cmd{Path: program, Args: words, Env: withOrigin(program, s.env.list()), Dir: s.scope.env.root, Stdout: tail, Stderr: tail}
	debugf("setup", "command", words[0])
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		printErr(tail.lastLines(20))
		return fail("SETUP_FAILED", "name", strings.Join(words, " "), "actual", itoa(exitCode(exit.ProcessState)))
	}
	return fail("EXEC_FAILED", "path", program, "detail", reason(err))
}

// tailWriter keeps the end of what a command prints.
type tailWriter struct{ kept []byte }

const keptOutput = 64 << 10

func (w *tailWriter) Write(data []byte) (int, error) {
	w.kept = append(w.kept, data...)
	if len(w.kept) > 2*keptOutput {
		w.kept = append([]byte(nil), w.kept[len(w.kept)-keptOutput:]...)
	}
	return len(data), nil
}

func (w *tailWriter) lastLines(count int) string {
	lines := bytes.Split(bytes.TrimRight(w.kept, "\n"), []byte("\n"))
	lines = lines[max(0, len(lines)-count):]
	if len(lines) == 1 && len(lines[0]) == 0 {
		return ""
	}
	return string(bytes.Join(lines, []byte("\n"))) + "\n"
}

// enumerate runs the command once with every match behind it. Both places that earlier writers use for path and pattern count.
func (s *step) enumerate() error {
	where := s.value.get("enumerate")
	if where.isNull() {
		where = s.value
	}
	dir, err := s.place(where, "path")
	if err != nil {
		return err
	}
	pattern := where.get("pattern").text
	if pattern == "" {
		pattern = "*"
	}
	matches, err := matching(dir, pattern)
	if err != nil {
		return failIO(dir, err)
	}
	if len(matches) == 0 {
		return nil
	}
	return s.execute(matches)
}

// matching lists the names in dir that match, sorted.
func matching(dir, pattern string) ([]string, error) {
	names, err := listNames(dir)
	if err != nil {
		return nil, err
	}
	sort.Strings(names)
	var found []string
	for _, name := range names {
		if glob(pattern, name) {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found, nil
}

// place reads a path that must lie inside the work environment.
func (s *step) place(v *Value, key string) (string, error) {
	text := v.get(key)
	if text.kind != kindString {
		return "", s.bad(key, "is not a text")
	}
	path, err := s.scope.fill(text.text)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.scope.env.root, filepath.FromSlash(path))
	}
	path = filepath.Clean(path)
	if path != s.scope.env.root && !strings.HasPrefix(path, s.scope.env.root+string(filepath.Separator)) {
		return "", s.bad(key, "is not inside {workenv}")
	}
	return path, nil
}

func (s *step) mode(missing uint32) (os.FileMode, error) {
	v := s.value.get("mode")
	if v.isNull() {
		return os.FileMode(missing), nil
	}
	mode, ok := parseMode(v.text)
	if n, number := v.uint(); number {
		// A JSON number is the mode itself, as the earlier launchers read it.
		mode, ok = uint32(n), n <= 0o777
	}
	if !ok {
		return 0, s.bad("mode", "is not an octal mode")
	}
	return os.FileMode(mode), nil
}

func (s *step) writeFile() error {
	path, err := s.place(s.value, "path")
	if err != nil {
		return err
	}
	content := s.value.get("content")
	if content.kind != kindString {
		return s.bad("content", "is not a text")
	}
	text, err := s.scope.fill(content.text)
	if err != nil {
		return err
	}
	mode, err := s.mode(0o644)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return failIO(path, err)
	}
	// A new file, so that nothing is written through a link or into a file with another name.
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return failIO(path, err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return failIO(path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return failIO(path, err)
	}
	return nil
}

// chmod sets the mode of a path whose last part may hold "*" and "?".
func (s *step) chmod() error {
	path, err := s.place(s.value, "path")
	if err != nil {
		return err
	}
	mode, err := s.mode(0o700)
	if err != nil {
		return err
	}
	paths := []string{path}
	if strings.ContainsAny(filepath.Base(path), "*?") {
		if paths, err = matching(filepath.Dir(path), filepath.Base(path)); err != nil {
			return failIO(path, err)
		}
	}
	for _, p := range paths {
		if err := os.Chmod(p, mode); err != nil {
			return failIO(p, err)
		}
	}
	return nil
}
