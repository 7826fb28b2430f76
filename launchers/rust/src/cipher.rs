//! Step 7, unpack: the chunks of an encrypted slot (format.md section 11). The nonce counts the chunks and marks the last
//! one, so a chunk that was cut off, repeated or moved does not authenticate.

use std::io::{self, BufRead, Read};

use crate::failure::Failure;

/// Plain bytes of every chunk but the last.
pub const CHUNK: u64 = 1 << 20;
const TAG: u64 = gcm::TAG as u64;

/// The key of a slot.
pub struct Cipher(gcm::Key);

impl Cipher {
    pub fn new(key: &[u8; 32]) -> Cipher {
        Cipher(gcm::Key::new(key))
    }

    /// Decrypts chunk `number` in place and takes its tag off; false when it does not authenticate.
    pub fn open(&self, number: u64, last: bool, chunk: &mut Vec<u8>) -> bool {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        self.0.open(&nonce, chunk)
    }
}

/// Stored bytes of the chunk that begins where `left` bytes are left.
pub fn next_chunk(left: u64) -> usize {
    left.min(CHUNK + TAG) as usize
}

/// Whether chunks can have that many stored bytes: none is empty, but for the one chunk of an empty slot.
pub fn is_stored_size(size: u64) -> bool {
    match size % (CHUNK + TAG) {
        0 => size > 0,
        rest => rest > TAG || size == TAG,
    }
}

/// The plain bytes of `left` stored ones.
pub struct Decrypt<'k, R> {
    input: R,
    cipher: &'k Cipher,
    left: u64,
    number: u64,
    chunk: Vec<u8>,
    taken: usize,
}

impl<'k, R: Read> Decrypt<'k, R> {
    pub fn new(input: R, cipher: &'k Cipher, size: u64) -> Self {
        Decrypt { input, cipher, left: size, number: 0, chunk: Vec::new(), taken: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.taken = 0;
        self.chunk.resize(next_chunk(self.left), 0);
        self.input.read_exact(&mut self.chunk)?;
        self.left -= self.chunk.len() as u64;
        if !self.cipher.open(self.number, self.left == 0, &mut self.chunk) {
            let detail = format!("aes256gcm: chunk {} does not authenticate", self.number);
            self.chunk.clear();
            return Err(Failure::new("UNPACK").with("detail", detail).into());
        }
        self.number += 1;
        Ok(())
    }
}

impl<R: Read> BufRead for Decrypt<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.chunk.len() && self.left > 0 {
            self.refill()?;
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, n: usize) {
        self.taken += n;
    }
}

impl<R: Read> Read for Decrypt<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        crate::codec::copy_out(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_chunks_can_have() {
        for size in [16, 17, 1 << 20, CHUNK + TAG, CHUNK + 2 * TAG + 1, 2 * (CHUNK + TAG)] {
            assert!(is_stored_size(size), "{size}");
        }
        for size in [0, 1, 15, CHUNK + TAG + 1, CHUNK + 2 * TAG] {
            assert!(!is_stored_size(size), "{size}");
        }
    }
}
