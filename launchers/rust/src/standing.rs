//! The service's folder, `<data>/.service/<instance>` (launcher.md, "Services"): who runs, and what was last known of it.
//! The lock is the truth: the system drops it when its holder ends, however that happens, and names the holder itself, so a
//! number in a file is never taken for a process.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Failure, Result};
use crate::place;

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

    /// The program's lock, which what is started inherits: while it is held, a process of the service lives.
    pub fn take_program(&self) -> Result<Option<File>> {
        let file = self.open("program")?;
        Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file))
    }

    /// The program that outlived its supervisor: while its lock is held, something of it lives. The number is 0 when it is not
    /// known for sure: a program of a service leads its own session, or has left one behind.
    pub fn orphan(&self) -> Option<i32> {
        let file = File::open(self.path("program")).ok()?;
        flock(&file, FlockOperation::NonBlockingLockShared).err()?;
        let program = self.read().map_or(0, |state| state.program);
        // SAFETY: getsid takes any number.
        let session = unsafe { libc::getsid(program) };
        Some(if program > 1 && (session == program || session == -1) { program } else { 0 })
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
    let at = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    at.iter().any(|address| TcpStream::connect_timeout(address, Duration::from_secs(1)).is_ok())
}
