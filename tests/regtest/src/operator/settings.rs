//! What an operator can be set to, and the digest over what clients see of it.

use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::{Keypair, Secp256k1};
use bitcoin::secp256k1::SecretKey;
use bitcoin::{Address, CompressedPublicKey, Network, ScriptBuf, XOnlyPublicKey};

use super::script::{Delay, Leaf};

/// Does the operator count in blocks or in seconds?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Blocks: regtest only.
    Blocks,
    /// Seconds: as real operators do.
    Seconds,
}

/// The four fee programs; only constants are understood ("", "0.0", "200.0").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Fees {
    pub offchain_input: String,
    pub offchain_output: String,
    pub onchain_input: String,
    pub onchain_output: String,
}

/// A signer key that is on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeprecatedSigner {
    /// Its secret: the operator still signs with it.
    pub secret: SecretKey,
    /// Unix seconds after which scripts with it are refused; 0: never.
    pub cutoff: i64,
}

/// All settings. Amounts are sats; delays are blocks below 512, else seconds.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub unit: Unit,
    /// What GetInfo says; the recorded arkd said nothing.
    pub version: String,
    pub session: Duration,
    pub exit_delay: u32,
    pub boarding_delay: u32,
    pub checkpoint_delay: u32,
    pub batch_expiry: u32,
    pub dust: u64,
    pub vtxo_min: i64,
    /// −1: no limit.
    pub vtxo_max: i64,
    pub utxo_min: i64,
    /// −1: no limit.
    pub utxo_max: i64,
    pub max_tx_weight: u64,
    pub max_op_return_outputs: i64,
    pub fees: Fees,
    /// Convictions until a script is banned; 0: nobody is banned.
    pub ban_threshold: usize,
    pub ban_duration: Duration,
    pub min_participants: usize,
    pub max_participants: usize,
    /// VTXOs that expire later than this from now are not taken into a batch; zero: all are.
    pub settlement_min_expiry_gap: Duration,
    /// How long an unrolled VTXO's exit must still be closed to come back as a boarding input.
    pub unrolled_margin: Duration,
    pub signer: SecretKey,
    pub forfeit: SecretKey,
    pub deprecated_signers: Vec<DeprecatedSigner>,
    /// Instead of `CSV(checkpoint_delay) + forfeit key`.
    pub checkpoint_script: Option<ScriptBuf>,
    /// Clients older than this are refused; empty: all are welcome.
    pub min_build_version: String,
    pub build_version_required: bool,
    pub digest_required: bool,
    pub heartbeat: Duration,
    /// How long a script subscription lives without a stream.
    pub subscription_timeout: Duration,
    /// Mine one block after each batch.
    pub auto_mine: bool,
    /// Seconds added to the operator's own clock (expiry, timeranges, bans).
    pub clock_shift: i64,
    /// How long the books are behind the answers: a new VTXO is unknown and a spent one looks unspent for so long, as in arkd
    /// under load.
    pub lag: Duration,
    /// Height and median time past that locktimes are compared with instead of the chain's.
    pub pretend_tip: Option<(u32, u64)>,
    /// Fee rate of commitment transactions.
    pub sats_per_vbyte: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings::for_unit(Unit::Blocks)
    }
}

/// A secret from a word, the same in every run.
fn secret(word: &str) -> SecretKey {
    SecretKey::from_slice(sha256::Hash::hash(word.as_bytes()).as_byte_array()).expect("a hash is a valid secret")
}

/// The x-only key of a secret.
pub(crate) fn x_only(secret: &SecretKey) -> XOnlyPublicKey {
    secret.x_only_public_key(&Secp256k1::signing_only()).0
}

impl Settings {
    /// With keys of its own: operators of other names have others.
    #[must_use]
    pub fn named(mut self, name: &str) -> Settings {
        self.signer = secret(&format!("regtest operator {name}: signer"));
        self.forfeit = secret(&format!("regtest operator {name}: forfeit"));
        self
    }

