//! The size of the payer's database after one payment and after a million.
//!
//! All of them are real calls of `pay`. A million syncs of a disk would take up to an hour, so the file is on a RAM
//! disk: what is written is the same, only waiting for it costs nothing. Where there is none, fewer are made.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bitcoin::Amount;
use tokio::runtime::Runtime;
use virtual_channels::store::Role;

use crate::Failure;
use crate::figures::{Aim, Figure};
use crate::parties::Parties;

const PAYMENTS: u64 = 1_000_000;
const RAM_DISK: &str = "/dev/shm";

pub fn run(runtime: &Runtime) -> Result<Vec<Figure>, Failure> {
    if !Path::new(RAM_DISK).is_dir() {
        return Err(format!("a million payments are made on a RAM disk, and there is no {RAM_DISK} here").into());
    }
    let folder = tempfile::tempdir_in(RAM_DISK)?;
    let parties = Parties::new(1)?;
    let id = parties.channels.first().ok_or("no channel")?.id;
    let (payer, path) = parties.wallet(runtime, folder.path(), Role::Payer)?;
    payer.pay(&id, Amount::from_sat(1_000), "first", None)?;
    payer.close()?;
    let one = size(&path)?;

    println!("a million payments on a RAM disk (real calls of pay; its syncs cost nothing) ...");
    let payer = parties.open(runtime, &path, Role::Payer)?;
    let began = Instant::now();
    let mut log = 0;
    for number in 1..PAYMENTS {
        payer.pay(&id, Amount::ONE_SAT, &format!("order {number}"), None)?;
        if number % 1_000 == 0 {
            log = log.max(size(&log_of(&path))?);
        }
        if number % 250_000 == 0 {
            println!("  {number} after {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    let paid = payer.channel(&id)?.amount;
    if paid != Amount::from_sat(1_000 + PAYMENTS - 1) {
        return Err(format!("a million payments came to {paid}").into());
    }
    payer.close()?;
    let million = size(&path)?;
    println!(
        "  {:.0} s, {:.0} payments a second; SQLite's log beside the file never above {log} bytes",
        began.elapsed().as_secs_f64(),
        PAYMENTS as f64 / began.elapsed().as_secs_f64()
    );
    let figure = |name, bytes: u64, aim| Figure::new(name, "B", bytes as f64, "after one payment", one as f64, aim);
    Ok(vec![figure("db_bytes_1", one, None), figure("db_bytes_1000000", million, Some(Aim::Equal))])
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn size(path: &Path) -> Result<u64, Failure> {
    Ok(std::fs::metadata(path)?.len())
}
