package main

import (
	"os"
	"slices"
	"time"
)

// The commands of CLI mode about the service: start, status, stop, restart, logs.

const (
	shownLines = 20
	// A program without a port is up when it has run for so long.
	upAfter = 500 * time.Millisecond
	// What stop waits in seconds beyond the time that the program has.
	stopGrace = 5
	// Exit code of status when the service does not run, as init scripts have it.
	notRunning = 3
	// Exit code of a supervisor that found another one at work.
	otherFirst = 199
	// How often start begins again because a supervisor that it found was about to end.
	attempts = 3
	// superviseCommand is how `start` calls this file again, to supervise in the background.
	superviseCommand = "--supervise"
)

func isControl(command string) bool {
	return slices.Contains([]string{"start", "status", "stop", "restart", "logs", superviseCommand}, command)
}

// control answers one of them; args are what follows it.
func (c *cli) control(command string, args []string) (int, error) {
	given := c.start.args[:len(c.start.args)-len(args)]
	c.start.args = args
	for _, word := range []string{"--json", "--"} {
		if command != superviseCommand && len(c.start.args) > 0 && c.start.args[0] == word {
			c.json = c.json || word == "--json"
			c.start.args = c.start.args[1:]
		}
	}
	return c.refuse(c.controlled(command, len(given)+len(args)))
}

// controlled does the work; words is how many words of the command line belong to CLI mode.
func (c *cli) controlled(command string, words int) (int, error) {
	pkg, err := openPackage(c.image, c.start.file)
	if err != nil {
		return 0, err
	}
	entry, err := chooseEntry(pkg.plan, c.start.name)
	if err != nil {
		return 0, err
	}
	instance := pkg.plan.instance(entry)
	if instance == "" {
		return 0, fail("SERVICE_NONE")
	}
	standing, err := standingOf(pkg, instance)
	if err != nil {
		return 0, err
	}
	switch command {
	case "start", "restart":
		return 0, c.startService(pkg, entry, standing, command, words)
	case superviseCommand:
		return superviseDetached(pkg, entry, c.start, standing)
	}
	if len(c.start.args) > 0 {
		return 0, fail("CLI_ARGUMENT", "name", command, "detail", "it takes no argument")
	}
	switch command {
	case "status":
		return c.status(pkg, standing)
	case "stop":
		return 0, c.stop(pkg, standing)
	}
	return 0, c.logs(standing)
}

func (c *cli) status(pkg *Package, standing *Standing) (int, error) {
	state := standing.read()
	supervisor, supervised := standing.supervisor()
	word, program := "stopped", 0
	if supervised {
		word = "starting"
		if supervisor == state.supervisor && state.program > 0 {
			word, program = "running", state.program
		}
	} else if orphan, there := standing.orphan(); there {
		word, program = "orphaned", orphan
	}
	running := word == "running"
	accepting := running && state.port != 0 && accepts(state.port)
	uptime := max(0, time.Now().Unix()-state.since)
	version, code := state.version, notRunning
	if version == "" {
		version = pkg.plan.version
	}
	if running {
		code = 0
	}
	if c.json {
		w := document("status", running)
		w.text("state", word).text("name", pkg.plan.name).text("version", version)
		w.numberOrNull("supervisor", int64(supervisor), supervised)
		w.numberOrNull("pid", int64(program), program > 0)
		w.numberOrNull("started", state.started, running && state.started > 0)
		w.numberOrNull("uptime", uptime, running)
		w.number("restarts", state.restarts)
		w.numberOrNull("exit", int64(state.exit), state.ended)
		w.numberOrNull("port", state.port, state.port != 0)
		w.bool("accepts", accepting).text("log", standing.path("log"))
		return code, w.print()
	}
	shown := []string{pkg.plan.name + " " + version + " is " + word}
	if program > 0 {
		shown = append(shown, "process   "+itoa(program))
	}
	if running {
		shown = append(shown, "uptime    "+itoa(uptime)+" s")
	}
	if supervised {
		shown = append(shown, "restarts  "+itoa(state.restarts))
	}
	if state.ended {
		shown = append(shown, "exit      "+itoa(state.exit))
	}
	if state.port != 0 && supervised {
		shown = append(shown, "port      "+itoa(state.port)+", "+map[bool]string{true: "accepts", false: "does not accept"}[accepting]+" connections")
	}
	return code, printOut(printableLines(append(shown, "log       "+standing.path("log"))))
}

