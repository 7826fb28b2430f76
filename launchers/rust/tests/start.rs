//! Starting honest packages: what the shared conformance cases do not say or cannot do.

mod support;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use support::archive::{folder, hardlink, program, regular, symlink};
use support::sandbox::{Outcome, os};
use support::{Sandbox, file, package, tar};

const ECHO: &[u8] = b"#!/bin/sh\necho ran\n";

fn argv() -> serde_json::Value {
    json!({"execution": {"argv": ["{slot:run}"]}})
}

#[test]
fn a_package_runs_first_and_warm() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\necho \"$@\" \"$(cat $SEALIFT_WORKENV/lib/data)\"\n";
    let lib = [regular("data", b"content"), folder("empty"), symlink("link", "data"), program("p", b"x"), hardlink("q", "p")];
    let slots = vec![file("run", "bin/run", script), tar("lib", "lib", &lib)];
    let app = sandbox.install("app.psp", &package("app", slots, json!({"execution": {"argv": ["{slot:run}", "hello"]}})).build());
    sandbox.start(&app, &["world"], &[]).prints("hello world content\n");
    sandbox.start(&app, &[], &[]).prints("hello content\n");
    let made = sandbox.workenv().join("lib");
    assert_eq!(std::fs::read_link(made.join("link")).unwrap().to_str(), Some("data"));
    use std::os::unix::fs::MetadataExt;
    let info = |name: &str| std::fs::metadata(made.join(name)).unwrap();
    assert_eq!((info("data").mtime(), info("data").mode() & 0o7777, info("p").mode() & 0o7777), (315_532_800, 0o644, 0o755));
    assert_eq!((info("empty").mtime(), info("empty").mode() & 0o7777, info("p").ino()), (315_532_800, 0o755, info("q").ino()));
}

#[test]
fn every_codec_unpacks_what_it_packed() {
    let sandbox = Sandbox::new();
    let content: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    let archive = support::archive::write(&[regular("deep/er/file", &content)]);
    for chain in ["none", "gzip", "bzip2", "xz", "zstd", "gzip|zstd", "xz|bzip2|gzip|zstd"] {
        let tarred = match chain {
            "none" => "tar".into(),
            "gzip" => "tgz".into(),
            _ => format!("tar|{chain}"),
        };
        let slots = vec![
            file("run", "bin/run", ECHO).operations(chain),
            file("f", "f", &content).operations(chain),
            file("t", "t", &archive).operations(&tarred),
        ];
        std::fs::remove_dir_all(sandbox.cache()).unwrap_or_default();
        sandbox.try_package(&package("app", slots, argv()).build()).prints("ran\n");
        assert!(std::fs::read(sandbox.workenv().join("f")).unwrap() == content, "{chain}");
        assert!(std::fs::read(sandbox.workenv().join("t/deep/er/file")).unwrap() == content, "{chain}");
    }
}

#[test]
fn arguments_and_variables_keep_their_bytes() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\nprintf '%s|%s' \"$1\" \"$ODD\" | od -An -tx1 | tr -d ' \\n'\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    for mode in ["", "spawn"] {
        let mut command = sandbox.command(&app);
        let output = command.arg(os(b"a\xff\xfe b")).env("ODD", os(b"\x80=\xc3")).env("SEALIFT_EXEC", mode).output().unwrap();
        Outcome::of(output).prints("61fffe20627c803dc3");
    }
}

#[test]
fn a_cache_path_may_hold_any_bytes() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\ncase $0 in \"$SEALIFT_WORKENV\"/*) echo same;; esac\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    let output = sandbox.command(&app).env("SEALIFT_CACHE", sandbox.dir.join(os(b"c \xff'$x"))).output().unwrap();
    Outcome::of(output).prints("same\n");
}

