//! Step 7, unpack: slots into folders. Work is cut into jobs (a chunk, a whole slot, a digest) that one worker per core takes in
//! order, as far as 64 MiB of memory allow. Stored bytes are read and hashed once; no digest, no `ready`.

use std::io::BufRead;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zstd_safe::DCtx;

use crate::cipher::Decrypt;
use crate::codec::{self, Bounded, CHUNK_WINDOW, Section};
use crate::compare::Comparison;
use crate::digest;
use crate::failure::{Failure, Result, reason};
use crate::locate::Image;
use crate::plan::Slot;
use crate::progress::Progress;
use crate::secret;
use crate::tar::{self, Kind, Member, Part};
use crate::tree::{Cursor, Tree, set_times};

/// What all workers together may hold; a process of its own needs the rest of the 64 MiB.
const MEMORY: u64 = 48 << 20;
/// A chunk of at most this many stored bytes is read once, hashed and decoded from memory.
const IN_MEMORY: u64 = 16 << 20;
/// A chunk of at most this many decoded bytes is decoded in one go.
const AT_ONCE: u64 = 16 << 20;
/// What a single stream may need: its window is not known before it starts.
const STREAM_MEMORY: u64 = 16 << 20;
/// Bound for writers that do not sign the size.
const MAX_FOREIGN: u64 = 64 << 30;

/// Where a slot's content goes.
pub enum Sink<'a> {
    /// Into a tree: the folder for a tar slot, the file otherwise.
    Tree(&'a Tree, String),
    /// Against files on disk.
    Compare(&'a Comparison),
    /// Nowhere: the stored bytes are hashed.
    Digest,
}

pub struct Work<'a> {
    pub slot: &'a Slot,
    /// Distinguishes slots that go to the same tree.
    pub number: usize,
    pub sink: Sink<'a>,
    /// Time of a file slot, nanoseconds since 1970.
    pub mtime: i64,
}

/// Hashing of a slot that several workers decode: each adds its chunk when it is that chunk's turn.
#[derive(Default)]
struct Turns {
    state: Mutex<(usize, Sha256)>,
    changed: Condvar,
}

struct Job<'a> {
    work: &'a Work<'a>,
    turns: &'a Turns,
    /// Chunk number and offsets in stored and decoded bytes; `None` for the whole slot.
    chunk: Option<(usize, u64, u64)>,
    file: Option<&'a std::fs::File>,
}

/// A worker's buffers, kept from chunk to chunk.
#[derive(Default)]
struct Scratch {
    stored: Vec<u8>,
    plain: Vec<u8>,
    context: Option<DCtx<'static>>,
}

struct Shared<'a> {
    image: &'a Image,
    progress: &'a Progress,
    stop: AtomicBool,
    /// Workers that ended.
    done: AtomicUsize,
    failure: Mutex<Option<Failure>>,
}

/// Does all of `work`, or reports the first failure.
pub fn run(image: &Image, work: &[Work], progress: &Progress) -> Result<()> {
    // The right keys, or nothing is written.
    for item in work.iter().filter(|item| !matches!(item.sink, Sink::Digest)) {
        secret::open(image, item.slot)?;
    }
    let turns: Vec<Turns> = work.iter().map(|_| Turns::default()).collect();
    let files = work.iter().map(chunked_file).collect::<Result<Vec<_>>>()?;
    let mut jobs = Vec::new();
    for (i, item) in work.iter().enumerate() {
        push_jobs(&mut jobs, item, &turns[i], files[i].as_ref());
    }
    progress.expect(work.iter().map(|item| item.slot.original_size.unwrap_or(item.slot.size)).sum());
    let shared = Shared { image, progress, stop: AtomicBool::new(false), done: AtomicUsize::new(0), failure: Mutex::new(None) };
    let next = AtomicUsize::new(0);
    let workers = worker_count(&jobs);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| labour(&shared, &jobs, &next, &turns));
        }
        progress.watch(|| shared.done.load(Ordering::Acquire) == workers);
    });
    if let Some(failure) = shared.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    finish_files(work, &files)
}

fn push_jobs<'a>(jobs: &mut Vec<Job<'a>>, work: &'a Work<'a>, turns: &'a Turns, file: Option<&'a std::fs::File>) {
    if work.slot.chunks.is_empty() || matches!(work.sink, Sink::Digest) {
        return jobs.push(Job { work, turns, chunk: None, file: None });
    }
    let (mut stored, mut original) = (0, 0);
    for (i, chunk) in work.slot.chunks.iter().enumerate() {
        jobs.push(Job { work, turns, chunk: Some((i, stored, original)), file });
        stored += chunk.0;
        original += chunk.1;
    }
}

/// A chunked file slot is opened once; workers write at their offsets.
fn chunked_file(work: &Work) -> Result<Option<std::fs::File>> {
    match &work.sink {
        Sink::Tree(tree, path) if !work.slot.chunks.is_empty() && !work.slot.is_tar() => {
            let file = tree.create(file_member(work, path), "", &mut Cursor::new(work.number, 0))?;
            Ok(Some(file))
        }
        _ => Ok(None),
    }
}

