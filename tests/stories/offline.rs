//! Two wallets with channels between them, and no network at all: the rows are put into both files as an opening
//! leaves them, with real keys, so that hundreds of channels cost nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};
use virtual_channels::channel::operator_info::FeePrograms;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{
    AuthorisationPolicy, Channel, ChannelId, ChannelTerms, Delay, Network, OperatorInfo, Party, Payout, Unit, time,
};
use virtual_channels::store::{ChannelRecord, ChannelRow, ChannelState, FundingKind, Role, Store, StoreError};
use virtual_channels::wallet::{Clock, KeyUse, Keys, SecretKeypair, Wallet, WalletConfig, WalletError};

use crate::world::World;

/// When the channels are opened.
pub const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3600;

/// A clock that a test sets; what is read is what was set.
#[derive(Debug)]
pub struct FakeClock(AtomicU64);

impl FakeClock {
    pub fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seconds)))
    }

    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Where the files are, what time it is, and what the operator is known to be like.
pub struct Offline {
    folder: PathBuf,
    /// Removed at the end, where it is this place's own.
    _guard: Option<tempfile::TempDir>,
    pub clock: Arc<FakeClock>,
    pub info: OperatorInfo,
}

/// The same secret for the same word.
fn key(word: &str) -> SecretKeypair {
    keys(word).keypair(KeyUse::Chain, 0).unwrap()
}

pub fn keys(name: &str) -> Keys {
    Keys::from_mnemonic(&World::mnemonic(name), Network::Regtest).unwrap()
}

fn party(name: &str, key_use: KeyUse, index: u32) -> Party {
    let keys = keys(name);
    Party {
        key: keys.keypair(key_use, index).unwrap().xonly(),
        ark_payout: Payout::new(keys.keypair(KeyUse::Vtxo, index).unwrap().xonly()),
        chain_payout: keys.chain_payout(index).unwrap(),
    }
}

/// The checkpoint script with this delay in seconds.
pub fn checkpoint(delay: u32) -> CheckpointScript {
    CheckpointScript { delay: Delay::seconds(delay).unwrap(), key: key("forfeit").xonly() }
}

pub const CHECKPOINT_DELAY: u32 = 86_528;

impl Offline {
    pub fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// In a folder that somebody else removes.
    pub fn at(folder: &Path) -> Self {
        Self::with(folder.to_owned(), None)
    }

