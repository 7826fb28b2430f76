//! What can go wrong, with the code of `messages.rs` and the values that its text names.

use std::fmt;
use std::io;
use std::path::Path;

use crate::messages;

#[derive(Debug)]
pub struct Failure {
    pub code: &'static str,
    fields: Vec<(&'static str, String)>,
    /// The file system is full: the caller that knows how much was needed says so.
    pub full: bool,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub fn new(code: &'static str) -> Self {
        Failure { code, fields: Vec::new(), full: false }
    }

    /// Sets `{name}` of the message; the first value given stays.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        if !self.fields.iter().any(|(n, _)| *n == name) {
            self.fields.push((name, value.to_string()));
        }
        self
    }

    /// A metadata field that is not what the format says.
    pub fn field(field: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Failure::new("PSPF_FIELD").with("field", field).with("detail", detail)
    }

    pub fn io(path: &Path, error: impl Into<io::Error>) -> Self {
        let error: io::Error = error.into();
        let full = matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
        match error.downcast::<Failure>() {
            Ok(inner) => inner,
            Err(error) => {
                let mut failure = Failure::new("IO").with("path", path.display()).with("detail", reason(&error));
                failure.full = full;
                failure
            }
        }
    }

    /// A slot's bytes that cannot be unpacked.
    pub fn unpack(slot: &str, detail: impl fmt::Display) -> Self {
        Failure::new("UNPACK").with("slot", slot).with("detail", detail)
    }

    pub fn exit(&self) -> i32 {
        messages::find(self.code).exit
    }

    pub fn hint(&self) -> String {
        self.fill(messages::find(self.code).hint)
    }

    /// Replaces each `{name}` once; values are not looked at again, and control characters in them cannot steer a terminal.
    fn fill(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some((before, name, after)) = next_placeholder(rest) {
            out.push_str(before);
            match self.fields.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => out.extend(value.chars().map(printable)),
                None => out.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        out + rest
    }

    /// Whether the content of the package is to blame, and not the machine.
    pub fn blames_content(&self) -> bool {
        self.code.starts_with("UNPACK")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fill(messages::find(self.code).text))
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        io::Error::other(failure)
    }
}

/// An operating system error in words, without Rust's `(os error 2)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// Text before the first `{name}`, the name, and the text behind it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

fn printable(c: char) -> char {
    if c.is_control() { '?' } else { c }
}