fn finish_files(work: &[Work], files: &[Option<std::fs::File>]) -> Result<()> {
    for (work, file) in work.iter().zip(files) {
        if let Some(file) = file {
            set_times(file, work.mtime).map_err(|e| Failure::unpack(&work.slot.id, reason(&e)))?;
        }
    }
    Ok(())
}

fn file_member(work: &Work, path: &str) -> Member {
    let size = work.slot.original_size.unwrap_or(work.slot.size);
    let mode = work.slot.permissions & 0o777;
    Member { path: path.to_string(), kind: Kind::File, mode, size, mtime: work.mtime, link: String::new() }
}

fn worker_count(jobs: &[Job]) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let dearest = jobs.iter().map(cost).max().unwrap_or(1);
    cores.min(jobs.len()).min((MEMORY / dearest) as usize).max(1)
}

/// Upper bound of the memory that a job holds.
fn cost(job: &Job) -> u64 {
    let Some((i, _, _)) = job.chunk else { return if matches!(job.work.sink, Sink::Digest) { 1 << 20 } else { STREAM_MEMORY } };
    let (stored, original) = job.work.slot.chunks[i];
    let input = if stored <= IN_MEMORY { stored } else { 0 };
    let output = if decodes_at_once(stored, original) { original } else { CHUNK_WINDOW };
    input + output + (1 << 20)
}

fn decodes_at_once(stored: u64, original: u64) -> bool {
    stored <= IN_MEMORY && original <= AT_ONCE
}

fn labour(shared: &Shared, jobs: &[Job], next: &AtomicUsize, turns: &[Turns]) {
    let mut scratch = Scratch::default();
    while !shared.stop.load(Ordering::Acquire) {
        let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
        let done = run_job(shared, job, &mut scratch).map_err(|failure| blame(shared, job, failure));
        let Err(failure) = done else { continue };
        shared.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        shared.stop.store(true, Ordering::Release);
        for turns in turns {
            drop(turns.state.lock());
            turns.changed.notify_all();
        }
    }
    shared.done.fetch_add(1, Ordering::Release);
    shared.progress.wake();
}

/// Content that does not decode was damaged after sealing, unless its digest says that it was sealed so.
fn blame(shared: &Shared, job: &Job, failure: Failure) -> Failure {
    let failure = failure.with("slot", &job.work.slot.id);
    if !failure.blames_content() {
        return failure;
    }
    digest::check_slot(shared.image, job.work.slot).err().unwrap_or(failure)
}

fn run_job(shared: &Shared, job: &Job, scratch: &mut Scratch) -> Result<()> {
    match (&job.work.sink, job.chunk) {
        (Sink::Digest, _) => {
            digest::check_slot(shared.image, job.work.slot)?;
            shared.progress.add(job.work.slot.original_size.unwrap_or(job.work.slot.size));
            Ok(())
        }
        (_, None) => run_stream(shared, job),
        (_, Some((i, stored, original))) => run_chunk(shared, job, i, (stored, original), scratch),
    }
}

/// A slot of one stream: decode while hashing.
fn run_stream(shared: &Shared, job: &Job) -> Result<()> {
    let slot = job.work.slot;
    let unreadable = |e: std::io::Error| content_failure(shared, e);
    let mut section = Section::new(shared.image, slot.offset, slot.size, true);
    {
        let cipher = secret::open(shared.image, slot)?;
        let mut stored: Box<dyn BufRead> = match &cipher {
            Some(cipher) => Box::new(Decrypt::new(&mut section, cipher, slot.size)),
            None => Box::new(&mut section),
        };
        let mut decoded = codec::decoder(&slot.operations, &mut *stored).map_err(unreadable)?;
        let add = |n| shared.progress.add(n);
        let limit = slot.original_size.unwrap_or(MAX_FOREIGN);
        let mut bounded = Bounded::new(&mut decoded, limit, slot.original_size.is_some(), &add);
        consume(job, &mut bounded, Part::Whole, 0)?;
        // Reaching the end is what checks the bounds and the checksums of the codecs.
        if !bounded.fill_buf().map_err(unreadable)?.is_empty() {
            return Err(Failure::new("UNPACK").with("detail", "data follows the content"));
        }
    }
    let (found, unread) = section.finish().map_err(unreadable)?;
    let empty = slot.size == 0 && matches!(slot.checksum, crate::plan::Checksum::Short(sum) if sum == [0; 8]);
    if !empty && !digest::matches(slot, &found) {
        return Err(Failure::new("SEAL_SLOT").with("slot", &slot.id));
    }
    match unread {
        true => Err(Failure::new("UNPACK").with("detail", "data follows the compressed content")),
        false => Ok(()),
    }
}

fn content_failure(shared: &Shared, error: std::io::Error) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => failure,
        Err(error) if error.raw_os_error().is_some() => Failure::io(&shared.image.path, error),
        Err(error) => Failure::new("UNPACK").with("detail", error),
    }
}

