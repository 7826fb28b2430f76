package main

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
)

// firstStart makes the work environment under its lock. Whoever waited for the lock finds it made.
func firstStart(scope *Scope, command *Command, start *Start, again bool) error {
	env := scope.env
	if err := makePrivate(env.base); err != nil {
		return err
	}
	lock, err := takeLock(env.base, env.name, scope.pkg.plan.name)
	if err != nil {
		return err
	}
	defer lock.release()
	if !again && isReady(scope, command) {
		return nil
	}
	debugf("preparing", "path", env.root)
	if err := checkRest(scope.pkg); err != nil {
		return err
	}
	if err := buildEnvironment(scope, start); err != nil {
		// Nothing is kept of a failure, so that a full disk does not stay full. What cannot be removed has no marker.
		_ = removeTree(env.root)
		return err
	}
	return nil
}

// layout is what a first start makes of each slot.
type layout struct {
	tasks  []*Task
	stores []*storeTask
	needed uint64
}

// storeTask is a shared slot with the lock of its place.
type storeTask struct {
	slot  *Slot
	task  *Task // nil when the slot is there already
	lock  *Lock
	ready string
}

func buildEnvironment(scope *Scope, start *Start) error {
	env := scope.env
	if err := removeTree(env.root); err != nil {
		return failIO(env.root, err)
	}
	plan := &layout{}
	defer plan.release()
	if err := plan.planStores(scope); err != nil {
		return err
	}
	plan.planSlots(scope)
	if err := checkMachine(scope, plan.needed); err != nil {
		return err
	}
	if err := makePrivate(env.state()); err != nil {
		return err
	}
	if err := plan.unpack(scope); err != nil {
		return err
	}
	if err := extractData(scope); err != nil {
		return err
	}
	if err := runSetup(scope, start); err != nil {
		return err
	}
	return finishEnvironment(scope, plan)
}

// planStores takes the locks of the shared slots, always in the same order so that two packages cannot wait for each other.
func (l *layout) planStores(scope *Scope) error {
	for i := range scope.pkg.plan.slots {
		if slot := &scope.pkg.plan.slots[i]; slot.share && slot.firstStart() && slot.absence() == "" {
			l.stores = append(l.stores, &storeTask{slot: slot})
		}
	}
	sort.Slice(l.stores, func(i, j int) bool { return l.stores[i].slot.sum() < l.stores[j].slot.sum() })
	for i, store := range l.stores {
		if i > 0 && store.slot.sum() == l.stores[i-1].slot.sum() {
			continue // the same bytes under two names: one place
		}
		if err := store.open(scope); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) release() {
	for _, store := range l.stores {
		store.lock.release()
	}
}

// open takes the lock of a shared slot's place and plans its extraction unless it is there.
func (s *storeTask) open(scope *Scope) error {
	dir := scope.env.storePath(s.slot.sum())
	lock, err := takeLock(scope.env.base, s.slot.sum(), slotName(s.slot))
	if err != nil {
		return err
	}
	s.lock, s.ready = lock, filepath.Join(dir, stateFolder, "ready")
	if storeReady(s.slot, s.ready) {
		return nil
	}
	if err := removeTree(dir); err != nil {
		return failIO(dir, err)
	}
	s.task = newTask(scope, s.slot, dir, "")
	if !s.slot.isTar() {
		s.task.path = scope.storedPath(s.slot)
		s.task.mark = filepath.Base(s.task.path)
	}
	return nil
}

func storeReady(slot *Slot, path string) bool {
	ready := readReady(path)
	return ready != nil && ready.identity == slot.sum() && ready.slot == slot.readyLine()
}

// firstStart tells the lifecycles that a first start extracts into the environment or store.
func (s *Slot) firstStart() bool {
	switch s.lifecycle {
	case "startup", "volatile", "temp", "temporary", "lazy", "config", "persistent":
		return false
	}
	return true
}

// planSlots gives every slot a task: those that are not extracted now are still hashed, because a first start verifies the
// whole file.
func (l *layout) planSlots(scope *Scope) {
	byIndex := map[int]*Task{}
	for _, store := range l.stores {
		if store.task != nil {
			byIndex[store.slot.index] = store.task
		}
	}
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		task := byIndex[i]
		if task == nil && !slot.share && slot.firstStart() && slot.absence() == "" {
			task = newTask(scope, slot, filepath.Join(scope.env.root, filepath.FromSlash(slot.target)), slot.target)
		}
		if task == nil {
			task = &Task{slot: slot, skip: true}
		} else if slot.exact {
			l.needed += slot.original
		} else {
			l.needed += slot.size
		}
		l.tasks = append(l.tasks, task)
	}
}

// newTask plans the extraction of a slot into dir; a file slot goes to its place below the environment's root.
func newTask(scope *Scope, slot *Slot, dir, prefix string) *Task {
	task := &Task{slot: slot}
	if slot.isTar() {
		task.tree = newTree(dir, prefix, false)
	} else {
		task.path = filepath.Join(scope.env.root, slot.place())
		task.mark = filepath.ToSlash(slot.place())
	}
	return task
}

