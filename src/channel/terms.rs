//! What both sides agree on; everything else of a channel is computed from it.

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::key::TweakedPublicKey;
use bitcoin::{Amount, OutPoint, Script, ScriptBuf, Sequence, XOnlyPublicKey, absolute};

use super::script::{cltv_multisig, csv_multisig, multisig};
use super::{ArkAddress, ChannelError, Delay, Network, OperatorInfo, TapTree, Unit};

/// Where a party is paid: a P2TR output with a valid key, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Payout(XOnlyPublicKey);

impl Payout {
    pub fn new(output_key: XOnlyPublicKey) -> Self {
        Self(output_key)
    }

    /// Refuses anything but `OP_1 <32 bytes>` with a key on the curve.
    pub fn from_script(script: &Script) -> Result<Self, ChannelError> {
        let refused = || ChannelError::InvalidPayout { script: script.to_hex_string() };
        if !script.is_p2tr() {
            return Err(refused());
        }
        let key = script.as_bytes().get(2..).ok_or_else(refused)?;
        XOnlyPublicKey::from_slice(key).map(Self).map_err(|_| refused())
    }

    pub fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(self.0))
    }

    pub fn key(&self) -> XOnlyPublicKey {
        self.0
    }
}

/// One side of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Party {
    /// Signs in the channel's leaves; fresh for every channel.
    pub key: XOnlyPublicKey,
    /// Paid by the ark transaction: the owner's default VTXO script at a fresh key.
    pub ark_payout: Payout,
    /// Paid by the exits: a BIP86 address at a fresh key.
    pub chain_payout: Payout,
}

/// When the payer gives the receiver what it needs to close alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AuthorisationPolicy {
    /// With the first payment: the receiver can close whenever it wants. What has not been paid depends on receiver and
    /// operator not both being dishonest.
    #[default]
    AtOpen,
    /// When the receiver asks for it: until then nobody but the payer can begin to spend the channel, and a receiver
    /// whose payer is away has only the way on chain.
    OnClose,
}

impl AuthorisationPolicy {
    /// The number in messages.
    pub fn code(self) -> u32 {
        match self {
            Self::AtOpen => 0,
            Self::OnClose => 1,
        }
    }

    pub fn from_code(code: u32) -> Result<Self, ChannelError> {
        match code {
            0 => Ok(Self::AtOpen),
            1 => Ok(Self::OnClose),
            _ => Err(ChannelError::Malformed { what: "authorisation policy" }),
        }
    }
}

/// The agreement. Immutable once offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelTerms {
    pub network: Network,
    /// The operator's signer key.
    pub operator: XOnlyPublicKey,
    pub payer: Party,
    pub receiver: Party,
    pub capacity: Amount,
    /// From then on payer and operator can refund.
    pub locktime: absolute::LockTime,
    /// After so long on chain, payer and receiver can spend.
    pub d1: Delay,
    /// After so long on chain, the payer can spend alone.
    pub d2: Delay,
    /// When the receiver is given what it needs to close alone.
    pub authorisation: AuthorisationPolicy,
}

/// Tagged hash over the terms and the funding outpoint: the name of a channel on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(pub [u8; 32]);

/// Leaves of a channel's tree, in their order.
pub mod leaf {
    pub const FORFEIT: usize = 0;
    pub const REFUND: usize = 1;
    pub const UPDATE: usize = 2;
    pub const UNILATERAL: usize = 3;
}

impl ChannelTerms {
    pub fn unit(&self) -> Unit {
        self.d1.unit()
    }

    /// The four leaves.
    pub fn tree(&self) -> Result<TapTree, ChannelError> {
        let (payer, receiver, operator) = (self.payer.key, self.receiver.key, self.operator);
        TapTree::new(vec![
            multisig(&[payer, receiver, operator]),
            cltv_multisig(self.locktime, &[payer, operator]),
            csv_multisig(self.d1, &[payer, receiver]),
            csv_multisig(self.d2, &[payer]),
        ])
    }

    /// The Ark address of the channel VTXO.
    pub fn address(&self) -> Result<ArkAddress, ChannelError> {
        Ok(ArkAddress::new(self.network, self.operator, self.tree()?.output_key()))
    }

