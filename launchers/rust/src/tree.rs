//! Step 7, unpack: a folder that is being filled. Directories and files are made first, by several workers at once;
//! links come last, so nothing is ever written through one (format.md section 6).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::failure::{Failure, Result};
use crate::names;
use crate::ready::Made;
use crate::tar::{Kind, Member};

pub struct Tree {
    root: OwnedFd,
    pub path: PathBuf,
    /// Later slots may replace files of earlier ones, as the readers of other writers' packages do.
    layered: bool,
    nodes: Mutex<HashMap<String, Node>>,
}

#[derive(Debug)]
struct Node {
    member: Member,
    slot: usize,
    /// Where in its slot the member stands.
    order: u64,
    /// Length of the path of the folder its slot goes to; links may not leave it.
    home: usize,
    /// A folder that only a longer path implied; its own entry may still come.
    implied: bool,
}

/// Who is writing: a worker's memory of the last folder it opened.
pub struct Cursor {
    pub slot: usize,
    pub order: u64,
    parent: String,
    folder: Option<OwnedFd>,
}

impl Cursor {
    pub fn new(slot: usize, order: u64) -> Self {
        Cursor { slot, order, parent: String::new(), folder: None }
    }
}

impl Tree {
    /// `path` must exist.
    pub fn open(path: &Path, layered: bool) -> Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| Failure::io(path, e))?;
        Ok(Tree { root, path: path.into(), layered, nodes: Mutex::default() })
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, path: &str, error: impl Into<io::Error>) -> Failure {
        Failure::io(&self.path.join(path), error)
    }

    /// Makes one member of a tar slot that goes to the folder `home`.
    pub fn member(&self, mut member: Member, body: &mut dyn BufRead, home: &str, cursor: &mut Cursor) -> Result<()> {
        member.path = names::join(home, &member.path);
        if member.kind == Kind::Hardlink {
            member.link = names::join(home, &member.link);
        }
        match member.kind {
            Kind::Directory => self.directory(member, home, cursor),
            Kind::File => self.file(member, body, home, cursor),
            Kind::Symlink | Kind::Hardlink => self.register(&mut self.nodes(), member, home, cursor).map(|_| ()),
        }
    }

    fn directory(&self, member: Member, home: &str, cursor: &mut Cursor) -> Result<()> {
        if member.path.is_empty() {
            return Ok(());
        }
        let (path, mode) = (member.path.clone(), member.mode | 0o700);
        // Made under the lock: whoever finds the folder in `nodes` may rely on it.
        let mut nodes = self.nodes();
        let permissions = Mode::from_raw_mode(mode as _);
        let made = match self.register(&mut nodes, member, home, cursor)? {
            true => Err(Errno::EXIST),
            false => rustix::fs::mkdirat(&self.root, &path, permissions),
        };
        match made {
            Err(Errno::EXIST) => {
                self.must_be_folder(&path)?;
                rustix::fs::chmodat(&self.root, &path, permissions, AtFlags::empty()).map_err(|e| self.failed(&path, e))
            }
            made => made.map_err(|e| self.failed(&path, e)),
        }
    }

    fn must_be_folder(&self, path: &str) -> Result<()> {
        let info = rustix::fs::statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.failed(path, e))?;
        match rustix::fs::FileType::from_raw_mode(info.st_mode).is_dir() {
            true => Ok(()),
            false => Err(self.failed(path, Errno::NOTDIR)),
        }
    }

    fn file(&self, member: Member, body: &mut dyn BufRead, home: &str, cursor: &mut Cursor) -> Result<()> {
        let (path, mtime) = (member.path.clone(), member.mtime);
        let mut file = self.create(member, home, cursor)?;
        loop {
            let bytes = body.fill_buf().map_err(|e| content_error(&self.path.join(&path), e))?;
            let n = bytes.len();
            if n == 0 {
                break;
            }
            file.write_all(bytes).map_err(|e| self.failed(&path, e))?;
            body.consume(n);
        }
        set_times(&file, mtime).map_err(|e| self.failed(&path, e))
    }

    /// Registers and opens a new file; the caller writes it and sets its time.
    pub fn create(&self, member: Member, home: &str, cursor: &mut Cursor) -> Result<File> {
        let (path, mode) = (member.path.clone(), member.mode);
        self.register(&mut self.nodes(), member, home, cursor)?;
        let parent = names::parent(&path);
        if cursor.folder.is_none() || cursor.parent != parent {
            cursor.folder = Some(self.open_folder(parent)?);
            cursor.parent = parent.to_string();
        }
        let folder = cursor.folder.as_ref().map_or(self.root.as_fd(), |f| f.as_fd());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let permissions = Mode::from_raw_mode(mode as _);
        let opened = rustix::fs::openat(folder, names::last(&path), flags, permissions);
        Ok(File::from(opened.map_err(|e| self.failed(&path, e))?))
    }

    fn open_folder(&self, path: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if path.is_empty() { "." } else { path };
        rustix::fs::openat(&self.root, path, flags, Mode::empty()).map_err(|e| self.failed(path, e))
    }

    /// Enters `member` under its folded name, its parents first. True when it is a folder that was there already.
    fn register(&self, nodes: &mut HashMap<String, Node>, member: Member, home: &str, cursor: &mut Cursor) -> Result<bool> {
        let parent = names::parent(&member.path);
        if !parent.is_empty() && (cursor.folder.is_none() || cursor.parent != parent) {
            self.imply_parents(nodes, parent, home, cursor)?;
        }
        cursor.order += 1;
        let node = Node { slot: cursor.slot, order: cursor.order, home: home.len(), implied: false, member };
        match nodes.entry(names::fold(&node.member.path)) {
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(node);
                Ok(false)
            }
            std::collections::hash_map::Entry::Occupied(mut place) => {
                let exists = self.meet(place.get(), &node)?;
                place.insert(node);
                Ok(exists)
            }
        }
    }

    /// What happens when `new` comes where `old` is.
    fn meet(&self, old: &Node, new: &Node) -> Result<bool> {
        let refuse = |detail: &str| Err(Failure::new("UNPACK_PATH").with("path", &new.member.path).with("detail", detail));
        if old.member.path != new.member.path {
            return refuse("it differs from another name only in case");
        }
        let both_folders = old.member.kind == Kind::Directory && new.member.kind == Kind::Directory;
        if both_folders && (old.implied || old.slot != new.slot) {
            return Ok(true);
        }
        let replaces = self.layered && old.slot != new.slot && old.member.kind != Kind::Directory && new.member.kind != Kind::Directory;
        if !replaces {
            return refuse("the name stands there twice");
        }
        if old.member.kind == Kind::File {
            let gone = rustix::fs::unlinkat(&self.root, &old.member.path, AtFlags::empty());
            gone.map_err(|e| self.failed(&old.member.path, e))?;
        }
        Ok(false)
    }

    /// Makes the folders on the way to a member, for archives that do not list them and for chunks that come before theirs.
    fn imply_parents(&self, nodes: &mut HashMap<String, Node>, parent: &str, home: &str, cursor: &Cursor) -> Result<()> {
        let ends = parent.match_indices('/').map(|(at, _)| at).chain([parent.len()]);
        for path in ends.map(|end| &parent[..end]) {
            let wrong = |detail: &str| Failure::new("UNPACK_PATH").with("path", path).with("detail", detail);
            match nodes.get(&names::fold(path)) {
                Some(node) if node.member.path != path => return Err(wrong("it differs from another name only in case")),
                Some(node) if node.member.kind != Kind::Directory => return Err(wrong("something stands below it, but it is no folder")),
                Some(_) => continue,
                None => (),
            }
            match rustix::fs::mkdirat(&self.root, path, Mode::from_raw_mode(0o755)) {
                Ok(()) => (),
                Err(Errno::EXIST) => self.must_be_folder(path)?,
                Err(e) => return Err(self.failed(path, e)),
            }
            let member = Member { path: path.into(), kind: Kind::Directory, mode: 0o755, size: 0, mtime: -1, link: String::new() };
            nodes.insert(names::fold(path), Node { member, slot: cursor.slot, order: 0, home: home.len(), implied: true });
        }
        Ok(())
    }

    /// Makes the folder at `path` and its parents, for slots that go to a folder even when they are empty.
    pub fn ensure_folder(&self, path: &str, slot: usize) -> Result<()> {
        match path {
            "" => Ok(()),
            _ => self.imply_parents(&mut self.nodes(), path, "", &Cursor::new(slot, 0)),
        }
    }

    /// Makes the links and sets the folders' times. Returns what is there, sorted, with the slot each came from.
    pub fn finish(self) -> Result<Vec<(Made, usize)>> {
        let nodes = self.nodes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let tree = Finished { root: self.root, path: self.path, nodes };
        tree.hard_links()?;
        tree.symbolic_links()?;
        tree.folder_times()?;
        Ok(tree.list())
    }
}

