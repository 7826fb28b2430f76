package main

// The command `verify` of CLI mode: every check of format.md section 8, each with its own line.

type check struct {
	name   string
	ok     bool
	detail string
}

// verify goes on after a failed check as far as the file allows. A file that cannot be read as a package is an error of the
// format; a check that says no is exit code 107.
func (c *cli) verify() (int, error) {
	pkg, err := openPackage(c.image, c.start.file)
	if err != nil {
		f := asFailure(err)
		if f.exit() != 107 {
			return 0, err
		}
		return f.exit(), c.printChecks([]check{{"seal", false, f.Error()}}, nil)
	}
	checks := []check{{"format", true, ""}, {"signature", true, fingerprint(pkg.signers[0])}, {"index", true, ""}, {"slot table", true, ""}}
	code := 0
	add := func(name, detail string, err error) {
		if err != nil {
			detail = asFailure(err).Error()
			code = 107
		}
		checks = append(checks, check{name, err == nil, detail})
	}
	if pkg.plan.sealed {
		add("padding", "", checkPadding(pkg))
		add("launcher", "", checkLauncher(pkg))
	}
	for i := range pkg.plan.slots {
		slot := &pkg.plan.slots[i]
		add("slot "+slotName(slot), encryptionNote(slot), unpackAll(pkg, []*Task{{slot: slot, skip: true}}, nil))
	}
	store, err := openStore()
	if err != nil {
		return 0, err
	}
	if store != nil {
		var verdict error
		if f := store.judge(pkg.file, pkg.plan.name, pkg.signers); f != nil {
			verdict = f
		}
		add("trust", "", verdict)
	}
	return code, c.printChecks(checks, pkg)
}

func encryptionNote(slot *Slot) string {
	if slot.encryption == nil {
		return ""
	}
	return "encrypted (" + slot.encryption.source + "), content not checked without its key"
}

func (c *cli) printChecks(checks []check, pkg *Package) error {
	ok := true
	for _, each := range checks {
		ok = ok && each.ok
	}
	if !c.json {
		var lines []string
		for _, each := range checks {
			line := map[bool]string{true: "ok      ", false: "FAILED  "}[each.ok] + each.name
			if each.detail != "" {
				line += ": " + each.detail
			}
			lines = append(lines, line)
		}
		if pkg != nil {
			lines = append(lines, "signed  "+itoa(coveredBytes(pkg))+" of "+itoa(pkg.index.packageSize)+" bytes")
		}
		return printOut(printableLines(lines))
	}
	w := document("verify", ok)
	w.key("checks").open('[')
	for _, each := range checks {
		w.key("").open('{').text("name", each.name).bool("ok", each.ok)
		if each.detail != "" {
			w.text("detail", each.detail)
		}
		w.close('}')
	}
	w.close(']')
	if pkg != nil {
		w.bool("sealed", pkg.plan.sealed)
		w.key("coverage").open('{').unsigned("total", pkg.index.packageSize).unsigned("covered", coveredBytes(pkg)).close('}')
	} else {
		w.bool("sealed", false)
	}
	return w.print()
}

// coveredBytes counts the bytes that the signature pins: all of a sealed package; of others the metadata and the slots
// whose SHA-256 stands in the JSON.
func coveredBytes(pkg *Package) uint64 {
	if pkg.plan.sealed {
		return pkg.index.packageSize
	}
	covered := pkg.index.metadataSize
	for i := range pkg.plan.slots {
		if pkg.plan.slots[i].signedSum {
			covered += pkg.plan.slots[i].size
		}
	}
	return covered
}
