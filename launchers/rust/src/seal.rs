//! Step 3, seal: signatures over the JSON bytes, then the slot table and the index block against what the JSON derives
//! (format.md sections 2, 4, 7, 8). The digests of launcher and slots are `digest.rs`: only a first start needs them.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::locate::{DESCRIPTOR, FORMAT_VERSION, INDEX, Package, TRAILER, index_checksum};
use crate::operations;
use crate::plan::{Checksum, Plan, Seal, Slot, lifecycle_byte};

const KEY: usize = 64;
const SIGNATURES: std::ops::Range<usize> = 128..640;
const PLACE: usize = 96;

/// Verifies every signature. Returns the keys, the first signer first.
pub fn verify(package: &Package, json: &[u8]) -> Result<Vec<[u8; 32]>> {
    let index = package.index.bytes();
    let area = &index[SIGNATURES];
    let (first, places) = area.split_at(64);
    if first.iter().all(|b| *b == 0) {
        return Err(Failure::new("SEAL_UNSIGNED"));
    }
    let key: [u8; 32] = index[KEY..KEY + 32].try_into().expect("32 bytes");
    check_signature(&key, first, json)?;
    let mut keys = vec![key];
    for place in places.chunks_exact(PLACE).take_while(|place| place.iter().any(|b| *b != 0)) {
        let key: [u8; 32] = place[..32].try_into().expect("32 bytes");
        if keys.contains(&key) {
            return Err(Failure::new("SEAL_SIGNATURE"));
        }
        check_signature(&key, &place[32..], json)?;
        keys.push(key);
    }
    Ok(keys)
}

fn check_signature(key: &[u8; 32], signature: &[u8], json: &[u8]) -> Result<()> {
    let key = strict_key(key).ok_or_else(|| Failure::new("SEAL_KEY"))?;
    let signature = Signature::from_slice(signature).map_err(|_| Failure::new("SEAL_SIGNATURE"))?;
    key.verify_strict(json, &signature).map_err(|_| Failure::new("SEAL_SIGNATURE"))
}

/// A key in its one canonical encoding and not of small order.
pub fn strict_key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    // y is at least the field prime 2^255-19: the same point has a smaller encoding.
    let oversized = bytes[31] & 0x7f == 0x7f && bytes[1..31].iter().all(|b| *b == 0xff) && bytes[0] >= 0xed;
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    (!oversized && !key.is_weak()).then_some(key)
}

/// Compares table and index with the plan and fills in what only the table says: offsets, and for other writers sizes,
/// chains and digests.
pub fn bind(package: &Package, plan: &mut Plan, stored_form: bool) -> Result<()> {
    let count = package.index.slot_count() as usize;
    if count != plan.slots.len() {
        let detail = format!("{} slots in the metadata, {count} in the table", plan.slots.len());
        return Err(Failure::field("slots", detail));
    }
    if plan.seal.is_none() {
        for (i, slot) in plan.slots.iter_mut().enumerate() {
            adopt(slot, descriptor(&package.table, i))?;
        }
        return check_places(package, &plan.slots);
    }
    if !stored_form {
        let detail = "it is not in the stored form of the sealed profile";
        return Err(Failure::new("PSPF_METADATA").with("detail", detail));
    }
    let end = place_slots(package, &mut plan.slots)?;
    for (i, slot) in plan.slots.iter().enumerate() {
        compare_descriptor(slot, &derive_descriptor(i as u64, slot), descriptor(&package.table, i))?;
    }
    compare_index(package, plan, end)
}

