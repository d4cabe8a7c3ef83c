//! An open channel in which something was paid, and what a payer can do on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::TxOut;
use regtest::operator::{Settings, Unit};
use virtual_channels::channel::intent::{Intent, IntentInput, IntentMessage};
use virtual_channels::channel::terms::leaf;
use virtual_channels::channel::{Channel, ChannelId, ChannelTerms, Network};
use virtual_channels::operator::{Operator, OperatorError};
use virtual_channels::store::{ChannelRow, ChannelState, Store};
use virtual_channels::wallet::{Clock, KeyUse, Keys, SecretKeypair, SystemClock, Wallet, WalletError};

use crate::world::{World, eventually, pay, refused, sats};

pub const UNITS: [Unit; 2] = [Unit::Seconds, Unit::Blocks];
pub const CAPACITY: u64 = 40_000;
pub const PAID: u64 = 2_000;

/// The system's clock, some seconds ahead.
#[derive(Debug, Default)]
pub struct Ahead(AtomicU64);

impl Ahead {
    pub fn by(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> u64 {
        SystemClock::default().now() + self.0.load(Ordering::SeqCst)
    }
}

pub struct Case {
    pub world: World,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub id: ChannelId,
    /// Of both wallets.
    pub clock: Arc<Ahead>,
}

/// A confirmed channel of 40 000 sats with 2 000 paid.
pub async fn paid(unit: Unit) -> Case {
    paid_with(unit, |_| {}).await
}

pub async fn paid_with(unit: Unit, change: impl FnOnce(&mut Settings)) -> Case {
    let world = World::with(unit, change).await;
    let clock = Arc::new(Ahead::default());
    let open = async |name: &str| {
        let mut config = world.config(name);
        config.clock = clock.clone();
        Wallet::open(config, &World::mnemonic(name)).await.unwrap()
    };
    let (payer, receiver) = (open("payer").await, open("receiver").await);
    world.board(&payer, CAPACITY).await;
    world.settle(&payer).await;
    let id = world.open(&payer, &receiver, CAPACITY).await;
    pay(&payer, &receiver, &id, PAID, "first");
    Case { world, payer, receiver, id, clock }
}

impl Case {
    pub async fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.world.regtest.operator().await.change(change);
    }

    /// What is stored of the channel.
    pub fn row(&self, name: &str) -> ChannelRow {
        let store = Store::open(&self.world.path(name)).unwrap();
        store.read(|db| db.channel(&self.id)).unwrap().unwrap()
    }

    /// The key of this use that the wallet has for the channel.
    pub fn key(&self, name: &str, key_use: KeyUse) -> SecretKeypair {
        let keys = Keys::from_mnemonic(&World::mnemonic(name), Network::Regtest).unwrap();
        keys.keypair(key_use, self.row(name).record.key_index).unwrap()
    }

    pub fn state(&self) -> ChannelState {
        self.row("receiver").hot.state
    }

    /// Both sides look at chain and operator, and learn its settings.
    pub async fn look(&self) {
        for wallet in [&self.payer, &self.receiver] {
            assert!(wallet.watch(&self.id).await.unwrap().operator_seen);
        }
    }

    pub async fn close_refused(&self) -> WalletError {
        refused(self.receiver.close_channel(&self.id).await)
    }

    /// Closes, and the receiver has this much.
    pub async fn closes_at(&self, amount: u64) {
        self.receiver.close_channel(&self.id).await.unwrap();
        assert_eq!(self.state(), ChannelState::Closed);
        let balance = async || self.receiver.balance().await.unwrap().preconfirmed;
        eventually("what was paid", async || balance().await == sats(amount)).await;
    }

    /// What the payer alone can put before the operator: an intent over the channel VTXO through its own leaf. The
    /// relative lock is taken from the sequence, and 0xffffffff says that there is none.
    pub async fn lock(&self) -> Result<String, OperatorError> {
        let record = self.row("payer").record;
        let terms = ChannelTerms::from_canonical(&record.terms).unwrap();
        let channel = Channel::new(terms, record.funding).unwrap();
        let input = IntentInput::unlocked(channel.funding, terms.capacity, channel.tree().clone(), leaf::UNILATERAL);
        let cosigners = vec![self.key("payer", KeyUse::Cosigner).public_key()];
        let message = IntentMessage::Register { onchain_outputs: Vec::new(), valid_at: 0, expire_at: 0, cosigners };
        let back = TxOut { value: terms.capacity, script_pubkey: terms.payer.ark_payout.script() };
        let mut intent = Intent::new(&message, &[input], vec![back]).unwrap();
        intent.sign_all(&self.key("payer", KeyUse::Payer)).unwrap();
        let operator = Operator::connect(self.world.regtest.operator_url()).await?;
        operator.register_intent(&intent).await
    }
}