    /// In memory where the machine has such a folder: for tests of many commits, not of durability.
    pub fn in_memory() -> Self {
        Self::in_folder(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn in_folder(folder: tempfile::TempDir) -> Self {
        Self::with(folder.path().to_owned(), Some(folder))
    }

    fn with(folder: PathBuf, guard: Option<tempfile::TempDir>) -> Self {
        let info = OperatorInfo {
            version: "0.9.15".to_owned(),
            network: Network::Regtest,
            signer: key("operator").xonly(),
            forfeit_key: key("forfeit").xonly(),
            forfeit_script: ScriptBuf::new(),
            checkpoint: checkpoint(CHECKPOINT_DELAY),
            unilateral_exit_delay: Delay::seconds(86_528).unwrap(),
            boarding_exit_delay: Delay::seconds(173_056).unwrap(),
            session_seconds: 30,
            dust: Amount::from_sat(330),
            vtxo_min: Amount::from_sat(1),
            vtxo_max: None,
            utxo_min: Amount::from_sat(330),
            utxo_max: None,
            fees: FeePrograms::default(),
            deprecated_signers: Vec::new(),
            max_tx_weight: 40_000,
            digest: String::new(),
        };
        Self { folder, _guard: guard, clock: FakeClock::at(NOW), info }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    /// The file as another process sees it.
    pub fn store(&self, name: &str) -> Store {
        Store::open(&self.path(name)).unwrap()
    }

    /// The wallet of this name. It knows `self.info`, and nobody answers it.
    pub async fn wallet(&self, name: &str) -> Wallet {
        self.try_wallet(name).await.unwrap()
    }

    pub async fn try_wallet(&self, name: &str) -> Result<Wallet, Box<WalletError>> {
        if let Ok(store) = Store::open(&self.path(name)) {
            let info = serde_json::to_vec(&self.info).unwrap();
            let _ = store.write(|db| db.set_meta("operator-info", &info));
        }
        let nobody = "http://127.0.0.1:1";
        let mut config = WalletConfig::new(self.path(name), Network::Regtest, nobody, nobody);
        config.clock = self.clock.clone();
        Wallet::open(config, &World::mnemonic(name)).await
    }

    pub fn terms(&self, payer: &str, receiver: &str, index: u32, capacity: u64) -> ChannelTerms {
        ChannelTerms {
            network: Network::Regtest,
            operator: self.info.signer,
            payer: party(payer, KeyUse::Payer, index),
            receiver: party(receiver, KeyUse::Receiver, index),
            capacity: Amount::from_sat(capacity),
            locktime: time::locktime(Unit::Seconds, NOW + 144 * HOUR).unwrap(),
            d1: Delay::seconds(86_528).unwrap(),
            d2: Delay::seconds(173_056).unwrap(),
            authorisation: AuthorisationPolicy::default(),
        }
    }

    /// Channel number `index` between the two, open on both sides.
    pub fn channel(&self, payer: &str, receiver: &str, index: u32, capacity: u64) -> Channel {
        self.channels(payer, receiver, std::iter::once((index, index)), capacity).pop().unwrap()
    }

    /// Channels by key index and output index: those of the same key have the same address.
    pub fn channels(
        &self,
        payer: &str,
        receiver: &str,
        indexes: impl Iterator<Item = (u32, u32)>,
        capacity: u64,
    ) -> Vec<Channel> {
        let txid = Txid::from_byte_array(sha256::Hash::hash(b"funding").to_byte_array());
        let made: Vec<(u32, Channel)> = indexes
            .map(|(index, vout)| {
                let terms = self.terms(payer, receiver, index, capacity);
                (index, Channel::new(terms, OutPoint::new(txid, vout)).unwrap())
            })
            .collect();
        for (name, role) in [(payer, Role::Payer), (receiver, Role::Receiver)] {
            let insert = |db: &virtual_channels::store::Db<'_>| -> Result<(), StoreError> {
                for (index, channel) in &made {
                    db.insert_channel(&record(channel, role, *index), ChannelState::Open, None)?;
                    db.set_last_watch(&channel.id, NOW)?;
                }
                Ok(())
            };
            self.store(name).write(insert).unwrap();
        }
        made.into_iter().map(|(_, channel)| channel).collect()
    }

    /// All that is stored of a channel.
    pub fn row(&self, name: &str, id: &ChannelId) -> ChannelRow {
        row(&self.path(name), id)
    }

    /// Copies a wallet's file, as a backup does; the wallet must be closed.
    pub fn copy(&self, from: &str, to: &str) {
        std::fs::copy(self.path(from), self.path(to)).unwrap();
    }

    /// Puts a copy in the place of a wallet's file; the wallet must be closed.
    pub fn restore(&self, name: &str, copy: &str) {
        restore(&self.path(name), &self.path(copy));
    }
}

/// Puts a copy in the place of a file.
pub fn restore(path: &Path, copy: &Path) {
    for extra in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(extra));
    }
    std::fs::copy(copy, path).unwrap();
}

/// All that is stored of a channel in a file that a wallet may have open.
pub fn row(path: &Path, id: &ChannelId) -> ChannelRow {
    Store::open(path).unwrap().read(|db| db.channel(id)).unwrap().unwrap()
}

fn record(channel: &Channel, role: Role, key_index: u32) -> ChannelRecord {
    ChannelRecord {
        id: channel.id,
        role,
        terms: channel.terms.canonical(),
        capacity: channel.terms.capacity,
        funding: channel.funding,
        funding_kind: FundingKind::Batch,
        key_index,
        commitments: vec![channel.funding.txid],
        batch_expiry: Delay::seconds(604_672).unwrap(),
        expiry: NOW + 168 * HOUR,
        expires_at: NOW + 168 * HOUR,
        levels: 3,
        created_at: NOW,
    }
}
