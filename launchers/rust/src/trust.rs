//! Step 4, trust: whether the person who runs the package trusts one of its signers (launcher.md, "Trust store").

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result, reason};
use crate::log;
use crate::place::{self, absolute_variable};
use crate::{hex, seal};

const MAX_FILE: u64 = 1 << 20;

pub struct Store {
    pub dir: PathBuf,
    keys: Vec<[u8; 32]>,
    revoked: Vec<[u8; 32]>,
    pins: Vec<(String, [u8; 32])>,
}

/// How a key is shown.
pub fn fingerprint(key: &[u8; 32]) -> String {
    format!("ed25519:{}", hex::encode(key))
}

/// Judges the signers of package `name` in `file` and applies the validation level. `Some(true)`: trusted; `None`: there is no store.
pub fn check(file: &Path, name: &str, signers: &[[u8; 32]]) -> Result<Option<bool>> {
    let strict = strict_level()?;
    let Some(store) = open()? else { return Ok(None) };
    match judge(&store, name, signers) {
        None => Ok(Some(true)),
        Some(failure) if strict => Err(failure),
        Some(failure) => {
            log::warning(&failure.with("file", file.display()));
            Ok(Some(false))
        }
    }
}

fn strict_level() -> Result<bool> {
    match std::env::var_os("SEALIFT_VALIDATION") {
        None => Ok(true),
        Some(level) if level.is_empty() || level == "strict" => Ok(true),
        Some(level) if level == "relaxed" => Ok(false),
        Some(level) => Err(Failure::new("VALIDATION_LEVEL").with("actual", level.to_string_lossy())),
    }
}

pub fn judge(store: &Store, name: &str, signers: &[[u8; 32]]) -> Option<Failure> {
    let refuse = |code, key| Some(Failure::new(code).with("key", fingerprint(key)).with("store", store.dir.display()).with("name", name));
    if let Some(key) = signers.iter().find(|key| store.revoked.contains(key)) {
        return refuse("TRUST_REVOKED", key);
    }
    let pinned: Vec<_> = store.pins.iter().filter(|(package, _)| package == name).map(|(_, key)| key).collect();
    if !pinned.is_empty() && !signers.iter().any(|key| pinned.contains(&key)) {
        return refuse("TRUST_PIN", &signers[0]);
    }
    if !signers.iter().any(|key| store.keys.contains(key)) {
        return refuse("TRUST_UNKNOWN", &signers[0]);
    }
    None
}

/// The store that applies, or none when no folder holds one.
pub fn open() -> Result<Option<Store>> {
    if let Some(dir) = absolute_variable("SEALIFT_TRUST_DIR")? {
        let files = list(&dir)?;
        return load(dir, files).map(Some);
    }
    let user = place::config_folder()?.map(|folder| folder.join("trust.d"));
    for dir in user.into_iter().chain([PathBuf::from("/etc/sealift/trust.d")]) {
        if !dir.is_dir() {
            continue;
        }
        let files = list(&dir)?;
        if !files.is_empty() {
            return load(dir, files).map(Some);
        }
    }
    Ok(None)
}

/// Names of the files in a store that mean something.
fn list(dir: &Path) -> Result<Vec<OsString>> {
    let unusable = |e: std::io::Error| unusable(dir, reason(&e));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        if role(Path::new(&name)).is_some() {
            files.push(name);
        }
    }
    files.sort_unstable();
    Ok(files)
}

enum Role {
    Trusted,
    Revoked,
    Pins,
}

fn role(name: &Path) -> Option<Role> {
    match name.extension().and_then(|e| e.to_str()) {
        Some("pub") => Some(Role::Trusted),
        Some("revoked") => Some(Role::Revoked),
        _ if name == Path::new("pins") => Some(Role::Pins),
        _ => None,
    }
}

fn load(dir: PathBuf, files: Vec<OsString>) -> Result<Store> {
    let mut store = Store { dir, keys: Vec::new(), revoked: Vec::new(), pins: Vec::new() };
    for name in files {
        let path = store.dir.join(&name);
        let text = read_text(&path).map_err(|detail| unusable(&store.dir, format!("{}: {detail}", name.to_string_lossy())))?;
        let malformed = |detail: &str| unusable(&store.dir, format!("{}: {detail}", name.to_string_lossy()));
        match role(Path::new(&name)) {
            Some(Role::Pins) => store.pins = parse_pins(&text).map_err(malformed)?,
            Some(Role::Revoked) => store.revoked.push(parse_key(&text).map_err(malformed)?),
            _ => store.keys.push(parse_key(&text).map_err(malformed)?),
        }
    }
    Ok(store)
}

