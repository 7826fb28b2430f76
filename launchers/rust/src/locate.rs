//! Step 1, locate: the own file, its trailer and index block, and where every region lies (format.md sections 1 and 7).
//! Nothing here is trusted yet: each number is checked against the file before it is used or allocated.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

pub const TRAILER: u64 = 8200;
pub const INDEX: usize = 8192;
pub const DESCRIPTOR: usize = 64;
pub const FORMAT_VERSION: u32 = 0x2025_0001;
const MAGIC_START: [u8; 4] = [0xf0, 0x9f, 0x93, 0xa6];
const MAGIC_END: [u8; 4] = [0xf0, 0x9f, 0xaa, 0x84];
const MAX_METADATA_STORED: u64 = 16 << 20;
const MAX_SLOTS: u32 = 65_535;

/// The file that was started.
pub struct Image {
    pub file: File,
    /// Absolute.
    pub path: PathBuf,
    pub size: u64,
}

/// The 8,192 bytes between the two magics.
pub struct Index(Box<[u8]>);

/// A file whose index block is sound: its checksum and sizes fit, its regions are in order.
pub struct Package {
    pub image: Image,
    pub index: Index,
    /// The metadata as it is stored.
    pub metadata: Vec<u8>,
    /// The slot table.
    pub table: Vec<u8>,
}

impl Index {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }

    pub fn launcher_size(&self) -> u64 {
        self.u64(16)
    }

    pub fn metadata_offset(&self) -> u64 {
        self.u64(24)
    }

    pub fn metadata_size(&self) -> u64 {
        self.u64(32)
    }

    pub fn table_offset(&self) -> u64 {
        self.u64(40)
    }

    pub fn slot_count(&self) -> u32 {
        self.u32(56)
    }

    /// The first byte behind the slot table; behind the metadata when a writer without slots gave no table.
    pub fn data_start(&self) -> u64 {
        let table = self.table_offset() + DESCRIPTOR as u64 * u64::from(self.slot_count());
        table.max(self.metadata_offset() + self.metadata_size())
    }
}

impl Image {
    /// The running executable. `/proc/self/exe` names it even when it was moved; where `/proc` is not mounted, the kernel's own
    /// note of what it started does.
    pub fn own() -> Result<Image> {
        let proc_link = Path::new("/proc/self/exe");
        match File::open(proc_link) {
            Ok(file) => {
                let path = std::fs::read_link(proc_link).map_err(|e| Failure::io(proc_link, e))?;
                Image::new(file, path)
            }
            Err(_) => Image::named(&started_as()),
        }
    }

    /// The package FILE of `--run-package FILE`.
    pub fn named(path: &Path) -> Result<Image> {
        let path = std::path::absolute(path).map_err(|e| Failure::io(path, e))?;
        let file = File::open(&path).map_err(|e| Failure::io(&path, e))?;
        Image::new(file, path)
    }

    fn new(file: File, path: PathBuf) -> Result<Image> {
        let info = file.metadata().map_err(|e| Failure::io(&path, e))?;
        if !info.is_file() {
            return Err(Failure::new("PSPF_TRAILER"));
        }
        Ok(Image { file, path, size: info.len() })
    }

    /// Exactly `length` bytes from `offset`; the caller has checked both against the file.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|e| Failure::io(&self.path, e))?;
        Ok(bytes)
    }

    /// Whether something is attached to the launcher: a trailer, or bytes behind the end that its own ELF headers name
    /// (a package that lost its trailer is damaged, not bare).
    pub fn has_package(&self) -> bool {
        if self.size < TRAILER {
            return false;
        }
        let mut magic = [0; 4];
        let ends = self.file.read_exact_at(&mut magic, self.size - 4).is_ok() && magic == MAGIC_END;
        ends || elf_end(&self.file).is_some_and(|end| self.size > end)
    }
}

fn started_as() -> PathBuf {
    // SAFETY: AT_EXECFN is a pointer to a NUL-terminated string that lives as long as the process, or 0.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if name.is_null() {
        return PathBuf::from(std::env::args_os().next().unwrap_or_default());
    }
    // SAFETY: see above.
    PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

/// Where a 64-bit little-endian ELF file ends by its section headers, which a linker puts last.
fn elf_end(file: &File) -> Option<u64> {
    let mut head = [0u8; 64];
    file.read_exact_at(&mut head, 0).ok()?;
    if head[..6] != *b"\x7fELF\x02\x01" {
        return None;
    }
    let offset = u64::from_le_bytes(head[40..48].try_into().ok()?);
    let entry = u16::from_le_bytes(head[58..60].try_into().ok()?);
    let count = u16::from_le_bytes(head[60..62].try_into().ok()?);
    offset.checked_add(u64::from(entry) * u64::from(count))
}

