//! A thousand updates of as many channels in one call.

use std::path::Path;

use bitcoin::Amount;
use tokio::runtime::Runtime;
use virtual_channels::channel::{ChannelUpdate, UpdateMessage};
use virtual_channels::store::Role;

use crate::Failure;
use crate::figures::{Aim, Figure, Times};
use crate::floor::{Floor, Signed, verify_all};
use crate::parties::Parties;

const CHANNELS: u32 = 1_000;
const ROUNDS: u64 = 21;
/// Rounds that are not counted: the first reads every channel from the file.
const WARM_UP: u64 = 2;

pub fn run(runtime: &Runtime, folder: &Path) -> Result<Figure, Failure> {
    let parties = Parties::new(CHANNELS)?;
    let (receiver, _) = parties.wallet(runtime, folder, Role::Receiver)?;
    let mut floor = Floor::create(&folder.join("many-floor.db"), CHANNELS, 0)?;
    let mut payers = Vec::new();
    for (channel, index) in parties.channels.iter().zip(0..) {
        payers.push((channel, channel.close_template(parties.checkpoint())?, parties.payer_key(index)?));
    }
    let (mut ours, mut least) = (Times::default(), Times::default());
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            (ours, least) = Default::default();
        }
        let (previous, amount) = (if round == 0 { 0 } else { 1_000 + round - 1 }, 1_000 + round);
        let (previous, amount) = (Amount::from_sat(previous), Amount::from_sat(amount));
        let messages: Vec<UpdateMessage> = payers
            .iter()
            .map(|(channel, close, key)| {
                let update = ChannelUpdate::sign(channel, close, key, previous, amount);
                UpdateMessage { update, authorisation: None, memo: None }
            })
            .collect();
        let signed: Vec<Signed> = payers
            .iter()
            .flat_map(|(_, _, key)| [Signed::new(key, 2 * round), Signed::new(key, 2 * round + 1)])
            .collect();
        let mut run_floor = |least: &mut Times| -> Result<(), Failure> {
            least.take(|| if verify_all(&signed) { floor.commit_all(CHANNELS) } else { Err("invalid".into()) })
        };
        if round % 2 == 1 {
            run_floor(&mut least)?;
        }
        let answers = ours.take(|| receiver.receive_many(&messages))?;
        if round % 2 == 0 {
            run_floor(&mut least)?;
        }
        for answer in answers {
            answer?;
        }
    }
    receiver.close()?;
    let what = "2 000 verifications on all cores, 1 commit of 1 000 rows";
    Ok(Figure::new("receive_many_1000", "us", ours.median(), what, least.median(), None::<Aim>))
}
