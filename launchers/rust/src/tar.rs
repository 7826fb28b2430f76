//! Step 7, unpack: reading tar members strictly (format.md section 6). Header fields are decoded by the `tar` crate; which
//! members may exist, how extended headers apply and how an archive ends is decided here.

use std::io::{self, BufRead, Read};

use tar::{EntryType, Header};

use crate::failure::{Failure, Result};
use crate::names;

const BLOCK: usize = 512;
const MAX_EXTENDED: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Symlink,
    Hardlink,
}

#[derive(Debug)]
pub struct Member {
    /// Normalised, relative; `""` is the root itself.
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime: i64,
    /// A symbolic link's text, or the normalised path a hard link names.
    pub link: String,
}

/// Which part of an archive the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Members, two zero blocks, zeros.
    Whole,
    /// Whole members only.
    Chunk,
    /// Whole members or none, then the end-of-archive blocks and nothing else.
    LastChunk,
}

/// Hands every member to `each`, with its content.
pub fn read(input: &mut dyn BufRead, part: Part, each: &mut dyn FnMut(Member, &mut dyn BufRead) -> Result<()>) -> Result<()> {
    let mut extended = Extended::default();
    let mut block = [0u8; BLOCK];
    loop {
        if !read_block(input, &mut block)? {
            return match part {
                Part::Chunk if extended.is_empty() => Ok(()),
                Part::Chunk => Err(broken("an extended header stands at the end")),
                _ => Err(broken("the archive has no end")),
            };
        }
        if block.iter().all(|b| *b == 0) {
            return match extended.is_empty() && part != Part::Chunk {
                true => read_end(input, part),
                false => Err(broken("the archive ends too early")),
            };
        }
        let header = Header::from_byte_slice(&block);
        check_sum(header, &block)?;
        let size = header.entry_size().map_err(|_| broken("a header has no size"))?;
        if extended.takes(header, size, input)? {
            continue;
        }
        let member = extended.apply(header, size)?;
        let mut body = Body { input, left: member.size, total: member.size };
        each(member, &mut body)?;
        body.finish()?;
    }
}

fn broken(detail: &str) -> Failure {
    Failure::new("UNPACK").with("detail", format!("tar: {detail}"))
}

fn bad_path(path: &str, detail: &str) -> Failure {
    Failure::new("UNPACK_PATH").with("path", path).with("detail", detail)
}

fn unreadable(error: io::Error) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) => Failure::new("UNPACK").with("detail", error),
    }
}

/// False at the end of the input; part of a block is an error.
fn read_block(input: &mut dyn BufRead, block: &mut [u8; BLOCK]) -> Result<bool> {
    if input.fill_buf().map_err(unreadable)?.is_empty() {
        return Ok(false);
    }
    input.read_exact(block).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => broken("the archive is cut off"),
        _ => unreadable(e),
    })?;
    Ok(true)
}

/// One zero block was read; only zeros may follow. The sealed writers put exactly one more.
fn read_end(input: &mut dyn BufRead, part: Part) -> Result<()> {
    let mut blocks = 1;
    let mut block = [0u8; BLOCK];
    while read_block(input, &mut block)? {
        if block.iter().any(|b| *b != 0) {
            return Err(broken("data follows the end of the archive"));
        }
        blocks += 1;
    }
    match part == Part::LastChunk && blocks != 2 {
        true => Err(broken("the archive does not end with two zero blocks")),
        false => Ok(()),
    }
}

/// The checksum counts its own eight bytes as spaces; some old writers summed signed bytes.
fn check_sum(header: &Header, block: &[u8; BLOCK]) -> Result<()> {
    let counted = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
    let unsigned: u32 = block.iter().enumerate().map(counted).map(u32::from).sum();
    let signed: i32 = block.iter().enumerate().map(counted).map(|b| i32::from(b as i8)).sum();
    match header.cksum() {
        Ok(sum) if sum == unsigned || i32::try_from(sum) == Ok(signed) => Ok(()),
        _ => Err(broken("a header's checksum does not match")),
    }
}

/// What extended headers said about the member that follows them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<i64>,
}

impl Extended {
    fn is_empty(&self) -> bool {
        self.path.is_none() && self.link.is_none() && self.size.is_none() && self.mtime.is_none()
    }

    /// Reads an extended header; false when `header` is a member itself.
    fn takes(&mut self, header: &Header, size: u64, input: &mut dyn BufRead) -> Result<bool> {
        let kind = header.entry_type();
        let known = kind.is_pax_local_extensions() || kind.is_pax_global_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink();
        if !known {
            return Ok(false);
        }
        if size > MAX_EXTENDED {
            return Err(broken("an extended header is longer than 1 MiB"));
        }
        let mut text = vec![0; size as usize];
        let mut body = Body { input, left: size, total: size };
        body.read_exact(&mut text).map_err(|_| broken("the archive is cut off"))?;
        body.finish()?;
        match kind {
            EntryType::GNULongName => self.path = Some(until_nul(text)),
            EntryType::GNULongLink => self.link = Some(until_nul(text)),
            _ => self.take_records(&text, kind.is_pax_global_extensions())?,
        }
        Ok(true)
    }

