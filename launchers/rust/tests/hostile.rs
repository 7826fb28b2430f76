//! Damaged and hostile packages: each is refused with the right code, and nothing is left ready to run.

mod support;

use serde_json::{Value, json};
use support::archive::{Entry, entry, folder, hardlink, member, program, record, regular, symlink};
use support::{Package, Sandbox, Slot, TRAILER, file, package, repair_package, tar};

const RUN: &[u8] = b"#!/bin/sh\necho ran\n";

fn honest() -> Package {
    let data = tar("data", "data", &[folder("d"), regular("d/a", b"alpha"), symlink("d/l", "a")]);
    package("app", vec![file("run", "bin/run", RUN), data], json!({"execution": {"argv": ["{slot:run}"]}}))
}

/// Start and end of every region, by name.
fn regions(bytes: &[u8]) -> Vec<(&'static str, usize, usize)> {
    let index = bytes.len() - TRAILER + 4;
    let u64 = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (metadata, size, table) = (u64(index + 24), u64(index + 32), u64(index + 40));
    let slot = |i: usize| (u64(table + 64 * i + 16), u64(table + 64 * i + 24));
    let ((a, a_size), (b, b_size)) = (slot(0), slot(1));
    vec![
        ("metadata", metadata, metadata + size),
        ("padding", metadata + size, table),
        ("table", table, table + 128),
        ("slot", a, a + a_size),
        ("padding", a + a_size, b),
        ("slot", b, b + b_size),
        ("index", index, index + 8192),
    ]
}

#[test]
fn no_flipped_bit_starts() {
    let sandbox = Sandbox::new();
    let bytes = honest().build();
    sandbox.try_package(&bytes).prints("ran\n");
    for (name, start, end) in regions(&bytes) {
        // Every byte of the small regions, a sample of the index; the bit changes with the place.
        let step = if name == "index" { 61 } else { (end - start).div_ceil(40).max(1) };
        for at in (start..end).step_by(step) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            if !(name == "index" && at < start + 8) {
                repair_package(&mut damaged); // a forger would
            }
            std::fs::remove_dir_all(sandbox.cache()).unwrap_or_default();
            let outcome = sandbox.try_package(&damaged);
            assert!(matches!(outcome.code, 102 | 107), "{name} at {at}: {outcome:?}");
            assert!(!sandbox.has_ready(), "{name} at {at}");
            let code = match name {
                "metadata" => "does not match its SHA-256",
                "padding" => "is not zero",
                "slot" => "do not match their SHA-256",
                "table" => "table field",
                _ => "",
            };
            assert!(outcome.stderr.contains(code), "{name} at {at}: {outcome:?}");
        }
    }
}

#[test]
fn a_changed_launcher_does_not_make_an_environment() {
    let sandbox = Sandbox::new();
    let mut bytes = honest().build();
    // In the section header table, which does not matter to the kernel.
    let launcher = support::launcher().len();
    bytes[launcher - 1] ^= 1;
    sandbox.try_package(&bytes).refuses(107, "the launcher does not match its signed SHA-256");
    assert!(!sandbox.has_ready());
}

#[test]
fn no_truncated_or_longer_file_starts() {
    let sandbox = Sandbox::new();
    let bytes = honest().build();
    let launcher = support::launcher().len();
    let mut ends: Vec<usize> = regions(&bytes).iter().flat_map(|(_, start, end)| [*start, *end - 1, *end]).collect();
    ends.extend([bytes.len() - 1, bytes.len() - 4, bytes.len() - TRAILER]);
    for end in ends.into_iter().filter(|end| *end > launcher) {
        sandbox.try_package(&bytes[..end]).refuses(102, "are not a PSPF trailer");
    }
    sandbox.try_package(&[&bytes[..], b"x"].concat()).refuses(102, "are not a PSPF trailer");
    sandbox.try_package(&bytes[..launcher]).refuses(102, "no package is attached");
    let mut cut = bytes[..bytes.len() - TRAILER - 1].to_vec();
    cut.extend(&bytes[bytes.len() - TRAILER..]);
    sandbox.try_package(&cut).refuses(102, "the index says");
}

