//! From a trusted package to a running program: the warm start, or a first start, then what only this start needs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::aside;
use crate::command;
use crate::compare::Comparison;
use crate::environ::{self, Environ};
use crate::exec::{self, Program};
use crate::failure::{Failure, Result};
use crate::first;
use crate::log;
use crate::package::Sealed;
use crate::plan::Lifecycle;
use crate::ready::{self, Made};
use crate::scope::{Home, Scope, is_shared};
use crate::service;
use crate::shutdown;
use crate::supervise;
use crate::unpack::{self, Sink, Work};

/// How the person who runs the package started it.
pub struct Start {
    /// The path it was started by.
    pub name: OsString,
    pub args: Vec<OsString>,
}

/// A program that can start.
pub struct Ready<'a> {
    pub scope: Scope<'a>,
    pub environ: Environ,
    pub program: Program,
    /// The name that it has as a service, if it is one.
    pub instance: Option<String>,
}

/// Prepares everything that a start needs.
pub fn make_ready<'a>(sealed: &'a Sealed, start: &Start) -> Result<Ready<'a>> {
    let command = command::choose(&sealed.plan, &start.name)?;
    let instance = service::instance(&sealed.plan, command);
    let words = command::split(command)?;
    let scope = Scope::new(sealed)?;
    let mut argv = scope.fill_all(&words)?;
    let environ = environ::build(&scope, &start.name)?;
    ensure(&scope, &environ, Some(Path::new(&argv[0])))?;
    for (number, slot) in scope.named_in(&words) {
        aside::on_demand(&scope, number, slot)?;
    }
    let path = exec::find_program(&argv[0], &environ, &sealed.package.image)?;
    argv.extend_from_slice(&start.args);
    log::debug(format_args!("starting {}", path.display()));
    let program = Program::new(&path, &argv, &environ)?;
    Ok(Ready { scope, environ, program, instance })
}

/// Prepares and starts the program. Returns its exit code when it ran as a child.
pub fn run(sealed: &Sealed, start: &Start) -> Result<i32> {
    let ready = make_ready(sealed, start)?;
    let Ready { scope, program, .. } = &ready;
    if let Some(instance) = &ready.instance {
        return supervise::foreground(&ready, instance);
    }
    let ends = scope.slots().any(|(_, slot)| slot.lifecycle == Lifecycle::Shutdown);
    let spawn = scope.run.is_some() || ends || std::env::var_os("SEALIFT_EXEC").is_some_and(|mode| mode == "spawn");
    if !spawn {
        match program.run(&scope.place.base)? {}
    }
    ready.around(|| program.spawn(&scope.place.base))
}

impl Ready<'_> {
    /// What a program that does not take this process's place needs before and after it runs.
    pub fn around(&self, run: impl FnOnce() -> Result<i32>) -> Result<i32> {
        let run_folder = aside::RunFolder::make(&self.scope)?;
        let code = run();
        drop(run_folder);
        let code = code?;
        shutdown::run(&self.scope, &self.environ, code);
        Ok(code)
    }
}

/// Makes the work environment unless it is there, and brings `startup` and `config` slots up to date.
pub fn ensure(scope: &Scope, environ: &Environ, program: Option<&Path>) -> Result<()> {
    let ready = is_ready(scope, program);
    let full = std::env::var_os("SEALIFT_VERIFY").is_some_and(|value| value == OsStr::new("full"));
    if !ready {
        first::start(scope, environ, program, false)?;
    } else if full && !is_intact(scope)? {
        log::warning(&Failure::new("REPAIR").with("path", scope.place.dir.display()));
        first::start(scope, environ, program, true)?;
    }
    aside::refresh(scope)
}

/// Reads the marker and looks at the programs and shared slots it names. Writes and locks nothing.
pub fn is_ready(scope: &Scope, program: Option<&Path>) -> bool {
    let Some(head) = ready::read_head(&scope.place.ready()) else { return false };
    let same = |entry: &Made| {
        let path = scope.place.dir.join(&entry.path); // an absolute path replaces the folder
        let Ok(found) = Made::look(&path, String::new(), true) else { return false };
        let runs = program != Some(&path) || found.mode & 0o111 != 0;
        found.kind == 'f' && (found.size, found.mtime) == (entry.size, entry.mtime) && runs
    };
    head.identity == scope.sealed.identity
        && head.entries.iter().all(same)
        && head.stores.iter().all(|digest| is_digest(digest) && scope.place.store(digest).join(".sealift/ready").exists())
}

fn is_digest(text: &str) -> bool {
    crate::hex::decode32(text).is_some()
}

/// SEALIFT_VERIFY=full: decodes the slots again and compares every file that the marker lists.
fn is_intact(scope: &Scope) -> Result<bool> {
    let _lock = crate::lock::acquire(&scope.place.lock(&scope.place.label), &scope.sealed.plan.name)?;
    let progress = crate::progress::Progress::new(&scope.sealed.plan.name);
    let mut work = Vec::new();
    let comparisons = comparisons(scope);
    for ((number, slot), comparison) in scope.slots().zip(&comparisons) {
        let sink = comparison.as_ref().map_or(Sink::Digest, Sink::Compare);
        work.push(Work { slot, number, sink, mtime: first::file_time(scope.sealed) });
    }
    match unpack::run(&scope.sealed.package.image, &work, &progress) {
        Err(failure) => Err(failure.with("file", scope.sealed.package.image.path.display())),
        Ok(()) => {
            Ok(!comparisons.iter().flatten().any(|c| c.different.load(std::sync::atomic::Ordering::Relaxed)) && nothing_missing(scope))
        }
    }
}

/// One comparison for each slot whose files a first start leaves behind.
fn comparisons(scope: &Scope) -> Vec<Option<Comparison>> {
    let one = |(_, slot): (usize, &crate::plan::Slot)| {
        if !first::belongs(slot) {
            return None;
        }
        let Home { root, at } = scope.home(slot);
        let marker = root.join(".sealift/ready");
        let recorded = ready::read_files(&marker).unwrap_or_default().into_iter().map(|made| (made.path.clone(), made)).collect();
        Some(Comparison { root, at, recorded, different: false.into() })
    };
    scope.slots().map(one).collect()
}

/// What setup commands left is compared by size and time alone.
fn nothing_missing(scope: &Scope) -> bool {
    let shared = scope.slots().filter(|(_, slot)| is_shared(slot) && first::belongs(slot)).map(|(_, slot)| scope.home(slot).root);
    let roots: Vec<PathBuf> = shared.chain([scope.place.dir.clone()]).collect();
    roots.iter().all(|root| match ready::read_files(&root.join(".sealift/ready")) {
        None => false,
        Some(files) => files.iter().all(|made| {
            Made::look(&root.join(&made.path), made.path.clone(), false)
                .is_ok_and(|found| found == *made || found.kind == 'l' && made.kind == 'l')
        }),
    })
}
