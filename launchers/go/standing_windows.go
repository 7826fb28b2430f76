package main

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// take makes this process the supervisor; nil when there is one. Whoever looks at this lock holds it for a moment.
func (s *Standing) take() (*os.File, error) {
	if err := makePrivate(s.dir); err != nil {
		return nil, err
	}
	file, err := s.open("lock")
	if err != nil {
		return nil, err
	}
	for range 10 {
		taken, err := lockFile(file, false)
		if err != nil {
			file.Close()
			return nil, failIO(s.path("lock"), err)
		}
		if taken {
			_ = os.Remove(s.path("stop"))
			_ = os.Remove(s.path("state")) // until it is written anew it would speak of another supervisor
			return file, nil
		}
		time.Sleep(tick)
	}
	file.Close()
	return nil, nil
}

// supervisor is the supervisor's number by its own word; whether there is one, by the system's.
func (s *Standing) supervisor() (pid int, there bool) {
	file, err := os.OpenFile(s.path("lock"), os.O_RDWR, 0)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	if taken, err := lockFile(file, false); err != nil || taken {
		return 0, false
	}
	return s.read().supervisor, true
}

// takeProgram: a job object ends the program with its supervisor, so there is nothing to lock.
func (s *Standing) takeProgram() (*os.File, error) { return s.open("program") }

func (s *Standing) orphan() (pid int, there bool) { return 0, false }

func (s *Standing) endOrphan(string, int64) (bool, error) { return false, nil }

// ask asks the supervisor to end, which looks for this file.
func (s *Standing) ask(int) bool { return os.WriteFile(s.path("stop"), nil, 0o600) == nil }

var startSockets = sync.OnceValue(func() error { return windows.WSAStartup(0x0202, &windows.WSAData{}) })

// accepts tells whether a program of this machine accepts connections there.
func accepts(port int64) bool {
	if startSockets() != nil {
		return false
	}
	return connects(windows.AF_INET, &windows.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}) ||
		connects(windows.AF_INET6, &windows.SockaddrInet6{Port: int(port), Addr: [16]byte{15: 1}})
}

func connects(family int, address windows.Sockaddr) bool {
	socket, err := windows.Socket(family, windows.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	defer windows.Closesocket(socket)
	return windows.Connect(socket, address) == nil
}
