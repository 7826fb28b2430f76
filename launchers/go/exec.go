package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// execute starts the program: in place of this process where the system can, else as a child whose end is waited for.
func execute(job *Job) (int, error) {
	env := withOrigin(job.path, job.env)
	if !job.spawn && canReplace {
		return 0, startFailure(job, replaceProcess(job.path, job.argv, env))
	}
	if job.runDir != "" {
		defer func() { _ = removeTree(job.runDir) }()
	}
	code, err := spawn(job.path, job.argv, env)
	if err != nil {
		return 0, startFailure(job, err)
	}
	job.runAfter(code)
	return code, nil
}

// runAfter runs the shutdown slots.
func (job *Job) runAfter(code int) {
	for _, program := range job.shutdown {
		runShutdown(program, append(job.env, "SEALIFT_EXIT_CODE="+strconv.Itoa(code)))
	}
}

// withOrigin adds what the dynamic linker needs where /proc is not mounted: only this variable then tells it the $ORIGIN of a
// program's libraries.
func withOrigin(program string, env []string) []string {
	if runtime.GOOS != "linux" || exists("/proc/self/exe") {
		return env
	}
	real, err := filepath.EvalSymlinks(program)
	if err != nil {
		return env
	}
	environ := newEnviron(env)
	environ.set("LD_ORIGIN_PATH", filepath.Dir(real))
	return environ.list()
}

// startFailure says why a program did not start; on a file system mounted noexec the system's own words would mislead.
func startFailure(job *Job, err error) error {
	if os.IsPermission(err) && mountedNoexec(job.path) {
		return fail("CACHE_NOEXEC", "path", job.base)
	}
	detail := reason(err)
	if os.IsNotExist(err) && exists(job.path) {
		detail += " (the interpreter that it names is missing)"
	}
	return fail("EXEC_FAILED", "path", job.path, "detail", detail)
}

// runShutdown runs a shutdown slot; its exit code changes nothing.
func runShutdown(program string, env []string) {
	command := &exec.Cmd{Path: program, Args: []string{program}, Env: withOrigin(program, newEnviron(env).list()), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if err := command.Run(); err != nil {
		warn(fail("EXEC_FAILED", "path", program, "detail", reason(err)))
	}
}
