//! The commands of CLI mode about the service: `start`, `status`, `stop`, `restart`, `logs`.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::cli::{Answer, lines};
use crate::command;
use crate::document::{Document, string};
use crate::failure::{Failure, Result};
use crate::locate::Image;
use crate::log;
use crate::output::Output;
use crate::package::Sealed;
use crate::plan::Plan;
use crate::prepare::{self, Ready, Start};
use crate::process;
use crate::service;
use crate::standing::{Folder, State, accepts, now};
use crate::supervise::{self, TICK, end_orphan, stuck};
use crate::trust;

pub const COMMANDS: [&str; 5] = ["start", "status", "stop", "restart", "logs"];

const SHOWN_LINES: usize = 20;
/// A program without a port is up when it has run for so long.
const UP: Duration = Duration::from_millis(500);
/// What `stop` waits beyond the time that the program has.
const GRACE: u64 = 5;
/// Exit code of `status` when the service does not run, as init scripts have it.
const NOT_RUNNING: i32 = 3;
/// Exit code of a supervisor that found another one at work.
const OTHER_FIRST: i32 = 199;
/// How often `start` begins again because a supervisor that it found was about to end.
const ATTEMPTS: u32 = 3;

/// One call.
pub struct Control<'a> {
    pub command: &'a str,
    pub json: bool,
}

