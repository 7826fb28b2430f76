//! AES-256-GCM, optimised for speed. The cipher's code is generic, so it is compiled with the settings of the crate that names its
//! types; the launcher itself is compiled for size, which makes it ten times slower.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

/// Bytes of a tag.
pub const TAG: usize = 16;

/// An expanded key.
pub struct Key(Aes256Gcm);

impl Key {
    pub fn new(key: &[u8; 32]) -> Key {
        Key(Aes256Gcm::new(key.into()))
    }

    /// Decrypts what is behind ciphertext and tag, in place, and takes the tag off; false when it does not authenticate.
    pub fn open(&self, nonce: &[u8; 12], sealed: &mut Vec<u8>) -> bool {
        let Some(length) = sealed.len().checked_sub(TAG) else { return false };
        let (content, tag) = sealed.split_at_mut(length);
        let Ok(tag) = Tag::try_from(&*tag) else { return false };
        let opened = self.0.decrypt_inout_detached(&Nonce::from(*nonce), &[], content.into(), &tag);
        sealed.truncate(length);
        opened.is_ok()
    }
}
