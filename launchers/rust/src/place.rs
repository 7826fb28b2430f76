//! Step 5, place: the folders (launcher.md, "Folders") and whether they are safe to run programs from.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::failure::{Failure, Result, reason};
use crate::plan::Plan;

const MAX_LINKS: usize = 40;
/// Room for the identity, `.lock` and a temporary suffix in a 255-byte file name.
const MAX_LABEL: usize = 220;

/// Where one package lives on this machine.
pub struct Place {
    pub base: PathBuf,
    /// `{workenv}`.
    pub dir: PathBuf,
    /// Last part of `dir`, also the name of its lock.
    pub label: String,
}

impl Place {
    pub fn of(plan: &Plan, identity: &str) -> Result<Place> {
        let base = base_folder()?;
        check_safe(&base)?;
        let label = label(plan, identity);
        Ok(Place { dir: base.join("workenv").join(&label), base, label })
    }

    pub fn ready(&self) -> PathBuf {
        self.dir.join(".sealift/ready")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join(".sealift")
    }

    pub fn store(&self, digest: &str) -> PathBuf {
        self.base.join("store").join(digest)
    }

    pub fn lock(&self, label: &str) -> PathBuf {
        self.base.join("locks").join(format!("{label}.lock"))
    }

    /// Makes the base and its folders; what was made is checked like what was there.
    pub fn create(&self) -> Result<()> {
        create_private(&self.base)?;
        check_safe(&self.base)?;
        for folder in ["workenv", "store", "locks"] {
            create_private(&self.base.join(folder))?;
        }
        Ok(())
    }
}

/// `<name>-<version>-<16 hex>`; names of other writers may hold anything, so what a file name cannot hold becomes `_`.
fn label(plan: &Plan, identity: &str) -> String {
    let text = format!("{}-{}", plan.name, plan.version);
    let text = text.strip_prefix('.').map_or(text.clone(), |rest| format!("_{rest}"));
    let mut name: String = text.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c }).collect();
    while name.len() > MAX_LABEL {
        name.pop();
    }
    format!("{name}-{}", &identity[..16])
}

/// The value of a variable that must be an absolute path; empty counts as unset.
pub fn absolute_variable(name: &'static str) -> Result<Option<PathBuf>> {
    match std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from) {
        Some(path) if path.is_relative() => Err(Failure::new("CACHE_RELATIVE").with("name", name).with("actual", path.display())),
        path => Ok(path),
    }
}

fn base_folder() -> Result<PathBuf> {
    folder("SEALIFT_CACHE", "XDG_CACHE_HOME", ".cache", "Library/Caches")?.ok_or_else(|| Failure::new("CACHE_UNSET"))
}

/// Where `config` and `persistent` slots live, without the package's name.
pub fn data_folder() -> Result<PathBuf> {
    let found = folder("SEALIFT_DATA", "XDG_DATA_HOME", ".local/share", "Library/Application Support")?;
    found.ok_or_else(|| Failure::new("CACHE_UNSET"))
}

pub fn config_folder() -> Result<Option<PathBuf>> {
    // The trust store has its own variable, which its caller has asked already.
    folder("", "XDG_CONFIG_HOME", ".config", "Library/Application Support")
}

fn folder(own: &'static str, xdg: &'static str, unix: &str, mac: &str) -> Result<Option<PathBuf>> {
    if !own.is_empty()
        && let Some(path) = absolute_variable(own)?
    {
        return Ok(Some(path));
    }
    if let Some(path) = absolute_variable(xdg)? {
        return Ok(Some(path.join("sealift")));
    }
    let below = if cfg!(target_os = "macos") { mac } else { unix };
    Ok(absolute_variable("HOME")?.map(|home| home.join(below).join("sealift")))
}

/// Creates `path` and its parents with mode 0700.
pub fn create_private(path: &Path) -> Result<()> {
    let failed = |e: io::Error| Failure::new("CACHE_CREATE").with("path", path.display()).with("detail", reason(&e));
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(failed(io::Error::from_raw_os_error(libc::ENOTDIR))),
        Err(e) => Err(failed(e)),
    }
}

/// Refuses a base that someone else could fill: not ours, writable by others, or reached through a symbolic link that others
/// can replace. A base that does not exist yet is fine.
pub fn check_safe(base: &Path) -> Result<()> {
    let Some(info) = walk(base)? else { return Ok(()) };
    let wrong = |code| Err(Failure::new(code).with("path", base.display()));
    if !info.is_dir() {
        return Err(Failure::new("CACHE_CREATE").with("path", base.display()).with("detail", "Not a directory"));
    }
    if info.uid() != me() {
        return wrong("CACHE_OWNER");
    }
    if info.mode() & 0o022 != 0 {
        return wrong("CACHE_WRITABLE");
    }
    Ok(())
}

pub fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Walks to `path` part by part, following symbolic links by hand; `None` when it does not exist.
fn walk(path: &Path) -> Result<Option<fs::Metadata>> {
    let mut todo: Vec<PathBuf> = parts(path);
    let mut at = PathBuf::from("/");
    let mut above = stat(&at)?;
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == OsStr::new("..") {
            at.pop();
            above = stat(&at)?;
            continue;
        }
        let next = at.join(&part);
        let Some(info) = stat(&next)? else { return Ok(None) };
        if !info.is_symlink() {
            (at, above) = (next, Some(info));
            continue;
        }
        links += 1;
        let exposed = above.as_ref().is_some_and(|folder| replaceable(folder, &info));
        if exposed || links > MAX_LINKS {
            return Err(Failure::new("CACHE_LINK").with("path", next.display()));
        }
        let target = fs::read_link(&next).map_err(|e| Failure::io(&next, e))?;
        if target.is_absolute() {
            at = PathBuf::from("/");
            above = stat(&at)?;
        }
        todo.extend(parts(&target));
    }
    Ok(above)
}

/// The parts of a path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = |c: Component| match c {
        Component::Normal(part) => Some(PathBuf::from(part)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(named).collect()
}

/// Whether another user can put a different link in place of `link` in `folder`.
fn replaceable(folder: &fs::Metadata, link: &fs::Metadata) -> bool {
    let writable = folder.mode() & 0o022 != 0;
    let sticky = folder.mode() & 0o1000 != 0;
    let ours = |uid: u32| uid == 0 || uid == me();
    !ours(folder.uid()) || (writable && !(sticky && ours(link.uid())))
}

fn stat(path: &Path) -> Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(info) => Ok(Some(info)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Failure::new("CACHE_CREATE").with("path", path.display()).with("detail", reason(&e))),
    }
}

/// Whether programs cannot run from the file system that holds `path`.
pub fn is_noexec(path: &Path) -> bool {
    let flag = rustix::fs::StatVfsMountFlags::NOEXEC;
    rustix::fs::statvfs(path).is_ok_and(|info| info.f_flag.contains(flag))
}

/// Bytes that this user may still write to the file system of `path`.
pub fn free_space(path: &Path) -> Option<u64> {
    let info = rustix::fs::statvfs(path).ok()?;
    Some(info.f_bavail.saturating_mul(info.f_frsize))
}