    /// The canonical encoding that ids and signatures are made over: fixed width, big endian, version first.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        // The version says when the payer authorises: terms of the first are as they always were.
        let version = match self.authorisation {
            AuthorisationPolicy::AtOpen => 1,
            AuthorisationPolicy::OnClose => 2,
        };
        bytes.extend([version, self.network.code()]);
        bytes.extend(self.operator.serialize());
        for party in [&self.payer, &self.receiver] {
            bytes.extend(party.key.serialize());
            bytes.extend(party.ark_payout.0.serialize());
            bytes.extend(party.chain_payout.0.serialize());
        }
        bytes.extend(self.capacity.to_sat().to_be_bytes());
        bytes.extend(self.locktime.to_consensus_u32().to_be_bytes());
        bytes.extend(self.d1.sequence().to_consensus_u32().to_be_bytes());
        bytes.extend(self.d2.sequence().to_consensus_u32().to_be_bytes());
        bytes
    }

    /// Reads [`ChannelTerms::canonical`] back, as it was stored.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, ChannelError> {
        let malformed = || ChannelError::Malformed { what: "stored terms" };
        let mut rest = bytes;
        let mut take = |count: usize| -> Result<&[u8], ChannelError> {
            let (taken, left) = rest.split_at_checked(count).ok_or_else(malformed)?;
            rest = left;
            Ok(taken)
        };
        let [version, network] = *take(2)? else { return Err(malformed()) };
        let authorisation = match version {
            1 => AuthorisationPolicy::AtOpen,
            2 => AuthorisationPolicy::OnClose,
            _ => return Err(malformed()),
        };
        let mut key = || XOnlyPublicKey::from_slice(take(32)?).map_err(|_| ChannelError::InvalidKey);
        let operator = key()?;
        let mut party = || Ok(Party { key: key()?, ark_payout: Payout(key()?), chain_payout: Payout(key()?) });
        let (payer, receiver) = (party()?, party()?);
        let mut number = |count: usize| -> Result<u64, ChannelError> {
            Ok(take(count)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        let delay = |number: u64| Delay::from_sequence(Sequence::from_consensus(number as u32));
        let terms = Self {
            network: Network::from_code(network.into())?,
            operator,
            payer,
            receiver,
            capacity: Amount::from_sat(number(8)?),
            locktime: absolute::LockTime::from_consensus(number(4)? as u32),
            d1: delay(number(4)?)?,
            d2: delay(number(4)?)?,
            authorisation,
        };
        if rest.is_empty() { Ok(terms) } else { Err(malformed()) }
    }

    /// The id of the channel with these terms in the VTXO `funding`.
    pub fn channel_id(&self, funding: &OutPoint) -> ChannelId {
        let mut bytes = self.canonical();
        bytes.extend(funding.txid.to_byte_array());
        bytes.extend(funding.vout.to_be_bytes());
        ChannelId(tagged_hash(b"virtual-channels/channel", &bytes))
    }

    /// What can be checked without knowing the time or the other side: keys, units, delays, amounts.
    pub fn check(&self, info: &OperatorInfo, now: u64) -> Result<(), ChannelError> {
        if self.network != info.network {
            return Err(ChannelError::WrongNetwork { expected: info.network, got: self.network });
        }
        info.check_signer(&self.operator, now)?;
        let keys = [self.payer.key, self.receiver.key, self.operator];
        for (i, key) in keys.iter().enumerate() {
            if keys.iter().skip(i + 1).any(|other| other == key) {
                return Err(ChannelError::EqualKeys);
            }
        }
        let units = [info.unit(), self.d1.unit(), self.d2.unit(), Unit::of(self.locktime)];
        if units.iter().any(|unit| *unit != info.unit()) {
            return Err(ChannelError::UnitMix);
        }
        self.check_delay(info)?;
        if self.d1.value() >= self.d2.value() {
            return Err(ChannelError::DelayOrder { d1: self.d1.value(), d2: self.d2.value() });
        }
        super::amount::check_capacity(self.capacity, info)
    }

    /// Whether the operator closes such a channel: not once its exit delay is above d1.
    pub fn check_delay(&self, info: &OperatorInfo) -> Result<(), ChannelError> {
        let (d1, least) = (self.d1, info.unilateral_exit_delay);
        if d1.unit() == least.unit() && d1.value() < least.value() {
            return Err(ChannelError::DelayTooShort { delay: d1.value(), minimum: least.value() });
        }
        Ok(())
    }
}

impl ChannelId {
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ChannelError> {
        bytes.try_into().map(Self).map_err(|_| ChannelError::Malformed { what: "channel id" })
    }
}

impl std::fmt::Display for ChannelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for ChannelId {
    type Err = ChannelError;

    fn from_str(text: &str) -> Result<Self, ChannelError> {
        use bitcoin::hex::FromHex;
        <[u8; 32]>::from_hex(text).map(Self).map_err(|_| ChannelError::Malformed { what: "channel id" })
    }
}

/// BIP340's tagged hash.
pub fn tagged_hash(tag: &[u8], bytes: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(tag);
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(bytes);
    sha256::Hash::from_engine(engine).to_byte_array()
}
