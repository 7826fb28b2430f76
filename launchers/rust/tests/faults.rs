//! `cargo test --features faults`: the launcher is killed at each step of a first start; the next start repairs what is left.

mod support;

use serde_json::json;
use support::archive::{regular, symlink};
use support::{Sandbox, file, package, tar};

#[test]
fn a_killed_first_start_is_repaired_by_the_next() {
    let script = b"#!/bin/sh\ncat $SEALIFT_WORKENV/lib/a $SEALIFT_WORKENV/made $SEALIFT_WORKENV/again\n";
    let slots = vec![
        file("run", "bin/run", script),
        tar("lib", "lib", &[regular("a", b"alpha "), symlink("l", "a")]),
        tar("shared", "", &[regular("s", b"x")]).shared(),
        file("again", "again", b"again\n").lifecycle("startup"),
    ];
    let setup = json!({
        "execution": {"argv": ["{slot:run}"]},
        "setup_commands": ["/bin/sh -c 'test ! -e made && printf \"made \" > made'"],
    });
    let bytes = package("app", slots, setup).build();
    for point in ["start", "links", "unpacked", "setup", "setup-done", "ready", "aside"] {
        let sandbox = Sandbox::new();
        let app = sandbox.install("app.psp", &bytes);
        for _ in 0..2 {
            let killed = sandbox.start(&app, &[], &[("SEALIFT_FAULT", point)]);
            assert!(matches!(killed.code, -9 | 0), "{point}: {killed:?}");
        }
        sandbox.start(&app, &[], &[]).prints("alpha made again\n");
        assert!(!sandbox.workenv().join(".sealift/aside").exists());
    }
}

#[test]
fn a_bug_is_exit_code_101() {
    let sandbox = Sandbox::new();
    let app = sandbox.install(
        "app.psp",
        &package("app", vec![file("run", "bin/run", b"#!/bin/sh\n")], json!({"execution": {"argv": ["{slot:run}"]}})).build(),
    );
    sandbox.start(&app, &[], &[("SEALIFT_FAULT", "panic")]).refuses(101, "the launcher failed: ");
    assert!(!sandbox.has_ready());
}
