//! Two wallets with an open channel between them, without a chain or an operator: the rows are written through the
//! store's own calls, the keys are those of the wallets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, Txid};
use virtual_channels::channel::{
    Authorisation, AuthorisationPolicy, Channel, ChannelId, ChannelTerms, Delay, Network, OperatorInfo, Party, time,
};
use virtual_channels::store::{ChannelRecord, ChannelState, FundingKind, Role, Store};
use virtual_channels::wallet::{Clock, KeyUse, Keys, Wallet, WalletConfig};

use crate::pair;

/// The batch lives this long, as on a real operator.
const BATCH_EXPIRY: u32 = 604_672;

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:1";

/// One side: a file and its words.
#[derive(Clone)]
pub struct Side {
    pub path: PathBuf,
    pub words: String,
}

/// A channel with money in it, open on both sides.
pub struct Ready {
    pub folder: tempfile::TempDir,
    pub payer: Side,
    pub receiver: Side,
    pub info: OperatorInfo,
    /// The channels, all between the same two wallets.
    pub ids: Vec<ChannelId>,
}

/// Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The same words for the same name.
pub fn words(name: &str) -> String {
    let entropy = sha256::Hash::hash(name.as_bytes()).to_byte_array();
    bip39::Mnemonic::from_entropy(&entropy[..16]).unwrap().to_string()
}

impl Side {
    fn new(folder: &tempfile::TempDir, name: &str) -> Self {
        Self { path: folder.path().join(format!("{name}.db")), words: words(name) }
    }

    pub fn config(&self) -> WalletConfig {
        WalletConfig::new(&self.path, Network::Regtest, NOWHERE, NOWHERE)
    }

    pub async fn open(&self) -> Wallet {
        Wallet::open(self.config(), &self.words).await.unwrap()
    }

    /// With a clock of the test's.
    pub async fn open_at(&self, clock: Arc<dyn Clock>) -> Wallet {
        Wallet::open(WalletConfig { clock, ..self.config() }, &self.words).await.unwrap()
    }

    /// The wallet's keys, as the wallet derives them.
    pub fn keys(&self) -> Keys {
        Keys::from_mnemonic(&self.words, Network::Regtest).unwrap()
    }

    fn party(&self, key_use: KeyUse, index: u32) -> Party {
        let keys = self.keys();
        Party {
            key: keys.keypair(key_use, index).unwrap().xonly(),
            ark_payout: keys.chain_payout(1_000 + index).unwrap(),
            chain_payout: keys.chain_payout(index).unwrap(),
        }
    }
}

impl Ready {
    /// `count` channels of `capacity` sats.
    pub fn new(capacity: u64, count: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (payer, receiver) = (Side::new(&folder, "payer"), Side::new(&folder, "receiver"));
        let mut rng = pair::rng(1);
        let (operator, forfeit) = (pair::keypair(&mut rng), pair::keypair(&mut rng));
        let d1 = Delay::seconds(86_528).unwrap();
        let info = pair::info(Network::Regtest, &operator, &forfeit, d1);
        let stores = [&payer, &receiver].map(|side| Store::open(&side.path).unwrap());
        for store in &stores {
            let json = serde_json::to_vec(&info).unwrap();
            store.write(|db| db.set_meta("operator-info", &json)).unwrap();
        }
        let mut ids = Vec::new();
        for index in 0..count {
            let terms = ChannelTerms {
                network: Network::Regtest,
                operator: info.signer,
                payer: payer.party(KeyUse::Payer, index),
                receiver: receiver.party(KeyUse::Receiver, index),
                capacity: Amount::from_sat(capacity),
                locktime: time::locktime(d1.unit(), now() + u64::from(BATCH_EXPIRY) - 86_400).unwrap(),
                d1,
                d2: Delay::at_least(d1.unit(), 2 * d1.value()).unwrap(),
                authorisation: AuthorisationPolicy::default(),
            };
            let channel = Channel::new(terms, pair::outpoint(&mut rng)).unwrap();
            let keypair = payer.keys().keypair(KeyUse::Payer, index).unwrap();
            let authorisation = Authorisation::sign(&channel, info.checkpoint, &keypair).unwrap().to_bytes();
            for (store, role) in stores.iter().zip([Role::Payer, Role::Receiver]) {
                let authorisation = (role == Role::Payer).then_some(authorisation.as_slice());
                store
                    .write(|db| {
                        db.insert_channel(&record(&channel, role, index), ChannelState::Open, authorisation)?;
                        db.set_last_watch(&channel.id, now())
                    })
                    .unwrap();
            }
            ids.push(channel.id);
        }
        stores.iter().for_each(|store| store.close().unwrap());
        Self { folder, payer, receiver, info, ids }
    }

    pub fn id(&self) -> ChannelId {
        self.ids[0]
    }
}

fn record(channel: &Channel, role: Role, key_index: u32) -> ChannelRecord {
    let expiry = now() + u64::from(BATCH_EXPIRY);
    ChannelRecord {
        id: channel.id,
        role,
        terms: channel.terms.canonical(),
        capacity: channel.terms.capacity,
        funding: channel.funding,
        funding_kind: FundingKind::Batch,
        key_index,
        commitments: vec![Txid::from_byte_array([1; 32])],
        batch_expiry: Delay::seconds(BATCH_EXPIRY).unwrap(),
        expiry,
        expires_at: expiry,
        levels: 2,
        created_at: now(),
    }
}
