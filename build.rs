//! Compiles `proto/ark/v1/ark.proto` to messages without needing `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/ark/v1/ark.proto");
    prost_build::Config::new().compile_fds(protox::compile(["ark/v1/ark.proto"], ["proto"])?)?;
    Ok(())
}
