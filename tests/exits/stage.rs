//! What the stories of exits have in common.

use bitcoin::{Address, Amount, TxOut};
use regtest::operator::Unit;
use virtual_channels::channel::{ChannelId, Unit as DelayUnit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitInfo, ExitStage, Wallet};

use crate::world::{World, eventually, sats};

/// Pays coins for fees to the wallet, one of each amount, and confirms them.
pub async fn fund(world: &World, wallet: &Wallet, coins: &[u64]) {
    for coin in coins {
        let address: Address<_> = wallet.onchain_address().unwrap().parse().unwrap();
        let output = TxOut { value: sats(*coin), script_pubkey: address.assume_checked().script_pubkey() };
        world.regtest.node().pay(&[output]).await.unwrap();
        world.mine(1).await;
        wallet.sync_onchain().await.unwrap();
    }
    assert_eq!(wallet.onchain_balance().await.unwrap().confirmed, sats(coins.iter().sum()));
}

/// A channel in a batch with strangers: two levels.
pub async fn in_a_batch(world: &World, payer: &Wallet, receiver: &Wallet, capacity: u64) -> ChannelId {
    world.board(payer, 100_000).await;
    world.settle(payer).await;
    let (_, accept) = world.agree(payer, receiver, capacity).await;
    let id = world.in_a_crowd(payer.open_channel(&accept)).await;
    world.confirm(payer, receiver, &id).await;
    id
}

/// One run over the exits of a wallet: that of its one channel, or of its one coin. A payer's change may come on chain beside
/// the channel, and is claimed there, too.
pub async fn advance(wallet: &Wallet) -> ExitInfo {
    let mut all = wallet.advance_exits().await.unwrap();
    if all.iter().any(|exit| exit.channel_id.is_some()) {
        all.retain(|exit| exit.channel_id.is_some());
    }
    assert_eq!(all.len(), 1, "one exit is under way");
    all.remove(0)
}

/// Advances and mines, a block each, until the VTXO is on chain and waits; answers from when on it can be claimed.
pub async fn unroll(world: &World, wallet: &Wallet) -> (u64, DelayUnit) {
    for _ in 0..12 {
        let info = advance(wallet).await;
        assert_eq!(info.problem, None);
        match info.stage {
            ExitStage::Unrolling { .. } => world.mine(1).await,
            ExitStage::Waiting { until, unit } => return (until, unit),
            other => panic!("{other:?} while it is put on chain"),
        }
    }
    panic!("12 blocks are not enough");
}

/// Lets all of a wait pass but its last block, or its last 100 s.
pub async fn wait_almost(world: &World, until: (u64, DelayUnit)) {
    let tip = world.regtest.node().tip().await.unwrap();
    match until {
        (height, DelayUnit::Blocks) => world.mine(height as u32 - tip.height - 1).await,
        (time, DelayUnit::Seconds) => {
            world.regtest.node().generate_after(11, time - 100 - tip.time.min(time - 100)).await.unwrap();
        }
    }
}

/// Lets a wait pass to its end.
pub async fn wait(world: &World, until: (u64, DelayUnit)) {
    loop {
        let tip = world.regtest.node().tip().await.unwrap();
        match until {
            (height, DelayUnit::Blocks) if u64::from(tip.height) < height => {
                world.mine(height as u32 - tip.height).await;
            }
            (time, DelayUnit::Seconds) if tip.median_time < time => {
                world.regtest.node().generate_after(11, time.saturating_sub(tip.time)).await.unwrap();
            }
            _ => return,
        }
    }
}

/// Advances and mines until the exit is done or lost.
pub async fn finish(world: &World, wallet: &Wallet) -> ExitInfo {
    for _ in 0..6 {
        let info = advance(wallet).await;
        assert_eq!(info.problem, None);
        match info.stage {
            ExitStage::Done | ExitStage::Lost => {
                let left = wallet.exits().unwrap();
                assert!(left.iter().all(|exit| exit.channel_id.is_none()), "the journal lets go of it");
                return info;
            }
            ExitStage::Claiming | ExitStage::Claimed { .. } => world.mine(1).await,
            other => panic!("{other:?} while it is claimed"),
        }
    }
    panic!("six blocks are not enough");
}

/// What is in the on-chain wallet once everything is confirmed.
pub async fn on_chain(wallet: &Wallet, amount: Amount) {
    eventually("the money on chain", async || {
        wallet.onchain_balance().await.is_ok_and(|balance| balance.confirmed == amount)
    })
    .await;
}

/// The events of a kind, by a name for it.
pub fn told(wallet: &Wallet, wanted: impl Fn(&EventKind) -> bool) -> usize {
    wallet.pending_events(1_000).unwrap().iter().filter(|event| wanted(&event.kind)).count()
}

pub fn state(wallet: &Wallet, id: &ChannelId) -> ChannelState {
    wallet.channel(id).unwrap().state
}

/// A world, a payer and a receiver.
pub async fn pair(unit: Unit) -> (World, Wallet, Wallet) {
    let world = World::start(unit).await;
    let payer = world.wallet("payer").await;
    let receiver = world.wallet("receiver").await;
    (world, payer, receiver)
}

/// A preconfirmed channel from a coin of a batch with strangers: tree, checkpoint, ark transaction.
pub async fn off_chain(world: &World, payer: &Wallet, receiver: &Wallet, capacity: u64) -> ChannelId {
    world.board(payer, 100_000).await;
    world.in_a_crowd(payer.settle(false)).await;
    world.mine(1).await;
    eventually("settled", async || payer.balance().await.is_ok_and(|b| b.settled == sats(100_000))).await;
    world.open_offchain(payer, receiver, capacity).await
}

/// From the first run to the last, with blocks and time as they are needed.
pub async fn leave(world: &World, wallet: &Wallet) -> ExitInfo {
    for _ in 0..20 {
        let info = advance(wallet).await;
        assert_eq!(info.problem, None);
        match info.stage {
            ExitStage::Done | ExitStage::Lost => return info,
            ExitStage::Waiting { until, unit } => wait(world, (until, unit)).await,
            _ => world.mine(1).await,
        }
    }
    panic!("20 rounds are not enough: {:?}", wallet.exits().unwrap());
}

/// A small channel in a batch of its own, in which something was paid: one level.
pub async fn small(world: &World, payer: &Wallet, receiver: &Wallet) -> ChannelId {
    world.board(payer, 50_000).await;
    world.settle(payer).await;
    let id = world.open(payer, receiver, 30_000).await;
    crate::world::pay(payer, receiver, &id, 12_000, "small");
    id
}
