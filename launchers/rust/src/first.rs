//! A first start: locks, checks that nothing was changed, unpacks, runs setup, and writes `ready` last.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::command;
use crate::digest;
use crate::environ::Environ;
use crate::failure::{Failure, Result};
use crate::fault;
use crate::lock;
use crate::log;
use crate::package::Sealed;
use crate::place;
use crate::plan::{Lifecycle, Slot};
use crate::prepare;
use crate::process::OpenMask;
use crate::progress::Progress;
use crate::ready::{Made, Marker};
use crate::scope::{Scope, digest_of, is_shared};
use crate::secret;
use crate::setup;
use crate::store::{self, Stores};
use crate::tree::Tree;
use crate::unpack::{self, Sink, Work};

/// Time of files whose slot has none, where the package does not say when it was built.
const EPOCH: u64 = 315_532_800;

/// What a first start leaves behind, listed by the marker. Everything else comes on demand or per run.
pub fn belongs(slot: &Slot) -> bool {
    matches!(slot.lifecycle, Lifecycle::First | Lifecycle::Platform | Lifecycle::Init | Lifecycle::Shutdown)
}

/// Nanoseconds since 1970 for file slots.
pub fn file_time(sealed: &Sealed) -> i64 {
    let seconds = sealed.plan.seal.as_ref().map_or(EPOCH, |seal| seal.build_timestamp);
    i64::try_from(seconds).ok().and_then(|s| s.checked_mul(1_000_000_000)).unwrap_or(0)
}

/// Makes the work environment; `again` even when another process just made it.
pub fn start(scope: &Scope, environ: &Environ, program: Option<&Path>, again: bool) -> Result<()> {
    let name = &scope.sealed.plan.name;
    scope.place.create()?;
    let _lock = lock::acquire(&scope.place.lock(&scope.place.label), name)?;
    if !again && prepare::is_ready(scope, program) {
        return Ok(());
    }
    log::info(format_args!("preparing {}", scope.place.dir.display()));
    check_file(scope)?;
    check_noexec(scope, program)?;
    open_keys(scope)?;
    let made = make(scope, environ, again);
    made.map_err(|failure| {
        remove(&scope.place.dir);
        explain_full(scope, failure).with("file", scope.sealed.package.image.path.display())
    })
}

/// What every first start checks before it writes anything.
fn check_file(scope: &Scope) -> Result<()> {
    let (package, plan) = (&scope.sealed.package, &scope.sealed.plan);
    let checked = digest::check_launcher(package, plan).and_then(|()| digest::check_padding(package, plan));
    checked.map_err(|failure| failure.with("file", package.image.path.display()))
}

/// The keys of all that this start may need, before anything is written; a `lazy` slot asks for its own when it is needed.
fn open_keys(scope: &Scope) -> Result<()> {
    let image = &scope.sealed.package.image;
    let needed = scope.slots().filter(|(_, slot)| slot.lifecycle != Lifecycle::Lazy);
    needed.map(|(_, slot)| secret::open(image, slot).map(drop)).collect::<Result<()>>().map_err(|f| f.with("file", image.path.display()))
}

/// A program that would run from here could not, so nothing is unpacked for it.
fn check_noexec(scope: &Scope, program: Option<&Path>) -> Result<()> {
    match program {
        Some(path) if scope.keeps(path) && place::is_noexec(&scope.place.base) => {
            Err(Failure::new("CACHE_NOEXEC").with("path", scope.place.base.display()))
        }
        _ => Ok(()),
    }
}

