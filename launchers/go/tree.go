package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
)

// Tree makes the files of one tar slot below root, from several goroutines at once when the slot is chunked. Directories
// and files come first; links wait until finish, so nothing is ever written through a link.
type Tree struct {
	root    string
	prefix  string // of root in marks: the slot's target with "/" behind it, or ""
	slot    int
	names   *Names
	compare *Comparison // nil when files are made

	mutex   sync.Mutex
	files   map[string]int64 // regular files → their position in the slot
	entries map[string]bool  // names that had an entry of their own
	folders map[string]bool  // directories known to be there and to be no links
	dirs    []Mark
	marks   []Mark
	links   []treeLink
}

type treeLink struct {
	name, target string
	number       int64
	hard         bool
	mtime        int64
}

func newTree(root, prefix string, slot int, names *Names) *Tree {
	if prefix != "" {
		prefix += "/"
	}
	return &Tree{root: root, prefix: prefix, slot: slot, names: names, files: map[string]int64{},
		entries: map[string]bool{}, folders: map[string]bool{}}
}

func (t *Tree) at(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// claim registers the name of an entry.
func (t *Tree) claim(name string, folder bool) error {
	t.entries[name] = true
	return t.names.claim(t.prefix+name, t.slot, folder)
}

func (t *Tree) file(name string, number int64, mode uint32, size, mtime int64, write func(*Output) error) error {
	t.mutex.Lock()
	err := t.claim(name, false)
	if err == nil {
		err = t.folder(parentOf(name))
	}
	t.files[name] = number
	t.marks = append(t.marks, Mark{'f', size, mtime, mode, t.prefix + name})
	t.mutex.Unlock()
	if err != nil {
		return err
	}
	out, err := t.open(name, mode, size, mtime)
	if out == nil {
		return err
	}
	if err := write(out); err != nil {
		out.abandon()
		return t.writeError(name, err)
	}
	if err := out.finish(mtime); err != nil {
		return t.refusal(name, err)
	}
	return nil
}

// open starts a file, or its comparison; nil without an error means that there is nothing to compare.
func (t *Tree) open(name string, mode uint32, size, mtime int64) (*Output, error) {
	if t.compare != nil {
		return t.compare.open(t.at(name), t.prefix+name, Mark{'f', size, mtime, mode, t.prefix + name})
	}
	out, err := createOutput(t.at(name), mode, t.names.layered)
	if err != nil {
		return nil, t.refusal(name, err)
	}
	return out, nil
}

// writeError tells a failure of the source from one of the file being written.
func (t *Tree) writeError(name string, err error) error {
	if known := tarError(err); known != errTar {
		return known
	}
	if reason(err) == err.Error() {
		return errTar
	}
	return t.refusal(name, err)
}

// refusal: a name that is taken is the package's fault, all else is the file system's.
func (t *Tree) refusal(name string, err error) error {
	if errors.Is(err, errChanged) {
		return err
	}
	if errors.Is(err, os.ErrExist) {
		return &entryError{name, "is in the way of another entry"}
	}
	return failIO(t.at(name), err)
}

func (t *Tree) directory(name string, mode uint32, mtime int64) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if name == "" {
		return nil
	}
	if err := t.claim(name, true); err != nil {
		return err
	}
	mode |= 0o700
	if err := t.folder(name); err != nil {
		return err
	}
	t.dirs = append(t.dirs, Mark{'d', 0, mtime, mode, name})
	return nil
}

// folder makes a directory and its parents, once each, and makes sure that they are directories and no links.
func (t *Tree) folder(name string) error {
	if name == "" || t.folders[name] {
		return nil
	}
	if err := t.folder(parentOf(name)); err != nil {
		return err
	}
	path := t.at(name)
	if t.compare == nil {
		if err := os.Mkdir(path, 0o755); err == nil {
			t.folders[name] = true
			return nil
		} else if !errors.Is(err, os.ErrExist) {
			return failIO(path, err)
		}
	}
	info, err := os.Lstat(path)
	switch {
	case t.compare != nil:
		return nil // the comparison of what stands in it says more
	case err != nil:
		return failIO(path, err)
	case !info.IsDir():
		return &entryError{name, "is a directory where a file or link is"}
	}
	t.folders[name] = true
	return nil
}

func (t *Tree) link(name string, number int64, target string, hard bool, mtime int64) error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err := t.claim(name, false); err != nil {
		return err
	}
	if hard {
		cleaned, err := archivePath(target)
		if err != nil {
			return &entryError{name, "links to a path that " + err.Error()}
		}
		target = cleaned
		t.files[name] = number // a hard link is as good a target as the file that it links to
	}
	t.links = append(t.links, treeLink{name, target, number, hard, mtime})
	return nil
}

// finish makes the links and gives directories their modes and times. It runs after all chunks of the slot.
func (t *Tree) finish() error {
	sort.Slice(t.links, func(i, j int) bool { return t.links[i].number < t.links[j].number })
	if err := t.checkLinks(); err != nil {
		return err
	}
	for _, hard := range []bool{true, false} {
		for i := range t.links {
			if link := &t.links[i]; link.hard == hard {
				if err := t.makeLink(link); err != nil {
					return err
				}
			}
		}
	}
	for i := len(t.dirs) - 1; i >= 0; i-- {
		if err := t.finishFolder(&t.dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) finishFolder(dir *Mark) error {
	path := t.at(dir.path)
	if t.compare != nil {
		return t.compare.folder(path, t.prefix+dir.path)
	}
	if err := os.Chmod(path, os.FileMode(dir.mode)); err != nil {
		return failIO(path, err)
	}
	if err := setTime(path, dir.mtime); err != nil {
		return failIO(path, err)
	}
	t.marks = append(t.marks, Mark{'d', 0, 0, dir.mode, t.prefix + dir.path})
	return nil
}

func (t *Tree) makeLink(link *treeLink) error {
	path := t.at(link.name)
	if err := t.folder(parentOf(link.name)); err != nil {
		return err
	}
	if link.hard {
		return t.makeHardLink(link, path)
	}
	t.marks = append(t.marks, Mark{'l', 0, 0, 0o777, t.prefix + link.name})
	if t.compare != nil {
		return t.compare.symbolic(path, t.prefix+link.name, link.target)
	}
	if err := t.clear(path); err != nil {
		return err
	}
	if err := os.Symlink(filepath.FromSlash(link.target), path); err != nil {
		return t.refusal(link.name, err)
	}
	if runtime.GOOS == "windows" {
		return nil
	}
	return setTime(path, link.mtime)
}

func (t *Tree) makeHardLink(link *treeLink, path string) error {
	source := t.at(link.target)
	if t.compare != nil {
		return t.compare.hard(path, source, t.prefix+link.name)
	}
	if err := t.clear(path); err != nil {
		return err
	}
	info, err := os.Lstat(source)
	if err != nil {
		return t.refusal(link.name, err)
	}
	t.marks = append(t.marks, Mark{'f', info.Size(), info.ModTime().UnixNano(), uint32(info.Mode().Perm()), t.prefix + link.name})
	if err := os.Link(source, path); err != nil {
		return t.refusal(link.name, err)
	}
	return nil
}

// clear makes room for a link where an earlier slot of another writer's package has put a file.
func (t *Tree) clear(path string) error {
	if !t.names.layered {
		return nil
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return failIO(path, err)
	}
	return nil
}