fn content_error(path: &Path, error: io::Error) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) if error.raw_os_error().is_some() => Failure::io(path, error),
        Err(error) => Failure::new("UNPACK").with("detail", error),
    }
}

/// Sets both times of an open file, nanoseconds since 1970.
pub fn set_times(file: &impl AsFd, mtime: i64) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &times(mtime))?)
}

fn times(mtime: i64) -> Timestamps {
    let time = Timespec { tv_sec: mtime.div_euclid(1_000_000_000), tv_nsec: mtime.rem_euclid(1_000_000_000) };
    Timestamps { last_access: time, last_modification: time }
}

/// All directories and files are made.
struct Finished {
    root: OwnedFd,
    path: PathBuf,
    nodes: HashMap<String, Node>,
}

impl Finished {
    fn refuse<T>(&self, node: &Node, detail: &str) -> Result<T> {
        Err(Failure::new("UNPACK_PATH").with("path", &node.member.path).with("detail", detail))
    }

    fn of_kind(&self, kind: Kind) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.nodes.values().filter(|node| node.member.kind == kind).collect();
        nodes.sort_by_key(|node| (node.slot, node.order));
        nodes
    }

    fn hard_links(&self) -> Result<()> {
        for node in self.of_kind(Kind::Hardlink) {
            let target = self.nodes.get(&names::fold(&node.member.link)).filter(|target| target.member.path == node.member.link);
            let is_file = |t: &&Node| matches!(t.member.kind, Kind::File | Kind::Hardlink) && t.slot == node.slot && t.order < node.order;
            let Some(target) = target.filter(is_file) else {
                return self.refuse(node, "it is a hard link to something that is not an earlier regular file");
            };
            let made = rustix::fs::linkat(&self.root, &target.member.path, &self.root, &node.member.path, AtFlags::empty());
            made.map_err(|e| Failure::io(&self.path.join(&node.member.path), e))?;
        }
        Ok(())
    }

    fn symbolic_links(&self) -> Result<()> {
        for node in self.of_kind(Kind::Symlink) {
            let member = &node.member;
            if self.leads_out(node) {
                return self.refuse(node, "the link leaves its folder");
            }
            let made = rustix::fs::symlinkat(&member.link, &self.root, &member.path);
            made.map_err(|e| Failure::io(&self.path.join(&member.path), e))?;
            let _ = rustix::fs::utimensat(&self.root, &member.path, &times(member.mtime), AtFlags::SYMLINK_NOFOLLOW);
        }
        Ok(())
    }

    /// Follows a link through all the links of the tree: `a/up -> ..` is harmless, `a/up/../x` behind it is not.
    fn leads_out(&self, node: &Node) -> bool {
        let home = &node.member.path[..node.home];
        let depth = home.split('/').filter(|p| !p.is_empty()).count();
        let mut at: Vec<String> = names::parent(&node.member.path).split('/').filter(|p| !p.is_empty()).map(str::to_string).collect();
        let mut todo: Vec<String> = node.member.link.split('/').rev().map(str::to_string).collect();
        let mut hops = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if at.pop().is_none() {
                        return true; // above the work environment itself
                    }
                }
                _ => at.push(part),
            }
            if at.len() < depth {
                return true;
            }
            let here = at.join("/");
            let next = self.nodes.get(&names::fold(&here)).filter(|next| next.member.kind == Kind::Symlink && next.member.path == here);
            if let Some(next) = next {
                hops += 1;
                if hops > 40 {
                    return false; // a cycle leads nowhere
                }
                at.pop();
                todo.extend(next.member.link.split('/').rev().map(str::to_string));
            }
        }
        false
    }

    fn folder_times(&self) -> Result<()> {
        for node in self.of_kind(Kind::Directory).into_iter().filter(|node| !node.implied) {
            let set = rustix::fs::utimensat(&self.root, &node.member.path, &times(node.member.mtime), AtFlags::SYMLINK_NOFOLLOW);
            set.map_err(|e| Failure::io(&self.path.join(&node.member.path), e))?;
        }
        Ok(())
    }

    fn list(self) -> Vec<(Made, usize)> {
        let target = |node: &Node| {
            let mut at = node;
            while at.member.kind == Kind::Hardlink {
                at = &self.nodes[&names::fold(&at.member.link)];
            }
            (at.member.size, at.member.mtime, at.member.mode)
        };
        let made = |node: &Node| {
            let (size, mtime, mode) = target(node);
            let path = node.member.path.clone();
            match node.member.kind {
                Kind::Directory => Made { kind: 'd', size: 0, mtime: 0, mode: mode | 0o700, path },
                Kind::Symlink => Made { kind: 'l', size: 0, mtime: 0, mode: 0o777, path },
                Kind::File | Kind::Hardlink => Made { kind: 'f', size, mtime, mode, path },
            }
        };
        let mut list: Vec<(Made, usize)> = self.nodes.values().map(|node| (made(node), node.slot)).collect();
        list.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        list
    }
}
