package main

import (
	"os"
	"path/filepath"
	"strings"
)

// Job is a program ready to start.
type Job struct {
	path     string
	argv     []string
	env      []string
	base     string   // of the cache, for the message about noexec
	runDir   string   // of temp slots, removed when the program ended
	shutdown []string // programs to run after it
	spawn    bool
}

// prepare makes the work environment unless it is there, and everything that only this start needs.
func prepare(pkg *Package, env *Workenv, command *Command, start *Start) (*Job, error) {
	scope, err := newScope(pkg, env, start.file)
	if err != nil {
		return nil, err
	}
	if err := ensureReady(scope, command, start); err != nil {
		return nil, err
	}
	if err := refresh(scope); err != nil {
		return nil, err
	}
	job, err := makeJob(scope, command, start)
	if err != nil && scope.runDir != "" {
		_ = removeTree(scope.runDir)
	}
	return job, err
}

func newScope(pkg *Package, env *Workenv, self string) (*Scope, error) {
	scope := &Scope{pkg: pkg, env: env, self: self}
	for i := range pkg.plan.slots {
		if lifecycle := pkg.plan.slots[i].lifecycle; lifecycle == "config" || lifecycle == "persistent" {
			var err error
			scope.data, err = dataFolder(pkg)
			return scope, err
		}
	}
	return scope, nil
}

// ensureReady is the warm path when the environment is there, and a first start when not.
func ensureReady(scope *Scope, command *Command, start *Start) error {
	ready := isReady(scope, command)
	if ready && os.Getenv("SEALIFT_VERIFY") == "full" {
		same, err := verifyEnvironment(scope)
		if err != nil {
			return err
		}
		if !same {
			warn(fail("REPAIR", "path", scope.env.root))
			return firstStart(scope, command, start, true)
		}
	}
	if !ready {
		if err := firstStart(scope, command, start, false); err != nil {
			return err
		}
	}
	return ensureLazy(scope, command)
}

// isReady reads the marker and looks at the programs and shared slots that it names. It writes and locks nothing.
func isReady(scope *Scope, command *Command) bool {
	ready := readReady(scope.env.state("ready"))
	if ready == nil || ready.identity != scope.pkg.identity {
		return false
	}
	for i := range ready.entries {
		if !ready.entries[i].unchanged(scope.env.root) {
			return false
		}
	}
	for _, sum := range ready.stores {
		if !exists(filepath.Join(scope.env.storePath(sum), stateFolder, "ready")) {
			return false
		}
	}
	return command == nil || runnable(scope, command)
}

// runnable: a program inside the cache that lost its right to run, or its file, means that somebody changed the environment.
func runnable(scope *Scope, command *Command) bool {
	word := command.words[0]
	for _, slot := range command.lazySlots(scope.pkg.plan) {
		if strings.Contains(word, "{slot:"+slot.id+"}") {
			return true // it may not be there yet
		}
	}
	path, err := scope.fill(word)
	return err != nil || !strings.HasPrefix(path, scope.env.base+string(filepath.Separator)) || executable(path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lazySlots are the lazy slots that a command names.
func (c *Command) lazySlots(plan *Plan) []*Slot {
	var found []*Slot
	for i := range plan.slots {
		slot := &plan.slots[i]
		if slot.lifecycle != "lazy" {
			continue
		}
		for _, word := range c.words {
			if strings.Contains(word, "{slot:"+slot.id+"}") || strings.Contains(word, "{slot:"+itoa(slot.index)+"}") {
				found = append(found, slot)
				break
			}
		}
	}
	return found
}

func ensureLazy(scope *Scope, command *Command) error {
	for _, slot := range command.lazySlots(scope.pkg.plan) {
		if slot.absence() == "" {
			if err := ensureSlot(scope, slot); err != nil {
				return err
			}
		}
	}
	return nil
}

// refresh extracts what each start gets anew: startup and volatile slots in place, temp slots in a folder of this run.
func refresh(scope *Scope) error {
	var again, temporary []*Slot
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if slot.absence() != "" {
			continue
		}
		switch slot.lifecycle {
		case "startup", "volatile":
			again = append(again, slot)
		case "temp", "temporary":
			temporary = append(temporary, slot)
		}
	}
	if len(again) > 0 {
		lock, err := takeLock(scope.env.base, scope.env.name, scope.pkg.plan.name)
		if err != nil {
			return err
		}
		defer lock.release()
		for _, slot := range again {
			if err := replaceSlot(scope, slot); err != nil {
				return err
			}
		}
	}
	if len(temporary) == 0 {
		return nil
	}
	return extractTemporary(scope, temporary)
}

// makeJob substitutes the command and builds its environment.
func makeJob(scope *Scope, command *Command, start *Start) (*Job, error) {
	words, err := scope.fillAll(command.words)
	if err != nil {
		return nil, err
	}
	env, err := buildEnviron(scope, start)
	if err != nil {
		return nil, err
	}
	job := &Job{argv: append(words, start.args...), env: env.list(), base: scope.env.base, runDir: scope.runDir}
	if job.path = programPath(words[0], env.get("PATH")); job.path == "" {
		return nil, fail("EXEC_FAILED", "path", words[0], "detail", "it is not in PATH")
	}
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if slot.lifecycle == "shutdown" && !slot.isTar() && slot.absence() == "" {
			job.shutdown = append(job.shutdown, scope.slotPath(slot))
		}
	}
	job.spawn = os.Getenv("SEALIFT_EXEC") == "spawn" || job.runDir != "" || job.shutdown != nil
	debugf("starting", "path", job.path, "identity", scope.pkg.identity)
	return job, nil
}
