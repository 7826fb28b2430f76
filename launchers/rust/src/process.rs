//! Process-wide state: standard descriptors, signals, the file mode mask, waiting for a child.

use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// What arrives here and belongs to the child.
pub const FORWARDED: [i32; 9] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, libc::SIGCONT, libc::SIGWINCH];

/// How SIGPIPE and SIGCHLD were set when the launcher started, for the program.
static BEFORE: [OnceLock<usize>; 2] = [OnceLock::new(), OnceLock::new()];
const CHANGED: [(i32, usize); 2] = [(libc::SIGPIPE, libc::SIG_IGN), (libc::SIGCHLD, libc::SIG_DFL)];

/// Makes sure that 0, 1 and 2 are open, so that no file of ours takes their place and receives messages. What is opened here
/// closes on exec: the program finds its descriptors as they were.
pub fn open_standard_descriptors() {
    for number in 0..3 {
        // SAFETY: plain system calls on small numbers and a constant string.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            }
        }
    }
}

/// A reader of our messages that went away must not end a first start half-way, and children must be waited for even when
/// whoever started us does not care for its own.
pub fn set_signals() {
    for ((signal, ours), before) in CHANGED.iter().zip(&BEFORE) {
        // SAFETY: both dispositions run no code.
        let found = unsafe { libc::signal(*signal, *ours) };
        before.get_or_init(|| found);
    }
}

/// Puts back what `set_signals` changed.
pub fn restore_signals() {
    for ((signal, _), before) in CHANGED.iter().zip(&BEFORE) {
        if let Some(before) = before.get() {
            // SAFETY: restores a disposition that the system gave us.
            unsafe { libc::signal(*signal, *before) };
        }
    }
}

/// The mask is zero while it lives: modes come from the package alone. Only one thread may hold it.
pub struct OpenMask(libc::mode_t);

impl OpenMask {
    pub fn new() -> Self {
        // SAFETY: umask cannot fail.
        OpenMask(unsafe { libc::umask(0) })
    }
}

impl Drop for OpenMask {
    fn drop(&mut self) {
        // SAFETY: see above.
        unsafe { libc::umask(self.0) };
    }
}

/// Signals wait until `attend` takes them.
pub struct Held(libc::sigset_t);

fn signal_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in FORWARDED.iter().chain([&libc::SIGCHLD]) {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

pub fn hold_signals() -> Held {
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for the call; the old one is initialised by it.
    unsafe {
        libc::pthread_sigmask(libc::SIG_BLOCK, &signal_set(), before.as_mut_ptr());
        Held(before.assume_init())
    }
}

impl Held {
    /// For the child: signals as they were.
    pub fn release(&self) {
        // SAFETY: the set came from the system.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}

/// Waits for `child`, passing signals on, and returns its exit code. Signals must be held.
pub fn attend(child: libc::pid_t) -> io::Result<i32> {
    let set = signal_set();
    loop {
        if let Some(code) = ended(child)? {
            return Ok(code);
        }
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `set` and `info` are valid for the call.
        let signal = unsafe { libc::sigwaitinfo(&set, info.as_mut_ptr()) };
        if signal <= 0 || signal == libc::SIGCHLD {
            continue;
        }
        // SAFETY: sigwaitinfo filled it. What the terminal sent (the kernel's code, positive) the child has already,
        // for it is in the same process group.
        let from_terminal = unsafe { info.assume_init() }.si_code > 0;
        if !from_terminal {
            // SAFETY: the child is not waited for yet, so its number is its own.
            unsafe { libc::kill(child, signal) };
        }
    }
}

/// The exit code of a child that has ended. When it is stopped, so are we: the shell expects the whole job to stop.
fn ended(child: libc::pid_t) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: `status` is valid for the call.
    match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG | libc::WUNTRACED) } {
        0 => Ok(None),
        -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => Ok(None),
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => {
            // SAFETY: stops this process until somebody continues it; SIGCONT then goes on to the child.
            unsafe { libc::raise(libc::SIGSTOP) };
            Ok(None)
        }
        _ => Ok(Some(code_of(status))),
    }
}

pub fn code_of(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// What is kept of a setup command's output.
const KEPT_OUTPUT: usize = 64 << 10;

/// Reads to the end and keeps the last part.
pub fn read_tail(from: &mut impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return kept,
            Ok(n) => kept.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => (),
            Err(_) => return kept,
        }
        if kept.len() > 2 * KEPT_OUTPUT {
            kept.drain(..kept.len() - KEPT_OUTPUT);
        }
    }
}

/// Waits for `child` without passing anything on.
pub fn wait(child: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is valid for the call.
        match unsafe { libc::waitpid(child, &mut status, 0) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => (),
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok(code_of(status)),
        }
    }
}
