//! What people see on stderr: errors and warnings always, log lines as SEALIFT_LOG says, progress on a terminal.
//! Values of environment variables are never logged.

use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::failure::Failure;
use crate::json::quote;

const ERROR: u8 = 0;
const WARN: u8 = 1;
const INFO: u8 = 2;
const DEBUG: u8 = 3;
const JSON: u8 = 0x80;

static LEVEL: AtomicU8 = AtomicU8::new(ERROR);

/// Reads SEALIFT_LOG; an unknown value leaves the default, because a typo there must not stop a program.
pub fn configure() {
    let value = std::env::var_os("SEALIFT_LOG").unwrap_or_default();
    let text = value.to_string_lossy().to_ascii_lowercase();
    let (json, level) = match text.strip_prefix("json") {
        Some(rest) => (JSON, rest.trim_start_matches(':')),
        None => (0, text.as_str()),
    };
    let level = match level {
        "debug" | "trace" => DEBUG,
        "info" => INFO,
        "warn" | "warning" => WARN,
        _ => ERROR,
    };
    LEVEL.store(level | json, Relaxed);
}

pub fn is_json() -> bool {
    LEVEL.load(Relaxed) & JSON != 0
}

pub fn debug(text: impl Display) {
    line(DEBUG, "debug", text);
}

pub fn info(text: impl Display) {
    line(INFO, "info", text);
}

fn line(level: u8, name: &str, text: impl Display) {
    let set = LEVEL.load(Relaxed);
    if set & !JSON < level {
        return;
    }
    if set & JSON == 0 {
        return put(&format!("sealift: {name}: {text}\n"));
    }
    let mut out = format!("{{\"schema\":\"sealift.log/1\",\"level\":\"{name}\",\"message\":");
    quote(&mut out, &text.to_string());
    put(&(out + "}\n"));
}

/// A notice of the contract, printed at every level.
pub fn warning(notice: &Failure) {
    if !is_json() {
        return put(&format!("sealift: warning: {notice}\n"));
    }
    let mut out = String::from("{\"schema\":\"sealift.warning/1\",\"code\":");
    quote(&mut out, notice.code);
    out.push_str(",\"message\":");
    quote(&mut out, &notice.to_string());
    put(&(out + "}\n"));
}

/// The one error that ends the launcher.
pub fn error(failure: &Failure, json: bool) {
    if json || is_json() {
        return put(&(error_document(failure) + "\n"));
    }
    put(&format!("sealift: error: {failure}\n"));
    if !failure.hint().is_empty() {
        put(&format!("hint: {}\n", failure.hint()));
    }
}

/// `sealift.error/1`.
pub fn error_document(failure: &Failure) -> String {
    let mut out = String::from("{\"schema\":\"sealift.error/1\",\"code\":");
    quote(&mut out, failure.code);
    out.push_str(",\"message\":");
    quote(&mut out, &failure.to_string());
    out.push_str(",\"hint\":");
    quote(&mut out, &failure.hint());
    out.push_str(&format!(",\"exit\":{}}}", failure.exit()));
    out
}

/// One write, so that lines of several processes do not mix; a closed stderr is nobody's problem here.
pub fn put(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
