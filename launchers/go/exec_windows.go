package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// canReplace: this system has no exec; the program is always a child.
const canReplace = false

func replaceProcess(string, []string, []string) error { return errors.ErrUnsupported }

// spawn runs the program in a job object that ends with this process, so that no child outlives a killed launcher. What the
// program leaves running when it ends by itself goes on, as it does on other systems.
func spawn(path string, argv, env []string) (int, error) {
	// The console sends Ctrl-C to the child too, and tells both when it closes; this process only has to wait for what the
	// child makes of it.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	job, err := joinJob()
	if err != nil {
		debugf("no job object", "detail", reason(err))
	}
	command, err := programCommand(path, argv, env)
	if err != nil {
		return 0, err
	}
	err = command.Run()
	if job != 0 {
		_ = limitJob(job, 0) // the handle stays open: closing it while the limit stands would end this process too
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return command.ProcessState.ExitCode(), nil
}

// programCommand is the program as this system starts it: batch files run in their interpreter.
func programCommand(path string, argv, env []string) (*exec.Cmd, error) {
	command := &exec.Cmd{Path: withExtension(path), Args: argv, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if isBatch(command.Path) {
		interpreter, line, err := batchLine(command.Path, argv[1:])
		if err != nil {
			return nil, err
		}
		command.Path, command.SysProcAttr = interpreter, &syscall.SysProcAttr{CmdLine: line}
	}
	return command, nil
}

// joinJob puts this process into a new job object, where children are born into.
func joinJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, err
	}
	if err = limitJob(job, windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE); err == nil {
		err = windows.AssignProcessToJobObject(job, windows.CurrentProcess())
	}
	if err != nil {
		windows.CloseHandle(job)
		return 0, err
	}
	return job, nil
}

// limitJob sets the job's limits; a program that wants to start something outside of it always may.
func limitJob(job windows.Handle, flags uint32) error {
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = flags | windows.JOB_OBJECT_LIMIT_BREAKAWAY_OK
	_, err := windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	return err
}

func exitCode(state *os.ProcessState) int { return state.ExitCode() }

func keepRunningWithoutReader() {}

// holdFolder: a folder in use cannot be told by a lock here; its name begins with the number of the process.
func holdFolder(string) error { return nil }

// folderHeld tells whether the process that made the folder still runs.
func folderHeld(path string) bool {
	number, _, _ := strings.Cut(filepath.Base(path), "-")
	pid, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return true
	}
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return !errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	defer windows.CloseHandle(process)
	var code uint32
	const stillActive = 259
	return windows.GetExitCodeProcess(process, &code) != nil || code == stillActive
}

func isTerminal(file *os.File) bool {
	var mode uint32
	return windows.GetConsoleMode(windows.Handle(file.Fd()), &mode) == nil
}

// withExtension adds the ending that the file has on this system when the command leaves it out.
func withExtension(path string) string {
	for _, ending := range append([]string{""}, extensions()...) {
		if _, _, regular := statFile(path + ending); regular && (ending != "" || filepath.Ext(path) != "") {
			return path + ending
		}
	}
	return path
}

func extensions() []string {
	list := os.Getenv("PATHEXT")
	if list == "" {
		list = ".COM;.EXE;.BAT;.CMD"
	}
	return strings.Split(strings.ToLower(list), ";")
}

// searchPath finds a program by its bare name in a PATH, or "". What skip names is passed over.
func searchPath(name, path string, skip func(string) bool) string {
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue
		}
		candidate := withExtension(filepath.Join(dir, name))
		if _, _, regular := statFile(candidate); regular && !skip(candidate) {
			return candidate
		}
	}
	return ""
}
