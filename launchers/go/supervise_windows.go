package main

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// Run is one run of the program, in a job object of its own: it can be ended with all that it started.
type Run struct {
	pid   int
	ended chan int
	job   windows.Handle
}

const lookForStop = 200 * time.Millisecond

// listen: this system has no signals between processes; a file asks for the end.
func (s *Supervisor) listen() (<-chan os.Signal, func()) {
	asks := make(chan os.Signal, 16)
	signal.Notify(asks, os.Interrupt, syscall.SIGTERM)
	go func() {
		for ; ; time.Sleep(lookForStop) {
			if exists(s.standing.path("stop")) && os.Remove(s.standing.path("stop")) == nil {
				asks <- syscall.SIGTERM
			}
		}
	}()
	job, err := joinJob()
	if err != nil {
		debugf("no job object", "detail", reason(err))
		return asks, func() {}
	}
	return asks, func() { _ = limitJob(job, 0) } // as spawn does
}

// start starts the program in a group of its own, so that it can be told to end without this process.
func (s *Supervisor) start() (*Run, error) {
	command, err := programCommand(s.job.path, s.job.argv, s.job.env)
	if err != nil {
		return nil, err
	}
	if s.log != nil {
		command.Stdin, command.Stdout, command.Stderr = nil, s.log.writer, s.log.writer
	}
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.CreationFlags = windows.CREATE_NEW_PROCESS_GROUP
	if err := command.Start(); err != nil {
		return nil, err
	}
	run := &Run{pid: command.Process.Pid, ended: make(chan int, 1)}
	if job, err := windows.CreateJobObject(nil, nil); err == nil {
		run.job = job
		if process, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(run.pid)); err == nil {
			_ = windows.AssignProcessToJobObject(job, process)
			windows.CloseHandle(process)
		}
	}
	go func() {
		_ = command.Wait()
		run.ended <- command.ProcessState.ExitCode()
	}()
	return run, nil
}

// pass tells the program to end, as every signal here asks for.
func (r *Run) pass(os.Signal) bool {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(r.pid))
	return true
}

func ending(signal os.Signal) os.Signal { return signal }

func (r *Run) kill() { _ = windows.TerminateJobObject(r.job, 1) }

// sweep ends what the program left behind, which would hold its port.
func (r *Run) sweep() {
	r.kill()
	windows.CloseHandle(r.job)
}

// Background is a supervisor that this process started.
type Background struct {
	command *exec.Cmd
	ended   chan int
}

// startBackground starts a supervisor with a console of its own that nobody sees.
func startBackground(path string, argv []string, log *os.File) (*Background, error) {
	command := &exec.Cmd{Path: path, Args: argv, Stdout: log, Stderr: log}
	command.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NO_WINDOW | windows.CREATE_NEW_PROCESS_GROUP}
	if err := command.Start(); err != nil {
		return nil, err
	}
	b := &Background{command, make(chan int, 1)}
	go func() {
		var exit *exec.ExitError
		if err := command.Wait(); err == nil || errors.As(err, &exit) {
			b.ended <- command.ProcessState.ExitCode()
		}
	}()
	return b, nil
}

// over gives the exit code of a supervisor that has ended.
func (b *Background) over() (int, bool) {
	if b == nil {
		return 0, false
	}
	select {
	case code := <-b.ended:
		return code, true
	default:
		return 0, false
	}
}
