//! Link settings that must hold however cargo is called: no unwind tables, no build id, and on x86-64 small relocations and one
//! copy of equal functions. Together they make the launcher a quarter smaller.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link/discard.ld");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if target("OS") != "linux" || target("ENV") != "gnu" || !release {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--build-id=none");
    if target("ARCH") != "x86_64" {
        return; // start-up code of static executables that are not position-independent registers its unwind tables
    }
    let script = format!("-Wl,-T,{}/link/discard.ld", env!("CARGO_MANIFEST_DIR"));
    let flags = ["-Wl,--no-eh-frame-hdr", &script, "-Wl,-z,pack-relative-relocs", "-Wl,--icf=all"];
    for flag in flags {
        println!("cargo::rustc-link-arg-bins={flag}");
    }
}