#[test]
fn closed_descriptors_stay_closed_and_receive_nothing() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\nfor n in 0 1 2; do [ -e /proc/$$/fd/$n ] && : > $SEALIFT_WORKENV/report; done\n: > $SEALIFT_WORKENV/ended\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    let mut command = sandbox.command(&app);
    // SAFETY: close is safe to call between fork and exec.
    unsafe {
        command.pre_exec(|| (0..3).try_for_each(|fd| if libc::close(fd) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }))
    };
    command.env("SEALIFT_LOG", "debug").status().unwrap();
    assert!(sandbox.workenv().join("ended").exists());
    assert!(!sandbox.workenv().join("report").exists());
    assert_eq!(std::fs::read(sandbox.workenv().join("bin/run")).unwrap(), script);
}

#[test]
fn signal_dispositions_pass_through() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\ngrep -E 'SigIgn|SigBlk' /proc/self/status | tr -d '\\n\\t'\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    for mode in ["", "spawn"] {
        for (disposition, ignored) in [(libc::SIG_DFL, 0), (libc::SIG_IGN, 0x1000)] {
            let mut command = sandbox.command(&app);
            command.env("SEALIFT_EXEC", mode);
            // SAFETY: signal is safe to call between fork and exec.
            unsafe {
                command.pre_exec(move || {
                    libc::signal(libc::SIGPIPE, disposition);
                    Ok(())
                })
            };
            let outcome = Outcome::of(command.output().unwrap());
            let found = u64::from_str_radix(outcome.stdout.rsplit(':').next().unwrap(), 16).unwrap();
            assert_eq!(found & 0x1000, ignored, "{mode} {outcome:?}"); // SIGPIPE; the shell changes SIGCHLD itself
            assert!(outcome.stdout.starts_with("SigBlk:0000000000000000"), "{mode} {outcome:?}");
        }
    }
}

#[test]
fn a_child_gets_signals_and_gives_its_code() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\ntrap 'echo got; exit 7' TERM\necho up\nwhile :; do sleep 0.05; done\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    let mut child = sandbox.command(&app).env("SEALIFT_EXEC", "spawn").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    // SAFETY: the child is ours and not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    std::io::Read::read_to_string(&mut out, &mut line).unwrap();
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("up\ngot\n", Some(7)));
    let kill = sandbox.install("kill.psp", &package("kill", vec![file("run", "bin/run", b"#!/bin/sh\nkill -9 $$\n")], argv()).build());
    assert_eq!(sandbox.start(&kill, &[], &[("SEALIFT_EXEC", "spawn")]).code, 137);
    assert_eq!(sandbox.start(&kill, &[], &[]).code, -9);
}

#[test]
fn many_processes_at_once_make_one_environment() {
    let sandbox = Sandbox::new();
    let data = tar("data", "data", &(0..300).map(|i| regular(&format!("d{}/f{i}", i % 7), &[i as u8; 3000])).collect::<Vec<_>>());
    let setup = json!({"execution": {"argv": ["{slot:run}"]}, "setup_commands": ["/bin/sh -c 'echo x >> count'"]});
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", ECHO), data.shared()], setup).build());
    let start = |_| sandbox.command(&app).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..40).map(start).collect();
    for child in children {
        Outcome::of(child.wait_with_output().unwrap()).prints("ran\n");
    }
    assert_eq!(std::fs::read_to_string(sandbox.workenv().join("count")).unwrap(), "x\n");
}