fn make(scope: &Scope, environ: &Environ, again: bool) -> Result<()> {
    let dir = &scope.place.dir;
    let stores = Stores::lock(scope, again)?;
    check_space(scope, &stores)?;
    fault::point("start");
    remove(dir);
    place::create_private(dir)?;
    place::create_private(&scope.place.state())?;
    let trees = unpack_all(scope, &stores);
    let mut made = match trees {
        Ok(made) => made,
        Err(failure) => {
            stores.missing.keys().for_each(|digest| remove(&scope.place.store(digest)));
            return Err(failure);
        }
    };
    fault::point("unpacked");
    for (digest, (slot, _)) in &stores.missing {
        let root = scope.place.store(digest);
        let files = made.remove(&root).unwrap_or_default().into_iter().map(|(made, _)| made).collect();
        store::write_marker(slot, &root, files)?;
    }
    for (_, slot) in scope.slots().filter(|(_, slot)| is_shared(slot) && belongs(slot) && !store::is_ready(scope, slot)) {
        store::add_name(scope, slot)?;
    }
    drop(stores);
    let files = made.remove(dir).unwrap_or_default();
    setup::run(scope, environ)?;
    let files = remove_init(scope, files)?;
    fault::point("setup-done");
    write_marker(scope, files)
}

/// Free space against the signed sizes, before the first write.
fn check_space(scope: &Scope, stores: &Stores) -> Result<()> {
    let written = |slot: &Slot| belongs(slot) && (!is_shared(slot) || stores.missing.contains_key(&digest_of(slot)));
    let sizes = scope.slots().filter(|(_, slot)| written(slot)).map(|(_, slot)| slot.original_size.unwrap_or(slot.size));
    let needed = sizes.fold(0u64, u64::saturating_add);
    match place::free_space(&scope.place.base) {
        Some(available) if available < needed => Err(full(scope, needed, available)),
        _ => Ok(()),
    }
}

fn full(scope: &Scope, needed: u64, available: u64) -> Failure {
    Failure::new("DISK_FULL").with("path", scope.place.base.display()).with("needed", needed).with("available", available)
}

/// A disk that became full on the way.
pub fn explain_full(scope: &Scope, failure: Failure) -> Failure {
    if !failure.full {
        return failure;
    }
    let needed = scope.slots().map(|(_, slot)| slot.original_size.unwrap_or(slot.size)).fold(0u64, u64::saturating_add);
    full(scope, needed, place::free_space(&scope.place.base).unwrap_or(0))
}

/// Unpacks what belongs to a first start and hashes every other slot. Returns what was made, by tree.
fn unpack_all(scope: &Scope, stores: &Stores) -> Result<BTreeMap<PathBuf, Vec<(Made, usize)>>> {
    let _mask = OpenMask::new();
    let foreign = scope.sealed.plan.seal.is_none();
    let mut trees = BTreeMap::from([(scope.place.dir.clone(), Tree::open(&scope.place.dir, foreign)?)]);
    for digest in stores.missing.keys() {
        let root = scope.place.store(digest);
        remove(&root);
        place::create_private(&root)?;
        trees.insert(root.clone(), Tree::open(&root, false)?);
    }
    let mut work = Vec::new();
    for (number, slot) in scope.sealed.plan.slots.iter().enumerate() {
        let here = crate::scope::absence(slot).is_none() && belongs(slot);
        let home = scope.home(slot);
        let tree = trees.get(&home.root).filter(|_| here);
        // Two slots may share one store; the second finds it made.
        let again = |done: &Work| is_shared(done.slot) && digest_of(done.slot) == digest_of(slot);
        let first = !is_shared(slot) || !work.iter().any(again);
        let sink = match tree {
            Some(tree) if first => Sink::Tree(tree, home.at),
            _ => Sink::Digest,
        };
        work.push(Work { slot, number, sink, mtime: file_time(scope.sealed) });
    }
    let progress = Progress::new(&scope.sealed.plan.name);
    let image = &scope.sealed.package.image;
    match foreign {
        // Later slots may replace files of earlier ones, so their order counts.
        true => work.chunks(1).try_for_each(|one| unpack::run(image, one, &progress))?,
        false => unpack::run(image, &work, &progress)?,
    }
    drop(work);
    fault::point("links");
    trees.into_iter().map(|(root, tree)| Ok((root, tree.finish()?))).collect()
}

