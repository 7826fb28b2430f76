//! Shared slots: once per machine, whatever package brings them, in a folder named by the digest of their stored bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::failure::{Failure, Result};
use crate::first::belongs;
use crate::lock::{self, Lock};
use crate::operations;
use crate::plan::Slot;
use crate::ready::{self, Made, Marker};
use crate::scope::{Scope, digest_of, is_shared};

/// The shared slots that a first start must make, locked; every package takes the locks in the same order.
pub struct Stores<'a> {
    pub missing: BTreeMap<String, (&'a Slot, Lock)>,
}

impl<'a> Stores<'a> {
    pub fn lock(scope: &Scope<'a>, again: bool) -> Result<Stores<'a>> {
        let shared = scope.slots().map(|(_, slot)| slot).filter(|slot| is_shared(slot) && belongs(slot));
        let wanted: BTreeMap<String, &Slot> = shared.map(|slot| (digest_of(slot), slot)).collect();
        let mut missing = BTreeMap::new();
        for (digest, slot) in wanted {
            if again || !is_ready(scope, slot) {
                let held = lock::acquire(&scope.place.lock(&digest), &slot.id)?;
                if again || !(is_ready(scope, slot) || add_name(scope, slot)?) {
                    missing.insert(digest, (slot, held));
                }
            }
        }
        Ok(Stores { missing })
    }
}

/// A shared slot counts when its marker fits and, for a file, this package's name for it exists.
pub fn is_ready(scope: &Scope, slot: &Slot) -> bool {
    let home = scope.home(slot);
    fits(slot, &home.root) && (slot.is_tar() || home.path().is_file())
}

fn fits(slot: &Slot, root: &Path) -> bool {
    let head = ready::read_head(&root.join(".sealift/ready"));
    head.is_some_and(|head| head.identity == digest_of(slot) && head.slot == Some(slot_line(slot)))
}

fn slot_line(slot: &Slot) -> String {
    format!("{:016x} {}", operations::pack(&slot.operations), slot.original_size.unwrap_or(0))
}

/// Another package may know the same file by another name: both names then lead to one file. The store must be locked.
/// False when there is nothing to name.
pub fn add_name(scope: &Scope, slot: &Slot) -> Result<bool> {
    let home = scope.home(slot);
    if slot.is_tar() || !fits(slot, &home.root) {
        return Ok(false);
    }
    let Some(mut files) = ready::read_files(&home.root.join(".sealift/ready")) else { return Ok(false) };
    let Some(known) = files.iter().find(|made| made.kind == 'f' && home.root.join(&made.path).is_file()).cloned() else {
        return Ok(false);
    };
    let path = home.path();
    let failed = |e| Failure::io(&path, e);
    fs::hard_link(home.root.join(&known.path), &path).map_err(failed)?;
    // One file has one mode: what any package may do with it, all may.
    let mode = known.mode | (slot.permissions & 0o777);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    files.push(Made { path: home.at, ..known });
    files.iter_mut().filter(|made| made.kind == 'f').for_each(|made| made.mode = mode);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    write_marker(slot, &home.root, files)?;
    Ok(true)
}

pub fn write_marker(slot: &Slot, root: &Path, files: Vec<Made>) -> Result<()> {
    fs::create_dir_all(root.join(".sealift")).map_err(|e| Failure::io(root, e))?;
    let identity = digest_of(slot);
    let line = Some(slot_line(slot));
    Marker { identity: &identity, package: ("-", "-"), slot: line, entries: Vec::new(), stores: Vec::new(), files }.write(root)
}