fn descriptor(table: &[u8], i: usize) -> &[u8; DESCRIPTOR] {
    table[i * DESCRIPTOR..].first_chunk().expect("the table has slot_count descriptors")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// For other writers the descriptor is authoritative.
fn adopt(slot: &mut Slot, table: &[u8; DESCRIPTOR]) -> Result<()> {
    slot.offset = u64_at(table, 16);
    slot.size = u64_at(table, 24);
    slot.operations = operations::unpack(u64_at(table, 40))
        .and_then(operations::refuse_encryption)
        .map_err(|detail| Failure::new("PSPF_OPERATION").with("slot", &slot.id).with("detail", detail))?;
    if matches!(slot.checksum, Checksum::Short(_)) {
        slot.checksum = Checksum::Short(table[48..56].try_into().expect("eight bytes"));
    }
    if slot.platform.is_none() && slot.lifecycle_text == "platform" {
        slot.platform = ["", "linux", "darwin", "windows"].get(usize::from(table[59])).filter(|p| !p.is_empty()).map(|p| p.to_string());
    }
    Ok(())
}

/// Slots of other writers: inside the file, in order, not overlapping. A slot without bytes may stand anywhere.
fn check_places(package: &Package, slots: &[Slot]) -> Result<()> {
    let end = package.image.size - TRAILER;
    let mut behind = package.index.data_start();
    for (i, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.size > 0) {
        if slot.offset < behind || slot.offset > end || slot.size > end - slot.offset {
            return Err(Failure::new("PSPF_REGION").with("field", format!("slot {i}")));
        }
        behind = slot.offset + slot.size;
    }
    Ok(())
}

fn align8(n: u64) -> Option<u64> {
    n.checked_next_multiple_of(8)
}

/// Sets every slot's offset as section 1 derives it; returns the end of the last one.
fn place_slots(package: &Package, slots: &mut [Slot]) -> Result<u64> {
    let limit = package.image.size - TRAILER;
    let mut end = package.index.data_start();
    for (i, slot) in slots.iter_mut().enumerate() {
        let outside = || Failure::new("PSPF_REGION").with("field", format!("slot {i}"));
        slot.offset = align8(end).ok_or_else(outside)?;
        end = slot.offset.checked_add(slot.size).filter(|end| *end <= limit).ok_or_else(outside)?;
    }
    Ok(end)
}

fn derive_descriptor(i: u64, slot: &Slot) -> [u8; DESCRIPTOR] {
    let mut out = [0; DESCRIPTOR];
    let Checksum::Full(checksum) = slot.checksum else { unreachable!("a sealed slot has its full digest") };
    out[0..8].copy_from_slice(&i.to_le_bytes());
    out[8..16].copy_from_slice(&Sha256::digest(slot.id.as_bytes())[..8]);
    out[16..24].copy_from_slice(&slot.offset.to_le_bytes());
    out[24..32].copy_from_slice(&slot.size.to_le_bytes());
    out[32..40].copy_from_slice(&slot.original_size.unwrap_or(0).to_le_bytes());
    out[40..48].copy_from_slice(&operations::pack(&slot.operations).to_le_bytes());
    out[48..56].copy_from_slice(&checksum[..8]);
    out[56] = match slot.purpose.as_str() {
        "runtime" | "code" => 1,
        "tool" | "config" => 2,
        "media" => 3,
        _ => 0,
    };
    out[57] = lifecycle_byte(&slot.lifecycle_text);
    out[58] = 128;
    out[59] = match slot.platform.as_deref().map(|p| p.split('_').next().unwrap_or(p)) {
        Some("linux") => 1,
        Some("darwin") => 2,
        Some("windows") => 3,
        _ => 0,
    };
    out[62..64].copy_from_slice(&(slot.permissions as u16).to_le_bytes());
    out
}

fn compare_descriptor(slot: &Slot, derived: &[u8; DESCRIPTOR], stored: &[u8; DESCRIPTOR]) -> Result<()> {
    const FIELDS: [(usize, &str); 13] = [
        (0, "id"),
        (8, "name_hash"),
        (16, "offset"),
        (24, "size"),
        (32, "original_size"),
        (40, "operations"),
        (48, "checksum"),
        (56, "purpose"),
        (57, "lifecycle"),
        (58, "priority"),
        (59, "platform"),
        (60, "reserved"),
        (62, "permissions"),
    ];
    let Some(at) = (0..DESCRIPTOR).find(|at| derived[*at] != stored[*at]) else { return Ok(()) };
    let field = FIELDS.iter().rev().find(|(start, _)| *start <= at).map_or("", |f| f.1);
    Err(Failure::new("SEAL_TABLE").with("slot", &slot.id).with("field", field))
}

fn compare_index(package: &Package, plan: &Plan, end: u64) -> Result<()> {
    let seal = plan.seal.as_ref().expect("only called for sealed packages");
    let derived = derive_index(package, plan, seal, end);
    match derived.iter().zip(package.index.bytes()).position(|(a, b)| a != b) {
        Some(offset) => Err(Failure::new("SEAL_INDEX").with("offset", offset)),
        None => Ok(()),
    }
}

fn derive_index(package: &Package, plan: &Plan, seal: &Seal, end: u64) -> Box<[u8]> {
    let stored = package.index.bytes();
    let mut out: Box<[u8]> = vec![0; INDEX].into();
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    let launcher = plan.launcher.size.unwrap_or(0);
    let metadata_end = package.index.metadata_offset() + package.metadata.len() as u64;
    put(0, &FORMAT_VERSION.to_le_bytes());
    put(8, &(end + TRAILER).to_le_bytes());
    put(16, &launcher.to_le_bytes());
    put(24, &launcher.to_le_bytes());
    put(32, &(package.metadata.len() as u64).to_le_bytes());
    put(40, &metadata_end.next_multiple_of(8).to_le_bytes());
    put(48, &((plan.slots.len() * DESCRIPTOR) as u64).to_le_bytes());
    put(56, &(plan.slots.len() as u32).to_le_bytes());
    put(KEY, &stored[KEY..KEY + 32]);
    put(96, &stored[96..128]);
    put(SIGNATURES.start, used_signatures(&stored[SIGNATURES]));
    put(644, &4096u32.to_le_bytes());
    put(704, &seal.build_timestamp.to_le_bytes());
    put(744, &seal.source_hash);
    put(776, &seal.dependency_hash);
    put(808, &seal.license_id);
    put(832, &capabilities(plan).to_le_bytes());
    put(856, &FORMAT_VERSION.to_le_bytes());
    put(860, &1u32.to_le_bytes());
    let checksum = index_checksum(&out, 4);
    out[4..8].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// Bit 7: signed; bit 6: a slot is encrypted.
fn capabilities(plan: &Plan) -> u64 {
    128 | if plan.slots.iter().any(|slot| slot.encryption.is_some()) { 64 } else { 0 }
}

/// The signature and the co-signature places in use; what follows them must be zero.
fn used_signatures(area: &[u8]) -> &[u8] {
    let places = area[64..].chunks_exact(PLACE).take(4).take_while(|place| place.iter().any(|b| *b != 0)).count();
    &area[..64 + places * PLACE]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_small_order_or_odd_encoding_are_refused() {
        let mut small = [[0u8; 32]; 6];
        small[1][0] = 1;
        small[2] = [0xff; 32];
        small[2][0] = 0xec;
        small[2][31] = 0x7f;
        small[3][31] = 0x80;
        // Non-canonical encodings of 0 and 1.
        small[4] = small[2];
        small[4][0] = 0xed;
        small[5] = small[2];
        small[5][0] = 0xee;
        for key in &small {
            assert!(strict_key(key).is_none(), "{key:02x?}");
        }
        let seed = crate::hex::decode32("d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d").unwrap();
        assert!(strict_key(&seed).is_some());
    }
}
