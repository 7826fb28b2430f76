//! Slots that do not belong to a first start: `startup` on each start, `lazy` and `dev` on demand, `config` once, `temp` per run.
//! They are unpacked aside, in a folder of their own, and then moved to their place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, RenameFlags, flock};

use crate::failure::{Failure, Result};
use crate::first;
use crate::lock;
use crate::place;
use crate::plan::{Lifecycle, Slot};
use crate::process::OpenMask;
use crate::progress::Progress;
use crate::ready::{self, Made};
use crate::scope::{Home, Scope, digest_of, is_shared};
use crate::store;
use crate::tree::Tree;
use crate::unpack::{self, Sink, Work};

/// Brings what each start needs: `startup` slots anew, `config` slots that are not there, `dev` slots in that mode.
pub fn refresh(scope: &Scope) -> Result<()> {
    for (number, slot) in scope.slots() {
        match slot.lifecycle {
            Lifecycle::Start => {
                let _lock = lock_environment(scope)?;
                replace(scope, number, slot)?;
            }
            Lifecycle::Data if !scope.home(slot).path().exists() || !marker(scope, number).exists() => install(scope, number, slot)?,
            Lifecycle::Dev => on_demand(scope, number, slot)?,
            _ => (),
        }
    }
    Ok(())
}

fn lock_environment(scope: &Scope) -> Result<lock::Lock> {
    lock::acquire(&scope.place.lock(&scope.place.label), &scope.sealed.plan.name)
}

/// Says that a slot on demand is there: `.sealift/slots/<id>.ready`.
fn marker(scope: &Scope, number: usize) -> PathBuf {
    scope.place.state().join("slots").join(format!("{}.ready", name_of(scope, number)))
}

fn name_of(scope: &Scope, number: usize) -> String {
    let id = &scope.sealed.plan.slots[number].id;
    if crate::plan::is_name(id) { id.clone() } else { format!("slot_{number}") }
}

fn write_slot_marker(scope: &Scope, number: usize) -> Result<()> {
    let folder = scope.place.state().join("slots");
    let failed = |e: io::Error| Failure::io(&folder, e);
    fs::create_dir_all(&folder).map_err(failed)?;
    let line = format!("{}\n", digest_of(&scope.sealed.plan.slots[number]));
    ready::write_durably(&folder, &format!("{}.ready", name_of(scope, number)), line.as_bytes()).map_err(failed)
}

/// Unpacks a `lazy` or `dev` slot unless it is there.
pub fn on_demand(scope: &Scope, number: usize, slot: &Slot) -> Result<()> {
    if !matches!(slot.lifecycle, Lifecycle::Lazy | Lifecycle::Dev) || crate::scope::absence(slot).is_some() {
        return Ok(());
    }
    if is_shared(slot) {
        return shared(scope, number, slot);
    }
    if marker(scope, number).exists() {
        return Ok(());
    }
    let _lock = lock_environment(scope)?;
    if marker(scope, number).exists() {
        return Ok(());
    }
    replace(scope, number, slot)?;
    write_slot_marker(scope, number)
}

/// A shared slot that no first start made.
fn shared(scope: &Scope, number: usize, slot: &Slot) -> Result<()> {
    if store::is_ready(scope, slot) {
        return Ok(());
    }
    let _lock = lock::acquire(&scope.place.lock(&digest_of(slot)), &slot.id)?;
    if store::is_ready(scope, slot) || store::add_name(scope, slot)? {
        return Ok(());
    }
    let home = scope.home(slot);
    first::remove(&home.root);
    let files = unpack_to(scope, number, slot, &home)?;
    store::write_marker(slot, &home.root, files)
}

/// Unpacks one slot into a tree of its own.
fn unpack_to(scope: &Scope, number: usize, slot: &Slot, home: &Home) -> Result<Vec<Made>> {
    let image = &scope.sealed.package.image;
    let unpack = || {
        place::create_private(&home.root)?;
        let _mask = OpenMask::new();
        let tree = Tree::open(&home.root, false)?;
        let work = [Work { slot, number, sink: Sink::Tree(&tree, home.at.clone()), mtime: first::file_time(scope.sealed) }];
        unpack::run(image, &work, &Progress::new(&scope.sealed.plan.name))?;
        drop(work);
        Ok(tree.finish()?.into_iter().map(|(made, _)| made).collect())
    };
    let done: Result<Vec<Made>> = unpack();
    done.map_err(|failure| {
        first::remove(&home.root);
        first::explain_full(scope, failure).with("file", image.path.display())
    })
}

