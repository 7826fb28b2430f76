//! Step 2, metadata, second half: one plan for every dialect of the signed JSON (format.md sections 3 and 9).

use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::operations::{self, Operation};
use crate::secret::{self, Encryption};
use crate::service::{self, Service};
use crate::setup::Setup;

pub type Pairs = Vec<(String, String)>;

pub struct Plan {
    /// The document has a `seal`: every byte of the file follows from it.
    pub seal: Option<Seal>,
    pub name: String,
    pub version: String,
    pub slots: Vec<Slot>,
    pub command: Option<Command>,
    pub entries: Vec<(String, Command)>,
    pub execution_env: Pairs,
    pub workenv_env: Pairs,
    pub runtime: Runtime,
    pub service: Option<Service>,
    /// Path and octal mode.
    pub directories: Vec<(String, Option<u32>)>,
    pub setup: Vec<Setup>,
    pub launcher: Launcher,
}

pub struct Seal {
    pub build_timestamp: u64,
    pub source_hash: [u8; 32],
    pub dependency_hash: [u8; 32],
    pub license_id: [u8; 16],
}

#[derive(Default)]
pub struct Launcher {
    pub tool: String,
    pub tool_version: String,
    pub size: Option<u64>,
    pub checksum: Option<[u8; 32]>,
}

#[derive(Default)]
pub struct Runtime {
    pub pass: Vec<String>,
    pub unset: Vec<String>,
    pub map: Pairs,
    pub set: Pairs,
}

/// A command as it is written: words, or one text to split.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Argv(Vec<String>),
    Text(String),
}

pub struct Slot {
    pub id: String,
    pub target: String,
    pub size: u64,
    /// Offset in the file; `seal.rs` sets it from the table.
    pub offset: u64,
    pub original_size: Option<u64>,
    pub checksum: Checksum,
    pub operations: Vec<Operation>,
    pub purpose: String,
    pub lifecycle: Lifecycle,
    pub lifecycle_text: String,
    pub permissions: u32,
    pub platform: Option<String>,
    pub share: bool,
    pub chunks: Vec<(u64, u64)>,
    pub encryption: Option<Encryption>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    Full([u8; 32]),
    /// The first eight bytes, from the table: all that another writer may give.
    Short([u8; 8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    First,
    Init,
    Start,
    Shutdown,
    Run,
    Lazy,
    Dev,
    Data,
    Platform,
}

impl Slot {
    pub fn is_tar(&self) -> bool {
        self.operations.first() == Some(&Operation::Tar)
    }
}

/// Lifecycle texts with the byte that the sealed table carries for them.
const LIFECYCLES: [(&str, u8, Lifecycle); 14] = [
    ("init", 0, Lifecycle::Init),
    ("startup", 1, Lifecycle::Start),
    ("volatile", 1, Lifecycle::Start),
    ("runtime", 2, Lifecycle::First),
    ("shutdown", 3, Lifecycle::Shutdown),
    ("cache", 4, Lifecycle::First),
    ("temp", 5, Lifecycle::Run),
    ("temporary", 5, Lifecycle::Run),
    ("lazy", 6, Lifecycle::Lazy),
    ("eager", 7, Lifecycle::First),
    ("dev", 8, Lifecycle::Dev),
    ("config", 9, Lifecycle::Data),
    ("persistent", 9, Lifecycle::Data),
    ("platform", 10, Lifecycle::Platform),
];

/// The byte that stands for a lifecycle text in the sealed table.
pub fn lifecycle_byte(text: &str) -> u8 {
    LIFECYCLES.iter().find(|(name, _, _)| *name == text).map_or(2, |l| l.1)
}

/// Reads the plan out of a document whose signature was checked.
pub fn read(document: &Json) -> Result<Plan> {
    let root = Field { value: Some(document), path: String::new() };
    if !matches!(document, Json::Map(_)) {
        return Err(Failure::new("PSPF_METADATA").with("detail", format!("it is {}, not an object", document.kind())));
    }
    let seal = read_seal(&root)?;
    let sealed = seal.is_some();
    let package = root.get("package");
    let execution = root.get("execution");
    let plan = Plan {
        name: package.get("name").text_or("", sealed)?,
        version: package.get("version").text_or("", sealed)?,
        slots: read_slots(&root.get("slots"), sealed)?,
        command: read_command(&execution)?,
        entries: read_entries(&execution.get("entries"))?,
        execution_env: merged(execution.get("env").pairs()?, execution.get("environment").pairs()?),
        workenv_env: root.get("workenv").get("env").pairs()?,
        runtime: read_runtime(&root.get("runtime").get("env"))?,
        service: if sealed { service::read(&root.get("runtime").get("service"))? } else { None },
        directories: read_directories(&root.get("workenv").get("directories"))?,
        setup: root.get("setup_commands").list()?.iter().enumerate().map(Setup::read).collect::<Result<_>>()?,
        launcher: read_launcher(&root.get("launcher"), sealed)?,
        seal,
    };
    if sealed {
        check_names(&plan, &root)?;
    }
    Ok(plan)
}

fn read_seal(root: &Field) -> Result<Option<Seal>> {
    let seal = root.get("seal");
    if seal.value.is_none() {
        return Ok(None);
    }
    match seal.get("version").value {
        Some(Json::Int(1)) => (),
        Some(Json::Int(other)) => return Err(Failure::new("PSPF_SEAL_VERSION").with("actual", other)),
        _ => return Err(seal.get("version").wrong("not a number")),
    }
    let index = seal.get("index");
    index.map()?;
    Ok(Some(Seal {
        build_timestamp: index.get("build_timestamp").int()?.unwrap_or(0),
        source_hash: index.get("source_hash").hex_digest("")?.unwrap_or_default(),
        dependency_hash: index.get("dependency_hash").hex_digest("")?.unwrap_or_default(),
        license_id: license_bytes(&index.get("license_id"))?,
    }))
}

fn license_bytes(field: &Field) -> Result<[u8; 16]> {
    let text = field.text()?.unwrap_or_default();
    let mut bytes = [0; 16];
    let place = bytes.get_mut(..text.len()).ok_or_else(|| field.wrong("longer than 16 bytes"))?;
    place.copy_from_slice(text.as_bytes());
    Ok(bytes)
}

/// What the sealed profile fixes and other writers do not: names, and the format itself.
fn check_names(plan: &Plan, root: &Field) -> Result<()> {
    if root.get("format").text()? != Some("PSPF/2025") {
        return Err(root.get("format").wrong("not PSPF/2025"));
    }
    if plan.name.len() > 128 || !is_name(&plan.name) {
        return Err(Failure::field("package.name", "not a name"));
    }
    let bad = |c: char| c == '/' || c == '\\' || c.is_control();
    if plan.version.is_empty() || plan.version.len() > 128 || plan.version.contains(bad) {
        return Err(Failure::field("package.version", "not a version"));
    }
    let mut ids: Vec<String> = plan.slots.iter().map(|s| s.id.to_ascii_lowercase()).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Failure::field("slots", format!("the id {} stands twice", pair[0]))),
        None => Ok(()),
    }
}

