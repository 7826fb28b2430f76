//! Step 7, unpack: from stored bytes to decoded bytes, streaming, bounded, one hash pass over the stored bytes.

use std::io::{self, BufRead, BufReader, Read};

use sha2::{Digest, Sha256};
use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use crate::failure::Failure;
use crate::locate::{Image, read_at};
use crate::operations::Operation;

const BUFFER: usize = 128 << 10;
/// xz -9 needs 65 MiB; nothing sensible needs more.
const XZ_MEMORY: u64 = 192 << 20;
/// Window of a single zstd stream, as a power of two (format.md section 10) and of a chunk (section 5).
const STREAM_WINDOW: u32 = 27;
pub const CHUNK_WINDOW: u64 = 8 << 20;
const CHUNK_WINDOW_LOG: u32 = 23;

/// A range of the package file; hashes what it hands out.
pub struct Section<'a> {
    image: &'a Image,
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    taken: usize,
    hash: Option<Sha256>,
}

impl<'a> Section<'a> {
    pub fn new(image: &'a Image, offset: u64, size: u64, hash: bool) -> Self {
        let capacity = (2 * BUFFER as u64).min(size) as usize;
        let hash = hash.then(Sha256::new);
        Section { image, at: offset, end: offset + size, buffer: Vec::with_capacity(capacity), taken: 0, hash }
    }

    /// Reads to the end. Returns the digest of the whole range and whether the decoders left anything unread.
    pub fn finish(mut self) -> io::Result<([u8; 32], bool)> {
        let mut unread = false;
        loop {
            let n = self.fill_buf()?.len();
            if n == 0 {
                break;
            }
            unread = true;
            self.consume(n);
        }
        Ok((self.hash.take().unwrap_or_default().finalize().into(), unread))
    }
}

impl BufRead for Section<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.buffer.len() && self.at < self.end {
            let n = self.buffer.capacity().min((self.end - self.at) as usize);
            self.buffer.resize(n, 0);
            read_at(&self.image.file, &mut self.buffer, self.at)?;
            if let Some(hash) = &mut self.hash {
                hash.update(&self.buffer);
            }
            self.at += n as u64;
            self.taken = 0;
        }
        Ok(&self.buffer[self.taken..])
    }

    fn consume(&mut self, n: usize) {
        self.taken += n;
    }
}

impl Read for Section<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        copy_out(self, out)
    }
}

pub fn copy_out(from: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let available = from.fill_buf()?;
    let n = available.len().min(out.len());
    out[..n].copy_from_slice(&available[..n]);
    from.consume(n);
    Ok(n)
}

/// The decoders of a chain around `input`; `tar` is left to the caller, and so is encryption, which is the outermost layer.
pub fn decoder<'a>(chain: &[Operation], input: &'a mut dyn BufRead) -> io::Result<Box<dyn BufRead + 'a>> {
    let mut reader: Box<dyn BufRead + 'a> = Box::new(input);
    for operation in chain.iter().rev() {
        reader = match operation {
            Operation::Tar | Operation::Aes256Gcm => reader,
            Operation::Gzip => buffered(flate2::bufread::MultiGzDecoder::new(reader)),
            Operation::Bzip2 => buffered(bzip2::bufread::MultiBzDecoder::new(reader)),
            Operation::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
                buffered(liblzma::bufread::XzDecoder::new_stream(reader, stream))
            }
            Operation::Zstd => Box::new(Zstd::new(reader, STREAM_WINDOW)),
        };
    }
    Ok(reader)
}

fn buffered<'a>(reader: impl Read + 'a) -> Box<dyn BufRead + 'a> {
    Box::new(BufReader::with_capacity(BUFFER, reader))
}

/// One chunk, streaming: a window of 8 MiB at most.
pub fn chunk_decoder<'a>(input: &'a mut dyn BufRead) -> Box<dyn BufRead + 'a> {
    Box::new(Zstd::new(input, CHUNK_WINDOW_LOG))
}

