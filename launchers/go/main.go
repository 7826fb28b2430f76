// The Go launcher stub of a sealed package.
//
// It is the first part of every package that carries it: it opens its own file, checks the seal,
// prepares the work environment once, and becomes the program. The contract, step by step, stands in
// docs/reference/launcher.md; each step has a file of the step's name in this folder.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// version is the stub's own version; a test holds it to package.json.
const version = "0.1.0"

// Start is how the person who runs the package started it.
type Start struct {
	file string   // absolute path of the package
	name string   // the path it was started by
	args []string // the user's arguments
}

func main() {
	os.Exit(run(os.Args))
}

// run does everything and returns the exit code; when the program replaces the process it never returns.
func run(argv []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			code = report(fail("INTERNAL", "detail", fmt.Sprint(r)))
		}
	}()
	configureLog(os.Getenv("SEALIFT_LOG"))
	if len(argv) == 0 {
		argv = []string{"launcher"}
	}
	code, err := start(argv)
	if err != nil {
		return report(err)
	}
	return code
}

func start(argv []string) (int, error) {
	self, image, err := openSelf(argv[0])
	if err != nil {
		return 0, err
	}
	if attached(image) {
		return launch(image, &Start{file: self, name: argv[0], args: argv[1:]})
	}
	image.Close()
	return startBare(argv)
}

// startBare answers for a stub without a package.
func startBare(argv []string) (int, error) {
	if len(argv) > 1 && argv[1] == "--stub-version" {
		return 0, printOut("sealift-go " + version + " " + runtime.GOOS + "_" + runtime.GOARCH + "\n")
	}
	if len(argv) < 3 || argv[1] != "--run-package" {
		return 0, fail("NO_PACKAGE")
	}
	file, image, err := openNamed(argv[2])
	if err != nil {
		return 0, err
	}
	return launch(image, &Start{file: file, name: argv[2], args: argv[3:]})
}

// launch runs the package in image, or answers in CLI mode.
func launch(image *os.File, start *Start) (int, error) {
	defer image.Close()
	if cliMode() {
		return runCLI(image, start)
	}
	return runPackage(image, start)
}

// runPackage is the road from a package file to its running program.
func runPackage(image *os.File, start *Start) (int, error) {
	pkg, err := openPackage(image, start.file)
	if err != nil {
		return 0, err
	}
	if err := checkTrust(pkg); err != nil {
		return 0, err
	}
	return runChecked(pkg, start)
}

// runChecked prepares and starts the program of a package whose seal and signer are accepted.
func runChecked(pkg *Package, start *Start) (int, error) {
	entry, err := chooseEntry(pkg.plan, start.name)
	if err != nil {
		return 0, err
	}
	env, err := locateWorkenv(pkg)
	if err != nil {
		return 0, err
	}
	job, err := prepare(pkg, env, entry, start)
	if err != nil {
		return 0, err
	}
	// Nothing more is read; Windows lets a program replace its package only when nobody holds the file open.
	pkg.image.Close()
	if job.instance != "" {
		return superviseHere(pkg, job)
	}
	return execute(job)
}

func cliMode() bool {
	for _, name := range []string{"SEALIFT_LAUNCHER_CLI", "FLAVOR_LAUNCHER_CLI"} {
		value := strings.ToLower(os.Getenv(name))
		if value == "1" || value == "true" {
			return true
		}
	}
	return false
}