fn unusable(dir: &Path, detail: String) -> Failure {
    Failure::new("TRUST_STORE").with("store", dir.display()).with("detail", detail)
}

fn read_text(path: &Path) -> std::result::Result<String, String> {
    let info = fs::metadata(path).map_err(|e| reason(&e))?;
    if !info.is_file() || info.len() > MAX_FILE {
        return Err("not a small regular file".into());
    }
    fs::read_to_string(path).map_err(|e| reason(&e))
}

/// An Ed25519 public key in PEM (SPKI, RFC 8410): one block, text around it is allowed.
fn parse_key(text: &str) -> std::result::Result<[u8; 32], &'static str> {
    const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let single = text.matches("-----BEGIN ").count() == 1;
    let body = text.split_once("-----BEGIN PUBLIC KEY-----").and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"));
    let der = body.filter(|_| single).and_then(|(body, _)| base64(body)).ok_or("not a PEM public key")?;
    let key = der.strip_prefix(&SPKI).and_then(|key| <[u8; 32]>::try_from(key).ok()).ok_or("not an Ed25519 public key")?;
    seal::strict_key(&key).map(|_| key).ok_or("not a valid Ed25519 key")
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let unpadded = digits.strip_suffix(b"==").or_else(|| digits.strip_suffix(b"=")).unwrap_or(&digits);
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in unpadded {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

fn parse_pins(text: &str) -> std::result::Result<Vec<(String, [u8; 32])>, &'static str> {
    let mut pins = Vec::new();
    for line in text.lines() {
        let mut parts = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(name) = parts.next() else { continue };
        match (parts.next().and_then(|key| hex::decode32(&key.to_ascii_lowercase())), parts.next()) {
            (Some(key), None) => pins.push((name.to_string(), key)),
            _ => return Err("a line is not a package name and 64 hex digits"),
        }
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "d27367ba3d436463c468ecc68cfd2735b4d33b6be611355d72ac03666b47335d";
    const PEM: &str =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA0nNnuj1DZGPEaOzGjP0nNbTTO2vmETVdcqwDZmtHM10=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn a_pem_key_is_read_and_damage_is_refused() {
        assert_eq!(hex::encode(&parse_key(PEM).unwrap()), KEY);
        assert_eq!(hex::encode(&parse_key(&format!("ours:\n{PEM}ask us\n")).unwrap()), KEY);
        for bad in ["", "garbage", &format!("{PEM}{PEM}"), &PEM.replace("MCow", "MCox"), &PEM.replace("M10=", "M1="), &PEM[..40]] {
            assert!(parse_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn revocation_comes_first_then_pins_then_keys() {
        let key = hex::decode32(KEY).unwrap();
        let mut store = Store { dir: "/t".into(), keys: vec![], revoked: vec![], pins: vec![] };
        let code = |store: &Store, signers: &[[u8; 32]]| judge(store, "app", signers).map(|f| f.code);
        assert_eq!(code(&store, &[key]), Some("TRUST_UNKNOWN"));
        store.keys.push(key);
        assert_eq!(code(&store, &[key]), None);
        assert_eq!(code(&store, &[[7; 32], key]), None);
        store.pins.push(("other".into(), [9; 32]));
        assert_eq!(code(&store, &[key]), None);
        store.pins.push(("app".into(), [9; 32]));
        assert_eq!(code(&store, &[key]), Some("TRUST_PIN"));
        assert_eq!(code(&store, &[[9; 32]]), Some("TRUST_UNKNOWN"));
        assert_eq!(code(&store, &[key, [9; 32]]), None);
        store.revoked.push([9; 32]);
        assert_eq!(code(&store, &[key, [9; 32]]), Some("TRUST_REVOKED"));
    }

    #[test]
    fn pins_have_comments_and_no_slack() {
        let text = format!("# mine\n\napp {KEY}\n  other\t{KEY} # theirs\nthird {}\n", KEY.to_uppercase());
        assert_eq!(parse_pins(&text).unwrap().len(), 3);
        for bad in ["app", "app xyz", &format!("app {KEY} more"), &format!("app {KEY}0")] {
            assert!(parse_pins(bad).is_err(), "{bad}");
        }
    }
}
