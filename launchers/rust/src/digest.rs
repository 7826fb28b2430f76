//! Step 3, second half: what only a first start and `verify` check, the launcher's and the slots' digests and the padding.

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::locate::{Image, Package, TRAILER, read_at};
use crate::plan::{Checksum, Plan, Slot};

const BUFFER: usize = 256 << 10;

/// SHA-256 of `length` bytes from `offset`.
pub fn of_range(image: &Image, offset: u64, length: u64) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    feed(image, offset, length, &mut hash)?;
    Ok(hash.finalize().into())
}

/// Adds `length` bytes from `offset` to `hash`.
pub fn feed(image: &Image, offset: u64, length: u64, hash: &mut Sha256) -> Result<()> {
    let mut buffer = vec![0; BUFFER.min(length as usize)];
    let mut done = 0;
    while done < length {
        let part = buffer.len().min((length - done) as usize);
        read_at(&image.file, &mut buffer[..part], offset + done).map_err(|e| Failure::io(&image.path, e))?;
        hash.update(&buffer[..part]);
        done += part as u64;
    }
    Ok(())
}

/// The launcher bytes, as far as the JSON pins them.
pub fn check_launcher(package: &Package, plan: &Plan) -> Result<()> {
    let Some(expected) = plan.launcher.checksum else { return Ok(()) };
    let size = package.index.launcher_size();
    if plan.launcher.size.is_some_and(|said| said != size) || of_range(&package.image, 0, size)? != expected {
        return Err(Failure::new("SEAL_LAUNCHER"));
    }
    Ok(())
}

/// Every gap between regions; in the sealed profile they are at most seven bytes each, and zero.
pub fn check_padding(package: &Package, plan: &Plan) -> Result<()> {
    if plan.seal.is_none() {
        return Ok(());
    }
    for (start, end) in gaps(package, plan) {
        let bytes = package.image.read(start, (end - start) as usize)?;
        if let Some(at) = bytes.iter().position(|b| *b != 0) {
            return Err(Failure::new("SEAL_PADDING").with("offset", start + at as u64));
        }
    }
    Ok(())
}

/// The byte ranges that belong to no region.
pub fn gaps(package: &Package, plan: &Plan) -> Vec<(u64, u64)> {
    let index = &package.index;
    let metadata_end = index.metadata_offset() + index.metadata_size();
    let mut regions = vec![(0, index.launcher_size()), (index.metadata_offset(), metadata_end)];
    if !plan.slots.is_empty() {
        regions.push((index.table_offset(), index.data_start()));
    }
    regions.extend(plan.slots.iter().filter(|s| s.size > 0).map(|s| (s.offset, s.offset + s.size)));
    regions.push((package.image.size - TRAILER, package.image.size));
    regions.windows(2).map(|pair| (pair[0].1, pair[1].0)).filter(|(start, end)| start < end).collect()
}

/// Whether `digest` is what the metadata (or the table of another writer) says of `slot`.
pub fn matches(slot: &Slot, digest: &[u8; 32]) -> bool {
    match slot.checksum {
        Checksum::Full(expected) => expected == *digest,
        Checksum::Short(expected) => expected == digest[..8],
    }
}

pub fn check_slot(image: &Image, slot: &Slot) -> Result<()> {
    if slot.size == 0 && slot.checksum == Checksum::Short([0; 8]) {
        return Ok(()); // an earlier writer's slot without bytes has no digest
    }
    match matches(slot, &of_range(image, slot.offset, slot.size)?) {
        true => Ok(()),
        false => Err(Failure::new("SEAL_SLOT").with("slot", &slot.id)),
    }
}