impl Control<'_> {
    pub fn answer(&self, image: Image, name: OsString, mut args: Vec<OsString>) -> Result<Answer> {
        for word in ["--json", "--"] {
            if args.first().is_some_and(|first| first == word) {
                args.remove(0);
            }
        }
        let sealed = Sealed::open(image)?;
        let plan = &sealed.plan;
        let instance =
            service::instance(plan, command::choose(plan, &name)?).ok_or_else(|| Failure::new("SERVICE_NONE").with("name", &plan.name))?;
        let takes_args = matches!(self.command, "start" | "restart");
        if !takes_args && !args.is_empty() {
            return Err(Failure::new("CLI_ARGUMENT").with("name", self.command).with("detail", "it takes no argument"));
        }
        let folder = Folder::of(&instance)?;
        let start = Start { name, args };
        let answer = match self.command {
            "status" => Ok(self.status(plan, &folder)),
            "logs" => Ok(self.logs(&folder)),
            "stop" => self.stop(plan, &folder),
            _ => self.start(&sealed, &folder, &start),
        };
        answer.map_err(|failure| failure.with("file", sealed.package.image.path.display()))
    }

    fn status(&self, plan: &Plan, folder: &Folder) -> Answer {
        let state = folder.read().unwrap_or_default();
        let supervisor = folder.supervisor();
        let (word, program) = match (supervisor, state.program) {
            (Some(pid), program) if pid == state.supervisor && program > 0 => ("running", program),
            (Some(_), _) => ("starting", 0),
            (None, _) => folder.orphan().map_or(("stopped", 0), |program| ("orphaned", program)),
        };
        let running = word == "running";
        let accepting = running && state.port != 0 && accepts(state.port);
        let uptime = if running { now().saturating_sub(state.since) } else { 0 };
        let path = folder.path("log").to_string_lossy().into_owned();
        let version = if state.version.is_empty() { &plan.version } else { &state.version };
        let code = if running { 0 } else { NOT_RUNNING };
        if self.json {
            let mut document = Document::new("status", running);
            document.text("state", word).text("name", &plan.name).text("version", version);
            number(&mut document, "supervisor", supervisor.map(|pid| pid as u64));
            number(&mut document, "pid", (program > 0).then_some(program as u64));
            number(&mut document, "started", (running && state.started > 0).then_some(state.started));
            number(&mut document, "uptime", running.then_some(uptime));
            document.number("restarts", state.restarts);
            number(&mut document, "exit", state.exit.map(|code| code as u64));
            number(&mut document, "port", (state.port != 0).then_some(u64::from(state.port)));
            document.bool("accepts", accepting).text("log", &path);
            return Answer { text: document.finish() + "\n", code };
        }
        let mut shown = vec![format!("{} {version} is {word}", plan.name)];
        if program > 0 {
            shown.push(format!("process   {program}"));
        }
        if running {
            shown.push(format!("uptime    {uptime} s"));
        }
        if supervisor.is_some() {
            shown.push(format!("restarts  {}", state.restarts));
        }
        if let Some(code) = state.exit {
            shown.push(format!("exit      {code}"));
        }
        if state.port != 0 && supervisor.is_some() {
            let word = if accepting { "accepts" } else { "does not accept" };
            shown.push(format!("port      {}, {word} connections", state.port));
        }
        shown.push(format!("log       {path}"));
        Answer { text: lines(shown.into_iter()), code }
    }

    fn logs(&self, folder: &Folder) -> Answer {
        let path = folder.path("log").to_string_lossy().into_owned();
        let last = folder.last_lines(SHOWN_LINES);
        let text = match self.json {
            true => Document::new("logs", true).text("path", &path).list("lines", last.iter().map(|line| string(line))).finish() + "\n",
            false => lines(last.into_iter()),
        };
        Answer { text, code: 0 }
    }

    fn stop(&self, plan: &Plan, folder: &Folder) -> Result<Answer> {
        let stopped = stop(plan, folder)?;
        let text = match self.json {
            true => Document::new("stop", true).text("name", &plan.name).bool("stopped", stopped).finish() + "\n",
            false => lines([format!("{} {}", plan.name, if stopped { "is stopped" } else { "does not run" })].into_iter()),
        };
        Ok(Answer { text, code: 0 })
    }

    fn start(&self, sealed: &Sealed, folder: &Folder, start: &Start) -> Result<Answer> {
        let plan = &sealed.plan;
        trust::check(&sealed.package.image.path, &plan.name, &sealed.signers)?;
        process::set_signals();
        let ready = prepare::make_ready(sealed, start)?;
        // What can fail before the service has to stop has not failed.
        if self.command == "restart" {
            stop(plan, folder)?;
        }
        let mut up = None;
        for _ in 0..ATTEMPTS {
            let own = background(&ready, folder)?;
            up = await_up(sealed, folder, own)?;
            if up.is_some() {
                break;
            }
        }
        let Some((state, started)) = up else { return Err(failed(plan, folder, 0)) };
        let path = folder.path("log").to_string_lossy().into_owned();
        let text = if self.json {
            let mut document = Document::new(self.command, true);
            document.text("name", &plan.name).text("version", &state.version).bool("started", started);
            document.number("supervisor", state.supervisor as u64).number("pid", state.program as u64);
            number(&mut document, "port", (state.port != 0).then_some(u64::from(state.port)));
            document.text("log", &path).finish() + "\n"
        } else {
            let port = if state.port == 0 { String::new() } else { format!(", port {}", state.port) };
            let word = if started { "runs" } else { "runs already" };
            lines([format!("{} {} {word}: process {}{port}", plan.name, state.version, state.program)].into_iter())
        };
        Ok(Answer { text, code: 0 })
    }
}

/// A supervisor in the background, unless there is one.
fn background(ready: &Ready, folder: &Folder) -> Result<Option<i32>> {
    let port = ready.scope.port.unwrap_or(0);
    if folder.supervisor().is_some() {
        return Ok(None);
    }
    if port != 0 && folder.orphan().is_none() && accepts(port) && folder.supervisor().is_none() {
        return Err(Failure::new("SERVICE_PORT_TAKEN").with("port", port));
    }
    detach(ready, folder).map(Some)
}

