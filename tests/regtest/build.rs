//! Compiles the shared `.proto` file to a tonic server (and a client, for this crate's own tests).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../../proto/ark/v1/ark.proto");
    let files = protox::compile(["ark/v1/ark.proto"], ["../../proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
