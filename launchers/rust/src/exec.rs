//! Step 11, exec: the program takes this process's place; with `temp` or `shutdown` slots, or SEALIFT_EXEC=spawn, it runs as a
//! child whose signals, terminal and exit code are passed through.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::environ::Environ;
use crate::failure::{Failure, Result, reason};
use crate::locate::Image;
use crate::place;
use crate::process;

/// Everything that execve needs, as C strings.
pub struct Program {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    pub fn new(path: &Path, argv: &[OsString], environ: &Environ) -> Result<Program> {
        let c = |bytes: &[u8]| {
            let nul = |_| Failure::new("EXEC_FAILED").with("path", path.display()).with("detail", "a word holds a NUL character");
            CString::new(bytes).map_err(nul)
        };
        let pair = |(name, value): &(OsString, OsString)| c(&[name.as_bytes(), b"=", value.as_bytes()].concat());
        let origin = origin(path);
        let known = environ.pairs().iter().filter(|(name, _)| origin.is_none() || name != ORIGIN);
        Ok(Program {
            path: c(path.as_os_str().as_bytes())?,
            argv: argv.iter().map(|word| c(word.as_bytes())).collect::<Result<_>>()?,
            env: known.chain(&origin).map(pair).collect::<Result<_>>()?,
        })
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.path.as_bytes().to_vec()))
    }

    /// Becomes the program. Returns only when that fails.
    pub fn replace(&self) -> io::Error {
        let pointers = |list: &[CString]| list.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        process::restore_signals();
        // SAFETY: all pointers are NUL-terminated strings, both arrays end with a null pointer, and all outlive the call.
        unsafe { libc::execve(self.path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        let error = io::Error::last_os_error();
        process::set_signals();
        error
    }

    /// Becomes the program, or reports why not.
    pub fn run(&self, base: &Path) -> Result<Infallible> {
        Err(start_failure(&self.path(), base, &self.replace()))
    }

    /// Runs the program as a child and returns its exit code, 128+n for a signal.
    pub fn spawn(&self, base: &Path) -> Result<i32> {
        let guard = process::hold_signals();
        let child = self.fork(base, || {
            guard.release();
            Ok(())
        })?;
        process::attend(child).map_err(|e| start_failure(&self.path(), base, &e))
    }

    /// Runs the program in `folder` without input; returns its exit code and the end of its output.
    pub fn capture(&self, base: &Path, folder: &Path) -> Result<(i32, Vec<u8>)> {
        let failed = |e: io::Error| start_failure(&self.path(), base, &e);
        let (mut output, writer) = io::pipe().map_err(failed)?;
        let child = self.fork(base, || {
            let null = fs::File::open("/dev/null")?;
            rustix::stdio::dup2_stdin(&null)?;
            rustix::stdio::dup2_stdout(&writer)?;
            rustix::stdio::dup2_stderr(&writer)?;
            std::env::set_current_dir(folder)
        })?;
        drop(writer);
        let tail = process::read_tail(&mut output);
        Ok((process::wait(child).map_err(failed)?, tail))
    }

    /// Starts a child that does `before` and becomes the program.
    pub fn fork(&self, base: &Path, before: impl FnOnce() -> io::Result<()>) -> Result<libc::pid_t> {
        let failed = |e: &io::Error| start_failure(&self.path(), base, e);
        let (mut report, mut failure) = io::pipe().map_err(|e| failed(&e))?;
        // SAFETY: the process has one thread here, so the child may do anything; it only executes or exits.
        let child = match unsafe { libc::fork() } {
            -1 => return Err(failed(&io::Error::last_os_error())),
            0 => {
                let error = before().err().unwrap_or_else(|| self.replace());
                let error = error.raw_os_error().unwrap_or(0);
                let _ = failure.write_all(&error.to_ne_bytes());
                // SAFETY: ends the child at once, without the parent's clean-up.
                unsafe { libc::_exit(127) }
            }
            child => child,
        };
        drop(failure);
        let mut code = [0; 4];
        // The pipe closes when the child becomes the program.
        if report.read_exact(&mut code).is_ok() {
            let _ = process::wait(child);
            return Err(failed(&io::Error::from_raw_os_error(i32::from_ne_bytes(code))));
        }
        Ok(child)
    }
}

const ORIGIN: &str = "LD_ORIGIN_PATH";

/// Where /proc is not mounted, the dynamic linker knows the `$ORIGIN` of a program's libraries only by this variable.
fn origin(program: &Path) -> Option<(OsString, OsString)> {
    if fs::symlink_metadata("/proc/self/exe").is_ok() {
        return None;
    }
    let folder = fs::canonicalize(program).ok()?.parent()?.to_path_buf();
    Some((ORIGIN.into(), folder.into()))
}

/// A path is used as it is; a bare name is looked for in the program's own PATH, this package itself excepted.
pub fn find_program(word: &OsStr, environ: &Environ, image: &Image) -> Result<PathBuf> {
    if word.as_bytes().contains(&b'/') {
        return Ok(word.into());
    }
    let search = environ.get(OsStr::new("PATH")).unwrap_or_default();
    let own = image.file.metadata().map(|info| (info.dev(), info.ino())).ok();
    let runs = |path: &PathBuf| match path.metadata() {
        Ok(info) => info.is_file() && info.permissions().mode() & 0o111 != 0 && Some((info.dev(), info.ino())) != own,
        Err(_) => false,
    };
    // An empty part would mean the current folder: a program there is nobody's intention.
    let folders = search.as_bytes().split(|b| *b == b':').filter(|folder| !folder.is_empty());
    let mut candidates = folders.map(|folder| Path::new(OsStr::from_bytes(folder)).join(word));
    candidates
        .find(runs)
        .ok_or_else(|| Failure::new("EXEC_FAILED").with("path", word.to_string_lossy()).with("detail", "it is not in PATH"))
}

/// Why a program did not start; on a file system mounted noexec the system's own words would mislead.
pub fn start_failure(path: &Path, base: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::PermissionDenied && path.starts_with(base) && place::is_noexec(path) {
        return Failure::new("CACHE_NOEXEC").with("path", base.display());
    }
    let detail = match error.kind() {
        io::ErrorKind::NotFound if path.exists() => "No such file or directory (the interpreter that it names is missing)".into(),
        _ => reason(error),
    };
    Failure::new("EXEC_FAILED").with("path", path.display()).with("detail", detail)
}
