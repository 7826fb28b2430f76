//! Step 7, unpack: the key of an encrypted slot: what the signed metadata says of it, where it comes from on this machine,
//! and whether it is the right one, which is known before anything is written (format.md section 11).

use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hkdf::Hkdf;
use sha2::Sha256;

use crate::cipher::{self, Cipher};
use crate::digest;
use crate::failure::{Failure, Result, reason};
use crate::field::Field;
use crate::hex;
use crate::locate::Image;
use crate::operations::Operation;
use crate::plan::{Plan, Slot};
use crate::terminal;

/// A key file, or a passphrase on the terminal, is at most this long.
pub const MAX_TEXT: u64 = 4096;
/// scrypt's own memory: the launcher stays below 64 MiB.
const MAX_SCRYPT: u64 = 32 << 20;

/// How the key of a slot is made.
pub struct Encryption {
    salt: [u8; 32],
    /// For a passphrase.
    scrypt: Option<Scrypt>,
    /// `env:NAME`, `file:PATH` or `prompt`.
    pub source: String,
}

struct Scrypt {
    salt: [u8; 32],
    log_n: u8,
    r: u32,
    p: u32,
}

impl Encryption {
    pub fn read(field: &Field) -> Result<Option<Encryption>> {
        if field.value.is_none() {
            return Ok(None);
        }
        field.map()?;
        let is = |key: &str, value: &str| match field.get(key).text()? {
            Some(text) if text == value => Ok(()),
            _ => Err(field.get(key).wrong(format!("not {value}"))),
        };
        is("algorithm", "AES-256-GCM")?;
        if field.get("chunk").int()? != Some(cipher::CHUNK) {
            return Err(field.get("chunk").wrong(format!("not {}", cipher::CHUNK)));
        }
        let scrypt = match field.get("kdf").text()? {
            Some("scrypt") => Some(read_scrypt(&field.get("scrypt"))?),
            Some("HKDF-SHA256") if field.get("scrypt").value.is_none() => None,
            _ => return Err(field.get("kdf").wrong("not HKDF-SHA256 or scrypt with its parameters")),
        };
        let source = field.get("key_source").text_or("", true)?;
        if !is_source(&source) || source == "prompt" && scrypt.is_none() {
            return Err(field.get("key_source").wrong("not env:NAME, file:PATH or prompt"));
        }
        Ok(Some(Encryption { salt: read_salt(&field.get("salt"))?, scrypt, source }))
    }
}

fn read_salt(field: &Field) -> Result<[u8; 32]> {
    field.hex_digest("")?.ok_or_else(|| field.wrong("missing"))
}

fn read_scrypt(field: &Field) -> Result<Scrypt> {
    let number = |key: &str| field.get(key).required_int(true);
    let (n, r, p) = (number("n")?, number("r")?, number("p")?);
    let sound = (1 << 14..=1 << 18).contains(&n) && n.is_power_of_two() && (1..=32).contains(&r) && (1..=4).contains(&p);
    if !sound || 128 * n * r > MAX_SCRYPT {
        return Err(field.wrong("out of range"));
    }
    Ok(Scrypt { salt: read_salt(&field.get("salt"))?, log_n: n.trailing_zeros() as u8, r: r as u32, p: p as u32 })
}

fn is_source(text: &str) -> bool {
    match text.split_once(':') {
        Some(("env", name)) => {
            let rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            name.bytes().all(rest) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        }
        Some(("file", path)) => !path.is_empty() && path.len() as u64 <= MAX_TEXT && !path.contains(|c: char| c.is_control()),
        _ => text == "prompt",
    }
}

/// What must hold between a sealed slot's `encryption` and its other fields.
pub fn check(field: &Field, slot: &Slot) -> Result<()> {
    let encrypted = slot.operations.last() == Some(&Operation::Aes256Gcm);
    if encrypted != slot.encryption.is_some() {
        return Err(field.get("encryption").wrong("it and the operation aes256gcm go together"));
    }
    if encrypted && slot.share {
        return Err(field.get("share").wrong("an encrypted slot is not shared"));
    }
    if encrypted && !cipher::is_stored_size(slot.size) {
        return Err(field.get("size").wrong("not a size of encrypted chunks"));
    }
    Ok(())
}

/// Variables that hold keys: the program does not get them.
pub fn variables(plan: &Plan) -> Vec<&str> {
    plan.slots.iter().filter_map(|slot| slot.encryption.as_ref()?.source.strip_prefix("env:")).collect()
}

/// Keys that were found right, by the offset of their slot: nobody is asked twice.
static OPENED: Mutex<Vec<(u64, Arc<Cipher>)>> = Mutex::new(Vec::new());

