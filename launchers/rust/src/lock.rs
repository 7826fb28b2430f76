//! Step 6, lock: one OS lock per identity and shared slot. It dies with its holder, so there is nothing stale to judge.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::log;

const PATIENCE: Duration = Duration::from_secs(2);

/// Held until it is dropped, or until the process becomes the program.
pub struct Lock(#[allow(dead_code, reason = "the open file is the lock")] File);

/// Waits for the lock file at `path`, and says so after two seconds.
pub fn acquire(path: &Path, name: &str) -> Result<Lock> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = opened.map_err(|e| Failure::io(path, e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(Lock(file)),
        Err(Errno::WOULDBLOCK) => (),
        Err(e) => return Err(Failure::io(path, e)),
    }
    log::debug(format_args!("waiting for {}", path.display()));
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                log::warning(&Failure::new("WAITING").with("name", name));
            }
        });
        let locked = wait(&file).map_err(|e| Failure::io(path, e));
        drop(done);
        locked
    })?;
    Ok(Lock(file))
}

fn wait(file: &File) -> std::result::Result<(), Errno> {
    loop {
        match flock(file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => (),
            other => return other,
        }
    }
}
