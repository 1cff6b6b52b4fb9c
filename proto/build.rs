//! Compiles the .proto files below `proto/` into Rust, in `OUT_DIR` only.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "kubelet/deviceplugin.proto",
        "kubelet/pluginregistration.proto",
        "kubelet/podresources.proto",
        "cri/service.proto",
    ];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
