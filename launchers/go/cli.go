package main

import (
	"os"
	"path/filepath"
	"strings"
)

// CLI mode: SEALIFT_LAUNCHER_CLI=1 turns the package into a tool about itself (docs/reference/launcher.md).

const cliHelp = `Commands of this package (SEALIFT_LAUNCHER_CLI=1):
  info               what this package is (the default)
  verify             check every byte against the seal
  metadata           print the signed JSON
  slots              list the slots
  slot NAME          extract a slot if need be and print its path
  extract INDEX DIR  decode a slot into a folder
  workenv            print the path of the work environment
  run [ARGS]         run the program
  start [ARGS]       start the service in the background
  status             whether the service runs (exit code 3: it does not)
  stop               stop the service
  restart [ARGS]     stop the service and start it from this file
  logs               print the last lines of the service's log
  help               print this
Each takes --json.
`

// cli is one call in CLI mode.
type cli struct {
	image *os.File
	start *Start
	json  bool
	args  []string // after the command
}

// runCLI answers one command. With --json an error is a document on standard output too.
func runCLI(image *os.File, start *Start) (int, error) {
	c := &cli{image: image, start: start}
	command := "info"
	args := start.args
	if len(args) > 0 && args[0] == "--json" {
		c.json, args = true, args[1:]
	}
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	if command == "run" {
		start.args = args
		return runPackage(image, start)
	}
	if isControl(command) {
		return c.control(command, args)
	}
	for _, arg := range args {
		if arg == "--json" {
			c.json = true
		} else {
			c.args = append(c.args, arg)
		}
	}
	return c.refuse(c.answer(command))
}

// refuse makes an error a document where documents were asked for.
func (c *cli) refuse(code int, err error) (int, error) {
	if err != nil && c.json {
		f := asFailure(err)
		return f.exit(), printOut(f.json() + "\n")
	}
	return code, err
}

func (c *cli) answer(command string) (int, error) {
	wanted := map[string]int{"info": 0, "verify": 0, "metadata": 0, "slots": 0, "slot": 1, "extract": 2, "workenv": 0, "help": 0, "--help": 0, "-h": 0}
	count, known := wanted[command]
	if !known {
		return 0, fail("CLI_COMMAND", "name", command)
	}
	if len(c.args) != count {
		return 0, fail("CLI_ARGUMENT", "name", command, "detail", "it takes "+[]string{"no argument", "one argument, NAME", "two arguments, INDEX and DIR"}[count])
	}
	switch command {
	case "verify":
		return c.verify()
	case "help", "--help", "-h":
		return 0, c.help()
	}
	pkg, err := openPackage(c.image, c.start.file)
	if err != nil {
		return 0, err
	}
	switch command {
	case "info":
		return 0, c.info(pkg)
	case "metadata":
		return 0, printOut(string(pkg.json))
	case "slots":
		return 0, c.slots(pkg)
	case "workenv":
		return 0, c.workenv(pkg)
	}
	if err := checkTrust(pkg); err != nil {
		return 0, err
	}
	if command == "slot" {
		return 0, c.slot(pkg, c.args[0])
	}
	return 0, c.extract(pkg, c.args[0], c.args[1])
}

// document starts the JSON answer of a command.
func document(command string, ok bool) *jsonWriter {
	w := newWriter()
	w.open('{').text("schema", "sealift.launcher."+command+"/1").bool("ok", ok)
	return w
}

func (w *jsonWriter) print() error {
	w.close('}')
	return printOut(w.String() + "\n")
}

func (c *cli) help() error {
	if !c.json {
		return printOut(cliHelp)
	}
	w := document("help", true)
	w.key("commands").open('[')
	for _, name := range []string{"info", "verify", "metadata", "slots", "slot", "extract", "workenv", "run", "start", "status", "stop", "restart", "logs", "help"} {
		w.text("", name)
	}
	w.close(']')
	return w.print()
}

// trusted is the store's verdict as info shows it: "null" without a store.
func trusted(pkg *Package) (string, error) {
	store, err := openStore()
	if err != nil {
		return "", err
	}
	if store == nil {
		return "null", nil
	}
	if store.judge(pkg.file, pkg.plan.name, pkg.signers) != nil {
		return "false", nil
	}
	return "true", nil
}

func (c *cli) info(pkg *Package) error {
	plan := pkg.plan
	trust, err := trusted(pkg)
	if err != nil {
		return err
	}
	var names []string
	for i := range plan.entries {
		names = append(names, plan.entries[i].name)
	}
	if c.json {
		w := document("info", true)
		w.text("name", plan.name).text("version", plan.version).text("format", "PSPF/2025").text("identity", pkg.identity).
			text("signer", fingerprint(pkg.signers[0]))
		w.key("trusted").WriteString(trust)
		w.bool("sealed", plan.sealed)
		w.key("launcher").open('{').text("tool", plan.launcherTool[0]).text("version", plan.launcherTool[1]).
			unsigned("size", pkg.index.launcherSize).close('}')
		w.number("slots", int64(len(plan.slots))).unsigned("size", pkg.index.packageSize)
		w.key("entries").open('[')
		for _, name := range names {
			w.text("", name)
		}
		w.close(']')
		return w.print()
	}
	lines := []string{
		plan.name + " " + plan.version,
		"format    PSPF/2025" + map[bool]string{true: ", sealed", false: ""}[plan.sealed],
		"identity  " + pkg.identity,
		"signer    " + fingerprint(pkg.signers[0]),
		"trusted   " + map[string]string{"null": "no trust store", "true": "yes", "false": "no"}[trust],
		"launcher  " + strings.TrimSpace(plan.launcherTool[0]+" "+plan.launcherTool[1]) + ", " + itoa(pkg.index.launcherSize) + " bytes",
		"slots     " + itoa(len(plan.slots)),
		"size      " + itoa(pkg.index.packageSize) + " bytes",
	}
	if names != nil {
		lines = append(lines, "entries   "+strings.Join(names, ", "))
	}
	return printOut(printableLines(lines))
}

