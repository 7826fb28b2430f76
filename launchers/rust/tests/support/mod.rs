//! A second, independent writer of the sealed profile (docs/reference/format.md), and a sandbox to start packages in.
//! It signs whatever it is given, so that tests can say what an honest writer never would.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod archive;
pub mod sandbox;

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use archive::Entry;
pub use sandbox::Sandbox;

pub const TRAILER: usize = 8200;

/// One slot: its bytes before the operations, and what the JSON says of it.
#[derive(Clone)]
pub struct Slot {
    pub id: String,
    pub target: String,
    pub operations: String,
    pub content: Vec<u8>,
    pub lifecycle: String,
    pub purpose: String,
    pub permissions: String,
    pub platform: Option<String>,
    pub share: bool,
    /// Sizes of chunks of the content; empty for one stream.
    pub chunks: Vec<usize>,
    pub level: i32,
    /// Keys merged over the slot's JSON.
    pub more: Value,
}

pub fn file(id: &str, target: &str, content: &[u8]) -> Slot {
    Slot {
        id: id.into(),
        target: target.into(),
        operations: "zstd".into(),
        content: content.into(),
        lifecycle: "runtime".into(),
        purpose: "data".into(),
        permissions: "0755".into(),
        platform: None,
        share: false,
        chunks: vec![],
        level: 3,
        more: json!({}),
    }
}

pub fn tar(id: &str, target: &str, entries: &[Entry]) -> Slot {
    Slot { operations: "tar|zstd".into(), ..file(id, target, &archive::write(entries)) }
}

impl Slot {
    pub fn lifecycle(mut self, lifecycle: &str) -> Self {
        self.lifecycle = lifecycle.into();
        self
    }

    pub fn operations(mut self, operations: &str) -> Self {
        self.operations = operations.into();
        self
    }

    pub fn shared(mut self) -> Self {
        self.share = true;
        self
    }

    pub fn stored(&self) -> (Vec<u8>, Vec<(usize, usize)>) {
        if self.chunks.is_empty() {
            return (archive::pack(&self.content, &self.operations, self.level), vec![]);
        }
        let (mut stored, mut sizes, mut at) = (Vec::new(), Vec::new(), 0);
        for size in &self.chunks {
            let frame = archive::zstd(&self.content[at..at + size], self.level);
            sizes.push((frame.len(), *size));
            stored.extend(frame);
            at += size;
        }
        assert_eq!(at, self.content.len());
        (stored, sizes)
    }
}

pub struct Package {
    pub name: String,
    pub version: String,
    pub launcher: Vec<u8>,
    pub slots: Vec<Slot>,
    /// Sections of the JSON, merged over the honest document; null removes a key.
    pub sections: Value,
    /// The whole JSON text, signed as it is.
    pub text: Option<String>,
    pub sealed: bool,
    pub seeds: Vec<[u8; 32]>,
}

pub fn launcher() -> Vec<u8> {
    std::fs::read(env!("CARGO_BIN_EXE_sealift-launcher")).unwrap()
}

pub fn package(name: &str, slots: Vec<Slot>, sections: Value) -> Package {
    Package {
        name: name.into(),
        version: "1.0.0".into(),
        launcher: launcher(),
        slots,
        sections,
        text: None,
        sealed: true,
        seeds: vec![[7; 32]],
    }
}

