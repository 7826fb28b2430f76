//! Step 12, cli: SEALIFT_LAUNCHER_CLI=1 turns the package into a tool about itself (launcher.md, "CLI mode").

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use crate::aside;
use crate::control::{self, Control};
use crate::document::{Document, string};
use crate::environ;
use crate::failure::{Failure, Result};
use crate::first;
use crate::locate::Image;
use crate::log;
use crate::operations;
use crate::package::Sealed;
use crate::plan::{Lifecycle, Slot};
use crate::prepare::{self, Start};
use crate::process::{self, OpenMask};
use crate::progress::Progress;
use crate::report;
use crate::scope::{self, Scope};
use crate::secret;
use crate::tree::Tree;
use crate::trust;
use crate::unpack::{self, Sink, Work};

const COMMANDS: [&str; 14] =
    ["info", "verify", "metadata", "slots", "slot", "extract", "workenv", "run", "start", "status", "stop", "restart", "logs", "help"];

const HELP: &str = "Commands of this package (SEALIFT_LAUNCHER_CLI=1):
  info               what this package is (the default)
  verify             check every byte against the seal
  metadata           print the signed JSON
  slots              list the slots
  slot NAME          extract a slot if need be and print its path
  extract INDEX DIR  decode a slot into a folder
  workenv            print the path of the work environment
  run [ARGS]         run the program
  start [ARGS]       start the service in the background
  status             whether the service runs (exit code 3: it does not)
  stop               stop the service
  restart [ARGS]     stop the service and start it from this file
  logs               print the last lines of the service's log
  help               print this
Each takes --json.
";

/// What a command prints, and its exit code.
pub struct Answer {
    pub text: String,
    pub code: i32,
}

/// One call.
struct Call {
    command: String,
    args: Vec<OsString>,
    json: bool,
}

pub fn wanted() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"));
    set("SEALIFT_LAUNCHER_CLI") || set("FLAVOR_LAUNCHER_CLI")
}

/// Answers one command and returns its exit code. With --json an error is a document on standard output too.
pub fn run(image: Image, start: Start) -> i32 {
    let (call, rest) = Call::parse(start.args);
    if call.command == "run" {
        process::set_signals();
        let start = Start { name: start.name, args: rest };
        let ran = Sealed::open(image).and_then(|sealed| crate::run(&sealed, &start));
        return ran.unwrap_or_else(|failure| refuse(&failure, false));
    }
    if control::COMMANDS.contains(&call.command.as_str()) {
        let control = Control { command: &call.command, json: call.json || rest.first().is_some_and(|word| word == "--json") };
        return match control.answer(image, start.name, rest) {
            Ok(answer) => print(&answer.text).map_or_else(|failure| refuse(&failure, false), |()| answer.code),
            Err(failure) => refuse(&failure, control.json),
        };
    }
    match call.answer(image, &start.name) {
        Ok(answer) => print(&answer.text).map_or_else(|failure| refuse(&failure, false), |()| answer.code),
        Err(failure) => refuse(&failure, call.json),
    }
}

fn refuse(failure: &Failure, json: bool) -> i32 {
    match json {
        true => drop(print(&(log::error_document(failure) + "\n"))),
        false => log::error(failure, false),
    }
    failure.exit()
}

/// A closed standard output is an I/O error, not a silent success.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::io(Path::new("standard output"), e))
}

/// Lines for people; what a package put into a name cannot steer the terminal.
pub fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>() + "\n").collect()
}

impl Call {
    /// The call, and what follows the command as it was given, for `run`.
    fn parse(mut args: Vec<OsString>) -> (Call, Vec<OsString>) {
        let is_json = |word: &OsString| word == "--json";
        let mut json = args.first().is_some_and(is_json);
        if json {
            args.remove(0);
        }
        let command = if args.is_empty() { "info".into() } else { args.remove(0).to_string_lossy().into_owned() };
        let rest = args.clone();
        // What stands behind these may be the program's.
        if !control::COMMANDS.contains(&command.as_str()) {
            json |= args.iter().any(is_json);
            args.retain(|word| !is_json(word));
        }
        (Call { command, args, json }, rest)
    }

