//! Step 2, metadata: from the stored bytes to the signed JSON (format.md section 2).
//! The sealed profile knows exactly one encoding of a document, the stored form; other writers use ordinary gzip.

use std::io::Read;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::locate::Package;

const MAX_JSON: usize = 64 << 20;
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const BLOCK: usize = 65_535;

pub struct Document {
    pub json: Vec<u8>,
    /// Whether the bytes are the one encoding that the sealed profile allows.
    pub stored_form: bool,
}

pub fn read(package: &Package) -> Result<Document> {
    let digest = Sha256::digest(&package.metadata);
    if digest[..] != package.index.bytes()[96..128] {
        return Err(Failure::new("SEAL_METADATA"));
    }
    if let Some(json) = stored_form(&package.metadata) {
        return Ok(Document { json, stored_form: true });
    }
    let json = gunzip(&package.metadata)?;
    Ok(Document { json, stored_form: false })
}

/// The document when `stored` is its stored form, bit for bit.
fn stored_form(stored: &[u8]) -> Option<Vec<u8>> {
    let mut rest = stored.strip_prefix(&HEADER)?;
    let mut json = Vec::with_capacity(stored.len());
    loop {
        let (&[last, a, b, c, d], tail) = rest.split_first_chunk::<5>()?;
        let length = usize::from(u16::from_le_bytes([a, b]));
        if u16::from_le_bytes([c, d]) != !(length as u16) || tail.len() < length {
            return None;
        }
        json.extend_from_slice(&tail[..length]);
        rest = &tail[length..];
        match last {
            // Only the last block may be short, and an empty last block only holds an empty document.
            1 if length > 0 || json.is_empty() => break,
            0 if length == BLOCK => (),
            _ => return None,
        }
    }
    let mut crc = flate2::Crc::new();
    crc.update(&json);
    let end = [crc.sum().to_le_bytes(), (json.len() as u32).to_le_bytes()].concat();
    (rest == end).then_some(json)
}

fn gunzip(stored: &[u8]) -> Result<Vec<u8>> {
    let broken = |detail: String| Failure::new("PSPF_METADATA").with("detail", detail);
    let mut json = Vec::new();
    let mut reader = flate2::bufread::GzDecoder::new(stored);
    let read = reader.by_ref().take(MAX_JSON as u64 + 1).read_to_end(&mut json);
    read.map_err(|e| broken(format!("not a gzip member: {e}")))?;
    if json.len() > MAX_JSON {
        return Err(broken("it expands to more than 64 MiB".into()));
    }
    match reader.into_inner() {
        [] => Ok(json),
        _ => Err(broken("data follows the gzip member".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(json: &[u8]) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        let blocks: Vec<&[u8]> = if json.is_empty() { vec![b""] } else { json.chunks(BLOCK).collect() };
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

    #[test]
    fn the_stored_form_is_read_back_at_every_block_boundary() {
        for size in [0, 1, 300, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 200_000] {
            let json: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            let stored = store(&json);
            assert_eq!(stored_form(&stored).as_deref(), Some(&json[..]), "{size}");
            assert_eq!(gunzip(&stored).unwrap(), json, "{size}");
        }
    }

    #[test]
    fn no_changed_bit_is_still_the_stored_form() {
        let stored = store(br#"{"format":"PSPF/2025"}"#);
        for at in 0..stored.len() * 8 {
            let mut changed = stored.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(stored_form(&changed).is_none(), "bit {at}");
        }
        for end in 0..stored.len() {
            assert!(stored_form(&stored[..end]).is_none(), "cut at {end}");
        }
        assert!(stored_form(&[stored, vec![0]].concat()).is_none());
    }

    #[test]
    fn a_bomb_stops_at_64_mib() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(&mut std::io::repeat(b' ').take(65 << 20), &mut encoder).unwrap();
        assert_eq!(gunzip(&encoder.finish().unwrap()).unwrap_err().code, "PSPF_METADATA");
    }
}
