//! Step 10, command: which command runs, and its words.

use std::ffi::OsStr;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::package::listed;
use crate::plan::{Command, Plan};
use crate::words;

/// The command that SEALIFT_ENTRY names, else the one with the name the file was started under, else the default.
pub fn choose<'p>(plan: &'p Plan, started_as: &OsStr) -> Result<&'p Command> {
    if let Some(wanted) = std::env::var_os("SEALIFT_ENTRY").filter(|name| !name.is_empty()) {
        let found = plan.entries.iter().find(|(name, _)| wanted == name.as_str());
        return found.map(|(_, command)| command).ok_or_else(|| {
            let list = listed(plan.entries.iter().map(|(name, _)| name.as_str()));
            Failure::new("ENTRY_UNKNOWN").with("name", wanted.to_string_lossy()).with("list", list)
        });
    }
    let name = start_name(started_as);
    let entry = plan.entries.iter().find(|(entry, _)| *entry == name).map(|(_, command)| command);
    entry.or(plan.command.as_ref()).ok_or_else(|| Failure::new("COMMAND_EMPTY"))
}

/// The name a file was started under, without the endings of packages.
fn start_name(started_as: &OsStr) -> String {
    let name = Path::new(started_as).file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    name.strip_suffix(".psp").unwrap_or(name).to_string()
}

/// The words of a command, not yet substituted: a path with spaces stays one word.
pub fn split(command: &Command) -> Result<Vec<String>> {
    let words = match command {
        Command::Argv(words) => words.clone(),
        Command::Text(text) => words::split(text).map_err(|detail| Failure::new("COMMAND_WORDS").with("detail", detail))?,
    };
    match words.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(words),
        false => Err(Failure::new("COMMAND_EMPTY")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_of_packages_do_not_belong_to_the_name() {
        for (path, name) in
            [("/a/check.psp", "check"), ("check.exe", "check"), ("check.psp.exe", "check"), ("./check", "check"), ("a.sh", "a.sh")]
        {
            assert_eq!(start_name(OsStr::new(path)), name);
        }
    }
}