#[test]
fn absurd_numbers_in_the_index_are_refused() {
    let sandbox = Sandbox::new();
    let bytes = honest().build();
    let index = bytes.len() - TRAILER + 4;
    for at in [16, 24, 32, 40, 48, 56] {
        for value in [0, 1, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 53, 1 << 63, u64::MAX - 7, u64::MAX, bytes.len() as u64] {
            let mut damaged = bytes.clone();
            let width = if at == 56 { 4 } else { 8 };
            damaged[index + at..index + at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            repair_package(&mut damaged);
            let outcome = sandbox.try_package(&damaged);
            assert!(matches!(outcome.code, 102 | 107), "{at} {value}: {outcome:?}");
        }
    }
}

#[test]
fn garbage_behind_a_launcher_is_refused() {
    let sandbox = Sandbox::new();
    let mut state = 1u64;
    for size in [1, 100, 8199, 8200, 8201, 40_000] {
        let garbage: Vec<u8> = (0..size)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect();
        sandbox.try_package(&[support::launcher(), garbage].concat()).refuses(102, "are not a PSPF trailer");
    }
}

#[test]
fn signed_documents_that_make_no_sense_are_refused() {
    let sandbox = Sandbox::new();
    let mut base = honest();
    let stored: Vec<_> = base.slots.iter().map(Slot::stored).collect();
    let good = base.json(&stored);
    let text = good.to_string();
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let cases = [
        (text.replacen("\"format\":", "\"format\":1,\"format\":", 1), "the metadata cannot be read"),
        (deep, "the metadata cannot be read"),
        (text[..text.len() - 1].to_string(), "the metadata cannot be read"),
        (format!("{text}x"), "the metadata cannot be read"),
        ("[]".into(), "the metadata cannot be read"),
        (String::new(), "the metadata cannot be read"),
        (with(&good, "/seal/version", json!(2)), "seal version 2 is not supported"),
        (with(&good, "/seal/version", json!(-1)), "metadata field seal.version"),
        (with(&good, "/format", json!("PSPF/2026")), "metadata field format"),
        (with(&good, "/package/name", json!("../x")), "metadata field package.name"),
        (with(&good, "/package/version", json!("1/2")), "metadata field package.version"),
        (with(&good, "/slots/1/id", json!("RUN")), "stands twice"),
        (with(&good, "/slots/0/id", json!("a/b")), "metadata field slots[0].id"),
        (with(&good, "/slots/0/slot", json!(1)), "metadata field slots[0].slot"),
        (with(&good, "/slots/0/target", json!("../../etc/x")), "metadata field slots[0].target"),
        (with(&good, "/slots/0/target", json!(".sealift/ready")), "metadata field slots[0].target"),
        (with(&good, "/slots/0/lifecycle", json!("sometimes")), "metadata field slots[0].lifecycle"),
        (with(&good, "/slots/0/operations", json!("lz4")), "is not supported"),
        (with(&good, "/slots/0/operations", json!("zstd|tar")), "is not supported"),
        (with(&good, "/slots/0/size", json!(18446744073709551615u64)), "slot 0 lies outside"),
        (with(&good, "/slots/0/size", json!(1.5)), "metadata field slots[0].size"),
        (with(&good, "/slots/0/original_size", json!(1)), "table field original_size"),
        (with(&good, "/slots/0/permissions", json!("rwx")), "metadata field slots[0].permissions"),
        (with(&good, "/slots/0/chunks", json!([[1, 2]])), "metadata field slots[0].chunks"),
        (with(&good, "/slots/0/chunks", json!([[18446744073709551615u64, 2], [2, 2]])), "metadata field slots[0].chunks"),
        (with(&good, "/launcher/size", json!(5)), "the index block differs"),
        (with(&good, "/slots", json!([])), "metadata field slots"),
        (with(&good, "/execution", json!({})), "names no command"),
        (with(&good, "/execution", json!({"command": "a 'b"})), "cannot be split"),
        (with(&good, "/execution", json!({"argv": ["{slot:nope}"]})), "names no slot"),
        (with(&good, "/execution", json!({"argv": [1]})), "metadata field execution.argv"),
    ];
    for (json, words) in cases {
        base.text = Some(json.clone());
        let outcome = sandbox.try_package(&base.build());
        assert!(outcome.stderr.contains(words) && (102..=107).contains(&outcome.code), "{words}: {outcome:?}\n{json}");
        assert!(!sandbox.has_ready());
    }
}

fn with(document: &Value, pointer: &str, value: Value) -> String {
    let mut changed = document.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        object => object[key] = value,
    }
    changed.to_string()
}

