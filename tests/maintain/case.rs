//! What the stories have in common: a channel with money in it, and a wallet that is left to its maintenance.

use bitcoin::{Address, Transaction, TxOut};
use regtest::operator::Unit;
use virtual_channels::channel::branch::Branch;
use virtual_channels::channel::{ChannelId, Unit as DelayUnit};
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{Clock, EventKind, ExitReason, ExitStage, MaintenanceReport, Wallet};

use crate::world::{World, eventually, pay, sats};

/// What both sides have for fees.
pub const FEES: u64 = 20_000;

pub struct Case {
    pub world: World,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub id: ChannelId,
}

pub const CAPACITY: u64 = 40_000;
pub const PAID: u64 = 12_000;

impl Case {
    /// A channel in a batch, confirmed, in which [`PAID`] was paid; coins for fees on both sides.
    pub async fn new(unit: Unit) -> Self {
        let case = Self::unpaid(unit).await;
        pay(&case.payer, &case.receiver, &case.id, PAID, "one");
        case
    }

    pub async fn unpaid(unit: Unit) -> Self {
        let world = World::start(unit).await;
        let payer = world.rich("payer", 60_000).await;
        let receiver = world.wallet("receiver").await;
        let id = world.open(&payer, &receiver, CAPACITY).await;
        Self { world, payer, receiver, id }.with_fees().await
    }

    /// The same, preconfirmed.
    pub async fn preconfirmed(unit: Unit) -> Self {
        let world = World::start(unit).await;
        let payer = world.rich("payer", 60_000).await;
        let receiver = world.wallet("receiver").await;
        let id = world.open_offchain(&payer, &receiver, CAPACITY).await;
        pay(&payer, &receiver, &id, PAID, "one");
        Self { world, payer, receiver, id }.with_fees().await
    }

    async fn with_fees(self) -> Self {
        for wallet in [&self.payer, &self.receiver] {
            let address: Address<_> = wallet.onchain_address().unwrap().parse().unwrap();
            let script_pubkey = address.assume_checked().script_pubkey();
            let coin = TxOut { value: sats(FEES / 4), script_pubkey };
            self.world.regtest.node().pay(&[coin.clone(), coin.clone(), coin.clone(), coin]).await.unwrap();
        }
        self.world.mine(1).await;
        for wallet in [&self.payer, &self.receiver] {
            eventually("coins for fees", async || {
                wallet.onchain_balance().await.is_ok_and(|balance| balance.confirmed == sats(FEES))
            })
            .await;
        }
        self
    }

    pub fn state(&self, wallet: &Wallet) -> ChannelState {
        wallet.channel(&self.id).unwrap().state
    }

    /// The stored branch of the channel.
    pub fn branch(&self) -> Branch {
        let store = Store::open(&self.world.path("payer")).unwrap();
        let funding = self.payer.channel(&self.id).unwrap().funding;
        store.read(|db| db.branch(&funding)).unwrap().unwrap()
    }

    /// Puts transactions on chain, a block each: somebody else does.
    pub async fn publish(&self, txs: impl IntoIterator<Item = Transaction>) {
        for tx in txs {
            let answer = self.world.regtest.node().cpfp(&tx, sats(5_000)).await.unwrap();
            assert_eq!(answer["package_msg"], "success", "{answer}");
            self.world.mine(1).await;
        }
    }

    pub async fn height(&self) -> u64 {
        u64::from(self.world.regtest.node().tip().await.unwrap().height)
    }

    pub async fn mine_to(&self, height: u64) {
        let tip = self.height().await;
        self.world.mine(u32::try_from(height - tip).unwrap()).await;
    }

    /// Lets the wallet's maintenance run, and a block be found after each run, until the channel has come to its end. A
    /// wait is waited for.
    pub async fn left_alone(&self, wallet: &Wallet) -> ChannelState {
        for _ in 0..30 {
            let report = maintained(wallet).await;
            let state = self.state(wallet);
            if matches!(state, ChannelState::Settled | ChannelState::Refunded | ChannelState::Lost) {
                return state;
            }
            match report.exits.first().map(|exit| exit.stage) {
                Some(ExitStage::Waiting { until, unit: DelayUnit::Blocks }) => self.mine_to(until).await,
                Some(ExitStage::Waiting { until, unit: DelayUnit::Seconds }) => {
                    let tip = self.world.regtest.node().tip().await.unwrap();
                    self.world.regtest.node().generate_after(11, until.saturating_sub(tip.time)).await.unwrap();
                }
                _ => self.world.mine(1).await,
            }
        }
        panic!("30 runs are not enough: {:?}", wallet.exits());
    }

    /// What the wallet has on chain, at least and at most, beside what it had for fees.
    pub async fn has_on_chain(&self, wallet: &Wallet, least: u64, most: u64) {
        let balance = wallet.onchain_balance().await.unwrap().confirmed;
        assert!(balance > sats(FEES + least) && balance < sats(FEES + most), "{balance}");
    }
}

/// A clock that stands still.
pub struct Stopped(pub u64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0
    }
}

pub async fn maintained(wallet: &Wallet) -> MaintenanceReport {
    tokio::time::timeout(std::time::Duration::from_secs(300), wallet.maintain()).await.expect("it ends").unwrap()
}

/// Why the wallet leaves, by its events.
pub fn reasons(wallet: &Wallet) -> Vec<ExitReason> {
    let events = wallet.pending_events(1_000).unwrap().into_iter();
    events
        .filter(|event| event.channel.is_some())
        .filter_map(|event| match event.kind {
            EventKind::ExitBegan { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}

pub fn told(wallet: &Wallet, wanted: impl Fn(&EventKind) -> bool) -> usize {
    wallet.pending_events(1_000).unwrap().iter().filter(|event| wanted(&event.kind)).count()
}