func (w *jsonWriter) numberOrNull(name string, value int64, known bool) {
	if known {
		w.number(name, value)
	} else {
		w.key(name).WriteString("null")
	}
}

func (c *cli) logs(standing *Standing) error {
	lines := standing.lastLines(shownLines)
	if !c.json {
		return printOut(printableLines(lines))
	}
	w := document("logs", true)
	w.text("path", standing.path("log")).key("lines").open('[')
	for _, line := range lines {
		w.text("", line)
	}
	w.close(']')
	return w.print()
}

func (c *cli) stop(pkg *Package, standing *Standing) error {
	stopped, err := stopService(pkg, standing)
	if err != nil {
		return err
	}
	if c.json {
		w := document("stop", true)
		w.text("name", pkg.plan.name).bool("stopped", stopped)
		return w.print()
	}
	return printOut(pkg.plan.name + map[bool]string{true: " is stopped\n", false: " does not run\n"}[stopped])
}

func (c *cli) startService(pkg *Package, entry *Command, standing *Standing, command string, words int) error {
	if err := checkTrust(pkg); err != nil {
		return err
	}
	port, err := c.makeReady(pkg, entry)
	if err != nil {
		return err
	}
	// What can fail before the service has to stop has not failed.
	if command == "restart" {
		if _, err := stopService(pkg, standing); err != nil {
			return err
		}
	}
	var state *State
	started := false
	for attempt := 0; attempt < attempts && state == nil; attempt++ {
		own, err := c.startSupervisor(standing, port, words)
		if err == nil {
			state, started, err = awaitUp(pkg, standing, own)
		}
		if err != nil {
			return err
		}
	}
	if state == nil {
		return failedService(pkg, standing, 0)
	}
	if c.json {
		w := document(command, true)
		w.text("name", pkg.plan.name).text("version", state.version).bool("started", started)
		w.number("supervisor", int64(state.supervisor)).number("pid", int64(state.program))
		w.numberOrNull("port", state.port, state.port != 0)
		w.text("log", standing.path("log"))
		return w.print()
	}
	text := map[bool]string{true: " runs: process ", false: " runs already: process "}[started] + itoa(state.program)
	if state.port != 0 {
		text += ", port " + itoa(state.port)
	}
	return printOut(printable(pkg.plan.name+" "+state.version+text) + "\n")
}

// makeReady does all that a start can fail at, except the program itself; it tells the port.
func (c *cli) makeReady(pkg *Package, entry *Command) (port int64, err error) {
	env, err := locateWorkenv(pkg)
	if err != nil {
		return 0, err
	}
	job, err := prepare(pkg, env, entry, c.start)
	if err != nil {
		return 0, err
	}
	if job.runDir != "" {
		_ = removeTree(job.runDir)
	}
	return portNumber(job.port), nil
}

