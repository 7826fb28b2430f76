//! What placeholders stand for at this start, and where each slot's content lives.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::hex;
use crate::names;
use crate::package::Sealed;
use crate::place::{self, Place};
use crate::plan::{Checksum, Lifecycle, Slot};
use crate::service;

pub struct Scope<'a> {
    pub sealed: &'a Sealed,
    pub place: Place,
    /// `<data>/<name>`, when a slot needs it.
    data: Option<PathBuf>,
    /// Folder of this run's `temp` slots, when there are any.
    pub run: Option<PathBuf>,
    /// Of a service that has one.
    pub port: Option<u16>,
}

/// A slot's place: a tree, and a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    pub root: PathBuf,
    pub at: String,
}

impl Home {
    pub fn path(&self) -> PathBuf {
        if self.at.is_empty() { self.root.clone() } else { self.root.join(&self.at) }
    }
}

impl<'a> Scope<'a> {
    pub fn new(sealed: &'a Sealed) -> Result<Scope<'a>> {
        let place = Place::of(&sealed.plan, &sealed.identity)?;
        let slots = || sealed.plan.slots.iter().filter(|slot| absence(slot).is_none());
        let data = match slots().any(|slot| slot.lifecycle == Lifecycle::Data) {
            true => Some(data_folder(&sealed.plan.name)?),
            false => None,
        };
        let run = slots().any(|slot| slot.lifecycle == Lifecycle::Run).then(|| run_folder(&place));
        Ok(Scope { sealed, place, data, run, port: service::port(&sealed.plan)? })
    }

    /// The slots of this system and mode.
    pub fn slots(&self) -> impl Iterator<Item = (usize, &'a Slot)> {
        self.sealed.plan.slots.iter().enumerate().filter(|(_, slot)| absence(slot).is_none())
    }

    pub fn home(&self, slot: &Slot) -> Home {
        let target = match (slot.is_tar(), self.sealed.plan.seal.is_some()) {
            (false, _) if slot.target.is_empty() => file_name(slot),
            // The writers of other packages mean the folder that holds the target.
            (true, false) => names::parent(&slot.target).to_string(),
            _ => slot.target.clone(),
        };
        if is_shared(slot) {
            let at = if slot.is_tar() { String::new() } else { names::last(&target).to_string() };
            return Home { root: self.place.store(&digest_of(slot)), at };
        }
        let root = match slot.lifecycle {
            Lifecycle::Data => self.data.clone().unwrap_or_default(),
            Lifecycle::Run => self.run.clone().unwrap_or_default(),
            _ => self.place.dir.clone(),
        };
        Home { root, at: target }
    }

    /// Substitutes the placeholders of one text in one pass; what is put in is not looked at again, other braces stay.
    pub fn fill(&self, text: &str) -> Result<OsString> {
        let mut out = OsString::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            out.push(&rest[..open]);
            rest = &rest[open..];
            let end = rest.find('}').map_or(1, |end| end + 1);
            match self.value(&rest[..end])? {
                Some(value) => {
                    out.push(value);
                    rest = &rest[end..];
                }
                None => {
                    out.push("{");
                    rest = &rest[1..];
                }
            }
        }
        out.push(rest);
        Ok(out)
    }

    pub fn fill_all(&self, words: &[String]) -> Result<Vec<OsString>> {
        words.iter().map(|word| self.fill(word)).collect()
    }

    fn value(&self, placeholder: &str) -> Result<Option<OsString>> {
        let plan = &self.sealed.plan;
        Ok(Some(match placeholder {
            "{workenv}" => self.place.dir.clone().into(),
            "{package_name}" => plan.name.clone().into(),
            "{version}" => plan.version.clone().into(),
            "{self}" => self.sealed.package.image.path.clone().into(),
            "{port}" if self.port.is_some() => self.port.map(|port| port.to_string()).unwrap_or_default().into(),
            _ => match slot_name(placeholder) {
                Some(name) => self.slot_path(name, placeholder)?.into(),
                None => return Ok(None),
            },
        }))
    }

