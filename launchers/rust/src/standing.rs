//! The service's folder, `<data>/.service/<instance>` (launcher.md, "Services"): who runs, and what was last known of it.
//! The lock is the truth: the system drops it when its holder ends, however that happens, and names the holder itself, so a
//! number in a file is never taken for a process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Failure, Result};
use crate::place;
use crate::supervise::{TICK, send_to_group};

const FIRST_LINE: &str = "sealift-service 1";

pub struct Folder(PathBuf);

/// What the supervisor wrote last. Times are seconds since 1970; 0 stands for none.
#[derive(Clone, Default)]
pub struct State {
    pub version: String,
    pub identity: String,
    pub supervisor: i32,
    pub program: i32,
    pub started: u64,
    pub since: u64,
    pub restarts: u64,
    pub exit: Option<i32>,
    pub port: u16,
    pub stop_timeout: u64,
}

impl Folder {
    pub fn of(instance: &str) -> Result<Folder> {
        let base = place::data_folder()?;
        place::check_safe(&base)?;
        Ok(Folder(base.join(".service").join(instance)))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn create(&self) -> Result<()> {
        place::create_private(&self.0)
    }

    pub fn open(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&path);
        opened.map_err(|e| Failure::io(&path, e))
    }

    /// Makes this process the supervisor; `None` when there is one. A record lock: it is not inherited by what is started, and
    /// can be asked about without being touched. No other descriptor of this file may be closed by this process.
    pub fn take(&self) -> Result<Option<File>> {
        self.create()?;
        let file = self.open("lock")?;
        match record_lock(&file, libc::F_SETLK) {
            Ok(_) => Ok(Some(file)),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(None),
            Err(e) => Err(Failure::io(&self.path("lock"), e)),
        }
    }

    /// The supervisor by the word of the system.
    pub fn supervisor(&self) -> Option<i32> {
        let file = File::options().read(true).write(true).open(self.path("lock")).ok()?;
        let found = record_lock(&file, libc::F_GETLK).ok()?;
        (i32::from(found.l_type) != i32::from(libc::F_UNLCK as i16)).then_some(found.l_pid)
    }

    /// The program's lock, which what is started inherits: while it is held, a process of the service lives. Whoever looks at it holds
    /// it for a moment; a process that an earlier program left behind may hold it for ever, and keeps the old file.
    pub fn take_program(&self) -> Result<File> {
        for _ in 0..10 {
            let file = self.open("program")?;
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                return Ok(file);
            }
            std::thread::sleep(TICK);
        }
        let path = self.path("program");
        let file = fs::remove_file(&path).map_err(|e| Failure::io(&path, e)).and_then(|()| self.open("program"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| Failure::io(&path, e))?;
        Ok(file)
    }

    /// The program that outlived its supervisor: the lock is held, the supervisor did not end by itself, and the number leads
    /// a session, as programs of services do, or did and has left processes behind.
    pub fn orphan(&self) -> Option<i32> {
        let file = File::open(self.path("program")).ok()?;
        flock(&file, FlockOperation::NonBlockingLockShared).err()?;
        let State { supervisor, program, .. } = self.read()?;
        // SAFETY: getsid takes any number.
        let session = unsafe { libc::getsid(program) };
        (supervisor != 0 && (session == program || session == -1) && send_to_group(program, 0)).then_some(program)
    }

    pub fn write(&self, state: &State) -> Result<()> {
        let State { version, identity, supervisor, program, started, since, restarts, exit, port, stop_timeout } = state;
        let exit = exit.map_or(String::new(), |code| format!("exit {code}\n"));
        let text = format!(
            "{FIRST_LINE}\nversion {version}\nidentity {identity}\nsupervisor {supervisor}\nprogram {program}\nstarted {started}\n\
             since {since}\nrestarts {restarts}\nport {port}\nstop_timeout {stop_timeout}\n{exit}end\n"
        );
        let (temporary, path) = (self.path("state.new"), self.path("state"));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            fs::rename(&temporary, &path)
        });
        written.map_err(|e| Failure::io(&path, e))
    }

    /// What was written last; `None` when there is nothing whole.
    pub fn read(&self) -> Option<State> {
        let text = fs::read_to_string(self.path("state")).ok()?;
        let text = text.strip_prefix(FIRST_LINE)?.strip_suffix("\nend\n")?;
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let number = |name: &str| field(name)?.parse::<u64>().ok();
        Some(State {
            version: field("version")?.to_string(),
            identity: field("identity")?.to_string(),
            supervisor: number("supervisor")? as i32,
            program: number("program")? as i32,
            started: number("started")?,
            since: number("since")?,
            restarts: number("restarts")?,
            exit: number("exit").map(|code| code as i32),
            port: number("port")? as u16,
            stop_timeout: number("stop_timeout")?,
        })
    }

    /// The last `count` lines of the log.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let text = read_end(&self.path("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| line.to_string()).collect()
    }
}

const READ_OF_LOG: u64 = 256 << 10;

fn read_end(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(READ_OF_LOG)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn record_lock(file: &File, command: i32) -> io::Result<libc::flock> {
    // SAFETY: the structure is plain numbers, for which zero is a value, and valid for the call.
    unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as _;
        lock.l_whence = libc::SEEK_SET as _;
        lock.l_len = 1;
        match libc::fcntl(file.as_raw_fd(), command, &raw mut lock) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(lock),
        }
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether a program of this machine accepts connections there.
pub fn accepts(port: u16) -> bool {
    // SAFETY: the structures are plain numbers, for which zero is a value.
    let (mut four, mut six): (libc::sockaddr_in, libc::sockaddr_in6) = unsafe { std::mem::zeroed() };
    four.sin_family = libc::AF_INET as _;
    four.sin_port = port.to_be();
    four.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    six.sin6_family = libc::AF_INET6 as _;
    six.sin6_port = port.to_be();
    six.sin6_addr.s6_addr[15] = 1;
    connects(libc::AF_INET, &four) || connects(libc::AF_INET6, &six)
}

fn connects<T>(family: i32, address: &T) -> bool {
    // SAFETY: the socket is ours from its making on, and everything pointed to is valid for the calls.
    unsafe {
        let number = libc::socket(family, libc::SOCK_STREAM, 0);
        if number < 0 {
            return false;
        }
        let socket = OwnedFd::from_raw_fd(number);
        libc::fcntl(number, libc::F_SETFL, libc::O_NONBLOCK);
        if libc::connect(number, (&raw const *address).cast(), size_of::<T>() as _) == 0 {
            return true;
        }
        let mut list = [libc::pollfd { fd: number, events: libc::POLLOUT, revents: 0 }];
        let waits = io::Error::last_os_error().raw_os_error() == Some(libc::EINPROGRESS);
        let answered = waits && libc::poll(list.as_mut_ptr(), 1, CONNECT_MS) == 1;
        // A refused connection is reported as an error as well as ready.
        drop(socket);
        answered && list[0].revents & (libc::POLLERR | libc::POLLHUP) == 0
    }
}

const CONNECT_MS: i32 = 1000;
