package main

import (
	"os"
	"time"
)

// The supervisor of a service (launcher.md, "Services"): it stays, starts the program, passes signals on, starts it again by the
// package's policy, and ends it when it is asked to.

const (
	// The longest pause in seconds before a program starts again, and the run after which its failures are forgotten.
	longestPause = 30
	goodRun      = 60 * time.Second
	// How long what a program left behind may take to end.
	leftovers = time.Second
	tick      = 20 * time.Millisecond
)

// Supervisor keeps one service up.
type Supervisor struct {
	pkg      *Package
	job      *Job
	service  *Service
	standing *Standing
	state    State
	log      *ServiceLog // in the background
	program  *os.File    // the program's lock
	asks     <-chan os.Signal
}

func seconds(count int64) time.Duration { return time.Duration(count) * time.Second }

// superviseHere supervises in this process, which keeps its terminal and output.
func superviseHere(pkg *Package, job *Job) (int, error) {
	standing, err := standingOf(pkg, job.instance)
	if err != nil {
		return 0, err
	}
	lock, err := standing.take()
	if err != nil {
		return 0, err
	}
	if lock == nil {
		return 0, runsAlready(pkg, standing)
	}
	return supervise(pkg, job, standing, lock, nil)
}

func runsAlready(pkg *Package, standing *Standing) error {
	state := standing.read()
	detail := ""
	if state.port != 0 {
		detail = ", port " + itoa(state.port)
	}
	if state.version != pkg.plan.version {
		detail += "; this is version " + pkg.plan.version
	}
	pid, there := standing.supervisor()
	if !there {
		pid = state.supervisor
	}
	return fail("SERVICE_RUNNING", "name", pkg.plan.name+" "+state.version, "pid", itoa(pid), "detail", detail)
}

func stuck(name string, pid int) error { return fail("SERVICE_STUCK", "name", name, "pid", itoa(pid)) }

// supervise runs the service to its end; lock is what makes this process its supervisor.
func supervise(pkg *Package, job *Job, standing *Standing, lock *os.File, log *ServiceLog) (int, error) {
	defer lock.Close()
	s := &Supervisor{pkg: pkg, job: job, service: pkg.plan.service, standing: standing, log: log}
	var release func()
	s.asks, release = s.listen()
	defer release()
	if _, err := standing.endOrphan(pkg.plan.name, s.service.stopTimeout); err != nil {
		return 0, err
	}
	var err error
	if s.program, err = standing.takeProgram(); err != nil {
		return 0, err
	}
	s.state = State{version: pkg.plan.version, identity: pkg.identity, supervisor: os.Getpid(), started: time.Now().Unix(),
		port: portNumber(job.port), stopTimeout: s.service.stopTimeout}
	if err = standing.write(&s.state); err != nil {
		return 0, err
	}
	return s.around()
}

// around does what a program needs before and after it runs as a child.
func (s *Supervisor) around() (int, error) {
	if s.job.runDir != "" {
		defer func() { _ = removeTree(s.job.runDir) }()
	}
	code, err := s.keepUp()
	s.state.supervisor = 0
	s.record()
	if s.log != nil {
		s.log.finish()
	}
	if err == nil {
		s.job.runAfter(code)
	}
	return code, err
}

func (s *Supervisor) keepUp() (int, error) {
	failures := int64(0)
	for {
		began := time.Now()
		run, err := s.start()
		if err != nil {
			return 0, startFailure(s.job, err)
		}
		s.state.program, s.state.since = run.pid, time.Now().Unix()
		s.record()
		code, asked := s.attend(run)
		run.sweep()
		s.state.program, s.state.since, s.state.ended, s.state.exit = 0, time.Now().Unix(), true, code
		again := s.service.restart == "always" || s.service.restart == "on-failure" && code != 0
		if asked || !again {
			return code, nil
		}
		if failures++; time.Since(began) >= goodRun {
			failures = 1
		}
		name, exit := s.pkg.plan.name, itoa(code)
		if failures > s.service.restartLimit {
			warn(fail("SERVICE_GIVE_UP", "name", name, "actual", exit, "count", itoa(failures)))
			return code, nil
		}
		least := s.service.restartDelay
		pause := min(least<<min(failures-1, 10), max(longestPause, least))
		warn(fail("SERVICE_RESTART", "name", name, "actual", exit, "seconds", itoa(pause)))
		s.state.restarts++
		s.record()
		if s.pause(seconds(pause)) {
			return code, nil
		}
	}
}

// record is for what is not worth ending a service for.
func (s *Supervisor) record() {
	if err := s.standing.write(&s.state); err != nil {
		warn(asFailure(err))
	}
}

// attend waits for the program: its exit code, and whether somebody asked for its end.
func (s *Supervisor) attend(run *Run) (code int, asked bool) {
	var kill <-chan time.Time
	for {
		select {
		case code := <-run.ended:
			return code, asked
		case <-kill:
			run.kill()
			kill = time.After(time.Second)
		case signal := <-s.asks:
			if run.pass(signal) && !asked {
				asked, kill = true, time.After(seconds(s.service.stopTimeout))
			}
		}
	}
}

// pause tells whether somebody asked for the end meanwhile.
func (s *Supervisor) pause(long time.Duration) bool {
	over := time.After(long)
	for {
		select {
		case <-over:
			return false
		case signal := <-s.asks:
			if ending(signal) != nil {
				return true
			}
		}
	}
}

// finish waits for the last words of the programs.
func (l *ServiceLog) finish() {
	l.writer.Close()
	select {
	case <-l.moved:
	case <-time.After(leftovers):
	}
}