pub fn is_name(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && text.bytes().all(rest)
}

fn read_slots(slots: &Field, sealed: bool) -> Result<Vec<Slot>> {
    slots.list()?.iter().enumerate().map(|(i, slot)| read_slot(i, slot, sealed)).collect()
}

fn read_slot(number: usize, slot: &Field, sealed: bool) -> Result<Slot> {
    slot.map()?;
    let lifecycle_text = slot.get("lifecycle").text_or("", sealed)?;
    let lifecycle = LIFECYCLES.iter().find(|(name, _, _)| *name == lifecycle_text).map(|l| l.2);
    let operations = slot.get("operations");
    // Another writer's text is a label; its descriptor's chain is authoritative, and seal.rs takes it.
    let chain = match operations::parse(&operations.text_or("", sealed)?) {
        Err(detail) if sealed => {
            let id = slot.get("id").text_or("", true)?;
            return Err(Failure::new("PSPF_OPERATION").with("slot", id).with("detail", detail));
        }
        chain => chain.unwrap_or_default(),
    };
    let read = Slot {
        id: slot.get("id").text_or(&format!("slot_{number}"), sealed)?,
        target: read_target(&slot.get("target"), sealed)?,
        size: slot.get("size").required_int(sealed)?,
        offset: 0,
        original_size: slot.get("original_size").int()?,
        checksum: match slot.get("checksum").hex_digest("sha256:").or_else(|e| foreign(sealed, e))? {
            Some(digest) => Checksum::Full(digest),
            None => Checksum::Short([0; 8]),
        },
        operations: chain,
        purpose: slot.get("purpose").text_or("", sealed)?,
        lifecycle: lifecycle.unwrap_or(Lifecycle::First),
        lifecycle_text,
        permissions: read_mode(&slot.get("permissions"), sealed)?.unwrap_or(0o600),
        platform: slot.get("platform").text()?.map(str::to_string),
        share: sealed && slot.get("share").bool()?,
        chunks: if sealed { read_chunks(&slot.get("chunks"))? } else { Vec::new() },
        encryption: if sealed { Encryption::read(&slot.get("encryption"))? } else { None },
    };
    if sealed {
        check_slot(number, slot, &read, lifecycle.is_some())?;
    }
    Ok(read)
}

/// For other writers, a value that is not understood counts as absent.
fn foreign<T>(sealed: bool, failure: Failure) -> Result<Option<T>> {
    if sealed { Err(failure) } else { Ok(None) }
}

fn check_slot(number: usize, field: &Field, slot: &Slot, known_lifecycle: bool) -> Result<()> {
    if field.get("slot").int()? != Some(number as u64) {
        return Err(field.get("slot").wrong(format!("not {number}")));
    }
    if slot.id.len() > 255 || !is_name(&slot.id) {
        return Err(field.get("id").wrong("not a name"));
    }
    if field.get("checksum").value.is_none() || slot.original_size.is_none() {
        return Err(field.wrong("checksum and original_size are required"));
    }
    if !known_lifecycle {
        return Err(field.get("lifecycle").wrong("not a lifecycle"));
    }
    if let Some(platform) = &slot.platform {
        let (os, arch) = platform.split_once('_').unwrap_or((platform, "amd64"));
        if !matches!(os, "linux" | "darwin" | "windows") || !matches!(arch, "amd64" | "arm64") {
            return Err(field.get("platform").wrong("not a platform"));
        }
    }
    if slot.lifecycle == Lifecycle::Shutdown && slot.is_tar() {
        return Err(field.get("lifecycle").wrong("a shutdown slot is a single file"));
    }
    secret::check(field, slot)?;
    check_chunks(field, slot)
}

