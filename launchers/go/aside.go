package main

import (
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strconv"
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
	task := newTask(slot, dir, newNames(false))
	if err := checkSpace(scope, slot.knownSize()); err != nil {
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
	if slot.shared() {
		return ensureShared(scope, slot)
	}
	if err := moveInto(scope, slot, scope.env.root, false); err != nil {
		return err
	}
	return writeSlotMarker(scope, slot)
}

// slotMarker says that a slot on demand, or of the data folder, is there.
func slotMarker(scope *Scope, slot *Slot) string {
	name := slot.id
	if !validName(name) {
		name = "slot_" + itoa(slot.index)
	}
	return scope.env.state("slots", name+".ready")
}

func writeSlotMarker(scope *Scope, slot *Slot) error {
	return writeDurably(slotMarker(scope, slot), []byte(slot.sum()+"\n"))
}

func slotReady(scope *Scope, slot *Slot) bool {
	if slot.shared() {
		return storeReady(scope, slot)
	}
	return exists(slotMarker(scope, slot))
}

// ensureShared extracts one shared slot into the store.
func ensureShared(scope *Scope, slot *Slot) error {
	store := &storeTask{slot: slot}
	defer func() { store.lock.release() }()
	if err := store.open(scope, false); err != nil || store.task == nil {
		return err
	}
	if err := unpackAll(scope.pkg, []*Task{store.task}, nil); err != nil {
		_ = removeTree(filepath.Dir(filepath.Dir(store.ready)))
		return fullDisk(scope, err, slot.knownSize())
	}
	return store.finish()
}

// isData tells the lifecycles that live in the user's data folder.
func (s *Slot) isData() bool { return s.lifecycle == "config" || s.lifecycle == "persistent" }

// extractData puts config and persistent slots into the user's data folder.
func extractData(scope *Scope) error {
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if !slot.isData() || slot.absence() != "" {
			continue
		}
		if err := installData(scope, slot); err != nil {
			return err
		}
	}
	return nil
}

// installData extracts one of them; files that are there are never touched. The environment must be locked.
func installData(scope *Scope, slot *Slot) error {
	if err := makePrivate(scope.data); err != nil {
		return err
	}
	if err := moveInto(scope, slot, scope.data, true); err != nil {
		return err
	}
	return writeSlotMarker(scope, slot)
}

// moveInto unpacks a slot aside, below root on the same file system, and moves every file to its place.
func moveInto(scope *Scope, slot *Slot, root string, keep bool) error {
	aside := filepath.Join(root, stateFolder, "aside-"+scope.pkg.identity[:16])
	if err := removeTree(aside); err != nil {
		return failIO(aside, err)
	}
	defer func() { _ = removeTree(aside) }()
	if err := makePrivate(aside); err != nil {
		return err
	}
	marks, err := unpackSlot(scope, slot, aside)
	if err != nil {
		return err
	}
	faultPoint("aside")
	if slot.isTar() {
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(slot.target)), 0o755); err != nil {
			return failIO(root, err)
		}
	}
	// A directory stands before what is in it.
	sort.Slice(marks, func(i, j int) bool { return marks[i].path < marks[j].path })
	tree := newTree(root, "", slot.index, newNames(false))
	for i := range marks {
		if err := moveMark(tree, &marks[i], aside, keep); err != nil {
			return slotFailure(slot, err)
		}
	}
	return nil
}

// moveMark moves one file or link, or makes one directory. With keep, what is there stays.
func moveMark(tree *Tree, mark *Mark, aside string, keep bool) error {
	if mark.kind == 'd' {
		if err := tree.folder(mark.path); err != nil || keep {
			return err
		}
		return chmodPath(tree.at(mark.path), mark.mode)
	}
	if err := tree.folder(parentOf(mark.path)); err != nil {
		return err
	}
	place := tree.at(mark.path)
	if keep && exists(place) {
		return nil
	}
	if err := replaceFile(filepath.Join(aside, filepath.FromSlash(mark.path)), place); err != nil {
		return failIO(place, err)
	}
	return nil
}

// runName is unlike any other run's: the process and something random.
func runName() string {
	return strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(rand.Uint64(), 16)
}

// extractTemporary makes the folder of this run and fills it with the temp slots.
func extractTemporary(scope *Scope) error {
	if err := makePrivate(scope.runDir); err != nil {
		return err
	}
	if err := holdFolder(scope.runDir); err != nil {
		return failIO(scope.runDir, err)
	}
	removeDeadRuns(filepath.Dir(scope.runDir), scope.runDir)
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		if !slot.isTemporary() || slot.absence() != "" {
			continue
		}
		if _, err := unpackSlot(scope, slot, scope.runDir); err != nil {
			_ = removeTree(scope.runDir)
			return err
		}
	}
	return nil
}

// removeDeadRuns clears away the folders of runs that were killed before they could. Whoever uses one holds it.
func removeDeadRuns(runs, own string) {
	names, err := listNames(runs)
	if err != nil {
		return
	}
	for _, name := range names {
		if path := filepath.Join(runs, name); path != own && !folderHeld(path) {
			_ = removeTree(path)
		}
	}
}

func chmodPath(path string, mode uint32) error {
	if err := os.Chmod(path, os.FileMode(mode)); err != nil {
		return failIO(path, err)
	}
	return nil
}

// verifyEnvironment decodes the slots of the first start again and compares every file that the markers list.
func verifyEnvironment(scope *Scope) (same bool, err error) {
	lock, err := takeLock(scope.env.base, scope.env.name, scope.pkg.plan.name)
	if err != nil {
		return false, err
	}
	defer lock.release()
	if err := checkRest(scope.pkg); err != nil {
		return false, err
	}
	roots := map[string]*Comparison{}
	var tasks []*Task
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		task := comparisonOf(scope, slot, roots)
		task.skip = !slot.firstStart() || slot.lifecycle == "init" || slot.absence() != ""
		tasks = append(tasks, task)
	}
	progress := startProgress(scope.pkg)
	defer progress.stop()
	if err := unpackAll(scope.pkg, tasks, progress); err != nil {
		if err == errChanged {
			return false, nil
		}
		return false, err
	}
	// What the marker lists beyond the slots' own files is known by size, time and mode alone.
	for root, comparison := range roots {
		for name := range comparison.recorded {
			if _, _, err := comparison.look(filepath.Join(root, filepath.FromSlash(name)), name); err != nil {
				return false, nil
			}
		}
	}
	return true, nil
}

// comparisonOf plans the comparison of one slot with the folder that it went to.
func comparisonOf(scope *Scope, slot *Slot, roots map[string]*Comparison) *Task {
	root, task := scope.env.root, newTask(slot, scope.env.root, newNames(true))
	if slot.shared() {
		root, task = scope.env.storePath(slot.sum()), storeTaskOf(scope, slot, newNames(true))
	}
	if roots[root] == nil {
		roots[root] = &Comparison{readFiles(filepath.Join(root, stateFolder, "ready"))}
	}
	task.compare = roots[root]
	if task.tree != nil {
		task.tree.compare = roots[root]
	}
	return task
}
