package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Workenv names the places of one package on this machine.
type Workenv struct {
	base string // <base>
	root string // <base>/workenv/<name>-<version>-<16 hex>
	name string // the last part of root
}

func (w *Workenv) state(parts ...string) string {
	return filepath.Join(append([]string{w.root, stateFolder}, parts...)...)
}

func (w *Workenv) storePath(sum string) string { return filepath.Join(w.base, "store", sum) }

// at is the place of a relative path with "/" below the root.
func (w *Workenv) at(path string) string { return filepath.Join(w.root, filepath.FromSlash(path)) }

// locateWorkenv finds the base folder, checks that only its owner can change it, and names the work environment.
func locateWorkenv(pkg *Package) (*Workenv, error) {
	base, err := cacheBase()
	if err != nil {
		return nil, err
	}
	if err := checkBase(base); err != nil {
		return nil, err
	}
	name := workenvName(pkg)
	return &Workenv{base: base, root: filepath.Join(base, "workenv", name), name: name}, nil
}

// workenvName is the directory's name. Names of other writers may hold anything: what a file name cannot hold becomes "_".
func workenvName(pkg *Package) string {
	const longest = 220 // leaves room for the identity and ".lock" in a name of 255 bytes
	name := plainName(pkg.plan.name + "-" + pkg.plan.version)
	for len(name) > longest {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name + "-" + pkg.identity[:16]
}

func plainName(name string) string {
	if strings.HasPrefix(name, ".") {
		name = "_" + name[1:]
	}
	name = strings.Map(func(r rune) rune {
		forbidden := r == '/' || r == '\\' || unicode.IsControl(r)
		if forbidden || (runtime.GOOS == "windows" && strings.ContainsRune(`<>:"|?*`, r)) {
			return '_'
		}
		return r
	}, name)
	if runtime.GOOS == "windows" && name != "" && reservedOnWindows(name) {
		return "_" + strings.TrimRight(name, ". ") + "_" // a device, or an ending that the system would drop
	}
	return name
}

func cacheBase() (string, error) {
	return standardFolder("SEALIFT_CACHE", "XDG_CACHE_HOME", ".cache/sealift", "Library/Caches/sealift", `sealift\cache`)
}

// dataFolder is where config and persistent slots of a package live.
func dataFolder(pkg *Package) (string, error) {
	base, err := standardFolder("SEALIFT_DATA", "XDG_DATA_HOME", ".local/share/sealift", "Library/Application Support/sealift", `sealift\data`)
	if err == nil {
		err = checkBase(base)
	}
	return filepath.Join(base, plainName(pkg.plan.name)), err
}

// create makes the base with its folders; what was made is checked like what was there.
func (w *Workenv) create() error {
	if err := makePrivate(w.base); err != nil {
		return err
	}
	if err := checkBase(w.base); err != nil {
		return err
	}
	for _, folder := range []string{"workenv", "store", "locks"} {
		if err := makePrivate(filepath.Join(w.base, folder)); err != nil {
			return err
		}
	}
	return nil
}

// standardFolder follows the folder rules of docs/reference/launcher.md: the own variable, XDG, the system's place.
func standardFolder(own, xdg, home, darwin, windows string) (string, error) {
	if dir := os.Getenv(own); dir != "" {
		return absoluteFolder(own, dir)
	}
	if dir := os.Getenv(xdg); dir != "" {
		dir, err := absoluteFolder(xdg, dir)
		return filepath.Join(dir, "sealift"), err
	}
	variable, below := "HOME", home
	switch runtime.GOOS {
	case "darwin":
		below = darwin
	case "windows":
		variable, below = "LOCALAPPDATA", windows
	}
	dir := os.Getenv(variable)
	if dir == "" {
		return "", fail("CACHE_UNSET")
	}
	dir, err := absoluteFolder(variable, dir)
	return filepath.Join(dir, below), err
}

func absoluteFolder(variable, dir string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", fail("CACHE_RELATIVE", "name", variable, "actual", dir)
	}
	return filepath.Clean(dir), nil
}

// makePrivate creates dir and its missing parents with mode 0700.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail("CACHE_CREATE", "path", dir, "detail", reason(err))
	}
	return nil
}
