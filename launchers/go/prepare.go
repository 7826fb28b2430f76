package main

import (
	"encoding/hex"
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
	instance string // the name that it has as a service, if it is one
	port     string // of a service
}

// prepare makes the work environment unless it is there, and everything that only this start needs.
func prepare(pkg *Package, env *Workenv, command *Command, start *Start) (*Job, error) {
	scope, err := newScope(pkg, env, start.file)
	if err != nil {
		return nil, err
	}
	argv, err := scope.fillAll(command.words)
	if err != nil {
		return nil, err
	}
	environ, err := buildEnviron(scope, start)
	if err != nil {
		return nil, err
	}
	if err := ensureReady(scope, argv[0], environ); err != nil {
		return nil, err
	}
	for _, slot := range scope.onDemand(command.words) {
		if err := ensureSlot(scope, slot); err != nil {
			return nil, err
		}
	}
	if scope.runDir != "" {
		if err := extractTemporary(scope); err != nil {
			return nil, err
		}
	}
	job, err := makeJob(scope, argv, environ, start)
	if err != nil {
		if scope.runDir != "" {
			_ = removeTree(scope.runDir)
		}
		return nil, err
	}
	job.instance, job.port = pkg.plan.instance(command), scope.port
	return job, nil
}

func newScope(pkg *Package, env *Workenv, self string) (*Scope, error) {
	port, err := pkg.plan.servicePort()
	if err != nil {
		return nil, err
	}
	scope := &Scope{pkg: pkg, env: env, self: self, port: port}
	for i := range pkg.plan.slots {
		slot := &pkg.plan.slots[i]
		switch {
		case slot.absence() != "":
		case slot.isData() && scope.data == "":
			var err error
			if scope.data, err = dataFolder(pkg); err != nil {
				return nil, err
			}
		case slot.isTemporary() && scope.runDir == "":
			scope.runDir = env.state("run", runName())
		}
	}
	return scope, nil
}

func (s *Slot) isTemporary() bool { return s.lifecycle == "temp" || s.lifecycle == "temporary" }

// ensureReady is the warm path when the environment is there, and a first start when not.
func ensureReady(scope *Scope, program string, environ *Environ) error {
	ready := isReady(scope, program)
	if !ready {
		if err := firstStart(scope, program, environ, false); err != nil {
			return err
		}
	} else if os.Getenv("SEALIFT_VERIFY") == "full" {
		same, err := verifyEnvironment(scope)
		if err != nil {
			return err
		}
		if !same {
			warn(fail("REPAIR", "path", scope.env.root))
			if err := firstStart(scope, program, environ, true); err != nil {
				return err
			}
		}
	}
	return refresh(scope)
}

// isReady reads the marker and looks at the programs and shared slots that it names. It writes and locks nothing. The
// program about to run must be allowed to: one that lost that right means that somebody changed the environment.
func isReady(scope *Scope, program string) bool {
	ready := readReady(scope.env.state("ready"))
	if ready == nil || ready.identity != scope.pkg.identity {
		return false
	}
	for i := range ready.entries {
		path := ready.entries[i].place(scope.env.root)
		if !ready.entries[i].unchanged(path) || (path == program && !executable(path)) {
			return false
		}
	}
	for _, sum := range ready.stores {
		if !isDigest(sum) || !exists(filepath.Join(scope.env.storePath(sum), stateFolder, "ready")) {
			return false
		}
	}
	return true
}

func isDigest(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(sum) == 32
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// onDemand lists the lazy slots that a command names.
func (s *Scope) onDemand(words []string) []*Slot {
	var found []*Slot
	for i := range s.pkg.plan.slots {
		slot := &s.pkg.plan.slots[i]
		if slot.lifecycle != "lazy" || slot.absence() != "" {
			continue
		}
		for _, word := range words {
			if strings.Contains(word, "{slot:"+slot.id+"}") || strings.Contains(word, "{slot:"+itoa(i)+"}") {
				found = append(found, slot)
				break
			}
		}
	}
	return found
}

// refresh brings what each start needs: startup and volatile slots anew, dev slots in that mode, and what is missing in the
// data folder.
func refresh(scope *Scope) error {
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if slot.absence() != "" {
			continue
		}
		var err error
		switch {
		case slot.lifecycle == "startup" || slot.lifecycle == "volatile":
			err = locked(scope, func() error { return moveInto(scope, slot, scope.env.root, false) })
		case slot.lifecycle == "dev":
			err = ensureSlot(scope, slot)
		case slot.isData() && !(exists(scope.slotPath(slot)) && slotReady(scope, slot)):
			err = locked(scope, func() error { return installData(scope, slot) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// locked does something while nobody else may change the environment.
func locked(scope *Scope, work func() error) error {
	lock, err := takeLock(scope.env.base, scope.env.name, scope.pkg.plan.name)
	if err != nil {
		return err
	}
	defer lock.release()
	return work()
}

// makeJob puts together what starts.
func makeJob(scope *Scope, words []string, env *Environ, start *Start) (*Job, error) {
	job := &Job{argv: append(words, start.args...), env: env.list(), base: scope.env.base, runDir: scope.runDir}
	if job.path = programPath(words[0], env.get("PATH"), scope.pkg.image); job.path == "" {
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