// startSupervisor calls this file again in the background, unless somebody was quicker.
func (c *cli) startSupervisor(standing *Standing, port int64, words int) (*Background, error) {
	if _, there := standing.supervisor(); there {
		return nil, nil
	}
	if _, orphaned := standing.orphan(); port != 0 && !orphaned && accepts(port) {
		if _, there := standing.supervisor(); there {
			return nil, nil
		}
		return nil, fail("SERVICE_PORT_TAKEN", "port", itoa(port))
	}
	if err := makePrivate(standing.dir); err != nil {
		return nil, err
	}
	self, image, err := openSelf(os.Args[0])
	if err != nil {
		return nil, err
	}
	image.Close()
	log, err := standing.open("log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	argv := append(slices.Clone(os.Args[:len(os.Args)-words]), superviseCommand)
	own, err := startBackground(self, append(argv, c.start.args...), log)
	if err != nil {
		return nil, fail("EXEC_FAILED", "path", self, "detail", reason(err))
	}
	return own, nil
}

// superviseDetached is the supervisor in the background. When another one has the lock it ends at once.
func superviseDetached(pkg *Package, entry *Command, start *Start, standing *Standing) (int, error) {
	lock, err := standing.take()
	if err != nil || lock == nil {
		return otherFirst, err
	}
	log, err := openServiceLog(standing)
	if err != nil {
		return 0, err
	}
	if err := checkTrust(pkg); err != nil {
		return 0, err
	}
	env, err := locateWorkenv(pkg)
	if err != nil {
		return 0, err
	}
	job, err := prepare(pkg, env, entry, start)
	if err != nil {
		return 0, err
	}
	pkg.image.Close()
	return supervise(pkg, job, standing, lock, log)
}

// awaitUp waits until the program is up; false when it is somebody else's start that made it so, no state when that one ended
// meanwhile.
func awaitUp(pkg *Package, standing *Standing, own *Background) (state *State, started bool, err error) {
	patience := pkg.plan.service.startTimeout
	until := time.Now().Add(seconds(patience))
	seen, since := 0, time.Now()
	for ; ; time.Sleep(tick) {
		if code, over := own.over(); over {
			if code != otherFirst {
				return nil, false, failedService(pkg, standing, code)
			}
			own = nil
		}
		supervisor, there := standing.supervisor()
		state := standing.read()
		if own == nil && !there {
			return nil, false, nil
		}
		if !there || state.supervisor == 0 || supervisor != state.supervisor {
			state = &State{}
		}
		if own == nil && state.supervisor != 0 && state.identity != pkg.identity {
			return nil, false, runsAlready(pkg, standing)
		}
		if own != nil && state.ended {
			if _, err := stopService(pkg, standing); err != nil {
				return nil, false, err
			}
			return nil, false, failedService(pkg, standing, state.exit)
		}
		if state.program > 0 {
			if state.program != seen {
				seen, since = state.program, time.Now()
			}
			up := time.Since(since)
			if state.port == 0 && up >= upAfter || state.port != 0 && up >= upAfter/5 && accepts(state.port) {
				return state, own != nil, nil
			}
		}
		if time.Now().After(until) {
			detail := ""
			if state.port != 0 {
				detail = " on port " + itoa(state.port)
			}
			return nil, false, fail("SERVICE_LATE", "name", pkg.plan.name, "pid", itoa(state.program), "seconds", itoa(patience), "detail", detail)
		}
	}
}

func failedService(pkg *Package, standing *Standing, code int) error {
	printErr(printableLines(standing.lastLines(shownLines)))
	return fail("SERVICE_FAILED", "name", pkg.plan.name, "actual", itoa(code), "path", standing.path("log"))
}

// stopService asks the supervisor to end and waits until it has; false when there was nothing to stop.
func stopService(pkg *Package, standing *Standing) (bool, error) {
	patience := max(standing.read().stopTimeout, pkg.plan.service.stopTimeout)
	supervisor, there := standing.supervisor()
	if !there {
		return standing.endOrphan(pkg.plan.name, patience)
	}
	if !standing.ask(supervisor) {
		if _, there := standing.supervisor(); there {
			return false, stuck(pkg.plan.name, supervisor)
		}
	}
	until := time.Now().Add(seconds(patience + stopGrace))
	for ; ; time.Sleep(tick) {
		now, there := standing.supervisor()
		if !there || now != supervisor {
			return true, nil
		}
		if time.Now().After(until) {
			return false, stuck(pkg.plan.name, supervisor)
		}
	}
}
