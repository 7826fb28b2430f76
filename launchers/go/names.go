package main

import (
	"errors"
	"runtime"
	"strings"
)

const maxNameBytes = 4096

// stateFolder is the launcher's own; no package may write below it.
const stateFolder = ".sealift"

// archivePath returns the relative path that name stands for: parts joined with "/", "" for the root itself.
// It refuses and never repairs what could leave the root (format.md section 6).
func archivePath(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("is empty")
	case len(name) > maxNameBytes:
		return "", errors.New("is longer than 4096 bytes")
	case strings.IndexByte(name, 0) >= 0:
		return "", errors.New("holds a NUL character")
	case strings.IndexByte(name, '\\') >= 0:
		return "", errors.New("holds a backslash")
	case name[0] == '/':
		return "", errors.New("is absolute")
	}
	if clean(name) {
		return name, checkParts(name)
	}
	var parts []string
	for _, part := range strings.Split(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	name = strings.Join(parts, "/")
	return name, checkParts(name)
}

// clean tells whether a name has no parts to drop; nearly all have none.
func clean(name string) bool {
	return name[0] != '.' && name[len(name)-1] != '/' && !strings.Contains(name, "//") && !strings.Contains(name, "/.")
}

func checkParts(name string) error {
	first := true
	for rest := name; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if part == ".." {
			return errors.New("holds a `..` part")
		}
		if first && len(part) >= 2 && part[1] == ':' && isLetter(part[0]) {
			return errors.New("begins with a drive letter")
		}
		// Folded, because a file system that ignores case would put `.Sealift/ready` in the same place.
		if first && foldCase(part) == stateFolder {
			return errors.New("lies in " + stateFolder + ", which belongs to the launcher")
		}
		if runtime.GOOS == "windows" && reservedOnWindows(part) {
			return errors.New("holds a name that Windows reserves")
		}
		first = false
	}
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// reservedOnWindows: devices, streams, and endings that Windows trims.
func reservedOnWindows(part string) bool {
	if strings.ContainsAny(part, `<>:"|?*`) || part[len(part)-1] == '.' || part[len(part)-1] == ' ' {
		return true
	}
	for i := 0; i < len(part); i++ {
		if part[i] < 0x20 {
			return true
		}
	}
	stem, _, _ := strings.Cut(part, ".")
	stem = strings.ToLower(strings.TrimRight(stem, " "))
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	device, number := strings.CutPrefix(stem, "com")
	if !number {
		device, number = strings.CutPrefix(stem, "lpt")
	}
	return number && (len(device) == 1 && device[0] >= '0' && device[0] <= '9' || device == "¹" || device == "²" || device == "³")
}

// foldCase is what two names must not share; names without capitals come back as they are.
func foldCase(name string) string { return strings.ToLower(name) }

// insideWorkenv checks a path of the metadata that stands for a place in the work environment, with or without the
// "{workenv}" in front, and returns it relative; "" is the root.
func insideWorkenv(path string) (string, error) {
	if rest, inside := strings.CutPrefix(path, "{workenv}"); inside && (rest == "" || rest[0] == '/') {
		path = strings.TrimLeft(rest, "/")
	}
	if path == "" {
		return "", nil
	}
	return archivePath(path)
}
