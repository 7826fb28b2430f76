//go:build unix

package main

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// take makes this process the supervisor; nil when there is one. A record lock: it is not inherited by what is started, and can
// be asked about without being touched. No other descriptor of this file may be closed by this process.
func (s *Standing) take() (*os.File, error) {
	if err := makePrivate(s.dir); err != nil {
		return nil, err
	}
	file, err := s.open("lock")
	if err != nil {
		return nil, err
	}
	lock := recordLock()
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &lock)
	if err == nil {
		return file, nil
	}
	file.Close()
	if err == syscall.EAGAIN || err == syscall.EACCES {
		return nil, nil
	}
	return nil, failIO(s.path("lock"), err)
}

func recordLock() syscall.Flock_t { return syscall.Flock_t{Type: syscall.F_WRLCK, Len: 1} }

// supervisor is the supervisor's number by the word of the system.
func (s *Standing) supervisor() (pid int, there bool) {
	file, err := os.OpenFile(s.path("lock"), os.O_RDWR, 0)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	lock := recordLock()
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK {
		return 0, false
	}
	return int(lock.Pid), true
}

// takeProgram takes the program's lock, which what is started inherits: while it is held, a process of the service lives.
// Whoever looks at it holds it for a moment; a process that an earlier program left behind may hold it for ever, and keeps
// the old file.
func (s *Standing) takeProgram() (*os.File, error) {
	for attempt := 0; ; attempt++ {
		file, err := s.open("program")
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		file.Close()
		if attempt > 10 {
			return nil, failIO(s.path("program"), err)
		}
		if attempt == 10 {
			_ = os.Remove(s.path("program"))
		}
		time.Sleep(tick)
	}
}

// orphan is the program that outlived its supervisor: the lock is held, the supervisor did not end by itself, and the number
// leads a session, as programs of services do, or did and has left processes behind.
func (s *Standing) orphan() (pid int, there bool) {
	file, err := os.Open(s.path("program"))
	if err != nil {
		return 0, false
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0, false
	}
	state := s.read()
	session, err := unix.Getsid(state.program)
	there = state.supervisor != 0 && (err != nil || session == state.program) && sendToGroup(state.program, 0)
	return state.program, there
}

// ask asks the supervisor to end; the system said this moment that it holds the lock. One of another machine or container has no
// number here.
func (s *Standing) ask(supervisor int) bool {
	return supervisor >= 1 && syscall.Kill(supervisor, syscall.SIGTERM) == nil
}

// endOrphan ends a program whose supervisor was killed. False when there is none.
func (s *Standing) endOrphan(name string, patience int64) (bool, error) {
	program, there := s.orphan()
	if !there {
		return false, nil
	}
	warn(fail("SERVICE_ORPHAN", "name", name, "pid", itoa(program)))
	for _, step := range []struct {
		signal   syscall.Signal
		patience int64
	}{{syscall.SIGTERM, patience}, {syscall.SIGKILL, 5}} {
		sendToGroup(program, step.signal)
		sendToGroup(program, syscall.SIGCONT)
		for until := time.Now().Add(seconds(step.patience)); time.Now().Before(until); time.Sleep(tick) {
			if _, there := s.orphan(); !there {
				return true, nil
			}
		}
	}
	return false, stuck(name, program)
}

// sendToGroup tells whether there is such a group. 0 and 1 would mean other processes than those of the program.
func sendToGroup(leader int, signal syscall.Signal) bool {
	return leader > 1 && syscall.Kill(-leader, signal) == nil
}

// accepts tells whether a program of this machine accepts connections there.
func accepts(port int64) bool {
	return connects(unix.AF_INET, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}) ||
		connects(unix.AF_INET6, &unix.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}})
}

func connects(family int, address unix.Sockaddr) bool {
	socket, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	defer unix.Close(socket)
	_ = unix.SetNonblock(socket, true)
	if err := unix.Connect(socket, address); err != unix.EINPROGRESS {
		return err == nil
	}
	list := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLOUT}}
	if ready, err := unix.Poll(list, 1000); err != nil || ready != 1 {
		return false
	}
	code, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ERROR)
	return err == nil && code == 0
}
