package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Tree makes the files of one tar slot below root, from several goroutines at once when the slot is chunked. Directories
// and files come first; links wait until finish, so nothing is ever written through a link.
type Tree struct {
	root    string
	prefix  string // of root in marks: the slot's target with "/" behind it, or ""
	compare bool

	mutex   sync.Mutex
	seen    map[string]string // folded name of every entry and parent → its spelling
	files   map[string]int64  // regular files → their position in the slot
	entries map[string]bool   // names that had an entry of their own
	folders map[string]bool   // directories known to be there and to be no links
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

func newTree(root, prefix string, compare bool) *Tree {
	if prefix != "" {
		prefix += "/"
	}
	return &Tree{root: root, prefix: prefix, compare: compare, seen: map[string]string{}, files: map[string]int64{},
		entries: map[string]bool{}, folders: map[string]bool{}}
}

func (t *Tree) at(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// claim registers an entry's name and its parents; two entries, or two spellings of one folded name, are refused.
func (t *Tree) claim(name string) error {
	if t.entries[name] {
		return &entryError{name, "appears twice"}
	}
	t.entries[name] = true
	for part := name; part != ""; part = parentOf(part) {
		folded := foldCase(part)
		spelling, known := t.seen[folded]
		if known && spelling != part {
			return &entryError{part, "differs from another name only in case"}
		}
		if known && part != name {
			return nil // its parents are registered too
		}
		t.seen[folded] = part
	}
	return nil
}

func (t *Tree) file(name string, number int64, mode uint32, size, mtime int64, write func(*Output) error) error {
	t.mutex.Lock()
	err := t.claim(name)
	if err == nil {
		err = t.folder(parentOf(name))
	}
	t.files[name] = number
	t.marks = append(t.marks, Mark{'f', size, mtime, mode, t.prefix + name})
	t.mutex.Unlock()
	if err != nil {
		return err
	}
	out, err := openOutput(t.at(name), mode, t.compare)
	if err != nil {
		return t.refusal(name, err)
	}
	if err := write(out); err != nil {
		out.abandon()
		return t.writeError(name, err)
	}
	if err := out.finish(size, mtime); err != nil {
		return t.refusal(name, err)
	}
	return nil
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
	if err := t.claim(name); err != nil {
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
	if !t.compare {
		if err := os.Mkdir(path, 0o755); err == nil {
			t.folders[name] = true
			return nil
		} else if !errors.Is(err, os.ErrExist) {
			return failIO(path, err)
		}
	}
	info, err := os.Lstat(path)
	switch {
	case t.compare && (err != nil || !info.IsDir()):
		return errChanged
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
	if err := t.claim(name); err != nil {
		return err
	}
	if hard {
		cleaned, err := archivePath(target)
		if err != nil {
			return &entryError{name, "links to a path that " + err.Error()}
		}
		target = cleaned
	}
	t.links = append(t.links, treeLink{name, target, number, hard, mtime})
	return nil
}

// finish makes the links and gives directories their modes and times. It runs after all chunks of the slot.
func (t *Tree) finish() error {
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
	if !t.compare {
		if err := os.Chmod(path, os.FileMode(dir.mode)); err != nil {
			return failIO(path, err)
		}
		if err := setTime(path, dir.mtime); err != nil {
			return failIO(path, err)
		}
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
	if t.compare {
		if have, err := os.Readlink(path); err != nil || filepath.ToSlash(have) != link.target {
			return errChanged
		}
		return nil
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
	info, err := os.Lstat(source)
	if err != nil {
		return t.refusal(link.name, err)
	}
	t.marks = append(t.marks, Mark{'f', info.Size(), info.ModTime().UnixNano(), uint32(info.Mode().Perm()), t.prefix + link.name})
	if t.compare {
		if have, err := os.Lstat(path); err != nil || !os.SameFile(info, have) {
			return errChanged
		}
		return nil
	}
	if err := os.Link(source, path); err != nil {
		return t.refusal(link.name, err)
	}
	return nil
}

// checkLinks refuses links that leave the tree, hard links to anything but an earlier regular file, and entries below a
// symbolic link.
func (t *Tree) checkLinks() error {
	symbolic := map[string]string{}
	for i := range t.links {
		if link := &t.links[i]; !link.hard {
			symbolic[link.name] = link.target
		}
	}
	for i := range t.links {
		link := &t.links[i]
		if link.hard {
			if number, regular := t.files[link.target]; !regular || number >= link.number {
				return &entryError{link.name, "is a hard link to something that is not an earlier file"}
			}
			continue
		}
		if !staysInside(link.name, link.target, symbolic) {
			return &entryError{link.name, "is a link that leaves its directory tree"}
		}
	}
	if len(symbolic) == 0 {
		return nil
	}
	for name := range t.entries {
		for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
			if _, linked := symbolic[parent]; linked {
				return &entryError{name, "lies below a symbolic link"}
			}
		}
	}
	return nil
}

// staysInside follows a symbolic link through the other links of the slot, as the system would.
func staysInside(name, target string, symbolic map[string]string) bool {
	if target == "" || strings.HasPrefix(target, "/") {
		return false
	}
	at := parentOf(name)
	rest := []string{target}
	for links := 0; len(rest) > 0; {
		part, after, more := strings.Cut(rest[len(rest)-1], "/")
		if rest = rest[:len(rest)-1]; more {
			rest = append(rest, after)
		}
		switch {
		case strings.ContainsAny(part, "\\\x00"):
			return false
		case len(part) > 1 && part[1] == ':' && runtime.GOOS == "windows":
			return false
		case part == "" || part == ".":
			continue
		case part == ".." && at == "":
			return false
		case part == "..":
			at = parentOf(at)
			continue
		}
		next := part
		if at != "" {
			next = at + "/" + part
		}
		link, linked := symbolic[next]
		if !linked {
			at = next
			continue
		}
		if links++; links > 40 {
			return true // the system refuses to follow so many
		}
		if strings.HasPrefix(link, "/") {
			return false
		}
		rest = append(rest, link)
	}
	return true
}
