//! A chain and an operator that many schedules use one after the other, each with wallets of its own. They count in
//! seconds, as real operators do: in blocks a batch would live for some minutes of the operator's clock.

use std::time::Duration;

use bitcoin::{Address, TxOut};
use regtest::Regtest;
use regtest::operator::{Settings, Unit};

use crate::actor::{Actor, Home};
use crate::world::{World, sats};

/// What the payer begins with, at a boarding address.
pub const FUNDS: u64 = 2_000_000;

/// What each side has on chain for exits, at first.
pub const FEE_COINS: u64 = 200_000;

pub struct Stage {
    pub world: World,
    /// By how much the chain's clock and the operator's are ahead of the system's, in seconds.
    pub ahead: i64,
    operator_runs: bool,
}

impl Stage {
    pub async fn new() -> Self {
        let change = |settings: &mut Settings| {
            settings.session = Duration::from_millis(1_200);
            settings.ban_duration = Duration::from_secs(3);
            // Long enough for wallets that look every hour or so, as real operators' delays are.
            settings.checkpoint_delay = 14 * 512;
            settings.exit_delay = 20 * 512;
            settings.batch_expiry = 504 * 512;
        };
        Self { world: World::with(Unit::Seconds, change).await, ahead: 0, operator_runs: true }
    }

    pub fn regtest(&self) -> &Regtest {
        &self.world.regtest
    }

    pub fn actor(&self, name: String) -> Actor {
        let config = self.world.config(&name);
        Actor::new(Home { name, database: config.database, operator: config.operator_url, esplora: config.esplora_url })
    }

    pub async fn height(&self) -> u32 {
        self.regtest().node().tip().await.expect("a tip").height
    }

    pub async fn mine(&self, blocks: u32) {
        self.world.mine(blocks).await;
    }

    /// Time passes on the chain's clock, the operator's and the phones'. No more at once than a phone may sleep: those who
    /// do not look in time lose by the rules, and that is not what is looked for here.
    pub async fn pass(&mut self, seconds: u64) {
        // With six the median time of the last eleven has come as far.
        self.regtest().node().generate_after(6, seconds).await.expect("blocks");
        let tip = self.regtest().node().tip().await.expect("a tip");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        self.ahead = i64::try_from(tip.time).expect("a time") - i64::try_from(now).expect("a time");
        self.follow_clock().await;
    }

    /// Nobody reaches the operator any more.
    pub async fn stop_operator(&mut self) {
        self.operator_runs = false;
        self.regtest().stop_operator().await;
    }

    /// It is back, with its books and the chain's time.
    pub async fn start_operator(&mut self) {
        self.regtest().start_operator().await.expect("it starts");
        self.operator_runs = true;
        self.regtest().operator().await.faults().clear();
        self.follow_clock().await;
    }

    /// The operator's clock goes with the chain's, whenever it runs.
    async fn follow_clock(&self) {
        if !self.operator_runs {
            return;
        }
        let ahead = self.ahead;
        self.regtest().operator().await.change(|settings| settings.clock_shift = ahead);
    }

    /// Pays to an address from the faucet, and confirms it.
    pub async fn pay(&self, payments: &[(&str, u64)]) {
        let outputs: Vec<TxOut> = payments
            .iter()
            .map(|(address, amount)| {
                let address: Address<_> = address.parse().expect("an address");
                TxOut { value: sats(*amount), script_pubkey: address.assume_checked().script_pubkey() }
            })
            .collect();
        self.regtest().node().pay(&outputs).await.expect("the faucet pays");
        self.mine(1).await;
    }
}