/// Reads and checks the trailer, then the metadata and slot table it points at.
pub fn locate(image: Image) -> Result<Package> {
    let index = read_index(&image)?;
    check_regions(&index, image.size)?;
    let (at, size) = (index.metadata_offset(), index.metadata_size() as usize);
    let table_size = DESCRIPTOR * index.slot_count() as usize;
    // In the sealed profile the table follows the metadata within 8 bytes: one read brings both.
    let gap = index.table_offset().wrapping_sub(at + size as u64);
    if gap < 8 {
        let mut metadata = image.read(at, size + gap as usize + table_size)?;
        let table = metadata.split_off(size + gap as usize);
        metadata.truncate(size);
        return Ok(Package { image, index, metadata, table });
    }
    let metadata = image.read(at, size)?;
    let table = if table_size == 0 { Vec::new() } else { image.read(index.table_offset(), table_size)? };
    Ok(Package { image, index, metadata, table })
}

fn read_index(image: &Image) -> Result<Index> {
    if image.size < TRAILER {
        return Err(Failure::new("PSPF_TRAILER"));
    }
    let trailer = image.read(image.size - TRAILER, TRAILER as usize)?;
    if trailer[..4] != MAGIC_START || trailer[4 + INDEX..] != MAGIC_END {
        return Err(Failure::new("PSPF_TRAILER"));
    }
    let index = Index(trailer[4..4 + INDEX].into());
    if index.u32(0) != FORMAT_VERSION {
        return Err(Failure::new("PSPF_VERSION").with("actual", format!("{:#010x}", index.u32(0))));
    }
    if !checksum_matches(&index) {
        return Err(Failure::new("PSPF_CHECKSUM"));
    }
    if index.u64(8) != image.size {
        return Err(Failure::new("PSPF_SIZE").with("expected", index.u64(8)).with("actual", image.size));
    }
    Ok(index)
}

fn checksum_matches(index: &Index) -> bool {
    let stored = index.u32(4);
    // An earlier builder zeroed bytes 12..16 instead, which shows from 4 GiB on; the sealed profile is compared whole later.
    stored == index_checksum(index.bytes(), 4) || (index.u64(8) > u64::from(u32::MAX) && stored == index_checksum(index.bytes(), 12))
}

/// Adler-32 of the block with the four bytes at `zeroed` taken as zero.
pub fn index_checksum(block: &[u8], zeroed: usize) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    // 5,552 is the longest run whose sums cannot overflow 32 bits (RFC 1950).
    for (i, run) in block.chunks(5552).enumerate() {
        for (j, byte) in run.iter().enumerate() {
            let at = i * 5552 + j;
            a += if (zeroed..zeroed + 4).contains(&at) { 0 } else { u32::from(*byte) };
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

/// Every region inside the file and behind the one before it. Differences are only taken of checked numbers, so nothing wraps.
fn check_regions(index: &Index, size: u64) -> Result<()> {
    let end = size - TRAILER;
    let outside = |field: &str| Err(Failure::new("PSPF_REGION").with("field", field));
    let (metadata, length) = (index.metadata_offset(), index.metadata_size());
    if index.launcher_size() > end {
        return outside("launcher_size");
    }
    if metadata < index.launcher_size() || metadata > end {
        return outside("metadata_offset");
    }
    if length > end - metadata || length > MAX_METADATA_STORED {
        return outside("metadata_size");
    }
    if index.slot_count() > MAX_SLOTS {
        return outside("slot_count");
    }
    let table_size = DESCRIPTOR as u64 * u64::from(index.slot_count());
    if index.u64(48) != table_size {
        return outside("slot_table_size");
    }
    let table = index.table_offset();
    if table == 0 && table_size == 0 {
        return Ok(());
    }
    if table < metadata + length || table > end || table_size > end - table {
        return outside("slot_table_offset");
    }
    Ok(())
}

/// `read_exact_at` for callers that report their own errors.
pub fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::index_checksum;

    #[test]
    fn adler32_of_known_texts() {
        assert_eq!(index_checksum(b"", 9), 1);
        assert_eq!(index_checksum(b"a", 9), 0x0062_0062);
        assert_eq!(index_checksum(&[0; 1024], 9), 0x0400_0001);
        assert_eq!(index_checksum(b"Hello, PSPF!\n", 99), 0x1d51_03a5);
        assert_eq!(index_checksum(b"Hell\xff\xff\xff\xffo", 4), index_checksum(b"Hell\0\0\0\0o", 99));
        assert_eq!(index_checksum(&[0xff; 8192], 9000), {
            let (mut a, mut b) = (1u64, 0u64);
            (0..8192).for_each(|_| (a, b) = (a + 255, b + a + 255));
            ((b % 65521) << 16 | a % 65521) as u32
        });
    }
}
