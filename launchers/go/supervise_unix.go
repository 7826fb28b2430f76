//go:build unix

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Run is one run of the program. It leads a session of its own: it can be ended with all that it started, and no terminal ends it.
type Run struct {
	pid   int
	ended chan int
}

// listen: signals that were ignored stay so, as nohup wants.
func (s *Supervisor) listen() (<-chan os.Signal, func()) {
	hadTerminal = hasTerminal()
	asks := make(chan os.Signal, 16)
	for _, number := range forwarded {
		if !signal.Ignored(number) {
			signal.Notify(asks, number)
		}
	}
	return asks, func() {}
}

// start starts the program, which ends with its supervisor where the system knows how, and holds the program's lock as long as
// it lives.
func (s *Supervisor) start() (*Run, error) {
	runtime.LockOSThread() // a program that ends with its parent ends with the parent's thread
	stdin, stdout, stderr := os.Stdin, os.Stdout, os.Stderr
	if s.log != nil {
		stdout, stderr = s.log.writer, s.log.writer
	}
	if isTerminal(stdin) {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		defer null.Close()
		stdin = null
	}
	files := []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd(), s.program.Fd()}
	attributes := &syscall.SysProcAttr{Setsid: true}
	endWithParent(attributes)
	pid, err := syscall.ForkExec(s.job.path, s.job.argv, &syscall.ProcAttr{Env: withOrigin(s.job.path, s.job.env), Files: files, Sys: attributes})
	if err != nil {
		return nil, err
	}
	run := &Run{pid, make(chan int, 1)}
	go run.wait()
	return run, nil
}

// wait waits for every child until the program has ended: as process 1 of a container this one has strangers too.
func (r *Run) wait() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			r.ended <- 0
			return
		case pid == r.pid:
			r.ended <- exitStatus(status)
			return
		}
	}
}

// pass gives a signal on, and tells whether it asks for the end: then it is for all that the program started.
func (r *Run) pass(signal os.Signal) bool {
	if end := ending(signal); end != nil {
		sendToGroup(r.pid, end.(syscall.Signal))
		sendToGroup(r.pid, syscall.SIGCONT)
		return true
	}
	_ = syscall.Kill(r.pid, signal.(syscall.Signal))
	return false
}

// ending is what a signal to the supervisor asks the program's group to do, when it asks for the end. The terminal's own
// SIGQUIT does; somebody else's is for the program, which may take it for something else. A terminal that closes ends what
// runs in it.
func ending(signal os.Signal) os.Signal {
	switch {
	case signal == syscall.SIGTERM || signal == syscall.SIGINT:
		return signal
	case signal == syscall.SIGQUIT && inForeground():
		return signal
	case signal == syscall.SIGHUP && hadTerminal && !hasTerminal():
		return syscall.SIGTERM
	}
	return nil
}

// hadTerminal: whether the supervisor began with a terminal.
var hadTerminal bool

func hasTerminal() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_RDONLY, 0)
	if err == nil {
		terminal.Close()
	}
	return err == nil
}

func (r *Run) kill() { sendToGroup(r.pid, syscall.SIGKILL) }

// sweep ends what the program left behind, which would hold its port.
func (r *Run) sweep() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		there := sendToGroup(r.pid, signal)
		for until := time.Now().Add(leftovers); there && time.Now().Before(until); time.Sleep(tick) {
			for {
				if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
					break
				}
			}
			there = sendToGroup(r.pid, 0)
		}
	}
}

// Background is a supervisor that this process started.
type Background struct{ pid int }

// startBackground starts a supervisor in a session of its own that shares nothing with this process.
func startBackground(path string, argv []string, log *os.File) (*Background, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	for number := range 256 { // whoever waits for the end of other descriptors shall not wait for the service
		if number > 2 {
			syscall.CloseOnExec(number)
		}
	}
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true}})
	return &Background{pid}, err
}

// over gives the exit code of a supervisor that has ended.
func (b *Background) over() (int, bool) {
	var status syscall.WaitStatus
	if b == nil {
		return 0, false
	}
	if pid, _ := syscall.Wait4(b.pid, &status, syscall.WNOHANG, nil); pid != b.pid {
		return 0, false
	}
	return exitStatus(status), true
}

func exitStatus(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
