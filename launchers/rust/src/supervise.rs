//! The supervisor of a service (launcher.md, "Services"): it stays, starts the program, passes signals on, starts it again by
//! the package's policy, and ends it when it is asked to.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::log;
use crate::output::Output;
use crate::prepare::Ready;
use crate::process;
use crate::service::{Restart, Service};
use crate::standing::{Folder, State, now};

/// The longest pause before a program starts again, and the run after which its failures are forgotten.
const LONGEST_PAUSE: u64 = 30;
const GOOD_RUN: Duration = Duration::from_secs(60);
/// How long what a program left behind may take to end.
const LEFTOVERS: Duration = Duration::from_secs(1);
pub const TICK: Duration = Duration::from_millis(20);

/// Supervises in this process, which keeps its terminal and output.
pub fn foreground(ready: &Ready, instance: &str) -> Result<i32> {
    let folder = Folder::of(instance)?;
    match folder.take()? {
        Some(lock) => ready.around(|| run(ready, &folder, lock, None)),
        None => Err(runs_already(ready.scope.sealed.plan.name.as_str(), &ready.scope.sealed.plan.version, &folder)),
    }
}

pub fn runs_already(name: &str, version: &str, folder: &Folder) -> Failure {
    let state = folder.read().unwrap_or_default();
    let port = if state.port == 0 { String::new() } else { format!(", port {}", state.port) };
    let other = if state.version == version { String::new() } else { format!("; this is version {version}") };
    let pid = folder.supervisor().unwrap_or(state.supervisor);
    Failure::new("SERVICE_RUNNING").with("name", format!("{name} {}", state.version)).with("pid", pid).with("detail", port + &other)
}

/// Runs the service to its end; `_lock` is what makes this process its supervisor.
pub fn run(ready: &Ready, folder: &Folder, _lock: File, output: Option<Output>) -> Result<i32> {
    let sealed = ready.scope.sealed;
    let Some(service) = &sealed.plan.service else { return Err(Failure::new("SERVICE_NONE")) };
    let signals = Signals::take().map_err(|e| Failure::io(&folder.path("lock"), e))?;
    end_orphan(folder, &sealed.plan.name, service.stop_timeout)?;
    let program_lock = folder.take_program()?;
    let state = State {
        version: sealed.plan.version.clone(),
        identity: sealed.identity.clone(),
        supervisor: std::process::id() as i32,
        started: now(),
        port: ready.scope.port.unwrap_or(0),
        stop_timeout: service.stop_timeout,
        ..State::default()
    };
    let mut supervisor = Supervisor { ready, service, folder, program_lock, state, output, signals };
    let result = supervisor.keep_up();
    supervisor.state.supervisor = 0;
    supervisor.record();
    result
}

struct Supervisor<'a> {
    ready: &'a Ready<'a>,
    service: &'a Service,
    folder: &'a Folder,
    program_lock: File,
    state: State,
    output: Option<Output>,
    signals: Signals,
}