fn run_chunk(shared: &Shared, job: &Job, i: usize, (at, written): (u64, u64), scratch: &mut Scratch) -> Result<()> {
    let slot = job.work.slot;
    let (stored, original) = slot.chunks[i];
    let offset = slot.offset + at;
    let broken = |detail: &str| Failure::new("UNPACK").with("detail", format!("chunk {i}: {detail}"));
    let unreadable = |e: std::io::Error| content_failure(shared, e);
    if stored > IN_MEMORY {
        take_turn(shared, job, i, |hash| digest::feed(shared.image, offset, stored, hash))?;
        let head = shared.image.read(offset, 18)?;
        codec::check_frame(&head, original).map_err(broken)?;
        let mut section = Section::new(shared.image, offset, stored, false);
        return decode_stream(shared, job, i, &mut section, written);
    }
    scratch.stored.resize(stored as usize, 0);
    crate::locate::read_at(&shared.image.file, &mut scratch.stored, offset).map_err(unreadable)?;
    take_turn(shared, job, i, |hash| {
        hash.update(&scratch.stored);
        Ok(())
    })?;
    codec::check_frame(&scratch.stored, original).map_err(broken)?;
    if !matches!(zstd_safe::find_frame_compressed_size(&scratch.stored), Ok(size) if size as u64 == stored) {
        return Err(broken("it is not one zstd frame"));
    }
    if !decodes_at_once(stored, original) {
        return decode_stream(shared, job, i, &mut &scratch.stored[..], written);
    }
    let context = scratch.context.get_or_insert_with(DCtx::create);
    scratch.plain.clear();
    scratch.plain.reserve(original as usize);
    let length = context.decompress(&mut scratch.plain, &scratch.stored).map_err(|e| unreadable(codec::zstd_error(e)))?;
    if length as u64 != original {
        return Err(broken("it does not expand to its signed size"));
    }
    shared.progress.add(original);
    consume(job, &mut &scratch.plain[..], part_of(slot, i), written)
}

fn part_of(slot: &Slot, i: usize) -> Part {
    if i + 1 == slot.chunks.len() { Part::LastChunk } else { Part::Chunk }
}

fn decode_stream(shared: &Shared, job: &Job, i: usize, input: &mut dyn BufRead, written: u64) -> Result<()> {
    let slot = job.work.slot;
    let add = |n| shared.progress.add(n);
    let mut decoded = codec::chunk_decoder(input);
    let mut bounded = Bounded::new(&mut decoded, slot.chunks[i].1, true, &add);
    consume(job, &mut bounded, part_of(slot, i), written)?;
    match bounded.fill_buf().map_err(|e| content_failure(shared, e))?.is_empty() {
        true => Ok(()),
        false => Err(Failure::new("UNPACK").with("detail", "data follows the content")),
    }
}

/// Waits until the chunks before `i` are hashed, then hashes this one; the last one compares.
fn take_turn(shared: &Shared, job: &Job, i: usize, feed: impl FnOnce(&mut Sha256) -> Result<()>) -> Result<()> {
    let mut state = job.turns.state.lock().unwrap_or_else(PoisonError::into_inner);
    while state.0 != i {
        if shared.stop.load(Ordering::Acquire) {
            return Ok(()); // another worker failed; nothing done from here on counts
        }
        state = job.turns.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    feed(&mut state.1)?;
    state.0 += 1;
    job.turns.changed.notify_all();
    let slot = job.work.slot;
    if state.0 == slot.chunks.len() {
        let found: [u8; 32] = std::mem::take(&mut state.1).finalize().into();
        if !digest::matches(slot, &found) {
            return Err(Failure::new("SEAL_SLOT").with("slot", &slot.id));
        }
    }
    Ok(())
}

/// Sends decoded content to its sink; `written` is how much of a file slot stands before it.
fn consume(job: &Job, content: &mut dyn BufRead, part: Part, written: u64) -> Result<()> {
    let work = job.work;
    if let Some(file) = job.file {
        return write_at(file, content, written).map_err(|e| match e.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(e) => Failure::io(std::path::Path::new(&work.slot.target), e),
        });
    }
    let order = job.chunk.map_or(0, |(i, _, _)| (i as u64) << 40);
    let mut cursor = Cursor::new(work.number, order);
    match (&work.sink, work.slot.is_tar()) {
        (Sink::Tree(tree, home), true) => {
            if order == 0 {
                tree.ensure_folder(home, work.number)?;
            }
            tar::read(content, part, &mut |member, body| tree.member(member, body, home, &mut cursor))
        }
        (Sink::Tree(tree, path), false) => tree.member(file_member(work, path), content, "", &mut cursor),
        (Sink::Compare(comparison), true) => tar::read(content, part, &mut |member, body| comparison.member(member, body, 0)),
        (Sink::Compare(comparison), false) => comparison.member(file_member(work, ""), content, written),
        (Sink::Digest, _) => Ok(()),
    }
}

fn write_at(file: &std::fs::File, content: &mut dyn BufRead, mut at: u64) -> std::io::Result<()> {
    loop {
        let bytes = content.fill_buf()?;
        let n = bytes.len();
        if n == 0 {
            return Ok(());
        }
        file.write_all_at(bytes, at)?;
        at += n as u64;
        content.consume(n);
    }
}
