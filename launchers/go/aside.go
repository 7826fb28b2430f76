package main

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Slots that are extracted after the first start, or outside the work environment: lazy, startup, volatile, temp, config.
// They are unpacked aside and moved over, so that a running program never sees half a file.

func (s *Slot) sum() string { return hex.EncodeToString(s.checksum[:]) }

// readyLine ties a shared slot's marker to how its bytes were decoded.
func (s *Slot) readyLine() string {
	packed := strconv.FormatUint(s.packed, 16)
	return "0000000000000000"[len(packed):] + packed + " " + itoa(s.original)
}

// unpackSlot extracts one slot below dir as if dir were the root of the environment, and returns what it made.
func unpackSlot(scope *Scope, slot *Slot, dir string) ([]Mark, error) {
	task := &Task{slot: slot, path: filepath.Join(dir, slot.place()), mark: filepath.ToSlash(slot.place())}
	if slot.isTar() {
		task.tree = newTree(filepath.Join(dir, filepath.FromSlash(slot.target)), slot.target, false)
	}
	if err := checkMachine(scope, slot.knownSize()); err != nil {
		return nil, err
	}
	if err := task.makePlace(); err != nil {
		return nil, err
	}
	progress := startProgress(scope.pkg)
	defer progress.stop()
	if err := unpackAll(scope.pkg, []*Task{task}, progress); err != nil {
		return nil, fullDisk(scope, err, slot.knownSize())
	}
	return task.marks, nil
}

func (s *Slot) knownSize() uint64 {
	if s.exact {
		return s.original
	}
	return s.size
}

// ensureSlot extracts a lazy slot unless it is there.
func ensureSlot(scope *Scope, slot *Slot) error {
	if slotReady(scope, slot) {
		return nil
	}
	lock, err := takeLock(scope.env.base, scope.env.name, scope.pkg.plan.name)
	if err != nil {
		return err
	}
	defer lock.release()
	if slotReady(scope, slot) {
		return nil
	}
	if slot.share {
		return ensureShared(scope, slot)
	}
	marks, err := moveInto(scope, slot, scope.env.root, false)
	if err != nil {
		return err
	}
	ready := &Ready{identity: scope.pkg.identity, name: scope.pkg.plan.name + " " + scope.pkg.plan.version, files: marks}
	return writeReady(slotMarker(scope, slot), ready)
}

func slotMarker(scope *Scope, slot *Slot) string {
	return scope.env.state("slots", slot.id+".ready")
}

func slotReady(scope *Scope, slot *Slot) bool {
	if slot.share {
		return storeReady(slot, filepath.Join(scope.env.storePath(slot.sum()), stateFolder, "ready"))
	}
	ready := readReady(slotMarker(scope, slot))
	return ready != nil && ready.identity == scope.pkg.identity
}

// ensureShared extracts one shared slot into the store.
func ensureShared(scope *Scope, slot *Slot) error {
	store := &storeTask{slot: slot}
	defer func() { store.lock.release() }()
	if err := store.open(scope); err != nil || store.task == nil {
		return err
	}
	if err := store.task.makePlace(); err != nil {
		return err
	}
	if err := unpackAll(scope.pkg, []*Task{store.task}, nil); err != nil {
		return fullDisk(scope, err, slot.knownSize())
	}
	return store.finish()
}

// replaceSlot extracts a startup or volatile slot anew.
func replaceSlot(scope *Scope, slot *Slot) error {
	_, err := moveInto(scope, slot, scope.env.root, false)
	return err
}

// extractData puts config and persistent slots into the user's data folder; files that are there are never touched.
func extractData(scope *Scope) error {
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if (slot.lifecycle != "config" && slot.lifecycle != "persistent") || slot.absence() != "" {
			continue
		}
		if err := makePrivate(scope.data); err != nil {
			return err
		}
		if _, err := moveInto(scope, slot, scope.data, true); err != nil {
			return err
		}
	}
	return nil
}

// moveInto unpacks a slot aside, below root on the same file system, and moves every file to its place.
func moveInto(scope *Scope, slot *Slot, root string, keep bool) ([]Mark, error) {
	aside := filepath.Join(root, stateFolder, "new-"+runName())
	defer func() { _ = removeTree(aside) }()
	if err := makePrivate(aside); err != nil {
		return nil, err
	}
	marks, err := unpackSlot(scope, slot, aside)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(slot.target)), 0o755); slot.isTar() && err != nil {
		return nil, failIO(root, err)
	}
	tree := newTree(root, "", false)
	for i := range marks {
		if err := moveMark(tree, &marks[i], aside, keep); err != nil {
			return nil, slotFailure(slot, err)
		}
	}
	return marks, nil
}

// moveMark moves one file or link, or makes one directory. With keep, what is there stays.
func moveMark(tree *Tree, mark *Mark, aside string, keep bool) error {
	if mark.kind == 'd' {
		return tree.folder(mark.path)
	}
	if err := tree.folder(parentOf(mark.path)); err != nil {
		return err
	}
	place := tree.at(mark.path)
	if keep && exists(place) {
		return nil
	}
	if err := os.Rename(filepath.Join(aside, filepath.FromSlash(mark.path)), place); err != nil {
		return failIO(place, err)
	}
	return nil
}

// runName is unlike any other run's: the process and something random.
func runName() string {
	return strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(rand.Uint64(), 16)
}

// extractTemporary makes the folder of this run and fills it with the temp slots.
func extractTemporary(scope *Scope, slots []*Slot) error {
	runs := scope.env.state("run")
	removeDeadRuns(runs)
	scope.runDir = filepath.Join(runs, runName())
	if err := makePrivate(scope.runDir); err != nil {
		return err
	}
	for _, slot := range slots {
		if _, err := unpackSlot(scope, slot, scope.runDir); err != nil {
			_ = removeTree(scope.runDir)
			return err
		}
	}
	return nil
}

// removeDeadRuns clears away the folders of runs that were killed before they could.
func removeDeadRuns(runs string) {
	names, err := listNames(runs)
	if err != nil {
		return
	}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "-")
		if pid, err := strconv.Atoi(number); err == nil && !processExists(pid) {
			_ = removeTree(filepath.Join(runs, name))
		}
	}
}

// verifyEnvironment decodes the slots of the first start again and compares every file with what is there.
func verifyEnvironment(scope *Scope) (same bool, err error) {
	if err := checkRest(scope.pkg); err != nil {
		return false, err
	}
	var tasks []*Task
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		task := newTask(scope, slot, filepath.Join(scope.env.root, filepath.FromSlash(slot.target)), slot.target)
		present := slot.firstStart() && slot.lifecycle != "init" || slot.lifecycle == "lazy" && slotReady(scope, slot)
		if slot.share {
			task.path = scope.storedPath(slot)
			task.tree = nil
			if slot.isTar() {
				task.tree = newTree(scope.env.storePath(slot.sum()), "", false)
			}
		}
		task.skip = !present || slot.absence() != ""
		task.compare = true
		if task.tree != nil {
			task.tree.compare = true
		}
		tasks = append(tasks, task)
	}
	progress := startProgress(scope.pkg)
	defer progress.stop()
	err = unpackAll(scope.pkg, tasks, progress)
	if err == errChanged {
		return false, nil
	}
	return err == nil, err
}
