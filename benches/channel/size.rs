//! The size of the payer's database after one payment and after a million.
//!
//! A million syncs of a disk would take up to an hour. So the file is on a RAM disk, and all of them are real calls of
//! `pay`: what is written is the same, only waiting for it costs nothing. Where there is none, the updates are signed
//! and put by the calls that `pay` makes, a thousand in a transaction.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bitcoin::Amount;
use tokio::runtime::Runtime;
use virtual_channels::channel::{Channel, ChannelUpdate};
use virtual_channels::store::{Ring, Role, Store};
use virtual_channels::wallet::Wallet;

use crate::Failure;
use crate::figures::{Aim, Figure};
use crate::parties::Parties;

const PAYMENTS: u64 = 1_000_000;
const FIRST: Amount = Amount::from_sat(1_000);
pub const RAM_DISK: &str = "/dev/shm";

pub fn run(runtime: &Runtime, disk: &Path) -> Result<Vec<Figure>, Failure> {
    let in_memory = Path::new(RAM_DISK).is_dir();
    let folder = tempfile::tempdir_in(if in_memory { Path::new(RAM_DISK) } else { disk })?;
    let parties = Parties::new(1)?;
    let channel = parties.channels.first().ok_or("no channel")?;
    let (payer, path) = parties.wallet(runtime, folder.path(), Role::Payer)?;
    payer.pay(&channel.id, FIRST, "first", None)?;
    payer.close()?;
    let one = size(&path)?;

    let began = Instant::now();
    let log = if in_memory {
        println!("a million payments on a RAM disk (real calls of pay; its syncs cost nothing) ...");
        let payer = parties.open(runtime, &path, Role::Payer)?;
        let log = pay_all(&payer, channel, &path)?;
        payer.close()?;
        log
    } else {
        println!("a million payments, a thousand in a transaction (no {RAM_DISK} here) ...");
        put_all(&parties, channel, &path)?
    };
    let seconds = began.elapsed().as_secs_f64();
    let payer = parties.open(runtime, &path, Role::Payer)?;
    let paid = payer.channel(&channel.id)?.amount;
    payer.close()?;
    if paid != amount(PAYMENTS - 1) {
        return Err(format!("a million payments came to {paid}").into());
    }
    let million = size(&path)?;
    println!("  {seconds:.0} s; SQLite's log beside the file never above {log} bytes");
    let figure = |name, bytes: u64, aim| Figure::new(name, "B", bytes as f64, "after one payment", one as f64, aim);
    Ok(vec![figure("db_bytes_1", one, None), figure("db_bytes_1000000", million, Some(Aim::Equal))])
}

/// What has been paid after this payment; the first is number 0.
fn amount(number: u64) -> Amount {
    FIRST + Amount::from_sat(number)
}

/// All but the first. Answers the largest size of SQLite's log.
fn pay_all(payer: &Wallet, channel: &Channel, path: &Path) -> Result<u64, Failure> {
    let mut log = 0;
    for number in 1..PAYMENTS {
        payer.pay(&channel.id, Amount::ONE_SAT, &format!("order {number}"), None)?;
        if number % 1_000 == 0 {
            log = log.max(size(&log_of(path))?);
        }
        if number % 250_000 == 0 {
            println!("  {number}");
        }
    }
    Ok(log)
}

fn put_all(parties: &Parties, channel: &Channel, path: &Path) -> Result<u64, Failure> {
    let store = Store::open(path)?;
    let close = channel.close_template(parties.checkpoint())?;
    let key = parties.payer_key(0)?;
    let mut ring = Ring::default();
    let mut log = 0;
    let numbers: Vec<u64> = (1..PAYMENTS).collect();
    for chunk in numbers.chunks(1_000) {
        store.write::<_, Failure>(|db| {
            for &number in chunk {
                let update = ChannelUpdate::sign(channel, &close, &key, amount(number - 1), amount(number));
                ring.push(Ring::hash(format!("order {number}").as_bytes()));
                db.put_update(&channel.id, &update, update.amount, Some(&ring), None)?;
            }
            Ok(())
        })?;
        log = log.max(size(&log_of(path))?);
    }
    store.close()?;
    Ok(log)
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn size(path: &Path) -> Result<u64, Failure> {
    Ok(std::fs::metadata(path)?.len())
}
