//! The `ready` marker (launcher.md, "Folders"): written last, so a folder without it does not exist.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

const FIRST_LINE: &str = "sealift-ready 1";
const MAX_HEAD: usize = 1 << 20;

/// A file or folder as it was left behind. Times are nanoseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub kind: char,
    pub size: u64,
    pub mtime: i64,
    pub mode: u32,
    pub path: String,
}

/// What a warm start reads.
pub struct Head {
    pub identity: String,
    pub slot: Option<String>,
    pub entries: Vec<Made>,
    pub stores: Vec<String>,
}

impl Made {
    /// How `path` looks now, its links followed (`entry` lines) or not (`files`).
    pub fn look(path: &Path, name: String, follow: bool) -> io::Result<Made> {
        let info = if follow { fs::metadata(path)? } else { fs::symlink_metadata(path)? };
        let (kind, sized) = match info.file_type() {
            t if t.is_dir() => ('d', false),
            t if t.is_symlink() => ('l', false),
            _ => ('f', true),
        };
        let mtime = info.mtime().saturating_mul(1_000_000_000).saturating_add(info.mtime_nsec());
        let (size, mtime) = if sized { (info.len(), mtime) } else { (0, 0) };
        Ok(Made { kind, size, mtime, mode: info.mode() & 0o7777, path: name })
    }

    fn line(&self, word: &str) -> String {
        format!("{word} {} {} {:04o} {}\n", self.size, self.mtime, self.mode, escape(&self.path))
    }

    fn parse(line: &str) -> Option<Made> {
        let mut parts = line.splitn(5, ' ');
        let kind = parts.next()?.chars().next()?;
        let size = parts.next()?.parse().ok()?;
        let mtime = parts.next()?.parse().ok()?;
        let mode = u32::from_str_radix(parts.next()?, 8).ok()?;
        Some(Made { kind, size, mtime, mode, path: unescape(parts.next()?) })
    }
}

fn escape(path: &str) -> String {
    path.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(c) => out.push(c),
                None => (),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

/// The head of the marker at `path`; `None` when there is none or it is not whole.
pub fn read_head(path: &Path) -> Option<Head> {
    let mut file = File::open(path).ok()?;
    let mut bytes = vec![0; 4096];
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]).ok()? {
            0 => return None,
            n => filled += n,
        }
        if let Some(end) = find(&bytes[..filled], b"\nfiles\n") {
            return parse_head(std::str::from_utf8(&bytes[..end]).ok()?);
        }
        if filled == bytes.len() {
            if filled >= MAX_HEAD {
                return None;
            }
            bytes.resize(filled * 2, 0);
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let identity = lines.next()?.strip_prefix("identity ")?.to_string();
    lines.next()?.strip_prefix("package ")?;
    let mut head = Head { identity, slot: None, entries: Vec::new(), stores: Vec::new() };
    for line in lines {
        match line.split_once(' ')? {
            ("entry", _) => head.entries.push(Made::parse(line)?),
            ("store", digest) => head.stores.push(digest.to_string()),
            ("slot", rest) => head.slot = Some(rest.to_string()),
            _ => return None,
        }
    }
    Some(head)
}

/// The `files` part of the marker.
pub fn read_files(path: &Path) -> Option<Vec<Made>> {
    let text = fs::read_to_string(path).ok()?;
    let (_, files) = text.strip_suffix('\n')?.split_once("\nfiles\n")?;
    let lines: Vec<&str> = files.lines().collect();
    let (last, files) = lines.split_last()?;
    if *last != format!("end {}", files.len()) {
        return None;
    }
    files.iter().map(|line| Made::parse(line)).collect()
}

/// What goes into a marker.
pub struct Marker<'a> {
    pub identity: &'a str,
    /// Name and version; `- -` for a shared slot.
    pub package: (&'a str, &'a str),
    /// For a shared slot: its packed operations and original size.
    pub slot: Option<String>,
    pub entries: Vec<Made>,
    pub stores: Vec<String>,
    pub files: Vec<Made>,
}

impl Marker<'_> {
    fn text(&self) -> String {
        let (name, version) = self.package;
        let mut out = format!("{FIRST_LINE}\nidentity {}\npackage {} {}\n", self.identity, escape(name), escape(version));
        out.extend(self.slot.iter().map(|slot| format!("slot {slot}\n")));
        out.extend(self.entries.iter().map(|entry| entry.line("entry")));
        out.extend(self.stores.iter().map(|digest| format!("store {digest}\n")));
        out.push_str("files\n");
        for file in &self.files {
            out.push_str(&file.line(file.kind.encode_utf8(&mut [0; 4])));
        }
        out + &format!("end {}\n", self.files.len())
    }

    /// Writes `<dir>/.sealift/ready`. Everything that belongs to `dir` reaches the disk before it: a power cut must
    /// not leave a marker in front of files that were never written.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let state = dir.join(".sealift");
        write_durably(&state, "ready", self.text().as_bytes()).map_err(|e| Failure::io(&state, e))
    }
}

/// Temporary name, fsync, rename, fsync of the directory; before the rename the whole file system is synchronised, which
/// costs nothing on tmpfs and one flush elsewhere, where an fsync per extracted file would cost thousands.
pub fn write_durably(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary: PathBuf = dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_file_system(&file)?;
    fs::rename(&temporary, dir.join(name))?;
    File::open(dir)?.sync_all()
}

#[cfg(target_os = "linux")]
fn sync_file_system(file: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(file)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back() {
        let dir = std::env::temp_dir().join(format!("sealift-ready-{}", std::process::id()));
        fs::create_dir_all(dir.join(".sealift")).unwrap();
        let file = |path: &str| Made { kind: 'f', size: 3, mtime: -5, mode: 0o644, path: path.into() };
        let files: Vec<Made> = (0..500).map(|i| file(&format!("odd\n{i}\\ name\r"))).collect();
        let marker = Marker {
            identity: "ab",
            package: ("n", "v 1"),
            slot: Some("10 20".into()),
            entries: vec![file("bin/x y")],
            stores: vec!["cd".into()],
            files,
        };
        marker.write(&dir).unwrap();
        let path = dir.join(".sealift/ready");
        let head = read_head(&path).unwrap();
        assert_eq!((head.identity.as_str(), head.slot.as_deref()), ("ab", Some("10 20")));
        assert_eq!(head.entries[0].path, "bin/x y");
        assert_eq!((head.entries[0].size, head.entries[0].mtime, head.entries[0].mode), (3, -5, 0o644));
        assert_eq!(head.stores, ["cd"]);
        assert_eq!(read_files(&path).unwrap(), marker.files);
        let text = fs::read(&path).unwrap();
        for cut in [0, 5, 20, 40, text.len() - 1, text.len() - 10] {
            fs::write(&path, &text[..cut]).unwrap();
            assert!(read_files(&path).is_none(), "{cut}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