pub fn public_key(seed: [u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(&seed).verifying_key().to_bytes()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn align8(n: usize) -> usize {
    n.next_multiple_of(8)
}

impl Package {
    pub fn build(&self) -> Vec<u8> {
        let stored: Vec<_> = self.slots.iter().map(Slot::stored).collect();
        let text = self.text.clone().unwrap_or_else(|| self.json(&stored).to_string());
        self.assemble(text.as_bytes(), &stored)
    }

    pub fn json(&self, stored: &[(Vec<u8>, Vec<(usize, usize)>)]) -> Value {
        let slots: Vec<Value> = self.slots.iter().zip(stored).enumerate().map(|(i, (slot, stored))| slot_json(i, slot, stored)).collect();
        let mut document = json!({
            "format": "PSPF/2025", "format_version": "1.0.0",
            "package": { "name": self.name, "version": self.version },
            "slots": slots,
            "launcher": { "tool": "test", "tool_version": "1", "size": self.launcher.len(), "checksum": digest(&self.launcher) },
        });
        if self.sealed {
            document["seal"] = json!({ "version": 1, "index": { "build_timestamp": 315532800, "license_id": "Apache-2.0" } });
        }
        merge(&mut document, &self.sections);
        document
    }

    /// Lays the regions out as section 1 says and signs `json`.
    pub fn assemble(&self, json: &[u8], stored: &[(Vec<u8>, Vec<(usize, usize)>)]) -> Vec<u8> {
        let metadata = if self.sealed { archive::gzip_stored(json) } else { archive::gzip(json) };
        let mut out = self.launcher.clone();
        if !self.sealed {
            out.resize(out.len() + 8192, 0); // the hole that an earlier builder leaves
        }
        let metadata_offset = out.len();
        out.extend(&metadata);
        out.resize(align8(out.len()), 0);
        let table_offset = out.len();
        out.resize(out.len() + 64 * self.slots.len(), 0);
        for (i, (slot, (bytes, _))) in self.slots.iter().zip(stored).enumerate() {
            out.resize(align8(out.len()), 0);
            let descriptor = self.descriptor(i, slot, bytes, out.len());
            out[table_offset + 64 * i..][..64].copy_from_slice(&descriptor);
            out.extend(bytes);
        }
        let index = self.index(json, &metadata, metadata_offset, table_offset, out.len() + TRAILER);
        out.extend([0xf0, 0x9f, 0x93, 0xa6]);
        out.extend(index);
        out.extend([0xf0, 0x9f, 0xaa, 0x84]);
        out
    }

    fn descriptor(&self, i: usize, slot: &Slot, bytes: &[u8], offset: usize) -> [u8; 64] {
        let mut out = [0; 64];
        let mut u64 = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
        u64(0, i as u64);
        u64(16, offset as u64);
        u64(24, bytes.len() as u64);
        u64(32, slot.content.len() as u64);
        u64(40, archive::packed(&slot.operations));
        out[8..16].copy_from_slice(&Sha256::digest(slot.id.as_bytes())[..8]);
        out[48..56].copy_from_slice(&Sha256::digest(bytes)[..8]);
        out[56] = match slot.purpose.as_str() {
            "runtime" | "code" => 1,
            "tool" | "config" => 2,
            "media" => 3,
            _ => 0,
        };
        out[57] = match slot.lifecycle.as_str() {
            "init" => 0,
            "startup" | "volatile" => 1,
            "shutdown" => 3,
            "cache" => 4,
            "temp" | "temporary" => 5,
            "lazy" => 6,
            "eager" => 7,
            "dev" => 8,
            "config" | "persistent" => 9,
            "platform" => 10,
            _ => 2,
        };
        out[58] = 128;
        out[59] = match slot.platform.as_deref().unwrap_or_default() {
            p if p.starts_with("linux") => 1,
            p if p.starts_with("darwin") => 2,
            p if p.starts_with("windows") => 3,
            _ => 0,
        };
        let mode = u16::from_str_radix(&slot.permissions, 8).unwrap();
        out[62..64].copy_from_slice(&mode.to_le_bytes());
        out
    }

    fn index(&self, json: &[u8], metadata: &[u8], metadata_offset: usize, table_offset: usize, size: usize) -> Vec<u8> {
        let mut out = vec![0u8; 8192];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &0x2025_0001u32.to_le_bytes());
        for (at, value) in [
            (8, size),
            (16, self.launcher.len()),
            (24, metadata_offset),
            (32, metadata.len()),
            (40, table_offset),
            (48, 64 * self.slots.len()),
        ] {
            put(at, &(value as u64).to_le_bytes());
        }
        put(56, &(self.slots.len() as u32).to_le_bytes());
        put(96, &Sha256::digest(metadata));
        for (i, seed) in self.seeds.iter().enumerate() {
            let key = SigningKey::from_bytes(seed);
            let signature = key.sign(json).to_bytes();
            match i {
                0 => {
                    put(64, &key.verifying_key().to_bytes());
                    put(128, &signature);
                }
                _ => {
                    put(192 + 96 * (i - 1), &key.verifying_key().to_bytes());
                    put(192 + 96 * (i - 1) + 32, &signature);
                }
            }
        }
        put(644, &4096u32.to_le_bytes());
        put(704, &315532800u64.to_le_bytes());
        put(808, b"Apache-2.0");
        put(832, &128u64.to_le_bytes());
        put(856, &0x2025_0001u32.to_le_bytes());
        put(860, &1u32.to_le_bytes());
        repair_checksum(&mut out);
        out
    }
}

fn slot_json(i: usize, slot: &Slot, (stored, sizes): &(Vec<u8>, Vec<(usize, usize)>)) -> Value {
    let mut out = json!({
        "slot": i, "id": slot.id, "source": slot.id, "target": slot.target, "size": stored.len(), "original_size": slot.content.len(),
        "checksum": digest(stored), "operations": slot.operations, "purpose": slot.purpose, "lifecycle": slot.lifecycle,
        "resolution": "build", "permissions": slot.permissions,
    });
    if let Some(platform) = &slot.platform {
        out["platform"] = json!(platform);
    }
    if slot.share {
        out["share"] = json!(true);
    }
    if !sizes.is_empty() {
        out["chunks"] = json!(sizes);
    }
    merge(&mut out, &slot.more);
    out
}

fn merge(document: &mut Value, over: &Value) {
    let empty = Map::new();
    for (key, value) in over.as_object().unwrap_or(&empty) {
        match value {
            Value::Null => drop(document.as_object_mut().unwrap().remove(key)),
            _ => document[key] = value.clone(),
        }
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Adler-32 of an index block with its own field as zero, written into it.
pub fn repair_checksum(index: &mut [u8]) {
    index[4..8].fill(0);
    let (a, b) = index.iter().fold((1u64, 0u64), |(a, b), byte| {
        let a = (a + u64::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    index[4..8].copy_from_slice(&((b << 16 | a) as u32).to_le_bytes());
}

/// Repairs the checksum of the index of a whole package file.
pub fn repair_package(file: &mut [u8]) {
    let start = file.len() - TRAILER + 4;
    repair_checksum(&mut file[start..start + 8192]);
}