func printableLines(lines []string) string {
	var out strings.Builder
	for _, line := range lines {
		out.WriteString(printable(line) + "\n")
	}
	return out.String()
}

func (c *cli) slots(pkg *Package) error {
	if c.json {
		w := document("slots", true)
		w.key("slots").open('[')
		for i := range pkg.plan.slots {
			s := &pkg.plan.slots[i]
			w.key("").open('{').number("slot", int64(i)).text("id", s.id).unsigned("size", s.size)
			if s.exact {
				w.unsigned("original_size", s.original)
			} else {
				w.key("original_size").WriteString("null")
			}
			w.text("operations", s.operationSet).text("lifecycle", s.lifecycle).text("target", s.target)
			if s.os == "" {
				w.key("platform").WriteString("null")
			} else {
				w.text("platform", s.platform())
			}
			w.bool("share", s.share)
			if s.encryption == nil {
				w.key("key_source").WriteString("null")
			} else {
				w.text("key_source", s.encryption.source)
			}
			w.close('}')
		}
		w.close(']')
		return w.print()
	}
	var lines []string
	for i := range pkg.plan.slots {
		s := &pkg.plan.slots[i]
		lines = append(lines, itoa(i)+"  "+s.id+"  "+s.operationSet+"  "+itoa(s.size)+" bytes  "+s.lifecycle+"  {workenv}/"+s.target)
	}
	return printOut(printableLines(lines))
}

func (c *cli) workenv(pkg *Package) error {
	env, err := locateWorkenv(pkg)
	if err != nil {
		return err
	}
	scope, err := newScope(pkg, env, c.start.file)
	if err != nil {
		return err
	}
	ready := isReady(scope, "")
	if c.json {
		w := document("workenv", true)
		w.text("path", env.root).bool("ready", ready).text("identity", pkg.identity)
		return w.print()
	}
	return printOut(env.root + "\n")
}

// slot extracts a slot if need be: a lazy one alone, any other with the whole environment.
func (c *cli) slot(pkg *Package, name string) error {
	slot := pkg.plan.findSlot(name)
	if slot == nil {
		return fail("SLOT_UNKNOWN", "name", name, "list", pkg.plan.slotNames())
	}
	if detail := slot.absence(); detail != "" {
		return fail("SLOT_ABSENT", "slot", slotName(slot), "detail", detail)
	}
	if slot.isTemporary() || slot.lifecycle == "init" {
		return fail("SLOT_ABSENT", "slot", slotName(slot), "detail", "it exists only while the program runs or is set up")
	}
	env, err := locateWorkenv(pkg)
	if err != nil {
		return err
	}
	scope, err := newScope(pkg, env, c.start.file)
	if err != nil {
		return err
	}
	environ, err := buildEnviron(scope, c.start)
	if err != nil {
		return err
	}
	if err := ensureReady(scope, "", environ); err != nil {
		return err
	}
	if slot.lifecycle == "lazy" {
		if err := ensureSlot(scope, slot); err != nil {
			return err
		}
	}
	path := scope.slotPath(slot)
	if c.json {
		w := document("slot", true)
		w.text("name", slot.id).text("path", path)
		return w.print()
	}
	return printOut(path + "\n")
}

// extract decodes a slot into a folder: a tar slot's files, else one file with the slot's id as its name.
func (c *cli) extract(pkg *Package, number, dir string) error {
	slot := pkg.plan.findSlot(number)
	if slot == nil {
		return fail("SLOT_UNKNOWN", "name", number, "list", pkg.plan.slotNames())
	}
	if _, err := openSlot(pkg, slot); err != nil {
		return err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return failIO(dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failIO(dir, err)
	}
	names := newNames(false)
	task := &Task{slot: slot, names: names}
	if slot.isTar() {
		task.tree = newTree(dir, "", slot.index, names)
	} else {
		name, err := archivePath(slot.id)
		if err != nil || strings.Contains(name, "/") {
			name = "slot_" + itoa(slot.index)
		}
		task.path, task.mark = filepath.Join(dir, name), name
	}
	if err := unpackAll(pkg, []*Task{task}, nil); err != nil {
		return err
	}
	if c.json {
		w := document("extract", true)
		w.number("slot", int64(slot.index)).text("id", slot.id).text("path", dir).number("files", int64(len(task.marks)))
		return w.print()
	}
	return printOut(dir + "\n")
}
