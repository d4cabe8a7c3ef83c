//! The measured claims: what paying and receiving cost over what they must cost at least, and what they leave behind.
//!
//! Ours and the floor run in the same loop, on the same disk, in turns; medians. See `make bench`.

mod figures;
mod floor;
mod many;
mod parties;
mod payments;
mod size;

use std::path::Path;
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    // `cargo test --all-targets` runs benchmarks as tests: building them is enough there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        // An aim that is missed is a finding, not a failure.
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    // Beside the checkout: a temporary folder may be in memory, where a durable commit costs nothing.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&target)?;
    let folder = |name: &str| tempfile::Builder::new().prefix(name).tempdir_in(&target);

    println!("paying and receiving, one at a time ...");
    let mut figures = payments::run(&runtime, folder("bench-pay")?.path())?;
    if Path::new(size::RAM_DISK).is_dir() {
        // What is left when the disk costs nothing: shows what is ours even where the disk is busy with others' work.
        let in_memory = payments::run(&runtime, tempfile::tempdir_in(size::RAM_DISK)?.path())?;
        for figure in in_memory.iter().take(2) {
            println!("  {} on a RAM disk: {} us, floor {} us", figure.name, figure.ours_us, figure.floor_us);
        }
    }
    println!("receiving from a thousand channels at once ...");
    figures.insert(2, many::run(&runtime, folder("bench-many")?.path())?);
    figures.extend(size::run(&runtime, &target)?);
    figures::report(&figures)
}
