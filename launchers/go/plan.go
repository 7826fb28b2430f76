package main

import (
	"strings"
)

// Plan is what the signed JSON says, in one shape for every dialect (format.md sections 3 and 9).
type Plan struct {
	sealed        bool
	name, version string
	slots         []Slot
	argv          []string // the default command; nil means that command is to be split
	command       string
	entries       []Entry
	runtimeEnv    RuntimeEnv
	service       *Service
	workenvEnv    []Pair
	executionEnv  []Pair
	directories   []Directory
	setup         []Value
	launcherSize  uint64
	launcherSum   [32]byte
	launcherTool  [2]string // name, version
	sealIndex     *Value
}

// fileTime is the modification time of file slots in nanoseconds: when the package was built, by its own word.
func (p *Plan) fileTime() int64 {
	const epoch = 315532800
	if p.sealIndex != nil {
		if stamp, ok := p.sealIndex.get("build_timestamp").uint(); ok && stamp <= 1<<33 {
			return int64(stamp) * 1e9
		}
		return 0
	}
	return epoch * 1e9
}

// Entry is one more command of the package.
type Entry struct {
	name string
	argv []string
}

// Pair is a variable with its value before substitution.
type Pair struct{ name, value string }

// RuntimeEnv holds the rules for the parent's variables.
type RuntimeEnv struct {
	pass, unset []string
	renames     []Pair
	set         []Pair
}

// Directory is made in the work environment before setup.
type Directory struct {
	path string
	mode uint32
}

// fields reads typed members and remembers the first that is wrong, so that reading stays one line per field.
type fields struct {
	file   string
	sealed bool
	err    error
}

func (f *fields) bad(field, detail string) {
	if f.err == nil {
		f.err = fail("PSPF_FIELD", "file", f.file, "field", field, "detail", detail)
	}
}

func (f *fields) text(v *Value, field string) string {
	if v.kind != kindString && !v.isNull() {
		f.bad(field, "is not a text")
	}
	return v.text
}

// required reads a text that the sealed profile always has.
func (f *fields) required(v *Value, field string) string {
	if f.sealed && v.isNull() {
		f.bad(field, "is missing")
	}
	return f.text(v, field)
}

func (f *fields) object(v *Value, field string) *Value {
	if v.kind != kindObject && !v.isNull() {
		f.bad(field, "is not an object")
		return absent
	}
	return v
}

func (f *fields) list(v *Value, field string) []Value {
	if v.kind != kindArray && !v.isNull() {
		f.bad(field, "is not a list")
	}
	return v.items
}

func (f *fields) texts(v *Value, field string) []string {
	var out []string
	for _, item := range f.list(v, field) {
		if item.kind != kindString {
			f.bad(field, "holds something that is not a text")
			return nil
		}
		out = append(out, item.text)
	}
	return out
}

// pairs reads a map of texts in document order; names that no system can hold are refused here.
func (f *fields) pairs(v *Value, field string) []Pair {
	var out []Pair
	for _, m := range f.object(v, field).members {
		if m.value.kind != kindString {
			f.bad(field+"."+m.key, "is not a text")
			return nil
		}
		if m.key == "" || strings.ContainsAny(m.key, "=\x00") || strings.Contains(m.value.text, "\x00") {
			f.bad(field+"."+m.key, "is not a variable")
			return nil
		}
		out = append(out, Pair{m.key, m.value.text})
	}
	return out
}

// readPlan reads every field that the stub uses and refuses what it cannot follow.
func readPlan(meta *Value, file string) (*Plan, error) {
	f := &fields{file: file}
	if meta.kind != kindObject {
		return nil, fail("PSPF_METADATA", "file", file, "detail", "it is not a JSON object")
	}
	plan := &Plan{}
	if err := readSealVersion(plan, f.object(meta.get("seal"), "seal"), file); err != nil {
		return nil, err
	}
	f.sealed = plan.sealed
	if format := f.text(meta.get("format"), "format"); format != "PSPF/2025" && (plan.sealed || format != "") {
		f.bad("format", "is not PSPF/2025")
	}
	f.readPackageName(plan, f.object(meta.get("package"), "package"))
	f.readExecution(plan, f.object(meta.get("execution"), "execution"))
	f.readEnvironment(plan, meta)
	f.readDirectories(plan, f.object(meta.get("workenv"), "workenv"))
	plan.setup = f.list(meta.get("setup_commands"), "setup_commands")
	f.checkSetup(plan.setup)
	f.readLauncher(plan, f.object(meta.get("launcher"), "launcher"))
	if f.err != nil {
		return nil, f.err
	}
	return plan, readSlots(plan, meta.get("slots"), f)
}

