//! Linker options of the binary.
#![expect(clippy::disallowed_methods, reason = "the protocol of build scripts")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A static position-independent program carries its own relocations; packed they take 2 kB instead of 77.
    // glibc understands them since 2.36, and the program brings its own.
    let is_gnu_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux")
        && std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_gnu_linux {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