// checkMachine asks for the room that the signed sizes need, and whether programs could run from there at all.
func checkMachine(scope *Scope, needed uint64) error {
	base := scope.env.base
	if free, known := freeBytes(base); known && free < needed {
		return fail("DISK_FULL", "path", base, "needed", itoa(needed), "available", itoa(free))
	}
	if mountedNoexec(base) && len(programsInside(scope)) > 0 {
		return fail("CACHE_NOEXEC", "path", base)
	}
	return nil
}

// unpack makes the places of all tasks and carries them out.
func (l *layout) unpack(scope *Scope) error {
	for _, task := range l.tasks {
		if err := task.makePlace(); err != nil {
			return err
		}
	}
	progress := startProgress(scope.pkg)
	err := unpackAll(scope.pkg, l.tasks, progress)
	progress.stop()
	if err != nil {
		return fullDisk(scope, err, l.needed)
	}
	for _, store := range l.stores {
		if store.task == nil {
			continue
		}
		if err := store.finish(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) makePlace() error {
	dir := ""
	switch {
	case t.skip:
		return nil
	case t.tree != nil:
		dir = t.tree.root
	default:
		dir = filepath.Dir(t.path)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failIO(dir, err)
	}
	return nil
}

// fullDisk gives a write that failed for lack of room the message that says how much is needed.
func fullDisk(scope *Scope, err error, needed uint64) error {
	var known *Failure
	if !errors.As(err, &known) || known.code != "IO" || known.value("detail") != syscall.ENOSPC.Error() {
		return err
	}
	free, _ := freeBytes(scope.env.base)
	return fail("DISK_FULL", "path", scope.env.base, "needed", itoa(needed), "available", itoa(free))
}

// finish marks a shared slot as complete.
func (s *storeTask) finish() error {
	if err := syncAll(filepath.Dir(s.ready)); err != nil && !os.IsNotExist(err) {
		return failIO(s.ready, err)
	}
	return writeReady(s.ready, &Ready{identity: s.slot.sum(), name: "- -", slot: s.slot.readyLine(), files: s.task.marks})
}

// finishEnvironment removes init slots and writes the marker: the environment exists from then on.
func finishEnvironment(scope *Scope, l *layout) error {
	ready := &Ready{identity: scope.pkg.identity, name: scope.pkg.plan.name + " " + scope.pkg.plan.version}
	for _, task := range l.tasks {
		switch {
		case task.slot.lifecycle == "init" && !task.skip:
			removeMarks(scope.env.root, task.marks)
		case !task.slot.share:
			ready.files = append(ready.files, task.marks...)
		}
	}
	for i, store := range l.stores {
		if i == 0 || store.slot.sum() != l.stores[i-1].slot.sum() {
			ready.stores = append(ready.stores, store.slot.sum())
		}
	}
	for _, path := range programsInside(scope) {
		if mark, ok := entryMark(scope, path); ok {
			ready.entries = append(ready.entries, mark)
		}
	}
	if err := syncAll(scope.env.root); err != nil {
		return failIO(scope.env.root, err)
	}
	return writeReady(scope.env.state("ready"), ready)
}

func entryMark(scope *Scope, path string) (Mark, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return Mark{}, false
	}
	if inside, ok := strings.CutPrefix(path, scope.env.root+string(filepath.Separator)); ok {
		path = filepath.ToSlash(inside)
	}
	return Mark{size: info.Size(), mtime: info.ModTime().UnixNano(), mode: uint32(info.Mode().Perm()), path: path}, true
}

// programsInside lists the programs of all commands that are given by a path inside the environment or the store, each once.
func programsInside(scope *Scope) []string {
	plan := scope.pkg.plan
	words := []string{}
	if command, err := plan.defaultCommand(); err == nil && len(command) > 0 {
		words = append(words, command[0])
	}
	for i := range plan.entries {
		words = append(words, plan.entries[i].argv[0])
	}
	var found []string
	seen := map[string]bool{}
	for _, word := range words {
		path, err := scope.fill(word)
		if err != nil {
			continue
		}
		path = filepath.Clean(path)
		here := strings.HasPrefix(path, scope.env.root+string(filepath.Separator)) ||
			strings.HasPrefix(path, filepath.Join(scope.env.base, "store")+string(filepath.Separator))
		if here && !seen[path] {
			seen[path] = true
			found = append(found, path)
		}
	}
	return found
}

// removeMarks takes an init slot's files away again, and the directories that are empty without them.
func removeMarks(root string, marks []Mark) {
	sort.Slice(marks, func(i, j int) bool { return marks[i].path > marks[j].path })
	for i := range marks {
		_ = os.Remove(filepath.Join(root, filepath.FromSlash(marks[i].path)))
	}
}

// removeTree removes a folder whatever the modes of the folders in it.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			_ = os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