/// The key of `slot`, tried on its first chunk; `None` when it is not encrypted.
pub fn open(image: &Image, slot: &Slot) -> Result<Option<Arc<Cipher>>> {
    let Some(encryption) = &slot.encryption else { return Ok(None) };
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, cipher)) = opened.iter().find(|(offset, _)| *offset == slot.offset) {
        return Ok(Some(cipher.clone()));
    }
    let named = |failure: Failure| failure.with("slot", &slot.id).with("source", &encryption.source);
    let text = find(image, slot, &encryption.source).map_err(named)?;
    let key = derive(encryption, &slot.id, &text).map_err(named)?;
    let cipher = Arc::new(Cipher::new(&key));
    let length = cipher::next_chunk(slot.size);
    let mut first = image.read(slot.offset, length)?;
    if !cipher.open(0, length as u64 == slot.size, &mut first) {
        // Damage looks the same, but then the signed digest differs too.
        digest::check_slot(image, slot)?;
        return Err(named(Failure::new("KEY_WRONG")));
    }
    opened.push((slot.offset, cipher.clone()));
    Ok(Some(cipher))
}

fn missing(detail: impl std::fmt::Display) -> Failure {
    Failure::new("KEY_MISSING").with("detail", detail)
}

/// What the source holds, as it is.
fn find(image: &Image, slot: &Slot, source: &str) -> Result<Vec<u8>> {
    let text = match source.split_once(':') {
        Some(("env", name)) => std::env::var_os(name).unwrap_or_default().into_vec(),
        Some((_, path)) => read_file(&place(image, path)).map_err(|e| missing(reason(&e)))?,
        None => {
            let question = format!("Passphrase of slot {}: ", slot.id);
            terminal::ask(&question).map_err(|_| missing("there is no terminal to ask for it"))?
        }
    };
    if text.is_empty() { Err(missing("it is empty or not set")) } else { Ok(text) }
}

/// Absolute, in the home folder, or beside the package.
fn place(image: &Image, path: &str) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(rest),
        None => image.path.parent().unwrap_or(Path::new("/")).join(path),
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(MAX_TEXT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_TEXT { Err(io::Error::other("it is longer than 4,096 bytes")) } else { Ok(text) }
}

fn derive(encryption: &Encryption, id: &str, text: &[u8]) -> Result<[u8; 32]> {
    let master = match &encryption.scrypt {
        None => raw_key(text).ok_or_else(|| missing("it holds no key: 64 hex digits, 44 characters of base64, or a file of 32 bytes"))?,
        Some(scrypt) => {
            let mut master = [0; 32];
            let params = scrypt::Params::new(scrypt.log_n, scrypt.r, scrypt.p).expect("checked with the metadata");
            scrypt::scrypt(without_line_end(text), &scrypt.salt, &params, &mut master).expect("32 bytes");
            master
        }
    };
    let mut key = [0; 32];
    let info: [&[u8]; 2] = [b"sealift slot 1 ", id.as_bytes()];
    Hkdf::<Sha256>::new(Some(&encryption.salt), &master).expand_multi_info(&info, &mut key).expect("32 bytes");
    Ok(key)
}

/// The line break that an editor puts at the end of a file is not part of a passphrase.
fn without_line_end(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn raw_key(text: &[u8]) -> Option<[u8; 32]> {
    let trimmed = text.trim_ascii();
    let spelled = std::str::from_utf8(trimmed).ok().and_then(|text| hex::decode32(&text.to_ascii_lowercase()));
    spelled.or_else(|| base64(trimmed)).or_else(|| text.try_into().ok())
}

/// 32 bytes in the alphabet of RFC 4648, section 4, with the padding.
fn base64(text: &[u8]) -> Option<[u8; 32]> {
    let digits = text.strip_suffix(b"=").filter(|digits| digits.len() == 43)?;
    let mut key = [0; 32];
    let (mut bits, mut count, mut at) = (0u32, 0, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            key[at] = (bits >> count) as u8;
            at += 1;
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_raw_key() {
        let key: [u8; 32] = std::array::from_fn(|i| (i * 37) as u8);
        let spelled = hex::encode(&key);
        for text in
            [spelled.clone(), spelled.to_uppercase(), format!("{spelled}\r\n"), "ACVKb5S53gMoTXKXvOEGK1B1mr/kCS5TeJ3C5wwxVns=\n".into()]
        {
            assert_eq!(raw_key(text.as_bytes()), Some(key), "{text}");
        }
        assert_eq!(raw_key(&key), Some(key));
        for bad in [&spelled[1..], "passphrase", "ACVKb5S53gMoTXKXvOEGK1B1mr_kCS5TeJ3C5wwxVns="] {
            assert_eq!(raw_key(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn sources() {
        for good in ["env:A_1", "env:_", "file:~/k", "file:../k", "file:/etc/k", "prompt"] {
            assert!(is_source(good), "{good}");
        }
        for bad in ["", "env:", "env:1A", "env:A=B", "file:", "file:a\nb", "prompt:", "PROMPT", "keyring:x"] {
            assert!(!is_source(bad), "{bad}");
        }
    }
}