/// zstd frames one after another.
struct Zstd<R> {
    input: R,
    context: DCtx<'static>,
    buffer: Vec<u8>,
    taken: usize,
    inside: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(input: R, window: u32) -> Self {
        let mut context = DCtx::create();
        // Both calls can only fail for values out of range.
        let _ = context.reset(ResetDirective::SessionAndParameters);
        let _ = context.set_parameter(DParameter::WindowLogMax(window));
        Zstd { input, context, buffer: Vec::with_capacity(BUFFER), taken: 0, inside: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.taken = 0;
        loop {
            let input = self.input.fill_buf()?;
            let ended = input.is_empty();
            if ended && !self.inside {
                return Ok(());
            }
            let mut from = InBuffer::around(input);
            let mut to = OutBuffer::around(&mut self.buffer);
            let hint = self.context.decompress_stream(&mut to, &mut from).map_err(zstd_error)?;
            let (consumed, produced) = (from.pos(), to.pos());
            self.input.consume(consumed);
            self.inside = hint != 0;
            if produced > 0 {
                return Ok(());
            }
            if ended && self.inside {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "zstd: the data is cut off"));
            }
        }
    }
}

pub fn zstd_error(code: usize) -> io::Error {
    io::Error::other(format!("zstd: {}", zstd_safe::get_error_name(code)))
}

impl<R: BufRead> BufRead for Zstd<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.buffer.len() {
            self.refill()?;
        }
        Ok(&self.buffer[self.taken..])
    }

    fn consume(&mut self, n: usize) {
        self.taken += n;
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        copy_out(self, out)
    }
}

/// Checks a chunk's frame header (RFC 8878, section 3.1.1): its content size, and a window of 8 MiB at most.
pub fn check_frame(head: &[u8], original: u64) -> Result<(), &'static str> {
    let cut = "a chunk is cut off";
    let rest = head.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd]).ok_or("a chunk is not a zstd frame")?;
    let (descriptor, mut rest) = rest.split_first().ok_or(cut)?;
    let single_segment = descriptor & 0x20 != 0;
    let mut window = None;
    if !single_segment {
        let (byte, behind) = rest.split_first().ok_or(cut)?;
        let base = 1u64 << (10 + (byte >> 3));
        window = Some(base + base / 8 * u64::from(byte & 7));
        rest = behind;
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    rest = rest.get(dictionary..).ok_or(cut)?;
    let field = [usize::from(single_segment), 2, 4, 8][usize::from(descriptor >> 6)];
    let mut bytes = [0; 8];
    bytes[..field].copy_from_slice(rest.get(..field).ok_or(cut)?);
    let size = u64::from_le_bytes(bytes) + if field == 2 { 256 } else { 0 };
    if field == 0 || size != original {
        return Err("a chunk does not say its signed size");
    }
    if window.unwrap_or(size) > CHUNK_WINDOW {
        return Err("a chunk needs a window of more than 8 MiB");
    }
    Ok(())
}

/// Lets exactly `size` bytes through when it is known, never more than `limit`.
pub struct Bounded<'a> {
    input: &'a mut dyn BufRead,
    left: u64,
    exact: bool,
    limit: u64,
    progress: &'a dyn Fn(u64),
}

impl<'a> Bounded<'a> {
    pub fn new(input: &'a mut dyn BufRead, limit: u64, exact: bool, progress: &'a dyn Fn(u64)) -> Self {
        Bounded { input, left: limit, exact, limit, progress }
    }
}

impl BufRead for Bounded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let available = self.input.fill_buf()?;
        if self.left == 0 && !available.is_empty() {
            return Err(Failure::new("UNPACK_SIZE").with("expected", self.limit).into());
        }
        if available.is_empty() && self.exact && self.left > 0 {
            let detail = format!("it expands to {} bytes, not to its signed {}", self.limit - self.left, self.limit);
            return Err(Failure::new("UNPACK").with("detail", detail).into());
        }
        let n = available.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&available[..n])
    }

    fn consume(&mut self, n: usize) {
        self.left -= n as u64;
        (self.progress)(n as u64);
        self.input.consume(n);
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        copy_out(self, out)
    }
}