    /// pax records, `<length> <key>=<value>\n`.
    fn take_records(&mut self, mut text: &[u8], global: bool) -> Result<()> {
        while !text.is_empty() {
            let (key, value, rest) = split_record(text).ok_or_else(|| broken("an extended header is malformed"))?;
            text = rest;
            match key {
                b"path" | b"linkpath" | b"size" if global => return Err(broken("a global header names a member")),
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).ok_or_else(|| broken("an extended size is malformed"))?),
                b"mtime" if !global => self.mtime = Some(timestamp(value).ok_or_else(|| broken("an extended time is malformed"))?),
                key if key.starts_with(b"GNU.sparse") => return Err(broken("sparse files are not supported")),
                _ => (),
            }
        }
        Ok(())
    }

    fn apply(&mut self, header: &Header, size: u64) -> Result<Member> {
        let taken = std::mem::take(self);
        let raw = taken.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = utf8(&raw)?;
        let kind = kind_of(header.entry_type(), path)?;
        let path = names::check(path).map_err(|detail| bad_path(path, detail))?;
        let size = taken.size.unwrap_or(size);
        if kind != Kind::File && size != 0 {
            return Err(bad_path(&path, "a folder or link has content"));
        }
        let raw_link = taken.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned())).unwrap_or_default();
        let link = read_link(kind, &path, utf8(&raw_link)?)?;
        if path.is_empty() && kind != Kind::Directory {
            return Err(bad_path(".", "the root is not a folder"));
        }
        let mode = header.mode().map_err(|_| bad_path(&path, "the mode is malformed"))? & 0o777;
        let seconds = header.mtime().map_err(|_| bad_path(&path, "the time is malformed"))?;
        let whole = i64::try_from(seconds).ok().and_then(|s| s.checked_mul(1_000_000_000));
        let mtime = taken.mtime.or(whole).ok_or_else(|| bad_path(&path, "the time is out of range"))?;
        Ok(Member { path, kind, mode, size, mtime, link })
    }
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| bad_path(&String::from_utf8_lossy(bytes), "the name is not UTF-8"))
}

fn split_record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(10).position(|b| *b == b' ')?;
    let length = usize::try_from(number(&text[..space])?).ok()?;
    if length > text.len() || length < space + 3 || text[length - 1] != b'\n' {
        return None;
    }
    let record = &text[space + 1..length - 1];
    let equals = record.iter().position(|b| *b == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &text[length..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Seconds with an optional fraction, as nanoseconds.
fn timestamp(value: &[u8]) -> Option<i64> {
    let dot = value.iter().position(|b| *b == b'.').unwrap_or(value.len());
    let seconds = i64::try_from(number(&value[..dot])?).ok()?;
    let fraction = value.get(dot + 1..).unwrap_or_default();
    let mut nanoseconds = 0;
    for i in 0..9 {
        let digit = fraction.get(i).copied().unwrap_or(b'0');
        nanoseconds = nanoseconds * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

fn kind_of(kind: EntryType, path: &str) -> Result<Kind> {
    match kind {
        EntryType::Directory => Ok(Kind::Directory),
        // Before POSIX, a name with a slash at its end was a folder.
        EntryType::Regular if path.ends_with('/') => Ok(Kind::Directory),
        EntryType::Regular | EntryType::Continuous => Ok(Kind::File),
        EntryType::Symlink => Ok(Kind::Symlink),
        EntryType::Link => Ok(Kind::Hardlink),
        EntryType::GNUSparse => Err(bad_path(path, "sparse files are not supported")),
        _ => Err(bad_path(path, "it is neither a file, a folder nor a link")),
    }
}

/// Only the text of the link is judged here; where links lead together, `tree.rs` judges when it knows all of them.
fn read_link(kind: Kind, path: &str, link: &str) -> Result<String> {
    match kind {
        Kind::Hardlink => names::check(link).map_err(|detail| bad_path(path, &format!("hard link: {detail}"))),
        Kind::Symlink if link.is_empty() => Err(bad_path(path, "the link is empty")),
        Kind::Symlink if link.len() > names::MAX_NAME => Err(bad_path(path, "the link is longer than 4,096 bytes")),
        Kind::Symlink if link.starts_with('/') => Err(bad_path(path, "the link is absolute")),
        Kind::Symlink if link.contains(['\0', '\\']) => Err(bad_path(path, "the link holds a NUL character or backslash")),
        Kind::Symlink => Ok(link.to_string()),
        _ => Ok(String::new()),
    }
}

/// A member's content: exactly `total` bytes, then padding to the block.
struct Body<'a> {
    input: &'a mut dyn BufRead,
    left: u64,
    total: u64,
}

impl Body<'_> {
    /// Skips what was not read, and the padding.
    fn finish(mut self) -> Result<()> {
        while self.left > 0 {
            let n = self.fill_buf().map_err(unreadable)?.len();
            self.consume(n);
        }
        let mut padding = [0; BLOCK];
        let length = (BLOCK as u64 - self.total % BLOCK as u64) as usize % BLOCK;
        self.input.read_exact(&mut padding[..length]).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => broken("the archive is cut off"),
            _ => unreadable(e),
        })
    }
}

impl Read for Body<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Body<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let available = self.input.fill_buf()?;
        if available.is_empty() {
            return Err(broken("the archive is cut off").into());
        }
        let n = available.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&available[..n])
    }

    fn consume(&mut self, n: usize) {
        self.left -= n as u64;
        self.input.consume(n);
    }
}