#[test]
fn tar_members_that_leave_the_rules_are_refused() {
    let sandbox = Sandbox::new();
    let raw = |members: Vec<Vec<u8>>| [members.concat(), vec![0; 1024]].concat();
    let of = |entries: &[Entry]| support::archive::write(entries);
    let mut bad_sum = member(&regular("a", b"x"));
    bad_sum[0] ^= 1;
    let pax = |key: &str, value: &[u8]| {
        let record = record(key, value);
        let mut out = support::archive::header("pax", b'x', "", record.len() as u64, 0o644, 0).to_vec();
        support::archive::pad(&mut out, &record);
        out
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("parent", of(&[regular("../x", b"")])),
        ("hidden parent", of(&[regular("a/../../x", b"")])),
        ("absolute", of(&[regular("/tmp/x", b"")])),
        ("drive", of(&[regular("c:x", b"")])),
        ("backslash", of(&[regular("a\\b", b"")])),
        ("reserved", of(&[regular(".sealift/ready", b"")])),
        ("twice", of(&[regular("a", b"1"), regular("a", b"2")])),
        ("folded", of(&[regular("Name", b"1"), regular("nAME", b"2")])),
        ("folded folder", of(&[regular("Lib/a", b"1"), regular("lib/b", b"2")])),
        ("folded unicode", of(&[regular("ÄB", b"1"), regular("äb", b"2")])),
        ("folder and file", of(&[folder("a"), regular("a", b"2")])),
        ("file below file", of(&[regular("a", b"1"), regular("a/b", b"2")])),
        ("below a link", of(&[symlink("a", "b"), regular("a/x", b"2")])),
        ("link after its folder", of(&[regular("a/x", b"2"), symlink("a", "b")])),
        ("absolute link", of(&[symlink("a", "/etc/passwd")])),
        ("link out", of(&[symlink("a", "../x")])),
        ("link out of a folder", of(&[folder("d"), symlink("d/a", "../../x")])),
        ("link out through a link", of(&[folder("d"), symlink("d/up", ".."), symlink("e", "d/up/../x")])),
        ("hard link out", of(&[hardlink("a", "../x")])),
        ("hard link to nothing", of(&[hardlink("a", "b")])),
        ("hard link forward", of(&[hardlink("a", "b"), regular("b", b"")])),
        ("hard link to a folder", of(&[folder("b"), hardlink("a", "b")])),
        ("hard link to a link", of(&[regular("c", b""), symlink("b", "c"), hardlink("a", "b")])),
        ("fifo", of(&[entry(b'6', "a", "", b"", 0o644)])),
        ("device", of(&[entry(b'3', "a", "", b"", 0o644)])),
        ("sparse", of(&[entry(b'S', "a", "", b"", 0o644)])),
        ("unknown type", of(&[entry(b'Z', "a", "", b"", 0o644)])),
        ("folder with content", raw(vec![support::archive::header("a/", b'5', "", 512, 0o755, 0).to_vec(), vec![0; 512]])),
        ("bad sum", raw(vec![bad_sum])),
        ("cut content", support::archive::header("a", b'0', "", 5000, 0o644, 0).to_vec()),
        ("no end", member(&regular("a", b"x"))),
        ("half a block", [of(&[regular("a", b"x")]), vec![0; 100]].concat()),
        ("data behind the end", [of(&[regular("a", b"x")]), member(&regular("b", b"x"))].concat()),
        ("NUL in a pax name", raw(vec![pax("path", b"a\0b"), member(&regular("x", b""))])),
        ("pax parent", raw(vec![pax("path", b"../x"), member(&regular("x", b""))])),
        ("pax not UTF-8", raw(vec![pax("path", b"\xff"), member(&regular("x", b""))])),
        ("pax sparse", raw(vec![pax("GNU.sparse.major", b"1"), member(&regular("x", b""))])),
        ("pax size", raw(vec![pax("size", b"99999999999999999999"), member(&regular("x", b""))])),
        ("pax large size", raw(vec![pax("size", b"9999999999"), member(&regular("x", b""))])),
        ("pax malformed", raw(vec![support::archive::header("pax", b'x', "", 5, 0o644, 0).to_vec(), [b"99 a=", &[0u8; 507][..]].concat()])),
        ("pax alone", raw(vec![pax("path", b"x")])),
        ("long name", of(&[regular(&"n/".repeat(2100), b"")])),
        ("empty", vec![]),
    ];
    let outside = sandbox.path("x");
    for (name, bytes) in cases {
        let slot = Slot { operations: "tar".into(), ..file("t", "d", &bytes) };
        let app = package("app", vec![file("run", "bin/run", RUN), slot], json!({"execution": {"argv": ["{slot:run}"]}}));
        let outcome = sandbox.try_package(&app.build());
        assert_eq!(outcome.code, 103, "{name}: {outcome:?}");
        assert!(!sandbox.has_ready() && !outside.exists(), "{name}");
    }
}

