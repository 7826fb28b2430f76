package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// extract unpacks a tar stream into a new folder, the memory way and the streaming way, and returns both errors.
func extract(t testing.TB, data []byte, part tarPart) (dir string, memory, stream error) {
	t.Helper()
	once := func(read func(*Tree) error) (string, error) {
		dir := t.TempDir()
		tree := newTree(filepath.Join(dir, "in"), "", 0, newNames(false))
		if err := os.Mkdir(tree.root, 0o755); err != nil {
			t.Fatal(err)
		}
		err := read(tree)
		if err == nil {
			err = tree.finish()
		}
		if names, _ := listNames(dir); len(names) != 1 {
			t.Fatalf("something was written outside: %v", names)
		}
		return tree.root, err
	}
	dir, memory = once(func(tree *Tree) error { return tree.readTarMemory(data, 0, part) })
	_, stream = once(func(tree *Tree) error { return tree.readTar(bytes.NewReader(data), 0, part) })
	return dir, memory, stream
}

func rawTar(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.ModTime.IsZero() {
			h.ModTime = testTime
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(make([]byte, h.Size))
	}
	_ = w.Close()
	return out.Bytes()
}

// patch changes bytes of the first header (offset, value, offset, value …) and makes its checksum fit again.
func patch(data []byte, changes ...byte) []byte {
	data = append([]byte(nil), data...)
	for i := 0; i+1 < len(changes); i += 2 {
		data[changes[i]] = changes[i+1]
	}
	sum := 8 * int(' ')
	for i, b := range data[:512] {
		if i < 148 || i >= 156 {
			sum += int(b)
		}
	}
	copy(data[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

func TestHostileMembersAreRefused(t *testing.T) {
	file := func(name string) member { return member{name: name, text: "x"} }
	link := func(name, to string) member { return member{name: name, kind: tar.TypeSymlink, link: to} }
	hard := func(name, to string) member { return member{name: name, kind: tar.TypeLink, link: to} }
	for name, members := range map[string][]member{
		"parent":                     {file("../x")},
		"parent inside":              {file("a/../../x")},
		"harmless parent":            {file("a/../x")},
		"absolute":                   {file("/etc/x")},
		"drive":                      {file("C:/x")},
		"drive without slash":        {file("c:x")},
		"backslash":                  {file(`a\x`)},
		"state":                      {file(".sealift/ready")},
		"state in capitals":          {file("./.SEALIFT/ready")},
		"twice":                      {file("a"), file("a")},
		"twice, spelled differently": {file("a/b"), file("./a//b")},
		"case":                       {file("README"), file("readme")},
		"case beyond ASCII":          {file("Ärger"), file("ärger")},
		"case of a folder":           {file("Dir/a"), file("dir/b")},
		"file and folder":            {file("a"), file("a/b")},
		"folder and file":            {file("a/b"), file("a")},
		"too long":                   {file(strings.Repeat("d/", 2048) + "x")},
		"link out":                   {link("a", "../x")},
		"link far out":               {link("d/a", "../../x")},
		"absolute link":              {link("a", "/etc/passwd")},
		"empty link":                 {link("a", "")},
		"link through a link":        {{name: "p/", kind: '5'}, {name: "p/q/", kind: '5'}, link("p/q/up", "../.."), link("s", "p/q/up/..")},
		"link with a backslash":      {link("a", `..\x`)},
		"below a link":               {link("a", "b"), file("a/x")},
		"below a later link":         {file("a/x"), link("a", "b")},
		"folder below a link":        {link("a", "."), {name: "a/d/", kind: '5'}},
		"hard link out":              {hard("a", "../../etc/passwd")},
		"absolute hard link":         {hard("a", "/etc/passwd")},
		"hard link to nothing":       {hard("a", "b")},
		"hard link to a later file":  {hard("a", "b"), file("b")},
		"hard link to a folder":      {{name: "d/", kind: '5'}, hard("a", "d")},
		"hard link to a link":        {file("f"), link("l", "f"), hard("a", "l")},
		"hard link to itself":        {hard("a", "a")},
		"fifo":                       {{name: "a", kind: tar.TypeFifo}},
		"character device":           {{name: "a", kind: tar.TypeChar}},
		"block device":               {{name: "a", kind: tar.TypeBlock}},
		"root as a file":             {file("./.")},
		"root as a link":             {link(".", "x")},
	} {
		_, memory, stream := extract(t, tarOf(t, true, members...), wholeArchive)
		if memory == nil || stream == nil {
			t.Errorf("%s: memory %v, stream %v", name, memory, stream)
		}
	}
}

func TestSparseAndOddHeadersAreRefused(t *testing.T) {
	one := func(name string) []byte { return rawTar(t, &tar.Header{Name: name, Format: tar.FormatUSTAR}) }
	records := func(kind byte, text string) []byte {
		head := rawTar(t, &tar.Header{Name: "x", Size: int64(len(text)), Format: tar.FormatUSTAR})[:1024]
		copy(head[512:], text)
		return append(patch(head, 156, kind), one("a")...)
	}
	for name, data := range map[string][]byte{
		"pax sparse":        records('x', "22 GNU.sparse.major=1\n"),
		"global path":       records('g', "9 path=x\n"),
		"huge pax record":   records('x', "99999999999 path=x\n"),
		"file with a slash": patch(one("ab"), 1, '/'),
		"unknown type":      patch(one("a"), 156, 'Z'),
		"old sparse type":   patch(one("a"), 156, 'S'),
		"contiguous file":   patch(one("a"), 156, '7'),
		"folder with size":  patch(one("a"), 156, '5', 134, '1'),
		"wrong checksum":    func() []byte { d := one("a"); d[0] = 'b'; return d }(),
		"NUL in a pax name": records('x', "11 path=a\x00\n"),
		"far future":        rawTar(t, &tar.Header{Name: "a", ModTime: time.Unix(1<<40, 0), Format: tar.FormatPAX}),
		"name not UTF-8":    rawTar(t, &tar.Header{Name: "a\xff", Format: tar.FormatGNU}),
		"link not UTF-8":    rawTar(t, &tar.Header{Name: "a", Linkname: "b\xff", Typeflag: tar.TypeSymlink, Format: tar.FormatGNU}),
		"no end":            tarOf(t, false, member{name: "a", text: "x"}),
		"data after end":    append(tarOf(t, true, member{name: "a", text: "x"}), "tail"...),
		"nothing":           {},
		"cut in a header":   tarOf(t, true, member{name: "a", text: "x"})[:300],
		"cut in a body":     tarOf(t, true, member{name: "a", text: strings.Repeat("x", 1000)})[:700],
		"cut in padding":    tarOf(t, true, member{name: "a", text: "x"})[:514],
		"random":            bytes.Repeat([]byte("not a tar stream"), 64),
		"header and zeros":  append(tarOf(t, false, member{name: "a", text: "x"}), make([]byte, 511)...),
	} {
		_, memory, stream := extract(t, data, wholeArchive)
		if memory == nil || stream == nil {
			t.Errorf("%s: memory %v, stream %v", name, memory, stream)
		}
	}
}

func TestHonestTreesAreMade(t *testing.T) {
	long := strings.Repeat("long/", 60) + "name"
	data := tarOf(t, true,
		member{name: "./", kind: '5'},
		member{name: "d/", kind: '5', mode: 0o700}, member{name: "d/f", text: "content", mode: 0o640},
		member{name: "implied/x", text: "y"}, member{name: long, text: "deep"}, member{name: "é日本", text: "u"},
		member{name: "h", kind: '1', link: "./d/f"}, member{name: "hh", kind: '1', link: "h"}, member{name: "s", kind: '2', link: "d/f"},
		member{name: "d/up", kind: '2', link: ".."}, member{name: "d/loop", kind: '2', link: "loop"}, member{name: "d/gone", kind: '2', link: "../nowhere"})
	dir, memory, stream := extract(t, append(data, make([]byte, 10240)...), wholeArchive)
	if memory != nil || stream != nil {
		t.Fatal(memory, stream)
	}
	for path, want := range map[string]string{"d/f": "content", "implied/x": "y", long: "deep", "é日本": "u", "h": "content", "hh": "content", "s": "content", "d/up/d/f": "content"} {
		if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	one, _ := os.Stat(filepath.Join(dir, "d/f"))
	two, _ := os.Stat(filepath.Join(dir, "hh"))
	if !os.SameFile(one, two) {
		t.Error("the hard link is a copy")
	}
}

func TestChunksEndAsTheyMust(t *testing.T) {
	open, closed := tarOf(t, false, member{name: "a", text: "x"}), tarOf(t, true, member{name: "a", text: "x"})
	for name, test := range map[string]struct {
		data []byte
		part tarPart
		ok   bool
	}{
		"inner":                {open, innerChunk, true},
		"inner with an end":    {closed, innerChunk, false},
		"last":                 {closed, lastChunk, true},
		"last, only the end":   {tarOf(t, true), lastChunk, true},
		"last without an end":  {open, lastChunk, false},
		"last with more zeros": {append(append([]byte(nil), closed...), make([]byte, 512)...), lastChunk, false},
		"one zero block":       {append(append([]byte(nil), open...), make([]byte, 512)...), wholeArchive, true},
	} {
		if _, memory, stream := extract(t, test.data, test.part); (memory == nil) != test.ok || (stream == nil) != test.ok {
			t.Errorf("%s: memory %v, stream %v", name, memory, stream)
		}
	}
}

// FuzzTar: nothing may be written outside, both readers must agree, and no error may be without a meaning.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, true, member{name: "d/", kind: '5'}, member{name: "d/f", text: "content"}, member{name: "s", kind: '2', link: "d/f"}, member{name: "h", kind: '1', link: "d/f"}))
	f.Add(tarOf(f, true, member{name: "../x", text: "x"}))
	f.Add(tarOf(f, true, member{name: strings.Repeat("n", 200), text: "x"}))
	f.Add(rawTar(f, &tar.Header{Name: strings.Repeat("n", 200), Format: tar.FormatGNU, Size: 3}))
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		_, memory, stream := extract(t, data, wholeArchive)
		if (memory == nil) != (stream == nil) {
			t.Fatalf("memory %v, stream %v", memory, stream)
		}
		var known *Failure
		if errors.As(memory, &known) && known.code == "INTERNAL" {
			t.Fatal(memory)
		}
	})
}
