//! Step 8, setup: directories and setup commands, in order, in the work environment and with the program's environment.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use crate::command;
use crate::environ::{Environ, glob};
use crate::exec::{self, Program};
use crate::failure::{Failure, Result};
use crate::field::Field;
use crate::json::Json;
use crate::log;
use crate::plan::{Command, parse_mode};
use crate::scope::Scope;

const SHOWN_LINES: usize = 20;

pub enum Setup {
    Execute {
        command: Command,
    },
    /// One run with every match behind the command; none without a match.
    Enumerate {
        command: Command,
        path: String,
        pattern: String,
    },
    Write {
        path: String,
        content: String,
        mode: u32,
    },
    Chmod {
        path: String,
        mode: u32,
    },
}

impl Setup {
    /// Text or words, or an object with a type; earlier writers used all of these.
    pub fn read((number, field): (usize, &Field)) -> Result<Setup> {
        if let Some(Json::Text(_) | Json::List(_)) = field.value {
            return Ok(Setup::Execute { command: field.command()? });
        }
        field.map()?;
        match field.get("type").text()?.unwrap_or("execute") {
            "execute" => Ok(Setup::Execute { command: command_of(field)? }),
            "enumerate_and_execute" => {
                let nested = field.get("enumerate");
                let place = if nested.value.is_some() { &nested } else { field };
                let path = place.get("path").text_or("", true)?;
                let pattern = place.get("pattern").text_or("*", false)?;
                Ok(Setup::Enumerate { command: command_of(field)?, path, pattern })
            }
            "write_file" => {
                let content = field.get("content").text_or("", true)?;
                Ok(Setup::Write { path: field.get("path").text_or("", true)?, content, mode: mode_of(field, 0o644)? })
            }
            "chmod" => Ok(Setup::Chmod { path: field.get("path").text_or("", true)?, mode: mode_of(field, 0o700)? }),
            other => Err(Failure::new("SETUP_TYPE").with("name", number + 1).with("actual", other)),
        }
    }
}

fn command_of(field: &Field) -> Result<Command> {
    let argv = field.get("argv");
    if argv.value.is_some() { argv.command() } else { field.get("command").command() }
}

/// Octal text; a JSON number is the mode itself, as an earlier launcher read it.
fn mode_of(field: &Field, default: u32) -> Result<u32> {
    let mode = field.get("mode");
    let found = match mode.value {
        None => Some(default),
        Some(Json::Text(text)) => parse_mode(text),
        Some(Json::Int(number)) => u32::try_from(*number).ok(),
        Some(_) => None,
    };
    found.filter(|mode| *mode <= 0o777).ok_or_else(|| mode.wrong("not an octal mode"))
}

/// Makes the directories, then runs the commands.
pub fn run(scope: &Scope, environ: &Environ) -> Result<()> {
    for (path, mode) in &scope.sealed.plan.directories {
        let path = inside(scope, path, "workenv.directories")?;
        fs::create_dir_all(&path).map_err(|e| Failure::io(&path, e))?;
        set_mode(&path, mode.unwrap_or(0o700))?;
    }
    for (i, setup) in scope.sealed.plan.setup.iter().enumerate() {
        crate::fault::point("setup");
        run_one(scope, environ, setup, &format!("setup_commands[{i}].path"))?;
    }
    Ok(())
}

fn run_one(scope: &Scope, environ: &Environ, setup: &Setup, field: &str) -> Result<()> {
    match setup {
        Setup::Execute { command } => execute(scope, environ, command, &[]),
        Setup::Enumerate { command, path, pattern } => {
            let found = matching(&inside(scope, path, field)?, pattern)?;
            if found.is_empty() { Ok(()) } else { execute(scope, environ, command, &found) }
        }
        Setup::Write { path, content, mode } => write(&inside(scope, path, field)?, scope.fill(content)?, *mode),
        Setup::Chmod { path, mode } => {
            let path = inside(scope, path, field)?;
            let last = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match (last.contains(['*', '?']), path.parent()) {
                (true, Some(folder)) => matching(folder, &last)?.iter().try_for_each(|path| set_mode(path, *mode)),
                _ => set_mode(&path, *mode),
            }
        }
    }
}

/// A path of the metadata, relative to the work environment or absolute in it.
fn inside(scope: &Scope, text: &str, field: &str) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in scope.place.dir.join(scope.fill(text)?).components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => (),
            part => clean.push(part),
        }
    }
    match clean.starts_with(&scope.place.dir) {
        true => Ok(clean),
        false => Err(Failure::field(field, "is not inside {workenv}")),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|e| Failure::io(path, e))
}

/// The names in `folder` that match, sorted.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let failed = |e: io::Error| Failure::io(folder, e);
    let names = fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.file_name()));
    let mut names = names.collect::<Result<Vec<OsString>>>()?;
    names.retain(|name| glob(pattern.as_bytes(), name.as_bytes()));
    names.sort_unstable();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

/// A new file, so that nothing is written through a link or into a file with another name.
fn write(path: &Path, content: OsString, mode: u32) -> Result<()> {
    let failed = |e: io::Error| Failure::io(path, e);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => (),
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    io::Write::write_all(&mut file, &content.into_vec()).map_err(failed)?;
    set_mode(path, mode)
}

fn execute(scope: &Scope, environ: &Environ, command: &Command, more: &[PathBuf]) -> Result<()> {
    let mut words = scope.fill_all(&command::split(command)?)?;
    words.extend(more.iter().map(|path| path.clone().into_os_string()));
    let program = exec::find_program(&words[0], environ, &scope.sealed.package.image)?;
    log::debug(format_args!("setup command {}", words[0].to_string_lossy()));
    let (code, output) = Program::new(&program, &words, environ)?.capture(&scope.place.base, &scope.place.dir)?;
    if code == 0 {
        return Ok(());
    }
    log::put(&last_lines(&output));
    let name: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Err(Failure::new("SETUP_FAILED").with("name", name.join(" ")).with("actual", code))
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end_matches('\n').lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    if shown.iter().all(|line| line.is_empty()) { String::new() } else { shown.join("\n") + "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_shown() {
        let text: String = (0..50).map(|i| format!("line {i}\n")).collect();
        let shown = last_lines(text.as_bytes());
        assert!(shown.starts_with("line 30\n") && shown.ends_with("line 49\n"));
        assert_eq!(last_lines(b"\n"), "");
        let long = crate::process::read_tail(&mut &vec![b'x'; 1_000_000][..]).len();
        assert!((64 << 10..=128 << 10).contains(&long), "{long}");
    }
}
