//! One payment and one receipt of it at a time, each beside its floor.

use std::path::Path;

use bitcoin::Amount;
use tokio::runtime::Runtime;
use virtual_channels::channel::UpdateMessage;
use virtual_channels::store::Role;

use crate::Failure;
use crate::figures::{Aim, Figure, Times};
use crate::floor::{Floor, RING, Signed, message};
use crate::parties::Parties;

const ROUNDS: u64 = 3_000;
/// Until everything is in memory.
const WARM_UP: u64 = 100;

#[derive(Default)]
struct All {
    pay: Times,
    pay_floor: Times,
    receive: Times,
    receive_floor: Times,
}

pub fn run(runtime: &Runtime, folder: &Path) -> Result<Vec<Figure>, Failure> {
    let parties = Parties::new(1)?;
    let channel = parties.channels.first().ok_or("no channel")?;
    let (payer, _) = parties.wallet(runtime, folder, Role::Payer)?;
    let (receiver, _) = parties.wallet(runtime, folder, Role::Receiver)?;
    let key = parties.payer_key(0)?;
    let mut pay_floor = Floor::create(&folder.join("pay-floor.db"), 1, RING)?;
    let mut receive_floor = Floor::create(&folder.join("receive-floor.db"), 1, 0)?;
    let mut times = All::default();
    let mut largest = 0;

    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            times = All::default();
        }
        let payment_id = format!("order {round}");
        let amount = Amount::from_sat(if round == 0 { 1_000 } else { 1 });
        // Floor and ours take turns in going first, so that neither gains from what the other left behind.
        let ours_first = round % 2 == 0;
        let mut floor = |times: &mut All| -> Result<(), Failure> {
            times.pay_floor.take(|| {
                for number in [2 * round, 2 * round + 1] {
                    std::hint::black_box(secp256k1::SECP256K1.sign_schnorr(&message(number), &key));
                }
                pay_floor.commit()
            })
        };
        if !ours_first {
            floor(&mut times)?;
        }
        let payment = times.pay.take(|| payer.pay(&channel.id, amount, &payment_id, None))?;
        if ours_first {
            floor(&mut times)?;
        }

        let signed = [Signed::new(&key, 2 * round), Signed::new(&key, 2 * round + 1)];
        let mut floor = |times: &mut All| -> Result<(), Failure> {
            times.receive_floor.take(|| {
                if !signed.iter().all(Signed::verify) {
                    return Err("the floor's signature is invalid".into());
                }
                receive_floor.commit()
            })
        };
        if !ours_first {
            floor(&mut times)?;
        }
        let received = times.receive.take(|| receiver.receive(&payment.message))?;
        if ours_first {
            floor(&mut times)?;
        }
        if received.increase != amount {
            return Err(format!("paid {amount}, received {}", received.increase).into());
        }
        largest = largest.max(widest(&payment.message)?);
    }
    payer.close()?;
    receiver.close()?;
    let ratio = Some(Aim::Ratio(1.10));
    // The id and two signatures, 160 bytes, at five bits a character.
    let least = 160.0 * 8.0 / 5.0;
    Ok(vec![
        Figure::new("pay", "us", times.pay.median(), "2 signatures, 1 commit", times.pay_floor.median(), ratio),
        Figure::new(
            "receive",
            "us",
            times.receive.median(),
            "2 verifications, 1 commit",
            times.receive_floor.median(),
            ratio,
        ),
        Figure::new("update_chars", "ch", largest as f64, "id and 2 signatures", least, Some(Aim::Below(300.0))),
    ])
}

/// Characters of a payment's text in a channel of 343 BTC.
fn widest(payment: &UpdateMessage) -> Result<usize, Failure> {
    if payment.authorisation.is_some() || payment.memo.is_some() {
        return Err("an acknowledged payment carries more than it must".into());
    }
    let mut widest = payment.clone();
    widest.update.amount = Amount::from_sat(343 * 100_000_000);
    widest.update.previous = widest.update.amount;
    Ok(widest.to_text()?.len())
}
