//! The command `verify` of CLI mode: every check of format.md section 8, each with its own line.

use crate::cli::{Answer, lines};
use crate::digest;
use crate::document::Document;
use crate::failure::Result;
use crate::locate::Image;
use crate::package::Sealed;
use crate::plan::{Checksum, Slot};
use crate::secret::Encryption;
use crate::trust;

struct Check {
    name: String,
    failure: Option<String>,
    detail: String,
}

/// Goes on after a failed check as far as the file allows. A file that cannot be read as a package is an error of the
/// format; a check that says no is exit code 107.
pub fn verify(image: Image, json: bool) -> Result<Answer> {
    match Sealed::open(image) {
        Ok(sealed) => {
            let checks = checks(&sealed)?;
            Ok(answer(&checks, Some(&sealed), json))
        }
        Err(failure) if failure.exit() == 107 => {
            let check = Check { name: "seal".into(), failure: Some(failure.to_string()), detail: String::new() };
            Ok(answer(&[check], None, json))
        }
        Err(failure) => Err(failure),
    }
}

fn checks(sealed: &Sealed) -> Result<Vec<Check>> {
    let (package, plan) = (&sealed.package, &sealed.plan);
    let passed = |name: &str, detail: String| Check { name: name.into(), failure: None, detail };
    let mut checks = vec![
        passed("format", String::new()),
        passed("signature", trust::fingerprint(&sealed.signers[0])),
        passed("index", String::new()),
        passed("slot table", String::new()),
    ];
    let path = package.image.path.display();
    let mut add = |name: String, result: Result<String>| {
        let (failure, detail) = match result {
            Ok(detail) => (None, detail),
            Err(failure) => (Some(failure.with("file", &path).to_string()), String::new()),
        };
        checks.push(Check { name, failure, detail });
    };
    let nothing = |()| String::new();
    if plan.seal.is_some() {
        add("padding".into(), digest::check_padding(package, plan).map(nothing));
    }
    if plan.launcher.checksum.is_some() {
        add("launcher".into(), digest::check_launcher(package, plan).map(nothing));
    }
    for slot in &plan.slots {
        add(format!("slot {}", slot.id), digest::check_slot(&package.image, slot).map(|()| encryption_note(slot)));
    }
    if let Some(store) = trust::open()? {
        let verdict = trust::judge(&store, &plan.name, &sealed.signers);
        add("trust".into(), verdict.map_or(Ok(String::new()), Err));
    }
    Ok(checks)
}

fn encryption_note(slot: &Slot) -> String {
    let note = |e: &Encryption| format!("encrypted ({}), content not checked without its key", e.source);
    slot.encryption.as_ref().map_or(String::new(), note)
}

fn answer(checks: &[Check], sealed: Option<&Sealed>, json: bool) -> Answer {
    let ok = checks.iter().all(|check| check.failure.is_none());
    let text = if json { as_json(checks, sealed, ok) } else { as_lines(checks, sealed) };
    Answer { text, code: if ok { 0 } else { 107 } }
}

fn as_json(checks: &[Check], sealed: Option<&Sealed>, ok: bool) -> String {
    let mut document = Document::new("verify", ok);
    document.list(
        "checks",
        checks.iter().map(|check| {
            let mut one = Document::object();
            one.text("name", &check.name).bool("ok", check.failure.is_none());
            match check.failure.as_ref().unwrap_or(&check.detail) {
                detail if detail.is_empty() => one.finish(),
                detail => one.text("detail", detail).finish(),
            }
        }),
    );
    document.bool("sealed", sealed.is_some_and(|sealed| sealed.plan.seal.is_some()));
    if let Some(sealed) = sealed {
        let mut coverage = Document::object();
        coverage.number("total", sealed.package.image.size).number("covered", covered(sealed));
        document.raw("coverage", &coverage.finish());
    }
    document.finish() + "\n"
}

fn as_lines(checks: &[Check], sealed: Option<&Sealed>) -> String {
    let line = |check: &Check| match (&check.failure, check.detail.as_str()) {
        (Some(failure), _) => format!("FAILED  {}: {failure}", check.name),
        (None, "") => format!("ok      {}", check.name),
        (None, detail) => format!("ok      {}: {detail}", check.name),
    };
    let covered = sealed.map(|sealed| format!("signed  {} of {} bytes", covered(sealed), sealed.package.image.size));
    lines(checks.iter().map(line).chain(covered))
}

/// The bytes that the signature pins: all of a sealed package; of others the metadata, and the launcher and slots whose digest
/// stands in the JSON.
fn covered(sealed: &Sealed) -> u64 {
    let plan = &sealed.plan;
    if plan.seal.is_some() {
        return sealed.package.image.size;
    }
    let signed = plan.slots.iter().filter(|slot| matches!(slot.checksum, Checksum::Full(_)));
    let launcher = plan.launcher.checksum.map_or(0, |_| sealed.package.index.launcher_size());
    sealed.package.index.metadata_size() + launcher + signed.map(|slot| slot.size).sum::<u64>()
}