    fn answer(&self, image: Image, started_as: &OsStr) -> Result<Answer> {
        let takes = match self.command.as_str() {
            "slot" => (1, "it takes one argument, NAME"),
            "extract" => (2, "it takes two arguments, INDEX and DIR"),
            "help" | "--help" | "-h" => (0, "it takes no argument"),
            known if COMMANDS.contains(&known) => (0, "it takes no argument"),
            other => return Err(Failure::new("CLI_COMMAND").with("name", other)),
        };
        if self.args.len() != takes.0 {
            return Err(Failure::new("CLI_ARGUMENT").with("name", &self.command).with("detail", takes.1));
        }
        let text = match self.command.as_str() {
            "verify" => return report::verify(image, self.json),
            "help" | "--help" | "-h" => self.help(),
            _ => {
                let sealed = Sealed::open(image)?;
                self.about(&sealed, started_as).map_err(|failure| failure.with("file", sealed.package.image.path.display()))?
            }
        };
        Ok(Answer { text, code: 0 })
    }

    fn about(&self, sealed: &Sealed, started_as: &OsStr) -> Result<String> {
        match self.command.as_str() {
            "info" => self.info(sealed),
            "metadata" => Ok(String::from_utf8_lossy(&sealed.json).into_owned()),
            "slots" => Ok(self.slots(sealed)),
            "workenv" => self.workenv(sealed),
            "slot" => self.slot(sealed, started_as),
            _ => self.extract(sealed),
        }
    }

    fn help(&self) -> String {
        match self.json {
            true => Document::new("help", true).list("commands", COMMANDS.iter().map(|name| string(name))).finish() + "\n",
            false => HELP.into(),
        }
    }

    fn info(&self, sealed: &Sealed) -> Result<String> {
        let (plan, index) = (&sealed.plan, &sealed.package.index);
        let trusted = trust::open()?.map(|store| trust::judge(&store, &plan.name, &sealed.signers).is_none());
        let signer = trust::fingerprint(&sealed.signers[0]);
        let names = || plan.entries.iter().map(|(name, _)| name.as_str());
        if self.json {
            let mut launcher = Document::object();
            launcher.text("tool", &plan.launcher.tool).text("version", &plan.launcher.tool_version).number("size", index.launcher_size());
            let mut document = Document::new("info", true);
            document.text("name", &plan.name).text("version", &plan.version).text("format", "PSPF/2025");
            document.text("identity", &sealed.identity).text("signer", &signer);
            document.raw("trusted", trusted.map_or("null", |yes| if yes { "true" } else { "false" }));
            document.bool("sealed", plan.seal.is_some()).raw("launcher", &launcher.finish());
            document.number("slots", plan.slots.len() as u64).number("size", sealed.package.image.size);
            return Ok(document.list("entries", names().map(string)).finish() + "\n");
        }
        let entries = names().collect::<Vec<_>>().join(", ");
        let tool = format!("{} {}", plan.launcher.tool, plan.launcher.tool_version);
        let shown = [
            format!("{} {}", plan.name, plan.version),
            format!("format    PSPF/2025{}", if plan.seal.is_some() { ", sealed" } else { "" }),
            format!("identity  {}", sealed.identity),
            format!("signer    {signer}"),
            format!("trusted   {}", trusted.map_or("no trust store", |yes| if yes { "yes" } else { "no" })),
            format!("launcher  {}, {} bytes", tool.trim(), index.launcher_size()),
            format!("slots     {}", plan.slots.len()),
            format!("size      {} bytes", sealed.package.image.size),
        ];
        let entries = (!entries.is_empty()).then(|| format!("entries   {entries}"));
        Ok(lines(shown.into_iter().chain(entries)))
    }

    fn slots(&self, sealed: &Sealed) -> String {
        let slots = || sealed.plan.slots.iter().enumerate();
        if !self.json {
            return lines(slots().map(|(i, slot)| {
                let operations = operations::format(&slot.operations);
                format!("{i}  {}  {operations}  {} bytes  {}  {{workenv}}/{}", slot.id, slot.size, slot.lifecycle_text, slot.target)
            }));
        }
        Document::new("slots", true).list("slots", slots().map(slot_document)).finish() + "\n"
    }