/// Removes what `init` slots brought, now that setup has run.
fn remove_init(scope: &Scope, files: Vec<(Made, usize)>) -> Result<Vec<Made>> {
    let slots = &scope.sealed.plan.slots;
    let is_init = |number: &usize| slots.get(*number).is_some_and(|slot| slot.lifecycle == Lifecycle::Init);
    // Contents stand behind their folder in the sorted list, so the reverse order empties folders first.
    for (made, _) in files.iter().rev().filter(|(_, number)| is_init(number)) {
        let path = scope.place.dir.join(&made.path);
        match made.kind {
            'd' => drop(fs::remove_dir(&path)), // others may have put something there
            _ => match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Failure::io(&path, e)),
                _ => (),
            },
        }
    }
    Ok(files.into_iter().filter(|(_, number)| !is_init(number)).map(|(made, _)| made).collect())
}

fn write_marker(scope: &Scope, files: Vec<Made>) -> Result<()> {
    let (sealed, dir) = (scope.sealed, &scope.place.dir);
    // Setup commands may have changed anything: the marker says what is there now.
    let files = match sealed.plan.setup.is_empty() && sealed.plan.directories.is_empty() {
        true => files,
        false => files.into_iter().filter_map(|made| Made::look(&dir.join(&made.path), made.path.clone(), false).ok()).collect(),
    };
    let stores = scope.slots().filter(|(_, slot)| is_shared(slot) && belongs(slot)).map(|(_, slot)| digest_of(slot));
    let mut stores: Vec<String> = stores.collect();
    stores.sort_unstable();
    stores.dedup();
    let package = (sealed.plan.name.as_str(), sealed.plan.version.as_str());
    let marker = Marker { identity: &sealed.identity, package, slot: None, entries: entries(scope)?, stores, files };
    marker.write(dir)?;
    fault::point("ready");
    Ok(())
}

/// The programs that commands start, as far as this first start made them.
fn entries(scope: &Scope) -> Result<Vec<Made>> {
    let plan = &scope.sealed.plan;
    let commands = plan.command.iter().chain(plan.entries.iter().map(|(_, command)| command));
    let mut entries: Vec<Made> = Vec::new();
    for command in commands {
        let Ok(words) = command::split(command) else { continue };
        let Ok(program) = scope.fill(&words[0]) else { continue };
        let path = PathBuf::from(program);
        // What another lifecycle brings may change without the environment being broken.
        let later = scope.named_in(&words[..1]).iter().any(|(_, slot)| !belongs(slot)) || refreshed(scope, &path);
        if later || !scope.keeps(&path) || path.starts_with(scope.place.state()) {
            continue;
        }
        let name = path.strip_prefix(&scope.place.dir).unwrap_or(&path).to_string_lossy().into_owned();
        match Made::look(&path, name, true) {
            Ok(made) if made.kind == 'f' && !entries.iter().any(|known| known.path == made.path) => entries.push(made),
            _ => (),
        }
    }
    Ok(entries)
}

/// Whether a slot that comes anew on each start owns `path`.
fn refreshed(scope: &Scope, path: &Path) -> bool {
    let again = scope.slots().filter(|(_, slot)| !belongs(slot) && !is_shared(slot));
    again.map(|(_, slot)| scope.home(slot).path()).any(|home| home != scope.place.dir && path.starts_with(home))
}

/// Removes a tree; what cannot be removed shows when it is made anew.
pub fn remove(path: &Path) {
    let mut removed = fs::remove_dir_all(path);
    if matches!(&removed, Err(e) if e.kind() == io::ErrorKind::PermissionDenied) {
        // A program may have made folders that not even their owner can write.
        open_folders(path);
        removed = fs::remove_dir_all(path);
    }
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => log::debug(format_args!("cannot remove {}: {e}", path.display())),
        _ => (),
    }
}

fn open_folders(path: &Path) {
    if !fs::symlink_metadata(path).is_ok_and(|info| info.is_dir()) {
        return;
    }
    let _ = fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open_folders(&entry.path());
    }
}
