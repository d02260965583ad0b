//! The build script: hands the compiler's name to the program. The commit comes from whoever builds
//! (HIGHWATER_COMMIT): a script that looked for it would compile everything anew after each.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=ci/build.rs");
    println!("cargo:rerun-if-env-changed=HIGHWATER_COMMIT");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let rustc = std::env::var("RUSTC").expect("cargo names the compiler");
    let output =
        Command::new(rustc).arg("--version").output().expect("the compiler tells its version");
    let version = String::from_utf8(output.stdout).expect("the version is text");
    println!("cargo:rustc-env=HIGHWATER_RUSTC={}", version.trim());
}
