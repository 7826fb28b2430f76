//! Operation chains (format.md section 4): what was done to a slot's bytes, in packing order.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Tar,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
    Aes256Gcm,
}

use Operation::{Aes256Gcm, Bzip2, Gzip, Tar, Xz, Zstd};

const KNOWN: [(Operation, u8, &str); 6] = [
    (Tar, 0x01, "tar"),
    (Gzip, 0x10, "gzip"),
    (Bzip2, 0x13, "bzip2"),
    (Xz, 0x16, "xz"),
    (Zstd, 0x1b, "zstd"),
    (Aes256Gcm, 0x31, "aes256gcm"),
];
const MAX_LENGTH: usize = 8;

/// The chain that a text in any known spelling stands for; the error names what is unknown.
pub fn parse(text: &str) -> Result<Vec<Operation>, String> {
    let lower = text.trim().to_ascii_lowercase();
    let chain = match lower.as_str() {
        "" => vec![],
        "tar.gz" | "tgz" => vec![Tar, Gzip],
        "tar.bz2" | "tbz2" => vec![Tar, Bzip2],
        "tar.xz" | "txz" => vec![Tar, Xz],
        "tar.zst" | "tzst" => vec![Tar, Zstd],
        _ => joined(&lower)?,
    };
    check(chain, text)
}

fn joined(text: &str) -> Result<Vec<Operation>, String> {
    let mut chain = Vec::new();
    for part in text.split(['|', ',']).map(str::trim).filter(|p| !matches!(*p, "none" | "raw")) {
        let known = KNOWN.iter().find(|(_, _, name)| *name == part);
        chain.push(known.ok_or_else(|| format!("`{part}`"))?.0);
    }
    Ok(chain)
}

/// The chain of a descriptor. A code behind a zero byte means nothing: earlier readers disagree about it.
pub fn unpack(packed: u64) -> Result<Vec<Operation>, String> {
    let mut chain = Vec::new();
    let mut rest = packed;
    while rest != 0 {
        let code = rest as u8;
        let known = KNOWN.iter().find(|(_, known, _)| *known == code);
        chain.push(known.ok_or_else(|| format!("{code:#04x} in {packed:#x}"))?.0);
        rest >>= 8;
    }
    check(chain, &format!("{packed:#x}"))
}

pub fn pack(chain: &[Operation]) -> u64 {
    let code = |operation: &Operation| KNOWN.iter().find(|(known, _, _)| known == operation).map_or(0, |k| k.1);
    chain.iter().rev().fold(0, |packed, operation| packed << 8 | u64::from(code(operation)))
}

/// The canonical text.
pub fn format(chain: &[Operation]) -> String {
    let name = |operation: &Operation| KNOWN.iter().find(|(known, _, _)| known == operation).map_or("", |k| k.2);
    match chain {
        [] => "none".into(),
        [Tar, Gzip] => "tgz".into(),
        _ => chain.iter().map(name).collect::<Vec<_>>().join("|"),
    }
}

/// Only the sealed profile says how a slot is encrypted.
pub fn refuse_encryption(chain: Vec<Operation>) -> Result<Vec<Operation>, String> {
    if chain.contains(&Aes256Gcm) { Err("`aes256gcm`".into()) } else { Ok(chain) }
}

fn check(chain: Vec<Operation>, text: &str) -> Result<Vec<Operation>, String> {
    if chain.len() > MAX_LENGTH {
        return Err(format!("a chain of more than {MAX_LENGTH} operations"));
    }
    if chain.iter().skip(1).any(|operation| *operation == Tar) {
        return Err(format!("tar behind another operation in `{text}`"));
    }
    if chain.iter().rev().skip(1).any(|operation| *operation == Aes256Gcm) {
        return Err(format!("aes256gcm before another operation in `{text}`"));
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_and_unknown_ones_are_refused() {
        for (text, chain) in [
            ("", vec![]),
            ("RAW", vec![]),
            ("none", vec![]),
            ("tar", vec![Tar]),
            ("TAR|GZIP", vec![Tar, Gzip]),
            ("tar,gzip", vec![Tar, Gzip]),
            ("tgz", vec![Tar, Gzip]),
            ("tar.bz2", vec![Tar, Bzip2]),
            ("txz", vec![Tar, Xz]),
            ("tzst", vec![Tar, Zstd]),
            ("gzip|zstd", vec![Gzip, Zstd]),
        ] {
            assert_eq!(parse(text).unwrap(), chain, "{text}");
            assert_eq!(parse(&format(&chain)).unwrap(), chain);
            assert_eq!(unpack(pack(&chain)).unwrap(), chain);
        }
        for bad in ["lz4", "tar|", "gzip|tar", "tar|tar", "gz", "gzip|gzip|gzip|gzip|gzip|gzip|gzip|gzip|gzip", "aes256gcm|gzip"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(pack(&[Tar, Gzip]), 0x1001);
        assert_eq!(pack(&[Tar, Zstd, Aes256Gcm]), 0x31_1b01);
        for bad in [0x02, 0x0110, 0x10_0001, 0x30_1001, u64::MAX] {
            assert!(unpack(bad).is_err(), "{bad:#x}");
        }
    }
}
