//! A private home for one test, and starting packages in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Sandbox {
    pub dir: PathBuf,
}

impl Sandbox {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().canonicalize().unwrap().join(format!("sealift-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        Sandbox { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Writes a package file that can be started.
    pub fn install(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A command with an environment of its own: PATH, HOME and the cache.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.dir).env("SEALIFT_CACHE", self.cache());
        command.env("SEALIFT_DATA", self.path("data")).stdin(Stdio::null()).current_dir(&self.dir);
        command
    }

    pub fn start(&self, program: &Path, args: &[&str], env: &[(&str, &str)]) -> Outcome {
        let mut command = self.command(program);
        command.args(args).envs(env.iter().copied());
        Outcome::of(run(&mut command))
    }

    /// Installs and starts in one go.
    pub fn try_package(&self, bytes: &[u8]) -> Outcome {
        let path = self.install("app.psp", bytes);
        self.start(&path, &[], &[])
    }

    /// The only work environment.
    pub fn workenv(&self) -> PathBuf {
        let mut found: Vec<_> = fs::read_dir(self.cache().join("workenv")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    pub fn has_ready(&self) -> bool {
        let Ok(found) = fs::read_dir(self.cache().join("workenv")) else { return false };
        found.flatten().any(|entry| entry.path().join(".sealift/ready").exists())
    }
}

/// A file that was just written may still be open in a sibling that was forked meanwhile.
fn run(command: &mut Command) -> Output {
    for _ in 0..200 {
        match command.output() {
            Err(e) if e.raw_os_error() == Some(26) => std::thread::sleep(std::time::Duration::from_millis(5)),
            output => return output.unwrap(),
        }
    }
    panic!("the package file stays busy")
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    pub fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Outcome {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The program ran and printed `text`.
    #[track_caller]
    pub fn prints(&self, text: &str) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (0, text, ""), "{self:?}");
    }

    /// The launcher refused with this exit code and words in its message.
    #[track_caller]
    pub fn refuses(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(words), "{words} in {self:?}");
        assert!(self.stderr.starts_with("sealift: error: ") && self.stderr.contains("\nhint: "), "{self:?}");
        assert_eq!(self.stdout, "");
    }
}

pub fn os(text: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(text)
}
