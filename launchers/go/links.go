package main

import (
	"runtime"
	"strings"
)

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