    fn slot_path(&self, name: &str, placeholder: &str) -> Result<PathBuf> {
        let (_, slot) = self
            .sealed
            .find_slot(name)
            .ok_or_else(|| Failure::new("PLACEHOLDER").with("placeholder", placeholder).with("list", self.sealed.slot_names()))?;
        match absence(slot) {
            Some(reason) => Err(Failure::new("SLOT_ABSENT").with("slot", &slot.id).with("detail", reason)),
            None => Ok(self.home(slot).path()),
        }
    }

    /// Slots that a command names.
    pub fn named_in(&self, words: &[String]) -> Vec<(usize, &'a Slot)> {
        let named = |word: &String| {
            word.split('{')
                .filter_map(|part| slot_name(&format!("{{{}", part.split_inclusive('}').next()?)).map(str::to_string))
                .collect::<Vec<_>>()
        };
        let names: Vec<String> = words.iter().flat_map(named).collect();
        let mut found: Vec<(usize, &Slot)> = names.iter().filter_map(|name| self.sealed.find_slot(name)).collect();
        found.sort_by_key(|(number, _)| *number);
        found.dedup_by_key(|(number, _)| *number);
        found
    }

    /// Whether `path` lies where this launcher keeps environments and shared slots.
    pub fn keeps(&self, path: &Path) -> bool {
        path.starts_with(&self.place.dir) || path.starts_with(self.place.base.join("store"))
    }
}

/// `NAME` of `{slot:NAME}`.
fn slot_name(placeholder: &str) -> Option<&str> {
    placeholder.strip_prefix("{slot:")?.strip_suffix('}')
}

/// A file slot without a target goes by its id, if that can be a file name.
fn file_name(slot: &Slot) -> String {
    match crate::plan::is_name(&slot.id) {
        true => slot.id.clone(),
        false => format!("slot_{:.16}", digest_of(slot)),
    }
}

pub fn is_shared(slot: &Slot) -> bool {
    slot.share && matches!(slot.lifecycle, Lifecycle::First | Lifecycle::Platform | Lifecycle::Lazy | Lifecycle::Dev)
}

/// The stored bytes' SHA-256 in hex; for other writers what the table gives of it.
pub fn digest_of(slot: &Slot) -> String {
    match slot.checksum {
        Checksum::Full(digest) => hex::encode(&digest),
        Checksum::Short(digest) => hex::encode(&digest),
    }
}

/// Why a slot is not there on this system or in this mode.
pub fn absence(slot: &Slot) -> Option<String> {
    if let Some(platform) = slot.platform.as_deref().filter(|p| *p != "any") {
        let (os, arch) = platform.split_once('_').map_or((platform, None), |(os, arch)| (os, Some(arch)));
        if os != OS || arch.is_some_and(|arch| arch != ARCH) {
            return Some(format!("it is for {platform}"));
        }
    }
    let dev = std::env::var_os("SEALIFT_DEV").is_some_and(|value| value == OsStr::new("1"));
    (slot.lifecycle == Lifecycle::Dev && !dev).then(|| "it needs SEALIFT_DEV=1".to_string())
}

pub const OS: &str = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };

#[cfg(target_arch = "x86_64")]
pub const ARCH: &str = "amd64";
#[cfg(target_arch = "aarch64")]
pub const ARCH: &str = "arm64";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const ARCH: &str = std::env::consts::ARCH;

fn data_folder(name: &str) -> Result<PathBuf> {
    let base = place::data_folder()?;
    place::check_safe(&base)?;
    let folder = if crate::plan::is_name(name) { name.to_string() } else { name.replace(['/', '\\', '\0'], "_").replace("..", "_") };
    Ok(base.join(folder))
}

/// `<workenv>/.sealift/run/<pid>-<random>`.
fn run_folder(place: &Place) -> PathBuf {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    place.state().join("run").join(format!("{}-{random:016x}", std::process::id()))
}
