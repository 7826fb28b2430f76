package main

import (
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// firstStart makes the work environment under its lock. Whoever waited for the lock finds it made.
func firstStart(scope *Scope, program string, environ *Environ, again bool) error {
	env := scope.env
	keepRunningWithoutReader()
	if err := env.create(); err != nil {
		return err
	}
	lock, err := takeLock(env.base, env.name, scope.pkg.plan.name)
	if err != nil {
		return err
	}
	defer lock.release()
	if !again && isReady(scope, program) {
		return nil
	}
	debugf("preparing", "path", env.root)
	if err := checkRest(scope.pkg); err != nil {
		return err
	}
	if mountedNoexec(env.base) && scope.keeps(program) {
		return fail("CACHE_NOEXEC", "path", env.base)
	}
	if err := openSlots(scope); err != nil {
		return err
	}
	if err := buildEnvironment(scope, environ, again); err != nil {
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

func buildEnvironment(scope *Scope, environ *Environ, again bool) error {
	env := scope.env
	plan := &layout{}
	defer plan.release()
	if err := plan.planStores(scope, again); err != nil {
		return err
	}
	plan.planSlots(scope)
	if err := checkSpace(scope, plan.needed); err != nil {
		return err
	}
	faultPoint("start")
	if err := removeTree(env.root); err != nil {
		return failIO(env.root, err)
	}
	if err := makePrivate(env.state()); err != nil {
		return err
	}
	if err := plan.unpack(scope); err != nil {
		plan.removeStores()
		return err
	}
	if err := extractData(scope); err != nil {
		return err
	}
	if err := runSetup(scope, environ); err != nil {
		return err
	}
	return finishEnvironment(scope, plan)
}

// planStores takes the locks of the shared slots, always in the same order so that two packages cannot wait for each other.
func (l *layout) planStores(scope *Scope, again bool) error {
	for i := range scope.pkg.plan.slots {
		if slot := &scope.pkg.plan.slots[i]; slot.shared() && slot.firstStart() && slot.absence() == "" {
			l.stores = append(l.stores, &storeTask{slot: slot})
		}
	}
	sort.Slice(l.stores, func(i, j int) bool { return l.stores[i].slot.sum() < l.stores[j].slot.sum() })
	for i, store := range l.stores {
		if i > 0 && store.slot.sum() == l.stores[i-1].slot.sum() {
			continue // the same bytes under two names: one place
		}
		if err := store.open(scope, again); err != nil {
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
func (s *storeTask) open(scope *Scope, again bool) error {
	dir := scope.env.storePath(s.slot.sum())
	lock, err := takeLock(scope.env.base, s.slot.sum(), slotName(s.slot))
	if err != nil {
		return err
	}
	s.lock, s.ready = lock, filepath.Join(dir, stateFolder, "ready")
	if !again && storeReady(scope, s.slot) {
		return nil
	}
	if err := removeTree(dir); err != nil {
		return failIO(dir, err)
	}
	s.task = storeTaskOf(scope, s.slot, newNames(false))
	return nil
}

// storeTaskOf plans the extraction of a shared slot into its place in the store.
func storeTaskOf(scope *Scope, slot *Slot, names *Names) *Task {
	task := &Task{slot: slot, names: names}
	if slot.isTar() {
		task.tree = newTree(scope.env.storePath(slot.sum()), "", slot.index, names)
	} else {
		task.path = scope.storedPath(slot)
		task.mark = filepath.Base(task.path)
	}
	return task
}

// storeReady: the marker fits and, for a file, this package's name for it exists.
func storeReady(scope *Scope, slot *Slot) bool {
	ready := readReady(filepath.Join(scope.env.storePath(slot.sum()), stateFolder, "ready"))
	fits := ready != nil && ready.identity == slot.sum() && ready.slot == slot.readyLine()
	return fits && (slot.isTar() || exists(scope.storedPath(slot)))
}

// removeStores takes away what failed to become a shared slot.
func (l *layout) removeStores() {
	for _, store := range l.stores {
		if store.task != nil {
			_ = removeTree(filepath.Dir(filepath.Dir(store.ready)))
		}
	}
}

// firstStart tells the lifecycles that a first start extracts into the environment or store.
func (s *Slot) firstStart() bool {
	switch s.lifecycle {
	case "startup", "volatile", "temp", "temporary", "lazy", "dev", "config", "persistent":
		return false
	}
	return true
}

// planSlots gives every slot a task: those that are not extracted now are still hashed, because a first start verifies the
// whole file.
func (l *layout) planSlots(scope *Scope) {
	byIndex := map[int]*Task{}
	names := newNames(!scope.pkg.plan.sealed)
	for _, store := range l.stores {
		if store.task != nil {
			byIndex[store.slot.index] = store.task
		}
	}
	for i := range scope.pkg.plan.slots {
		slot := &scope.pkg.plan.slots[i]
		task := byIndex[i]
		if task == nil && !slot.shared() && slot.firstStart() && slot.absence() == "" {
			task = newTask(slot, scope.env.root, names)
		}
		if task == nil {
			task = &Task{slot: slot, skip: true}
		} else {
			l.needed += slot.knownSize()
		}
		l.tasks = append(l.tasks, task)
	}
}

// newTask plans the extraction of a slot to its target below root.
func newTask(slot *Slot, root string, names *Names) *Task {
	task := &Task{slot: slot, names: names}
	if slot.isTar() {
		task.tree = newTree(filepath.Join(root, filepath.FromSlash(slot.target)), slot.target, slot.index, names)
	} else {
		task.path = filepath.Join(root, slot.place())
		task.mark = filepath.ToSlash(slot.place())
	}
	return task
}

// checkSpace asks for the room that the signed sizes need.
func checkSpace(scope *Scope, needed uint64) error {
	base := scope.env.base
	if free, known := freeBytes(base); known && free < needed {
		return fail("DISK_FULL", "path", base, "needed", itoa(needed), "available", itoa(free))
	}
	return nil
}

// keeps tells whether path lies in the work environment or the store.
func (s *Scope) keeps(path string) bool {
	return isBelow(path, s.env.root) || isBelow(path, filepath.Join(s.env.base, "store"))
}

func isBelow(path, root string) bool { return strings.HasPrefix(path, root+string(filepath.Separator)) }

// unpack makes the places of all tasks and carries them out.
func (l *layout) unpack(scope *Scope) error {
	progress := startProgress(scope.pkg)
	err := unpackLayers(scope.pkg, l.tasks, progress)
	progress.stop()
	if err != nil {
		return fullDisk(scope, err, l.needed)
	}
	faultPoint("unpacked")
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

// unpackLayers unpacks all slots at once, or one after the other where later ones may replace files of earlier ones.
func unpackLayers(pkg *Package, tasks []*Task, progress *Progress) error {
	if pkg.plan.sealed {
		return unpackAll(pkg, tasks, progress)
	}
	for i := range tasks {
		if err := unpackAll(pkg, tasks[i:i+1], progress); err != nil {
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
	if !errors.As(err, &known) || known.code != "IO" || known.value("detail") != reason(diskFull) {
		return err
	}
	free, _ := freeBytes(scope.env.base)
	return fail("DISK_FULL", "path", scope.env.base, "needed", itoa(needed), "available", itoa(free))
}

// finish marks a shared slot as complete.
func (s *storeTask) finish() error {
	return writeReady(s.ready, &Ready{identity: s.slot.sum(), name: "- -", slot: s.slot.readyLine(), files: s.task.marks})
}

// finishEnvironment removes init slots and writes the marker: the environment exists from then on.
func finishEnvironment(scope *Scope, l *layout) error {
	ready := &Ready{identity: scope.pkg.identity, name: scope.pkg.plan.name + " " + scope.pkg.plan.version}
	for _, task := range l.tasks {
		switch {
		case task.slot.lifecycle == "init" && !task.skip:
			removeMarks(scope.env.root, task.marks)
		case !task.slot.shared():
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
	if len(scope.pkg.plan.setup)+len(scope.pkg.plan.directories) > 0 {
		ready.files = lookAgain(scope.env.root, ready.files)
	}
	faultPoint("setup-done")
	if err := writeReady(scope.env.state("ready"), ready); err != nil {
		return err
	}
	faultPoint("ready")
	return nil
}

// lookAgain: setup commands may have changed anything, and the marker says what is there now.
func lookAgain(root string, marks []Mark) []Mark {
	var found []Mark
	for i := range marks {
		if mark, err := lookAt(filepath.Join(root, filepath.FromSlash(marks[i].path)), marks[i].path); err == nil {
			found = append(found, mark)
		}
	}
	return found
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
		path = startedFile(filepath.Clean(path))
		if scope.keeps(path) && !isBelow(path, scope.env.state()) && !seen[path] {
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
	err := removeAll(path)
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