#[test]
fn bombs_cut_frames_and_trailing_bytes_are_refused() {
    let sandbox = Sandbox::new();
    let zeros = vec![0; 1 << 20];
    let content = b"content".repeat(3000);
    let argv = json!({"execution": {"argv": ["{slot:run}"]}});
    let stored = |operations: &str, bytes: Vec<u8>, original: u64| {
        // The slot is stored as it is, but the JSON and table say that it was packed.
        let mut app =
            package("app", vec![file("run", "bin/run", RUN), Slot { operations: "none".into(), ..file("s", "s", &bytes) }], argv.clone());
        app.slots[1].more = json!({"operations": operations, "original_size": original});
        let mut file = app.build();
        let table = file.len() - TRAILER + 4 + 40;
        let table = u64::from_le_bytes(file[table..table + 8].try_into().unwrap()) as usize + 64;
        file[table + 32..table + 40].copy_from_slice(&original.to_le_bytes());
        file[table + 40..table + 48].copy_from_slice(&support::archive::packed(operations).to_le_bytes());
        repair_package(&mut file);
        sandbox.try_package(&file)
    };
    for operations in ["gzip", "bzip2", "xz", "zstd", "gzip|zstd"] {
        let packed = support::archive::pack(&content, operations, 3);
        assert_eq!(stored(operations, packed.clone(), content.len() as u64).code, 0, "{operations}");
        std::fs::remove_dir_all(sandbox.cache()).unwrap();
        stored(operations, support::archive::pack(&zeros, operations, 3), 1000).refuses(103, "expands to more than its signed 1000 bytes");
        stored(operations, packed.clone(), content.len() as u64 + 1).refuses(103, "not to its signed");
        stored(operations, packed[..packed.len() - 1].to_vec(), content.len() as u64).refuses(103, "slot s: ");
        stored(operations, packed[..packed.len() / 2].to_vec(), content.len() as u64).refuses(103, "slot s: ");
        stored(operations, [&packed[..], b"\0trailing"].concat(), content.len() as u64).refuses(103, "slot s: ");
        stored(operations, vec![], content.len() as u64).refuses(103, "slot s: ");
        stored(operations, b"this is no compressed data, but it is long enough".to_vec(), content.len() as u64).refuses(103, "slot s: ");
    }
}

#[test]
fn chunks_that_lie_are_refused() {
    let sandbox = Sandbox::new();
    let argv = json!({"execution": {"argv": ["{slot:run}"]}});
    let try_slot = |slot: Slot| sandbox.try_package(&package("app", vec![file("run", "bin/run", RUN), slot], argv.clone()).build());
    let archive = [member(&regular("a", b"alpha")), member(&program("b", b"beta")), vec![0; 1024]].concat();
    let chunked = |sizes: &[usize]| Slot { operations: "tar|zstd".into(), chunks: sizes.to_vec(), ..file("t", "d", &archive) };
    assert_eq!(try_slot(chunked(&[1024, 1024, 1024])).code, 0);
    assert_eq!(std::fs::read(sandbox.workenv().join("d/b")).unwrap(), b"beta");
    for bad in [&[512, 2560][..], &[1024, 1024, 512, 512], &[1000, 2072], &[2048, 1023, 1]] {
        std::fs::remove_dir_all(sandbox.cache()).unwrap_or_default();
        let outcome = try_slot(chunked(bad));
        assert_eq!(outcome.code, 103, "{bad:?} {outcome:?}");
        assert!(!sandbox.has_ready());
    }
    // Sums that hold while the frames expand to something else.
    let mut lying = chunked(&[1024, 1024, 1024]);
    let (_, sizes) = lying.stored();
    let moved: Vec<(usize, usize)> = vec![(sizes[0].0, 1023), (sizes[1].0, 1025), sizes[2]];
    lying.more = json!({"chunks": moved});
    try_slot(lying).refuses(103, "does not say its signed size");
}