func readSealVersion(plan *Plan, seal *Value, file string) error {
	if seal.isNull() {
		return nil
	}
	version := seal.get("version")
	if version.kind != kindNumber {
		return fail("PSPF_FIELD", "file", file, "field", "seal.version", "detail", "is not a number")
	}
	if version.text != "1" {
		return fail("PSPF_SEAL_VERSION", "file", file, "actual", version.text)
	}
	plan.sealed, plan.sealIndex = true, seal.get("index")
	return nil
}

func (f *fields) readPackageName(plan *Plan, v *Value) {
	plan.name = f.text(v.get("name"), "package.name")
	plan.version = f.text(v.get("version"), "package.version")
	if !f.sealed {
		return
	}
	if !validName(plan.name) || len(plan.name) > 128 {
		f.bad("package.name", "is not a package name")
	}
	if !validVersion(plan.version) {
		f.bad("package.version", "is not a version")
	}
}

// validName is [A-Za-z0-9][A-Za-z0-9_.-]*.
func validName(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return name != ""
}

func validVersion(version string) bool {
	for _, r := range version {
		if r == '/' || r == '\\' || r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return false
		}
	}
	return version != "" && len(version) <= 128
}

func (f *fields) readExecution(plan *Plan, v *Value) {
	plan.argv = f.texts(v.get("argv"), "execution.argv")
	plan.command = f.text(v.get("command"), "execution.command")
	for _, m := range f.object(v.get("entries"), "execution.entries").members {
		var argv []string
		if m.value.kind == kindString {
			argv, _ = splitWords(m.value.text)
		} else {
			argv = f.texts(&m.value, "execution.entries."+m.key)
		}
		if len(argv) == 0 || argv[0] == "" {
			f.bad("execution.entries."+m.key, "names no command")
		}
		plan.entries = append(plan.entries, Entry{m.key, argv})
	}
	// The two families of writers use one name each for the same map; when both stand there, env is the later word.
	plan.executionEnv = append(f.pairs(v.get("environment"), "execution.environment"),
		f.pairs(v.get("env"), "execution.env")...)
}

func (f *fields) readEnvironment(plan *Plan, meta *Value) {
	runtime := f.object(meta.get("runtime"), "runtime")
	plan.service = f.readService(runtime)
	env := f.object(runtime.get("env"), "runtime.env")
	plan.runtimeEnv = RuntimeEnv{
		pass:    f.texts(env.get("pass"), "runtime.env.pass"),
		unset:   f.texts(env.get("unset"), "runtime.env.unset"),
		renames: f.pairs(env.get("map"), "runtime.env.map"),
		set:     f.pairs(env.get("set"), "runtime.env.set"),
	}
	plan.workenvEnv = f.pairs(f.object(meta.get("workenv"), "workenv").get("env"), "workenv.env")
}

func (f *fields) readDirectories(plan *Plan, v *Value) {
	for i, item := range f.list(v.get("directories"), "workenv.directories") {
		field := "workenv.directories[" + itoa(i) + "]"
		path, err := insideWorkenv(f.text(item.get("path"), field+".path"))
		if err != nil || item.kind != kindObject {
			f.bad(field+".path", "is not a path inside {workenv}")
			continue
		}
		plan.directories = append(plan.directories, Directory{path, f.mode(item.get("mode"), field+".mode", 0o700)})
	}
}

// mode reads an octal text of at most 0777.
func (f *fields) mode(v *Value, field string, missing uint32) uint32 {
	text := f.text(v, field)
	if v.isNull() || (text == "" && !f.sealed) {
		return missing
	}
	mode, ok := parseMode(text)
	if !ok && f.sealed {
		f.bad(field, "is not an octal mode")
	}
	if !ok {
		return missing
	}
	return mode
}

func parseMode(text string) (uint32, bool) {
	text = strings.TrimPrefix(text, "0o")
	mode := uint32(0)
	for i := 0; i < len(text); i++ {
		if text[i] < '0' || text[i] > '7' || mode > 0o7777 {
			return 0, false
		}
		mode = mode<<3 | uint32(text[i]-'0')
	}
	return mode, text != "" && mode <= 0o777
}

func (f *fields) readLauncher(plan *Plan, v *Value) {
	plan.launcherTool = [2]string{f.required(v.get("tool"), "launcher.tool"), f.required(v.get("tool_version"), "launcher.tool_version")}
	if !plan.sealed {
		return
	}
	size, ok := v.get("size").uint()
	sum, valid := parseChecksum(f.text(v.get("checksum"), "launcher.checksum"))
	if !ok || !valid {
		f.bad("launcher", "has no size and checksum")
	}
	plan.launcherSize, plan.launcherSum = size, sum
}
