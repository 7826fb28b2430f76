package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Command is what shall run: its words before substitution, and where slots are.
type Command struct {
	entry string // name of the chosen entry, "" for the default command
	words []string
}

// chooseEntry picks the command: SEALIFT_ENTRY, else the entry with the name that the file was started under, else the default.
func chooseEntry(plan *Plan, startedAs string) (*Command, error) {
	if name := os.Getenv("SEALIFT_ENTRY"); name != "" {
		if entry := plan.entry(name); entry != nil {
			return &Command{name, entry.argv}, nil
		}
		return nil, fail("ENTRY_UNKNOWN", "name", name, "list", plan.entryNames())
	}
	if entry := plan.startEntry(startName(startedAs)); entry != nil {
		return &Command{entry.name, entry.argv}, nil
	}
	words, err := plan.defaultCommand()
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] == "" {
		return nil, fail("COMMAND_EMPTY")
	}
	return &Command{"", words}, nil
}

func (p *Plan) defaultCommand() ([]string, error) {
	if len(p.argv) > 0 {
		return p.argv, nil
	}
	words, err := splitWords(p.command)
	if err != nil {
		return nil, fail("COMMAND_WORDS", "detail", err.Error())
	}
	return words, nil
}

func (p *Plan) entry(name string) *Entry {
	for i := range p.entries {
		if p.entries[i].name == name {
			return &p.entries[i]
		}
	}
	return nil
}

// startEntry finds the entry that a file's name means; Windows ignores case in those.
func (p *Plan) startEntry(name string) *Entry {
	entry := p.entry(name)
	for i := 0; entry == nil && runtime.GOOS == "windows" && i < len(p.entries); i++ {
		if strings.EqualFold(p.entries[i].name, name) {
			entry = &p.entries[i]
		}
	}
	return entry
}

func (p *Plan) entryNames() string {
	var names []string
	for i := range p.entries {
		names = append(names, p.entries[i].name)
	}
	if names == nil {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// startName is the name a file was started under, without the endings of packages.
func startName(path string) string {
	name := filepath.Base(path)
	for _, ending := range []string{".exe", ".psp"} {
		cut := len(name) - len(ending)
		if cut >= 0 && (name[cut:] == ending || runtime.GOOS == "windows" && strings.EqualFold(name[cut:], ending)) {
			name = name[:cut]
		}
	}
	return name
}

// Scope is what placeholders stand for at this start.
type Scope struct {
	pkg    *Package
	env    *Workenv
	self   string
	data   string // <data>/<name>
	runDir string // of temp slots; "" until one is made
	port   string // of a service that has one
}

// fill substitutes the placeholders of one word in one pass; what is put in is not looked at again. Other text in braces stays.
func (s *Scope) fill(word string) (string, error) {
	if strings.IndexByte(word, '{') < 0 {
		return word, nil
	}
	var out strings.Builder
	for {
		start := strings.IndexByte(word, '{')
		if start < 0 {
			out.WriteString(word)
			return out.String(), nil
		}
		out.WriteString(word[:start])
		word = word[start:]
		end := strings.IndexByte(word, '}')
		if end < 0 {
			end = 0
		}
		value, known, err := s.value(word[:end+1])
		if err != nil {
			return "", err
		}
		if known {
			out.WriteString(value)
			word = word[end+1:]
		} else {
			out.WriteByte('{')
			word = word[1:]
		}
	}
}

func (s *Scope) value(placeholder string) (value string, known bool, err error) {
	switch placeholder {
	case "{workenv}":
		return s.env.root, true, nil
	case "{package_name}":
		return s.pkg.plan.name, true, nil
	case "{version}":
		return s.pkg.plan.version, true, nil
	case "{self}":
		return s.self, true, nil
	}
	if placeholder == "{port}" && s.port != "" {
		return s.port, true, nil
	}
	name, isSlot := strings.CutPrefix(placeholder, "{slot:")
	if !isSlot {
		return "", false, nil
	}
	slot := s.pkg.plan.findSlot(strings.TrimSuffix(name, "}"))
	if slot == nil {
		return "", false, fail("PLACEHOLDER", "placeholder", placeholder, "list", s.pkg.plan.slotNames())
	}
	if reason := slot.absence(); reason != "" {
		return "", false, fail("SLOT_ABSENT", "slot", slotName(slot), "detail", reason)
	}
	return s.slotPath(slot), true, nil
}

func (s *Scope) fillAll(words []string) ([]string, error) {
	out := make([]string, 0, len(words)+8)
	for _, word := range words {
		filled, err := s.fill(word)
		if err != nil {
			return nil, err
		}
		out = append(out, filled)
	}
	return out, nil
}

// findSlot finds a slot by id, else by number.
func (p *Plan) findSlot(name string) *Slot {
	for i := range p.slots {
		if p.slots[i].id == name {
			return &p.slots[i]
		}
	}
	if n, err := strconv.ParseUint(name, 10, 16); err == nil && int(n) < len(p.slots) {
		return &p.slots[n]
	}
	return nil
}

func (p *Plan) slotNames() string {
	var names []string
	for i := range p.slots {
		names = append(names, slotName(&p.slots[i]))
	}
	if names == nil {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// absence says why a slot is not there on this system or in this mode, or "".
func (s *Slot) absence() string {
	if s.os != "" && s.os != runtime.GOOS || s.arch != "" && s.arch != runtime.GOARCH {
		return "it is for " + s.platform()
	}
	if s.lifecycle == "dev" && os.Getenv("SEALIFT_DEV") != "1" {
		return "it needs SEALIFT_DEV=1"
	}
	return ""
}

// slotPath is what {slot:…} stands for: the directory of a tar slot, the path of a file slot.
func (s *Scope) slotPath(slot *Slot) string {
	switch slot.lifecycle {
	case "config", "persistent":
		return filepath.Join(s.data, slot.place())
	case "temp", "temporary":
		return filepath.Join(s.runDir, slot.place())
	}
	if slot.shared() {
		return s.storedPath(slot)
	}
	return filepath.Join(s.env.root, slot.place())
}

// storedPath is the place of a shared slot.
func (s *Scope) storedPath(slot *Slot) string {
	dir := s.env.storePath(slot.sum())
	if slot.isTar() {
		return dir
	}
	return filepath.Join(dir, lastPart(slot.place()))
}

// place is the slot's relative path: its target; a file slot without one goes by its id.
func (s *Slot) place() string {
	if s.target == "" && !s.isTar() {
		return s.id
	}
	return filepath.FromSlash(s.target)
}

func lastPart(path string) string { return filepath.Base(path) }

// shared tells whether a slot lives in the store: the lifecycles that come again or go elsewhere never do.
func (s *Slot) shared() bool {
	switch s.lifecycle {
	case "runtime", "eager", "cache", "platform", "lazy", "dev":
		return s.share
	}
	return false
}

// programPath finds the program of a command: a path is used as it is, a bare name is looked for in the program's own PATH,
// this package itself excepted, which would start itself for ever.
func programPath(word, path string, image *os.File) string {
	if filepath.Base(word) != word || (runtime.GOOS == "windows" && filepath.VolumeName(word) != "") {
		return filepath.FromSlash(word)
	}
	own, err := image.Stat()
	return searchPath(word, path, func(found string) bool {
		info, infoErr := os.Stat(found)
		return err == nil && infoErr == nil && os.SameFile(own, info)
	})
}