    /// The settings that the real arkd of the tests has, with keys of our own.
    pub fn for_unit(unit: Unit) -> Settings {
        let (exit_delay, boarding_delay, checkpoint_delay, batch_expiry) = match unit {
            Unit::Blocks => (20, 30, 10, 400),
            Unit::Seconds => (1024, 1536, 512, 86016),
        };
        Settings {
            unit,
            version: String::new(),
            session: Duration::from_secs(10),
            exit_delay,
            boarding_delay,
            checkpoint_delay,
            batch_expiry,
            dust: 330,
            vtxo_min: 1,
            vtxo_max: -1,
            utxo_min: 330,
            utxo_max: -1,
            max_tx_weight: 40_000,
            max_op_return_outputs: 3,
            fees: Fees::default(),
            ban_threshold: 3,
            ban_duration: Duration::from_secs(60),
            min_participants: 1,
            max_participants: 128,
            settlement_min_expiry_gap: Duration::ZERO,
            unrolled_margin: Duration::from_secs(10),
            signer: secret("regtest operator: signer"),
            forfeit: secret("regtest operator: forfeit"),
            deprecated_signers: Vec::new(),
            checkpoint_script: None,
            min_build_version: String::new(),
            build_version_required: false,
            digest_required: false,
            heartbeat: Duration::from_secs(60),
            subscription_timeout: Duration::from_secs(60),
            auto_mine: false,
            clock_shift: 0,
            lag: Duration::ZERO,
            pretend_tip: None,
            sats_per_vbyte: 2,
        }
    }

    /// A new signer key from a word; the old one is accepted until `cutoff` (unix seconds, 0: for ever).
    pub fn rotate_signer(&mut self, word: &str, cutoff: i64) {
        let old = std::mem::replace(&mut self.signer, secret(word));
        self.deprecated_signers.push(DeprecatedSigner { secret: old, cutoff });
    }

    /// The signer's x-only key.
    pub fn signer_key(&self) -> XOnlyPublicKey {
        x_only(&self.signer)
    }

    /// The signers that scripts may name at this time, the current one first.
    pub(crate) fn accepted_signers(&self, now: i64) -> Vec<XOnlyPublicKey> {
        let valid = self.deprecated_signers.iter().filter(|d| d.cutoff == 0 || now <= d.cutoff);
        std::iter::once(self.signer_key()).chain(valid.map(|d| x_only(&d.secret))).collect()
    }

    /// All signers, whatever their cutoff.
    pub(crate) fn all_signers(&self) -> Vec<XOnlyPublicKey> {
        self.signer_pairs().iter().map(|k| k.x_only_public_key().0).collect()
    }

    /// All signers' key pairs: the operator signs with whichever a leaf names.
    pub(crate) fn signer_pairs(&self) -> Vec<Keypair> {
        let secp = Secp256k1::signing_only();
        std::iter::once(&self.signer)
            .chain(self.deprecated_signers.iter().map(|d| &d.secret))
            .map(|s| Keypair::from_secret_key(&secp, s))
            .collect()
    }

    /// Where forfeits pay.
    pub fn forfeit_address(&self) -> Address {
        let key = CompressedPublicKey(self.forfeit.public_key(&Secp256k1::signing_only()));
        Address::p2wpkh(&key, Network::Regtest)
    }

    /// The leaf by which the operator takes checkpoints back.
    pub fn checkpoint_leaf(&self) -> ScriptBuf {
        self.checkpoint_script
            .clone()
            .unwrap_or_else(|| Leaf::after(Delay::from_setting(self.checkpoint_delay), x_only(&self.forfeit)).script)
    }

    /// The leaf by which the operator takes expired trees back.
    pub(crate) fn sweep_leaf(&self) -> Leaf {
        Leaf::after(Delay::from_setting(self.batch_expiry), x_only(&self.forfeit))
    }

    /// Locks in blocks are accepted only where the batch expiry is in blocks.
    pub(crate) fn blocks_allowed(&self) -> bool {
        matches!(Delay::from_setting(self.batch_expiry), Delay::Blocks(_))
    }

    /// Changes whenever something changes that clients must know.
    pub fn digest(&self) -> String {
        super::info::digest(&super::info::info(self))
    }
}
