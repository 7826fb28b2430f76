//! Starting honest packages.

mod support;

use serde_json::json;
use support::archive::{folder, program, regular, symlink};
use support::{Sandbox, file, package, tar};

#[test]
fn a_package_runs_first_and_warm() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\necho \"$@\" \"$(cat $SEALIFT_WORKENV/lib/data)\"\n";
    let slots = vec![
        file("run", "bin/run", script),
        tar("lib", "lib", &[regular("data", b"content"), folder("empty"), symlink("link", "data"), program("p", b"x")]),
    ];
    let app = sandbox.install("app.psp", &package("app", slots, json!({"execution": {"argv": ["{slot:run}", "hello"]}})).build());
    sandbox.start(&app, &["world"], &[]).prints("hello world content\n");
    sandbox.start(&app, &[], &[]).prints("hello content\n");
    assert_eq!(std::fs::read_link(sandbox.workenv().join("lib/link")).unwrap().to_str(), Some("data"));
}