#[test]
fn full_verification_repairs_what_was_changed() {
    let sandbox = Sandbox::new();
    let lib = [regular("a", b"alpha"), symlink("l", "a"), program("p", b"x")];
    let slots = vec![file("run", "bin/run", ECHO), tar("lib", "lib", &lib), tar("shared", "", &[regular("s", b"store")]).shared()];
    let setup = json!({"execution": {"argv": ["{slot:run}"]}, "setup_commands": ["/bin/sh -c 'echo more >> lib/p'"]});
    let app = sandbox.install("app.psp", &package("app", slots, setup).build());
    let full = [("SEALIFT_VERIFY", "full")];
    sandbox.start(&app, &[], &full).prints("ran\n");
    sandbox.start(&app, &[], &full).prints("ran\n");
    let workenv = sandbox.workenv();
    let store = std::fs::read_dir(sandbox.cache().join("store")).unwrap().next().unwrap().unwrap().path();
    let same_time = |path: &Path, content: &[u8]| {
        let time = std::fs::metadata(path).unwrap().modified().unwrap();
        std::fs::write(path, content).unwrap();
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let damages: [(&str, &dyn Fn()); 5] = [
        ("content", &|| same_time(&workenv.join("lib/a"), b"ALPHA")),
        ("shared content", &|| same_time(&store.join("s"), b"STORE")),
        ("missing", &|| std::fs::remove_file(workenv.join("lib/a")).unwrap()),
        ("link", &|| {
            std::fs::remove_file(workenv.join("lib/l")).unwrap();
            std::os::unix::fs::symlink("p", workenv.join("lib/l")).unwrap();
        }),
        ("written by setup", &|| std::fs::write(workenv.join("lib/p"), b"y").unwrap()),
    ];
    for (name, damage) in damages {
        damage();
        let outcome = sandbox.start(&app, &[], &full);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "ran\n"), "{name}: {outcome:?}");
        assert!(outcome.stderr.contains("was changed and is made anew"), "{name}: {outcome:?}");
        sandbox.start(&app, &[], &full).prints("ran\n");
    }
    assert_eq!(std::fs::read(store.join("s")).unwrap(), b"store");
}

#[test]
fn co_signatures_are_all_checked() {
    let sandbox = Sandbox::new();
    let mut app = package("app", vec![file("run", "bin/run", ECHO)], argv());
    app.seeds = vec![[1; 32], [2; 32], [3; 32]];
    let bytes = app.build();
    sandbox.try_package(&bytes).prints("ran\n");
    let area = bytes.len() - support::TRAILER + 4 + 192;
    for at in [area, area + 40, area + 96, area + 190] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        support::repair_package(&mut damaged);
        assert_eq!(sandbox.try_package(&damaged).code, 107, "{at}");
    }
    app.seeds = vec![[1; 32], [2; 32], [2; 32]];
    sandbox.try_package(&app.build()).refuses(107, "the signature does not match");
    let mut gap = bytes.clone();
    gap.copy_within(area + 96..area + 192, area + 192);
    gap[area + 96..area + 192].fill(0);
    support::repair_package(&mut gap);
    sandbox.try_package(&gap).refuses(107, "the index block differs");
}

#[test]
fn shared_slots_serve_packages_that_name_them_differently() {
    let sandbox = Sandbox::new();
    for (name, target) in [("one", "bin/first"), ("two", "bin/second"), ("one", "bin/first")] {
        let app = package(name, vec![file("run", target, ECHO).shared()], argv()).build();
        sandbox.start(&sandbox.install(&format!("{name}.psp"), &app), &[], &[]).prints("ran\n");
    }
    let store: Vec<_> = std::fs::read_dir(sandbox.cache().join("store")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(store.len(), 1);
    let full = [("SEALIFT_VERIFY", "full")];
    for name in ["one", "two"] {
        assert!(store[0].join(if name == "one" { "first" } else { "second" }).exists());
        sandbox.start(&sandbox.path(&format!("{name}.psp")), &[], &full).prints("ran\n");
    }
    let both = package("both", vec![file("run", "a", ECHO).shared(), file("b", "b", ECHO).shared()], argv()).build();
    sandbox.start(&sandbox.install("both.psp", &both), &[], &[]).prints("ran\n");
    assert!(store[0].join("a").exists() && store[0].join("b").exists());
}

#[test]
fn the_bare_stub_starts_a_package_file() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\necho \"$SEALIFT_SELF\" \"$@\"\n";
    let app = sandbox.install("app.psp", &package("app", vec![file("run", "bin/run", script)], argv()).build());
    let stub = sandbox.install("stub", &support::launcher());
    let said = format!("{} --run-package x\n", app.display());
    sandbox.start(&stub, &["--run-package", "app.psp", "--run-package", "x"], &[]).prints(&said);
    sandbox.start(&stub, &["--run-package"], &[]).refuses(102, "no package is attached");
    sandbox.start(&stub, &["--run-package", "stub"], &[]).refuses(102, "are not a PSPF trailer");
    sandbox.start(&stub, &["--run-package", "nothing"], &[]).refuses(106, "No such file");
}
