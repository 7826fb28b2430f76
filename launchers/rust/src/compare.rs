//! SEALIFT_VERIFY=full: what a slot holds against what lies on disk.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::failure::{Failure, Result};
use crate::names;
use crate::ready::Made;
use crate::tar::{Kind, Member};

/// One slot's place on disk.
pub struct Comparison {
    /// The folder of the tree.
    pub root: PathBuf,
    /// Where in it the slot goes.
    pub at: String,
    /// What the marker says of each path. Setup commands may have changed or removed files since they were unpacked.
    pub recorded: HashMap<String, Made>,
    pub different: AtomicBool,
}

impl Comparison {
    /// Compares one member; for a chunk of a file slot, from `offset` on.
    pub fn member(&self, member: Member, body: &mut dyn BufRead, offset: u64) -> Result<()> {
        let path = names::join(&self.at, &member.path);
        if let Some(recorded) = self.recorded.get(&path) {
            let same = self.same(&member, recorded, &self.root.join(&path), body, offset);
            if !same.unwrap_or(false) {
                self.different.store(true, Relaxed);
            }
        }
        // What was not compared must still decode to its end, where bounds and digests are checked.
        io::copy(body, &mut io::sink()).map(|_| ()).map_err(|e| match e.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(e) => Failure::new("UNPACK").with("detail", e),
        })
    }

    fn same(&self, member: &Member, recorded: &Made, path: &Path, body: &mut dyn BufRead, offset: u64) -> io::Result<bool> {
        let found = Made::look(path, recorded.path.clone(), false)?;
        let unchanged = found.kind == recorded.kind && found.size == recorded.size && found.mtime == recorded.mtime;
        if !unchanged || (found.kind != 'l' && found.mode != recorded.mode) {
            return Ok(false);
        }
        match member.kind {
            Kind::Directory => Ok(found.kind == 'd'),
            Kind::Symlink => Ok(found.kind != 'l' || fs::read_link(path)? == Path::new(&member.link)),
            Kind::Hardlink => {
                let other = fs::symlink_metadata(self.root.join(names::join(&self.at, &member.link)))?;
                let this = fs::symlink_metadata(path)?;
                Ok((this.dev(), this.ino()) == (other.dev(), other.ino()) || recorded.mtime != member.mtime)
            }
            // A file that a setup command wrote again is known only by its size and time.
            Kind::File if found.size != member.size || found.mtime != member.mtime => Ok(true),
            Kind::File => same_content(path, body, offset),
        }
    }
}

fn same_content(path: &Path, body: &mut dyn BufRead, offset: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if offset > 0 {
        io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    }
    let mut buffer = vec![0; 64 << 10];
    loop {
        let bytes = body.fill_buf()?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let n = bytes.len().min(buffer.len());
        file.read_exact(&mut buffer[..n])?;
        if buffer[..n] != bytes[..n] {
            return Ok(false);
        }
        body.consume(n);
    }
}