    fn workenv(&self, sealed: &Sealed) -> Result<String> {
        let scope = Scope::new(sealed)?;
        let path = scope.place.dir.to_string_lossy().into_owned();
        if !self.json {
            return Ok(path + "\n");
        }
        let ready = prepare::is_ready(&scope, None);
        Ok(Document::new("workenv", true).text("path", &path).bool("ready", ready).text("identity", &sealed.identity).finish() + "\n")
    }

    /// Extracts a slot if need be: one on demand alone, any other with the whole environment.
    fn slot(&self, sealed: &Sealed, started_as: &OsStr) -> Result<String> {
        let (number, slot) = self.named(sealed)?;
        let absent = scope::absence(slot).or_else(|| match slot.lifecycle {
            Lifecycle::Run | Lifecycle::Init => Some("it exists only while the program runs or is set up".into()),
            _ => None,
        });
        if let Some(detail) = absent {
            return Err(Failure::new("SLOT_ABSENT").with("slot", &slot.id).with("detail", detail));
        }
        trust::check(&sealed.package.image.path, &sealed.plan.name, &sealed.signers)?;
        process::set_signals();
        let scope = Scope::new(sealed)?;
        prepare::ensure(&scope, &environ::build(&scope, started_as)?, None)?;
        aside::on_demand(&scope, number, slot)?;
        let path = scope.home(slot).path().to_string_lossy().into_owned();
        match self.json {
            true => Ok(Document::new("slot", true).text("name", &slot.id).text("path", &path).finish() + "\n"),
            false => Ok(path + "\n"),
        }
    }

    fn named<'s>(&self, sealed: &'s Sealed) -> Result<(usize, &'s Slot)> {
        let name = self.args[0].to_string_lossy();
        sealed.find_slot(&name).ok_or_else(|| Failure::new("SLOT_UNKNOWN").with("name", name).with("list", sealed.slot_names()))
    }

    /// Decodes a slot into a folder: a tar slot's files, else one file with the slot's id as its name.
    fn extract(&self, sealed: &Sealed) -> Result<String> {
        let (number, slot) = self.named(sealed)?;
        trust::check(&sealed.package.image.path, &sealed.plan.name, &sealed.signers)?;
        secret::open(&sealed.package.image, slot)?;
        let dir = std::path::absolute(&self.args[1]).map_err(|e| Failure::io(Path::new(&self.args[1]), e))?;
        std::fs::create_dir_all(&dir).map_err(|e| Failure::io(&dir, e))?;
        let at = match slot.is_tar() {
            true => String::new(),
            false if crate::plan::is_name(&slot.id) => slot.id.clone(),
            false => format!("slot_{number}"),
        };
        let _mask = OpenMask::new();
        let tree = Tree::open(&dir, false)?;
        let work = [Work { slot, number, sink: Sink::Tree(&tree, at), mtime: first::file_time(sealed) }];
        unpack::run(&sealed.package.image, &work, &Progress::new(&sealed.plan.name))?;
        drop(work);
        let files = tree.finish()?.len() as u64;
        let path = dir.to_string_lossy().into_owned();
        match self.json {
            true => {
                let mut document = Document::new("extract", true);
                Ok(document.number("slot", number as u64).text("id", &slot.id).text("path", &path).number("files", files).finish() + "\n")
            }
            false => Ok(path + "\n"),
        }
    }
}

fn slot_document((i, slot): (usize, &Slot)) -> String {
    let mut document = Document::object();
    document.number("slot", i as u64).text("id", &slot.id).number("size", slot.size);
    match slot.original_size {
        Some(size) => document.number("original_size", size),
        None => document.raw("original_size", "null"),
    };
    document.text("operations", &operations::format(&slot.operations)).text("lifecycle", &slot.lifecycle_text).text("target", &slot.target);
    match &slot.platform {
        Some(platform) => document.text("platform", platform),
        None => document.raw("platform", "null"),
    };
    document.bool("share", slot.share);
    match &slot.encryption {
        Some(encryption) => document.text("key_source", &encryption.source),
        None => document.raw("key_source", "null"),
    };
    document.finish()
}