impl Supervisor<'_> {
    fn keep_up(&mut self) -> Result<i32> {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            self.folder.write(&self.state)?;
            let program = self.start()?;
            (self.state.program, self.state.since) = (program, now());
            self.record();
            let (code, asked) = self.attend(program);
            self.sweep(program);
            (self.state.program, self.state.since, self.state.exit) = (0, now(), Some(code));
            let again = match self.service.restart {
                Restart::Always => true,
                Restart::OnFailure => code != 0,
                Restart::No => false,
            };
            if asked || !again {
                return Ok(code);
            }
            failures = if began.elapsed() >= GOOD_RUN { 1 } else { failures + 1 };
            let notice =
                |code| Failure::new(code).with("name", &self.ready.scope.sealed.plan.name).with("actual", self.state.exit.unwrap_or(0));
            if failures > self.service.restart_limit {
                log::warning(&notice("SERVICE_GIVE_UP").with("count", failures));
                return Ok(code);
            }
            let least = self.service.restart_delay;
            let pause = (least << (failures - 1).min(10)).min(LONGEST_PAUSE.max(least));
            log::warning(&notice("SERVICE_RESTART").with("seconds", pause));
            self.state.restarts += 1;
            self.record();
            if self.pause(Duration::from_secs(pause)) {
                return Ok(code);
            }
        }
    }

    /// For what is not worth ending a service for.
    fn record(&self) {
        if let Err(failure) = self.folder.write(&self.state) {
            log::warning(&failure);
        }
    }

    /// The program leads a session of its own: it can be ended with all that it started, and no terminal ends it. It ends
    /// with its supervisor where the system knows how, and holds the program's lock as long as it lives.
    fn start(&self) -> Result<i32> {
        let parent = std::process::id() as i32;
        self.ready.program.fork(&self.ready.scope.place.base, || {
            // SAFETY: plain system calls in a child of one thread.
            unsafe {
                libc::setsid();
                libc::fcntl(self.program_lock.as_raw_fd(), libc::F_SETFD, 0);
                #[cfg(target_os = "linux")]
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                if libc::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
            }
            // SAFETY: asks about a number.
            if unsafe { libc::isatty(0) } == 1 {
                rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            }
            self.output.as_ref().map_or(Ok(()), Output::connect)
        })
    }

    /// Waits for the program; its exit code, and whether somebody asked for its end.
    fn attend(&mut self, program: i32) -> (i32, bool) {
        let mut kill_at = None;
        loop {
            if let Some(code) = reap(program) {
                return (code, kill_at.is_some());
            }
            self.wait(kill_at);
            for (signal, from_kernel) in self.signals.received() {
                match ending(signal, from_kernel) {
                    Some(signal) => {
                        send_to_group(program, signal);
                        send_to_group(program, libc::SIGCONT);
                        kill_at.get_or_insert(Instant::now() + Duration::from_secs(self.service.stop_timeout));
                    }
                    None if signal == libc::SIGCHLD => (),
                    // SAFETY: the program is not waited for yet, so its number is its own.
                    None => drop(unsafe { libc::kill(program, signal) }),
                }
            }
            if kill_at.is_some_and(|at| Instant::now() >= at) {
                send_to_group(program, libc::SIGKILL);
                kill_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    /// Ends what the program left behind, which would hold its port, and takes its last words.
    fn sweep(&mut self, program: i32) {
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            let until = Instant::now() + LEFTOVERS;
            let mut there = send_to_group(program, signal);
            while there && Instant::now() < until {
                std::thread::sleep(TICK);
                reap(program);
                there = send_to_group(program, 0);
            }
        }
        while self.poll(Some(Duration::ZERO)).1 {
            self.copy();
        }
    }

    /// True when somebody asked for the end meanwhile.
    fn pause(&mut self, long: Duration) -> bool {
        let until = Instant::now() + long;
        while Instant::now() < until {
            self.wait(Some(until));
            if self.signals.received().into_iter().any(|(signal, from_kernel)| ending(signal, from_kernel).is_some()) {
                return true;
            }
        }
        false
    }

    /// Until a signal, output, or that time.
    fn wait(&mut self, until: Option<Instant>) {
        if self.poll(until.map(|at| at.saturating_duration_since(Instant::now()))).1 {
            self.copy();
        }
    }

    fn copy(&mut self) {
        if let Some(output) = &mut self.output {
            output.copy(self.folder);
        }
    }

    fn poll(&mut self, patience: Option<Duration>) -> (bool, bool) {
        let wanted = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let output = self.output.as_ref().map_or(-1, Output::reader);
        let mut list = [wanted(self.signals.reader.as_raw_fd()), wanted(output)];
        let patience = patience.map_or(-1, |patience| patience.as_millis().min(60_000) as i32 + i32::from(!patience.is_zero()));
        // SAFETY: the list is valid for the call; a descriptor of -1 is passed over.
        let found = unsafe { libc::poll(list.as_mut_ptr(), 2, patience) };
        self.signals.waiting = found > 0 && list[0].revents != 0;
        (self.signals.waiting, found > 0 && list[1].revents != 0)
    }
}

/// What a signal to the supervisor asks the program's group to do, when it asks for the end. The terminal's own `SIGQUIT` does;
/// somebody else's is for the program, which may take it for something else. A terminal that closes ends what runs in it.
fn ending(signal: i32, from_kernel: bool) -> Option<i32> {
    match signal {
        libc::SIGTERM | libc::SIGINT => Some(signal),
        libc::SIGQUIT if from_kernel => Some(signal),
        libc::SIGHUP if from_kernel => Some(libc::SIGTERM),
        _ => None,
    }
}

/// False when there is no such group.
pub fn send_to_group(leader: i32, signal: i32) -> bool {
    // SAFETY: 0 and 1 would mean other processes than those of the program, and are left alone.
    leader > 1 && unsafe { libc::kill(-leader, signal) } == 0
}

/// Waits for every child that has ended, for as process 1 of a container this one has strangers too; the exit code of `program`
/// when it is among them.
fn reap(program: i32) -> Option<i32> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for the call.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            pid if pid == program => return Some(process::code_of(status)),
            pid if pid <= 0 => return None,
            _ => (),
        }
    }
}

