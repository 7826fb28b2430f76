//! Tar archives and compressed forms for test packages.

use std::io::{Read, Write};

pub struct Entry {
    pub path: String,
    pub kind: u8,
    pub link: String,
    pub content: Vec<u8>,
    pub mode: u32,
    pub mtime: u64,
}

pub fn entry(kind: u8, path: &str, link: &str, content: &[u8], mode: u32) -> Entry {
    Entry { path: path.into(), kind, link: link.into(), content: content.into(), mode, mtime: 315_532_800 }
}

pub fn regular(path: &str, content: &[u8]) -> Entry {
    entry(b'0', path, "", content, 0o644)
}

pub fn program(path: &str, content: &[u8]) -> Entry {
    entry(b'0', path, "", content, 0o755)
}

pub fn folder(path: &str) -> Entry {
    entry(b'5', path, "", b"", 0o755)
}

pub fn symlink(path: &str, link: &str) -> Entry {
    entry(b'2', path, link, b"", 0o777)
}

pub fn hardlink(path: &str, link: &str) -> Entry {
    entry(b'1', path, link, b"", 0o644)
}

/// One entry without the end of the archive, as it is: names are not checked, long ones go to a pax header.
pub fn member(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    let mut records = Vec::new();
    for (key, value) in [("path", &entry.path), ("linkpath", &entry.link)] {
        if value.len() > 100 {
            records.extend(record(key, value.as_bytes()));
        }
    }
    if !records.is_empty() {
        out.extend(header("pax", b'x', "", records.len() as u64, 0o644, 0));
        pad(&mut out, &records);
    }
    let short = |text: &str| text.bytes().take(100).collect::<Vec<u8>>();
    let name = short(&entry.path);
    let link = short(&entry.link);
    out.extend(header_bytes(&name, entry.kind, &link, entry.content.len() as u64, entry.mode, entry.mtime));
    pad(&mut out, &entry.content);
    out
}

pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}

pub fn pad(out: &mut Vec<u8>, content: &[u8]) {
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

pub fn header(name: &str, kind: u8, link: &str, size: u64, mode: u32, mtime: u64) -> [u8; 512] {
    header_bytes(name.as_bytes(), kind, link.as_bytes(), size, mode, mtime)
}

pub fn header_bytes(name: &[u8], kind: u8, link: &[u8], size: u64, mode: u32, mtime: u64) -> [u8; 512] {
    let mut out = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, format!("{mode:07o}\0").as_bytes());
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{mtime:011o}\0").as_bytes());
    put(148, b"        ");
    put(156, &[kind]);
    put(157, link);
    put(257, b"ustar\x0000");
    let sum: u32 = out.iter().map(|b| u32::from(*b)).sum();
    out[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out
}

pub fn write(entries: &[Entry]) -> Vec<u8> {
    let mut out: Vec<u8> = entries.iter().flat_map(member).collect();
    out.resize(out.len() + 1024, 0);
    out
}

pub fn packed(operations: &str) -> u64 {
    let text = if operations == "tgz" { "tar|gzip" } else { operations };
    let code = |name: &str| match name {
        "tar" => 0x01,
        "gzip" => 0x10,
        "bzip2" => 0x13,
        "xz" => 0x16,
        "zstd" => 0x1b,
        _ => 0x00u64,
    };
    text.split('|').enumerate().fold(0, |packed, (i, name)| packed | code(name) << (8 * i))
}

pub fn pack(content: &[u8], operations: &str, level: i32) -> Vec<u8> {
    let text = if operations == "tgz" { "tar|gzip" } else { operations };
    text.split('|').fold(content.to_vec(), |bytes, name| match name {
        "gzip" => gzip(&bytes),
        "bzip2" => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "xz" => {
            let mut out = Vec::new();
            liblzma::bufread::XzEncoder::new(&bytes[..], 6).read_to_end(&mut out).unwrap();
            out
        }
        "zstd" => zstd(&bytes, level),
        _ => bytes,
    })
}

/// One frame that says its size, with a window of at most 8 MiB.
pub fn zstd(bytes: &[u8], level: i32) -> Vec<u8> {
    let mut context = zstd_safe::CCtx::create();
    context.set_parameter(zstd_safe::CParameter::CompressionLevel(level)).unwrap();
    context.set_parameter(zstd_safe::CParameter::WindowLog(23)).unwrap();
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).unwrap();
    out
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The stored form of format.md section 2.
pub fn gzip_stored(json: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = if json.is_empty() { vec![b""] } else { json.chunks(65535).collect() };
    for (i, block) in blocks.iter().enumerate() {
        out.push(u8::from(i + 1 == blocks.len()));
        out.extend((block.len() as u16).to_le_bytes());
        out.extend((!(block.len() as u16)).to_le_bytes());
        out.extend(*block);
    }
    let mut crc = flate2::Crc::new();
    crc.update(json);
    out.extend(crc.sum().to_le_bytes());
    out.extend((json.len() as u32).to_le_bytes());
    out
}
