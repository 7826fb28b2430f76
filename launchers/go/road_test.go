package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bzip2Of compresses with the system's bzip2, because no Go library writes it.
func bzip2Of(t testing.TB, data []byte) []byte {
	t.Helper()
	command := exec.Command("bzip2", "-c")
	command.Stdin = bytes.NewReader(data)
	out, err := command.Output()
	if err != nil {
		t.Skip("bzip2 is not installed")
	}
	return out
}

func TestRunsAPackageFromItsOwnFile(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	launcher, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	spec := shell(`echo "hello $1 from $SEALIFT_PACKAGE $SEALIFT_VERSION"; cat "$SEALIFT_WORKENV/data/a/note"; exit 7`,
		slotSpec{id: "data", target: "data", operations: "tar|zstd", content: tarOf(t, true, member{name: "a/", kind: '5'}, member{name: "a/note", text: "a note\n"})})
	spec.launcher = launcher
	file := writePackage(t, build(t, spec))
	w := newWorld(t)
	for _, pass := range []string{"first", "warm"} {
		command := w.command("world")
		command.Path, command.Args[0] = file, file
		got := finish(t, command)
		if got.code != 7 || got.stdout != "hello world from demo 1.0\na note\n" || got.stderr != "" {
			t.Fatalf("%s start: %+v", pass, got)
		}
	}
}

func TestEveryChainUnpacks(t *testing.T) {
	text := strings.Repeat("some text that compresses\n", 5000)
	tree := tarOf(t, true, member{name: "d/", kind: '5'}, member{name: "d/text", text: text})
	for _, chain := range []string{"none", "gzip", "bzip2", "xz", "zstd", "gzip|zstd", "xz|gzip|bzip2"} {
		for _, isTar := range []bool{false, true} {
			slot := slotSpec{id: "data", target: "data", operations: chain, content: []byte(text)}
			path := "data"
			if isTar {
				slot.content, slot.operations, path = tree, "tar|"+strings.TrimPrefix(chain, "none"), "data/d/text"
				slot.operations = strings.TrimSuffix(slot.operations, "|")
			}
			t.Run(slot.operations, func(t *testing.T) {
				newWorld(t).start(writePackage(t, build(t, shell(`cat "$SEALIFT_WORKENV/`+path+`"`, slot)))).prints(t, text)
			})
		}
	}
}

func TestChunksOfTreesAndFiles(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 80<<10)
	chunks := [][]byte{
		tarOf(t, false, member{name: "a/", kind: '5'}, member{name: "a/one", text: "1"}, member{name: "b/", kind: '5'}),
		tarOf(t, false, member{name: "b/big", text: big}),
		tarOf(t, false, member{name: "b/hard", kind: '1', link: "a/one"}, member{name: "b/soft", kind: '2', link: "../a/one"}),
		tarOf(t, true),
	}
	spec := shell(`cd "$SEALIFT_WORKENV/t"; cat a/one b/hard b/soft; wc -c <b/big; wc -c <"$SEALIFT_WORKENV/file"`,
		slotSpec{id: "tree", target: "t", operations: "tar|zstd", chunks: chunks},
		slotSpec{id: "file", target: "file", operations: "zstd", content: []byte(big), chunk: 100_000})
	newWorld(t).start(writePackage(t, build(t, spec))).prints(t, "1111310720\n1310720\n")
}

func TestModesAndTimesAreRestored(t *testing.T) {
	tree := tarOf(t, true, member{name: "ro/", kind: '5', mode: 0o555}, member{name: "ro/x", text: "x", mode: 0o444}, member{name: "exe", text: "x", mode: 0o755})
	w := newWorld(t)
	file := writePackage(t, build(t, shell(`stat -c '%a %Y' "$SEALIFT_WORKENV"/t/ro "$SEALIFT_WORKENV"/t/ro/x "$SEALIFT_WORKENV"/t/exe`,
		slotSpec{id: "tree", target: "t", operations: "tgz", content: tree})))
	w.start(file).prints(t, "755 315532800\n444 315532800\n755 315532800\n")
	if dirs, _ := filepath.Glob(filepath.Join(w.dir, "cache", "workenv", "demo-1.0-*")); len(dirs) != 1 {
		t.Fatalf("work environments: %v", dirs)
	}
}