fn check_chunks(field: &Field, slot: &Slot) -> Result<()> {
    if field.get("chunks").value.is_none() {
        return Ok(());
    }
    if !matches!(slot.operations[..], [Operation::Zstd] | [Operation::Tar, Operation::Zstd]) {
        return Err(field.get("chunks").wrong("only zstd slots have chunks"));
    }
    let sum = |pick: fn(&(u64, u64)) -> u64| slot.chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(pick(chunk)));
    if sum(|c| c.0) != Some(slot.size) || sum(|c| c.1) != slot.original_size {
        return Err(field.get("chunks").wrong("the sums are not size and original_size"));
    }
    Ok(())
}

fn read_chunks(chunks: &Field) -> Result<Vec<(u64, u64)>> {
    let pair = |chunk: &Field| match chunk.value {
        Some(Json::List(pair)) => match pair[..] {
            [Json::Int(stored), Json::Int(original)] => Ok((stored, original)),
            _ => Err(chunk.wrong("not a pair of sizes")),
        },
        _ => Err(chunk.wrong("not a pair of sizes")),
    };
    chunks.list()?.iter().map(pair).collect()
}

/// A `{workenv}/` prefix is dropped in every package; what remains must stay inside.
fn read_target(field: &Field, sealed: bool) -> Result<String> {
    let text = field.text_or("", sealed)?;
    let bare = text.strip_prefix("{workenv}").unwrap_or(&text);
    let bare = if bare.len() == text.len() { bare } else { bare.trim_start_matches('/') };
    if bare.is_empty() {
        return Ok(String::new());
    }
    crate::names::check(bare).map_err(|detail| field.wrong(detail))
}

fn read_mode(field: &Field, sealed: bool) -> Result<Option<u32>> {
    let Some(text) = field.text()? else { return Ok(None) };
    let mode = parse_mode(text);
    match mode {
        Some(mode) => Ok(Some(mode)),
        None if sealed => Err(field.wrong("not an octal mode")),
        None => Ok(None),
    }
}

/// An octal mode, `0755`, `755` or `0o755`.
pub fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mode| *mode <= 0o7777)
}

fn read_command(execution: &Field) -> Result<Option<Command>> {
    let argv = execution.get("argv");
    if argv.value.is_some() {
        return Ok(Some(Command::Argv(argv.texts()?)));
    }
    Ok(execution.get("command").text()?.map(|text| Command::Text(text.to_string())))
}

fn read_entries(entries: &Field) -> Result<Vec<(String, Command)>> {
    let read = |name: &String, entry: &Field| Ok((name.clone(), entry.command()?));
    entries.map()?.iter().map(|(name, entry)| read(name, entry)).collect()
}

fn read_runtime(env: &Field) -> Result<Runtime> {
    Ok(Runtime {
        pass: env.get("pass").texts()?,
        unset: env.get("unset").texts()?,
        map: env.get("map").pairs()?,
        set: env.get("set").pairs()?,
    })
}

fn read_directories(list: &Field) -> Result<Vec<(String, Option<u32>)>> {
    let read = |entry: &Field| match entry.value {
        Some(Json::Text(path)) => Ok((path.to_string(), None)),
        _ => {
            let path = entry.get("path").text()?.ok_or_else(|| entry.get("path").wrong("missing"))?;
            Ok((path.to_string(), read_mode(&entry.get("mode"), true)?))
        }
    };
    list.list()?.iter().map(read).collect()
}

fn read_launcher(launcher: &Field, sealed: bool) -> Result<Launcher> {
    launcher.map()?;
    let checksum = launcher.get("checksum");
    // An earlier writer put the prefix twice.
    let prefix = if checksum.text()?.is_some_and(|t| t.starts_with("sha256:sha256:")) && !sealed { "sha256:sha256:" } else { "sha256:" };
    let read = Launcher {
        tool: launcher.get("tool").text_or("", sealed)?,
        tool_version: launcher.get("tool_version").text_or("", sealed)?,
        size: launcher.get("size").int()?,
        checksum: checksum.hex_digest(prefix).or_else(|e| foreign(sealed, e))?,
    };
    if sealed && (read.size.is_none() || read.checksum.is_none()) {
        return Err(launcher.wrong("size and checksum are required"));
    }
    Ok(read)
}

/// `env` of one family of writers and `environment` of the other; the first wins where both name a variable.
fn merged(env: Pairs, environment: Pairs) -> Pairs {
    let mut all = env;
    for (name, value) in environment {
        if !all.iter().any(|(known, _)| *known == name) {
            all.push((name, value));
        }
    }
    all
}

pub use crate::field::Field;
