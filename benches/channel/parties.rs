//! Two wallets with channels between them that nobody funded: paying asks neither the chain nor the operator.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};
use tokio::runtime::Runtime;
use virtual_channels::channel::operator_info::FeePrograms;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{
    Authorisation, AuthorisationPolicy, Channel, ChannelTerms, Delay, Network, OperatorInfo, Party, Unit, time,
};
use virtual_channels::store::{ChannelRecord, ChannelState, FundingKind, Role, Store};
use virtual_channels::wallet::{KeyUse, Keys, SecretKeypair, Wallet, WalletConfig};

use crate::Failure;

pub const CAPACITY: Amount = Amount::from_sat(100_000_000);
const DAY: u32 = 24 * 3600;
/// Where no wallet goes: nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9";
const PAYER: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
const RECEIVER: &str = "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong";

/// A payer, a receiver, and all their channels.
pub struct Parties {
    payer: Keys,
    receiver: Keys,
    info: OperatorInfo,
    pub channels: Vec<Channel>,
    now: u64,
}

impl Parties {
    pub fn new(channels: u32) -> Result<Self, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let payer = Keys::from_mnemonic(PAYER, Network::Regtest)?;
        let receiver = Keys::from_mnemonic(RECEIVER, Network::Regtest)?;
        let info = info(&payer)?;
        let mut parties = Self { payer, receiver, info, channels: Vec::new(), now };
        parties.channels = (0..channels).map(|index| parties.channel(index)).collect::<Result<_, _>>()?;
        Ok(parties)
    }

    fn channel(&self, index: u32) -> Result<Channel, Failure> {
        let party = |keys: &Keys, key_use| -> Result<Party, Failure> {
            let payout = keys.chain_payout(index)?;
            Ok(Party { key: keys.keypair(key_use, index)?.xonly(), ark_payout: payout, chain_payout: payout })
        };
        let terms = ChannelTerms {
            network: Network::Regtest,
            operator: self.info.signer,
            payer: party(&self.payer, KeyUse::Payer)?,
            receiver: party(&self.receiver, KeyUse::Receiver)?,
            capacity: CAPACITY,
            locktime: time::locktime(Unit::Seconds, self.now + u64::from(20 * DAY))?,
            d1: Delay::at_least(Unit::Seconds, u64::from(DAY))?,
            d2: Delay::at_least(Unit::Seconds, u64::from(2 * DAY))?,
            authorisation: AuthorisationPolicy::default(),
        };
        let txid = Txid::hash(&index.to_be_bytes());
        Ok(Channel::new(terms, OutPoint::new(txid, 0))?)
    }

    /// The payer's key in a channel.
    pub fn payer_key(&self, index: u32) -> Result<SecretKeypair, Failure> {
        Ok(self.payer.keypair(KeyUse::Payer, index)?)
    }

    pub fn checkpoint(&self) -> CheckpointScript {
        self.info.checkpoint
    }

    /// A wallet with all channels, open, under `name` in `folder`.
    pub fn wallet(&self, runtime: &Runtime, folder: &Path, role: Role) -> Result<(Wallet, PathBuf), Failure> {
        let path = folder.join(format!("{role}.db"));
        let store = Store::open(&path)?;
        store.write::<_, Failure>(|db| {
            // As an earlier start of the wallet would have left it.
            db.set_meta("operator-info", &serde_json::to_vec(&self.info)?)?;
            for (channel, index) in self.channels.iter().zip(0..) {
                let authorisation = Authorisation::sign(channel, self.info.checkpoint, &*self.payer_key(index)?)?;
                let record = self.record(channel, index, role)?;
                db.insert_channel(&record, ChannelState::Open, Some(&authorisation.to_bytes()))?;
                db.set_acknowledged(&channel.id)?;
                db.set_last_watch(&channel.id, self.now)?;
            }
            Ok(())
        })?;
        store.close()?;
        Ok((self.open(runtime, &path, role)?, path))
    }

    /// Opens a wallet's file again.
    pub fn open(&self, runtime: &Runtime, path: &Path, role: Role) -> Result<Wallet, Failure> {
        let words = if role == Role::Payer { PAYER } else { RECEIVER };
        let config = WalletConfig::new(path, Network::Regtest, NOWHERE, NOWHERE);
        Ok(runtime.block_on(Wallet::open(config, words))?)
    }

    fn record(&self, channel: &Channel, index: u32, role: Role) -> Result<ChannelRecord, Failure> {
        let expiry = self.now + u64::from(30 * DAY);
        Ok(ChannelRecord {
            id: channel.id,
            role,
            terms: channel.terms.canonical(),
            capacity: CAPACITY,
            funding: channel.funding,
            funding_kind: FundingKind::Batch,
            key_index: index,
            commitments: vec![Txid::hash(b"commitment")],
            batch_expiry: Delay::at_least(Unit::Seconds, u64::from(30 * DAY))?,
            expiry,
            expires_at: expiry,
            levels: 3,
            created_at: self.now,
        })
    }
}

/// An operator as there are many, with keys that belong to the payer.
fn info(keys: &Keys) -> Result<OperatorInfo, Failure> {
    let day = Delay::at_least(Unit::Seconds, u64::from(DAY))?;
    let forfeit_key = keys.keypair(KeyUse::Vtxo, 1)?.xonly();
    Ok(OperatorInfo {
        version: String::new(),
        network: Network::Regtest,
        signer: keys.keypair(KeyUse::Vtxo, 0)?.xonly(),
        forfeit_key,
        forfeit_script: ScriptBuf::new(),
        checkpoint: CheckpointScript { delay: day, key: forfeit_key },
        unilateral_exit_delay: day,
        boarding_exit_delay: day,
        session_seconds: 30,
        dust: Amount::from_sat(330),
        vtxo_min: Amount::ONE_SAT,
        vtxo_max: None,
        utxo_min: Amount::from_sat(330),
        utxo_max: None,
        fees: FeePrograms::default(),
        deprecated_signers: Vec::new(),
        max_tx_weight: 40_000,
        digest: String::new(),
    })
}