/// Unpacks aside and moves every file over its place. The environment must be locked.
fn replace(scope: &Scope, number: usize, slot: &Slot) -> Result<()> {
    let home = scope.home(slot);
    let aside = Home { root: scope.place.state().join("aside"), at: home.at.clone() };
    first::remove(&aside.root);
    let files = unpack_to(scope, number, slot, &aside)?;
    crate::fault::point("aside");
    let moved = files.iter().try_for_each(|made| move_over(made, &aside.root, &home.root));
    first::remove(&aside.root);
    moved
}

fn move_over(made: &Made, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join(&made.path), to.join(&made.path));
    let failed = |e: io::Error| Failure::io(&to, e);
    let there = fs::symlink_metadata(&to).ok();
    if made.kind != 'd' {
        if there.is_some_and(|info| info.is_dir()) {
            fs::remove_dir_all(&to).map_err(failed)?;
        }
        return fs::rename(&from, &to).map_err(failed);
    }
    if there.as_ref().is_some_and(|info| !info.is_dir()) {
        fs::remove_file(&to).map_err(failed)?;
    }
    if !there.is_some_and(|info| info.is_dir()) {
        fs::create_dir(&to).map_err(failed)?;
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(made.mode);
    fs::set_permissions(&to, mode).map_err(failed)
}

/// A `config` or `persistent` slot: below the user's data folder, never over something that is there.
fn install(scope: &Scope, number: usize, slot: &Slot) -> Result<()> {
    let _lock = lock_environment(scope)?;
    let home = scope.home(slot);
    place::create_private(&home.root)?;
    // Several versions may do this at once, each aside under its own name.
    let aside = Home { root: home.root.join(format!(".sealift-{}", &scope.sealed.identity[..16])), at: home.at.clone() };
    first::remove(&aside.root);
    let files = unpack_to(scope, number, slot, &aside)?;
    let moved = files.iter().try_for_each(|made| move_unless_there(made, &aside.root, &home.root));
    first::remove(&aside.root);
    moved?;
    write_slot_marker(scope, number)
}

fn move_unless_there(made: &Made, from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.join(&made.path), to.join(&made.path));
    let done = match made.kind {
        'd' => fs::create_dir(&to),
        _ => rename_new(&from, &to),
    };
    match done {
        Err(e) if !matches!(e.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory) => Err(Failure::io(&to, e)),
        _ => Ok(()),
    }
}

/// Moves without replacing; where the file system cannot do that in one step, in two.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(to).is_err() => fs::rename(from, to),
        Err(e) => Err(e.into()),
        Ok(()) => Ok(()),
    }
}

/// The folder of this run's `temp` slots. Whoever uses one holds a lock on it, so the next run can tell leftovers from folders in use.
pub struct RunFolder {
    path: PathBuf,
    _lock: fs::File,
}

impl RunFolder {
    pub fn make(scope: &Scope) -> Result<Option<RunFolder>> {
        let Some(path) = scope.run.clone() else { return Ok(None) };
        place::create_private(&path)?;
        let failed = |e: io::Error| Failure::io(&path, e);
        let handle = fs::File::open(&path).map_err(failed)?;
        flock(&handle, FlockOperation::NonBlockingLockExclusive).map_err(|e| failed(e.into()))?;
        remove_leftovers(path.parent().unwrap_or(&path), &path);
        let folder = RunFolder { path: path.clone(), _lock: handle };
        let _mask = OpenMask::new();
        for (number, slot) in scope.slots().filter(|(_, slot)| slot.lifecycle == Lifecycle::Run) {
            unpack_to(scope, number, slot, &scope.home(slot))?;
        }
        Ok(Some(folder))
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        first::remove(&self.path);
    }
}

fn remove_leftovers(folder: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != own) {
        let unused = fs::File::open(&path).is_ok_and(|handle| flock(&handle, FlockOperation::NonBlockingLockExclusive).is_ok());
        if unused {
            first::remove(&path);
        }
    }
}