/// Ends a program whose supervisor was killed. False when there is none.
pub fn end_orphan(folder: &Folder, name: &str, patience: u64) -> Result<bool> {
    let Some(program) = folder.orphan() else { return Ok(false) };
    log::warning(&Failure::new("SERVICE_ORPHAN").with("name", name).with("pid", program));
    for (signal, patience) in [(libc::SIGTERM, patience), (libc::SIGKILL, 5)] {
        send_to_group(program, signal);
        send_to_group(program, libc::SIGCONT);
        let until = Instant::now() + Duration::from_secs(patience);
        while Instant::now() < until {
            if folder.orphan().is_none() {
                return Ok(true);
            }
            std::thread::sleep(TICK);
        }
    }
    Err(stuck(name, program))
}

pub fn stuck(name: &str, pid: i32) -> Failure {
    Failure::new("SERVICE_STUCK").with("name", name).with("pid", pid)
}

/// Signals as bytes in a pipe, which can be waited for together with output.
struct Signals {
    reader: PipeReader,
    waiting: bool,
}

/// Where the handler writes.
static NOTES: OnceLock<PipeWriter> = OnceLock::new();

extern "C" fn note(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the system gives a handler of this kind its information; write is allowed in one.
    unsafe {
        let bytes = [signal as u8, u8::from((*info).si_code > 0)];
        if let Some(notes) = NOTES.get() {
            libc::write(notes.as_raw_fd(), bytes.as_ptr().cast(), 2);
        }
    }
}

impl Signals {
    /// Those that were ignored stay so, as `nohup` wants. A program that is started has none of these handlers.
    fn take() -> io::Result<Signals> {
        let (reader, writer) = io::pipe()?;
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK)?;
        NOTES.get_or_init(|| writer);
        for signal in process::FORWARDED.into_iter().chain([libc::SIGCHLD]) {
            // SAFETY: zero is a value of the structure; the handler has the type that SA_SIGINFO asks for.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &raw mut action);
                if action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGCHLD {
                    continue;
                }
                action.sa_sigaction = note as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
        Ok(Signals { reader, waiting: false })
    }

    /// What came, when the last look said that something did.
    fn received(&mut self) -> Vec<(i32, bool)> {
        let mut bytes = [0; 128];
        let count = if std::mem::take(&mut self.waiting) { self.reader.read(&mut bytes).unwrap_or(0) } else { 0 };
        bytes[..count].chunks_exact(2).map(|pair| (i32::from(pair[0]), pair[1] != 0)).collect()
    }
}
