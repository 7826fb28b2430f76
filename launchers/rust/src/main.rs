//! The Rust launcher stub of a sealed package.
//!
//! It is the first part of every package that carries it: it opens its own file, checks the seal, prepares the work
//! environment once, and becomes the program. The contract, step by step, stands in docs/reference/launcher.md; each step has
//! a file of its name here. `main` takes the place of Rust's runtime start, which would change signals before it is asked.

#![cfg_attr(not(test), no_main)]

mod aside;
mod cipher;
mod cli;
mod codec;
mod command;
mod compare;
mod control;
mod digest;
mod document;
mod environ;
mod exec;
mod failure;
mod fault;
mod field;
mod first;
mod hex;
mod json;
mod locate;
mod lock;
mod log;
mod messages;
mod metadata;
mod names;
mod operations;
mod output;
mod package;
mod place;
mod plan;
mod prepare;
mod process;
mod progress;
mod ready;
mod report;
mod scope;
mod seal;
mod secret;
mod service;
mod setup;
mod shutdown;
mod standing;
mod store;
mod supervise;
mod tar;
mod terminal;
mod tree;
mod trust;
mod unpack;
mod words;

use std::path::Path;

use failure::{Failure, Result};
use locate::Image;
use package::Sealed;
use prepare::Start;

#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn main(_argc: i32, _argv: *const *const u8) -> i32 {
    std::panic::set_hook(Box::new(|panic| {
        let failure = Failure::new("INTERNAL").with("detail", panic.to_string().replace('\n', ": "));
        log::error(&failure, false);
        std::process::exit(failure.exit());
    }));
    process::open_standard_descriptors();
    log::configure();
    match begin() {
        Ok(code) => code,
        Err(failure) => {
            log::error(&failure, false);
            failure.exit()
        }
    }
}

fn begin() -> Result<i32> {
    let image = Image::own()?;
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_else(|| image.path.clone().into());
    let args = args.collect();
    if image.has_package() {
        return launch(image, Start { name, args });
    }
    bare(args)
}

/// A stub without a package.
fn bare(mut args: Vec<std::ffi::OsString>) -> Result<i32> {
    match args.first() {
        Some(word) if word == "--stub-version" => {
            println!("sealift-rust {} {}_{}", env!("CARGO_PKG_VERSION"), scope::OS, scope::ARCH);
            Ok(0)
        }
        Some(word) if word == "--run-package" && args.len() > 1 => {
            let args_of_program = args.split_off(2);
            let name = args.remove(1);
            launch(Image::named(Path::new(&name))?, Start { name, args: args_of_program })
        }
        _ => Err(Failure::new("NO_PACKAGE")),
    }
}

fn launch(image: Image, start: Start) -> Result<i32> {
    if cli::wanted() {
        return Ok(cli::run(image, start));
    }
    process::set_signals();
    let sealed = Sealed::open(image)?;
    run(&sealed, &start).map_err(|failure| failure.with("file", sealed.package.image.path.display()))
}

/// Checks trust, then prepares and starts the program.
pub fn run(sealed: &Sealed, start: &Start) -> Result<i32> {
    trust::check(&sealed.package.image.path, &sealed.plan.name, &sealed.signers)?;
    prepare::run(sealed, start)
}
