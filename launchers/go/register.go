package main

import "sync"

// Names knows every name below one root, from all slots that go there.
type Names struct {
	mutex   sync.Mutex
	seen    map[string]string // folded name of every entry and parent → its spelling
	owners  map[string]owner
	layered bool // later slots may replace files of earlier ones, as the readers of other writers' packages do
}

type owner struct {
	slot   int
	folder bool
}

func newNames(layered bool) *Names {
	return &Names{seen: map[string]string{}, owners: map[string]owner{}, layered: layered}
}

// claim registers an entry's name and its parents. Refused are two entries of one name, except directories of two slots, and
// two spellings of one folded name.
func (n *Names) claim(name string, slot int, folder bool) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if old, taken := n.owners[name]; taken {
		shared := old.slot != slot && old.folder == folder && (folder || n.layered)
		if !shared {
			return &entryError{name, "appears twice"}
		}
	}
	n.owners[name] = owner{slot, folder}
	for part := name; part != ""; part = parentOf(part) {
		folded := foldCase(part)
		spelling, known := n.seen[folded]
		if known && spelling != part {
			return &entryError{part, "differs from another name only in case"}
		}
		if known && part != name {
			return nil // its parents are registered too
		}
		n.seen[folded] = part
	}
	return nil
}
