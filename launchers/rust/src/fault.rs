//! Fault points of test builds (`--features faults`): SEALIFT_FAULT=<name> kills the launcher there, as `kill -9` would.

#[cfg(feature = "faults")]
pub fn point(name: &str) {
    assert!(std::env::var_os("SEALIFT_FAULT").is_none_or(|wanted| wanted != "panic"), "a fault was asked for");
    if std::env::var_os("SEALIFT_FAULT").is_some_and(|wanted| wanted == name) {
        // SAFETY: kills this process; there is nothing to keep intact.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_: &str) {}
