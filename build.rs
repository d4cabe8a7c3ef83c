//! Compiles `proto/ark/v1/ark.proto` to a tonic client without needing `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/ark/v1/ark.proto");
    let files = protox::compile(["ark/v1/ark.proto"], ["proto"])?;
    tonic_prost_build::configure().build_server(false).compile_fds(files)?;
    Ok(())
}
