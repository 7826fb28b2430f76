//! What a package says about the service that it is (format.md, `runtime.service`), and which of its commands are meant.

use std::ffi::OsStr;

use crate::failure::{Failure, Result};
use crate::plan::{Command, Field, Plan};

pub struct Service {
    /// 0 = none.
    pub port: u16,
    pub restart: Restart,
    /// Seconds, all four.
    pub stop_timeout: u64,
    pub start_timeout: u64,
    pub restart_delay: u64,
    /// Failures in a row before the supervisor gives up.
    pub restart_limit: u64,
    /// Entries that are services beside the default command.
    entries: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    OnFailure,
    Always,
    No,
}

const LONGEST_SECONDS: u64 = 86_400;

/// A package that is no service has no such member.
pub fn read(field: &Field) -> Result<Option<Service>> {
    if field.value.is_none() {
        return Ok(None);
    }
    field.map()?;
    let number = |key: &str, least: u64, most: u64, default: u64| match field.get(key).int()? {
        None => Ok(default),
        Some(number) if (least..=most).contains(&number) => Ok(number),
        Some(_) => Err(field.get(key).wrong(format!("not between {least} and {most}"))),
    };
    Ok(Some(Service {
        port: number("port", 1, 65_535, 0)? as u16,
        restart: match field.get("restart").text()? {
            None | Some("on-failure") => Restart::OnFailure,
            Some("always") => Restart::Always,
            Some("no") => Restart::No,
            Some(_) => return Err(field.get("restart").wrong("not on-failure, always or no")),
        },
        stop_timeout: number("stop_timeout", 1, LONGEST_SECONDS, 10)?,
        start_timeout: number("start_timeout", 1, LONGEST_SECONDS, 30)?,
        restart_delay: number("restart_delay", 0, LONGEST_SECONDS, 1)?,
        restart_limit: number("restart_limit", 1, LONGEST_SECONDS, 10)?,
        entries: field.get("entries").texts()?,
    }))
}

/// The name under which `command` runs as a service: the package's for the default command, `<package>@<entry>` for an entry that
/// is one too. `None`: it is an ordinary program.
pub fn instance(plan: &Plan, command: &Command) -> Option<String> {
    let service = plan.service.as_ref()?;
    if plan.command.as_ref() == Some(command) {
        return Some(plan.name.clone());
    }
    let entry = plan.entries.iter().find(|(name, entry)| entry == command && service.entries.contains(name));
    entry.map(|(name, _)| format!("{}@{name}", plan.name))
}

/// The port at this start: what SEALIFT_PORT says, else what PORT says, else the package's own. A package without one has none.
pub fn port(plan: &Plan) -> Result<Option<u16>> {
    let Some(Service { port: own @ 1.., .. }) = plan.service.as_ref() else { return Ok(None) };
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(wanted) = given("SEALIFT_PORT") {
        let port = number(&wanted);
        return port.map(Some).ok_or_else(|| Failure::new("SERVICE_PORT").with("actual", wanted.to_string_lossy()));
    }
    Ok(given("PORT").and_then(|wanted| number(&wanted)).or(Some(*own)))
}

fn number(text: &OsStr) -> Option<u16> {
    text.to_str().filter(|text| !text.starts_with('+'))?.parse().ok().filter(|port| *port != 0)
}
