package main

import (
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// The `ready` marker: without it a work environment or shared slot does not exist (docs/reference/launcher.md).

// Mark is one line about a file: what it was when the environment was made.
type Mark struct {
	kind  byte // d, f or l
	size  int64
	mtime int64 // nanoseconds
	mode  uint32
	path  string
}

// Ready is the content of a marker.
type Ready struct {
	identity string
	name     string // "name version", or "- -" for a shared slot
	slot     string // "<packed, 16 hex> <original>" of a shared slot
	entries  []Mark
	stores   []string
	files    []Mark
}

const readyHead = "sealift-ready 1\n"

func (r *Ready) encode() []byte {
	var b strings.Builder
	b.WriteString(readyHead + "identity " + r.identity + "\npackage " + r.name + "\n")
	if r.slot != "" {
		b.WriteString("slot " + r.slot + "\n")
	}
	for i := range r.entries {
		r.entries[i].write(&b, "entry")
	}
	for _, sum := range r.stores {
		b.WriteString("store " + sum + "\n")
	}
	b.WriteString("files\n")
	sort.Slice(r.files, func(i, j int) bool { return r.files[i].path < r.files[j].path })
	for i := range r.files {
		r.files[i].write(&b, string(r.files[i].kind))
	}
	b.WriteString("end " + strconv.Itoa(len(r.files)) + "\n")
	return []byte(b.String())
}

func (m *Mark) write(b *strings.Builder, word string) {
	mode := strconv.FormatUint(uint64(m.mode), 8)
	b.WriteString(word + " " + strconv.FormatInt(m.size, 10) + " " + strconv.FormatInt(m.mtime, 10) + " " +
		"0000"[min(len(mode), 4):] + mode + " " + escapePath(m.path) + "\n")
}

var pathEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)

func escapePath(path string) string {
	if !strings.ContainsAny(path, "\\\n\r") {
		return path
	}
	return pathEscapes.Replace(path)
}

func unescapePath(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			switch c = text[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// readReady reads a marker up to its line "files"; nil means that there is none that can be believed.
func readReady(path string) *Ready {
	data := readHead(path)
	text, found := strings.CutPrefix(string(data), readyHead)
	head, _, complete := strings.Cut(text, "\nfiles\n")
	if !found || !complete {
		return nil
	}
	ready := &Ready{}
	for head != "" {
		var line string
		line, head, _ = strings.Cut(head, "\n")
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "identity":
			ready.identity = value
		case "package":
			ready.name = value
		case "slot":
			ready.slot = value
		case "store":
			ready.stores = append(ready.stores, value)
		case "entry":
			mark, ok := parseMark(value)
			if !ok {
				return nil
			}
			ready.entries = append(ready.entries, mark)
		default:
			return nil
		}
	}
	return ready
}

// readHead reads a marker until its head is complete; few are longer than one block.
func readHead(path string) []byte {
	file, err := openPlain(path)
	if err != nil {
		return nil
	}
	defer file.close()
	const limit = 16 << 20
	for size := 4096; ; size *= 8 {
		data := make([]byte, size)
		n := file.readAt(data)
		data = data[:n]
		if n < size || size > limit || strings.Contains(string(data), "\nfiles\n") {
			return data
		}
	}
}

// parseMark reads "<size> <mtime> <mode> <path>".
func parseMark(text string) (mark Mark, ok bool) {
	words := strings.SplitN(text, " ", 4)
	if len(words) != 4 {
		return mark, false
	}
	var errs [3]error
	mark.size, errs[0] = strconv.ParseInt(words[0], 10, 64)
	mark.mtime, errs[1] = strconv.ParseInt(words[1], 10, 64)
	mode, err := strconv.ParseUint(words[2], 8, 32)
	mark.mode, errs[2] = uint32(mode), err
	mark.path = unescapePath(words[3])
	return mark, errs[0] == nil && errs[1] == nil && errs[2] == nil
}

// place is where an entry lies: below root, or in the store by its absolute path.
func (m *Mark) place(root string) string {
	if filepath.IsAbs(m.path) {
		return m.path
	}
	return filepath.Join(root, filepath.FromSlash(m.path))
}

// unchanged tells whether the file of an entry is still what it was.
func (m *Mark) unchanged(path string) bool {
	size, mtime, ok := statFile(path)
	return ok && size == m.size && mtime == m.mtime
}

// writeReady puts the marker in place last and for good: temporary name, fsync, rename, fsync of the folder.
func writeReady(path string, ready *Ready) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failIO(dir, err)
	}
	// One flush of the file system costs less than one per extracted file, and nothing on tmpfs.
	if err := syncAll(dir); err != nil {
		return failIO(dir, err)
	}
	return writeDurably(path, ready.encode())
}

// writeDurably puts a small file in place whole or not at all.
func writeDurably(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failIO(dir, err)
	}
	temporary := path + ".new"
	if err := writeSynced(temporary, data); err != nil {
		return failIO(temporary, err)
	}
	if err := replaceFile(temporary, path); err != nil {
		return failIO(path, err)
	}
	return syncFolder(dir)
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

// parseFiles reads the lines between "files" and "end"; a list that is not complete is none.
func parseFiles(text string) map[string]Mark {
	_, rest, found := strings.Cut(text, "\nfiles\n")
	if !found || !strings.HasPrefix(text, readyHead) {
		return nil
	}
	files := map[string]Mark{}
	count := 0
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		kind, value, _ := strings.Cut(line, " ")
		if kind == "end" {
			if n, err := strconv.Atoi(value); err == nil && n == count && rest == "" {
				return files
			}
			return nil
		}
		mark, ok := parseMark(value)
		if !ok || len(kind) != 1 {
			return nil
		}
		mark.kind = kind[0]
		files[mark.path] = mark
		count++
	}
	return nil
}
