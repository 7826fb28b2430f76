//! `shutdown` slots: programs that run after the program ended. What they do changes no exit code.

use crate::environ::Environ;
use crate::exec::Program;
use crate::failure::{Failure, Result};
use crate::log;
use crate::plan::{Lifecycle, Slot};
use crate::scope::Scope;

pub fn run(scope: &Scope, environ: &Environ, code: i32) {
    let mut environ = Environ::new(environ.pairs().iter().cloned());
    environ.set("SEALIFT_EXIT_CODE", code.to_string());
    for (_, slot) in scope.slots().filter(|(_, slot)| slot.lifecycle == Lifecycle::Shutdown) {
        if let Err(failure) = run_one(scope, slot, &environ) {
            log::warning(&failure);
        }
    }
}

fn run_one(scope: &Scope, slot: &Slot, environ: &Environ) -> Result<()> {
    let path = scope.home(slot).path();
    let program = Program::new(&path, &[path.clone().into_os_string()], environ)?;
    match program.spawn(&scope.place.base)? {
        0 => Ok(()),
        code => {
            let detail = format!("it ended with exit code {code}");
            Err(Failure::new("EXEC_FAILED").with("path", path.display()).with("detail", detail))
        }
    }
}