/// Waits until the program is up; false when it is somebody else's start that made it so, `None` when that one ended meanwhile.
fn await_up(sealed: &Sealed, folder: &Folder, mut own: Option<i32>) -> Result<Option<(State, bool)>> {
    let plan = &sealed.plan;
    let patience = plan.service.as_ref().map_or(0, |service| service.start_timeout);
    let until = Instant::now() + Duration::from_secs(patience);
    let mut seen: Option<(i32, Instant)> = None;
    loop {
        if let Some(code) = own.and_then(ended) {
            if code != OTHER_FIRST {
                return Err(failed(plan, folder, code));
            }
            own = None;
        }
        let supervisor = folder.supervisor();
        let state = folder.read().filter(|state| supervisor == Some(state.supervisor)).unwrap_or_default();
        if own.is_none() && state.supervisor != 0 && state.identity != sealed.identity {
            return Err(supervise::runs_already(&plan.name, &plan.version, folder));
        }
        if own.is_none() && supervisor.is_none() {
            return Ok(None);
        }
        if own.is_some() && state.exit.is_some() {
            stop(plan, folder)?;
            return Err(failed(plan, folder, state.exit.unwrap_or(0)));
        }
        if state.program > 0 {
            let since = seen.filter(|(program, _)| *program == state.program).map_or_else(Instant::now, |(_, since)| since);
            seen = Some((state.program, since));
            let up = if state.port == 0 { since.elapsed() >= UP } else { since.elapsed() >= UP / 5 && accepts(state.port) };
            if up {
                return Ok(Some((state, own.is_some())));
            }
        }
        if Instant::now() >= until {
            let late = Failure::new("SERVICE_LATE").with("name", &plan.name).with("pid", state.program).with("seconds", patience);
            return Err(late.with("detail", if state.port == 0 { String::new() } else { format!(" on port {}", state.port) }));
        }
        std::thread::sleep(TICK);
    }
}

fn number(document: &mut Document, key: &str, value: Option<u64>) {
    match value {
        Some(value) => document.number(key, value),
        None => document.raw(key, "null"),
    };
}

/// The exit code of a supervisor that this process started.
fn ended(supervisor: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` is valid for the call.
    (unsafe { libc::waitpid(supervisor, &mut status, libc::WNOHANG) } == supervisor).then(|| process::code_of(status))
}

fn failed(plan: &Plan, folder: &Folder, code: i32) -> Failure {
    log::put(&lines(folder.last_lines(SHOWN_LINES).into_iter()));
    Failure::new("SERVICE_FAILED").with("name", &plan.name).with("actual", code).with("path", folder.path("log").display())
}

/// Asks the supervisor to end and waits until it has; false when there was nothing to stop.
fn stop(plan: &Plan, folder: &Folder) -> Result<bool> {
    let patience = folder.read().map_or(0, |state| state.stop_timeout).max(plan.service.as_ref().map_or(0, |service| service.stop_timeout));
    let Some(supervisor) = folder.supervisor() else { return end_orphan(folder, &plan.name, patience) };
    // SAFETY: the system said this moment that this process holds the lock. One of another machine or container has no number here.
    if supervisor < 1 || unsafe { libc::kill(supervisor, libc::SIGTERM) } == -1 && folder.supervisor().is_some() {
        return Err(stuck(&plan.name, supervisor));
    }
    let until = Instant::now() + Duration::from_secs(patience + GRACE);
    while folder.supervisor() == Some(supervisor) {
        if Instant::now() >= until {
            return Err(stuck(&plan.name, supervisor));
        }
        std::thread::sleep(TICK);
    }
    Ok(true)
}

/// Starts a supervisor in a session of its own that shares nothing with this process. When another one has the lock it ends at once.
fn detach(ready: &Ready, folder: &Folder) -> Result<i32> {
    folder.create()?;
    // SAFETY: the process has one thread here, so the child may do anything.
    match unsafe { libc::fork() } {
        -1 => return Err(Failure::io(&folder.path("lock"), std::io::Error::last_os_error())),
        0 => (),
        child => return Ok(child),
    }
    let package = ready.scope.sealed.package.image.file.as_raw_fd();
    // SAFETY: nothing of this process uses any other descriptor; whoever waits for their end shall not wait for the service.
    unsafe {
        libc::setsid();
        for number in (3..256).filter(|number| *number != package) {
            libc::close(number);
        }
    }
    let supervise = || {
        let Some(lock) = folder.take()? else { return Ok(OTHER_FIRST) };
        let output = Output::open(folder)?;
        ready.around(|| supervise::run(ready, folder, lock, Some(output)))
    };
    let code = supervise().unwrap_or_else(|failure: Failure| {
        log::error(&failure, false);
        failure.exit()
    });
    // SAFETY: ends the child at once, without the parent's clean-up.
    unsafe { libc::_exit(code) }
}
