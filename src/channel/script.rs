//! Leaves, taproot trees, Ark addresses, and arkd's own encoding of a tree in a PSBT.

use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CHECKSIGVERIFY, OP_CLTV, OP_CSV, OP_DROP};
use bitcoin::script::{Builder, Instruction};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TaprootBuilder, TaprootSpendInfo};
use bitcoin::{Script, ScriptBuf, Sequence, VarInt, XOnlyPublicKey, absolute, consensus};
use secp256k1::SECP256K1;

use super::{ChannelError, Delay, Network, Unit};

/// Internal key of every Ark tree: a point nobody knows the secret of (BIP341's H with arkd's choice of encoding).
pub const UNSPENDABLE_KEY: [u8; 32] = [
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07, 0x8a, 0x5a,
    0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0,
];

/// The script of a pay-to-anchor output: anybody can spend it, so anybody can pay the fee.
pub const ANCHOR_SCRIPT: [u8; 4] = [0x51, 0x02, 0x4e, 0x73];

/// `<k1> CHECKSIGVERIFY … <kn> CHECKSIG`
pub fn multisig(keys: &[XOnlyPublicKey]) -> ScriptBuf {
    checksigs(Builder::new(), keys)
}

/// `<delay> CSV DROP` followed by [`multisig`].
pub fn csv_multisig(delay: Delay, keys: &[XOnlyPublicKey]) -> ScriptBuf {
    let number = i64::from(delay.sequence().to_consensus_u32());
    checksigs(Builder::new().push_int(number).push_opcode(OP_CSV).push_opcode(OP_DROP), keys)
}

/// `<locktime> CLTV DROP` followed by [`multisig`].
pub fn cltv_multisig(locktime: absolute::LockTime, keys: &[XOnlyPublicKey]) -> ScriptBuf {
    let number = i64::from(locktime.to_consensus_u32());
    checksigs(Builder::new().push_int(number).push_opcode(OP_CLTV).push_opcode(OP_DROP), keys)
}

fn checksigs(mut builder: Builder, keys: &[XOnlyPublicKey]) -> ScriptBuf {
    for (i, key) in keys.iter().enumerate() {
        let last = i + 1 == keys.len();
        builder = builder.push_x_only_key(key).push_opcode(if last { OP_CHECKSIG } else { OP_CHECKSIGVERIFY });
    }
    builder.into_script()
}

/// A taproot tree of one, two or four leaves, balanced, under the unspendable internal key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapTree {
    leaves: Vec<ScriptBuf>,
    spend_info: TaprootSpendInfo,
}

impl TapTree {
    /// The tree over `leaves` in their order, as arkd and its SDKs build it.
    pub fn new(leaves: Vec<ScriptBuf>) -> Result<Self, ChannelError> {
        let depth = match leaves.len() {
            1 => 0,
            2 => 1,
            4 => 2,
            count => return Err(ChannelError::UnsupportedTree { leaves: count }),
        };
        let internal = XOnlyPublicKey::from_slice(&UNSPENDABLE_KEY).map_err(|_| ChannelError::InvalidKey)?;
        let mut builder = TaprootBuilder::new();
        for leaf in &leaves {
            builder = builder
                .add_leaf(depth, leaf.clone())
                .map_err(|_| ChannelError::UnsupportedTree { leaves: leaves.len() })?;
        }
        let spend_info = builder
            .finalize(SECP256K1, internal)
            .map_err(|_| ChannelError::UnsupportedTree { leaves: leaves.len() })?;
        Ok(Self { leaves, spend_info })
    }

    pub fn leaves(&self) -> &[ScriptBuf] {
        &self.leaves
    }

    pub fn output_key(&self) -> XOnlyPublicKey {
        self.spend_info.output_key().to_x_only_public_key()
    }

    /// The P2TR output script.
    pub fn script_pubkey(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr_tweaked(self.spend_info.output_key())
    }

    /// A leaf with its control block and hash.
    pub fn leaf(&self, index: usize) -> Result<Leaf, ChannelError> {
        let missing = ChannelError::UnsupportedTree { leaves: self.leaves.len() };
        let script = self.leaves.get(index).ok_or(missing)?.clone();
        let key = (script, LeafVersion::TapScript);
        let control =
            self.spend_info.control_block(&key).ok_or(ChannelError::UnsupportedTree { leaves: self.leaves.len() })?;
        let hash = TapLeafHash::from_script(&key.0, LeafVersion::TapScript);
        Ok(Leaf { script: key.0, control, hash })
    }

    /// arkd's PSBT encoding: a leaf after the other as `01 c0 compactsize script` (the depth byte is always 1).
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.leaves.iter().map(|leaf| leaf.len() + 4).sum());
        for leaf in &self.leaves {
            bytes.extend([1, LeafVersion::TapScript.to_consensus()]);
            bytes.extend(consensus::serialize(&VarInt(leaf.len() as u64)));
            bytes.extend(leaf.as_bytes());
        }
        bytes
    }
}

/// One leaf of a [`TapTree`], ready to be spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub script: ScriptBuf,
    pub control: ControlBlock,
    pub hash: TapLeafHash,
}

/// A wallet's own VTXO script: leaf 0 owner and operator, leaf 1 the owner alone after `exit_delay`.
pub fn default_vtxo(
    owner: XOnlyPublicKey,
    operator: XOnlyPublicKey,
    exit_delay: Delay,
) -> Result<TapTree, ChannelError> {
    TapTree::new(vec![multisig(&[owner, operator]), csv_multisig(exit_delay, &[owner])])
}

/// The script every checkpoint output carries beside the spending leaf: `<delay> CSV DROP <forfeit key> CHECKSIG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct CheckpointScript {
    pub delay: Delay,
    pub key: XOnlyPublicKey,
}

impl CheckpointScript {
    /// Reads the script; anything but a CSV and one key is hostile, since it would let others take a checkpoint.
    pub fn parse(script: &Script) -> Result<Self, ChannelError> {
        let refused = || ChannelError::UnacceptableCheckpointScript { script: script.to_hex_string() };
        let mut parts = script.instructions_minimal();
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(refused);
        let number = match next()? {
            Instruction::PushBytes(bytes) => {
                bitcoin::script::read_scriptint_non_minimal(bytes.as_bytes()).map_err(|_| refused())?
            }
            Instruction::Op(op) => {
                let code = i64::from(op.to_u8());
                if (0x51..=0x60).contains(&code) { code - 0x50 } else { return Err(refused()) }
            }
        };
        let _ = (next()?, next()?);
        let key = match next()? {
            Instruction::PushBytes(bytes) => XOnlyPublicKey::from_slice(bytes.as_bytes()).map_err(|_| refused())?,
            Instruction::Op(_) => return Err(refused()),
        };
        let number = u32::try_from(number).map_err(|_| refused())?;
        let delay = Delay::from_sequence(Sequence::from_consensus(number)).map_err(|_| refused())?;
        let parsed = Self { delay, key };
        // Building it again and comparing leaves no room for another reading.
        if parsed.script().as_script() == script { Ok(parsed) } else { Err(refused()) }
    }

    pub fn script(&self) -> ScriptBuf {
        csv_multisig(self.delay, &[self.key])
    }

    /// Whether this script may stand in a checkpoint of ours: the operator's own forfeit key, and a delay long enough
    /// that the ark transaction reaches the chain before the operator can sweep (12 hours; on regtest any).
    pub fn check(&self, network: Network, forfeit_key: &XOnlyPublicKey) -> Result<(), ChannelError> {
        const FLOOR_SECONDS: u64 = 12 * 3600;
        if self.key != *forfeit_key {
            return Err(ChannelError::UnacceptableCheckpointScript { script: self.script().to_hex_string() });
        }
        let seconds = match self.delay.unit() {
            Unit::Seconds => self.delay.value(),
            Unit::Blocks => self.delay.value() * 600,
        };
        if network != Network::Regtest && seconds < FLOOR_SECONDS {
            return Err(ChannelError::CheckpointDelayTooShort { seconds, minimum: FLOOR_SECONDS });
        }
        Ok(())
    }
}

/// An Ark address (bech32m): the operator's key and the VTXO's output key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArkAddress {
    pub mainnet: bool,
    pub operator: XOnlyPublicKey,
    pub output_key: XOnlyPublicKey,
}

impl ArkAddress {
    pub fn new(network: Network, operator: XOnlyPublicKey, output_key: XOnlyPublicKey) -> Self {
        Self { mainnet: network == Network::Bitcoin, operator, output_key }
    }

    /// Reads an address; the version must be 0 and the prefix `ark` or `tark`.
    pub fn parse(text: &str) -> Result<Self, ChannelError> {
        if text.len() > 200 {
            return Err(ChannelError::InvalidAddress);
        }
        let (hrp, bytes) = bech32::decode(text).map_err(|_| ChannelError::InvalidAddress)?;
        let mainnet = match hrp.to_lowercase().as_str() {
            "ark" => true,
            "tark" => false,
            _ => return Err(ChannelError::InvalidAddress),
        };
        let (Some((0, keys)), 65) = (bytes.split_first(), bytes.len()) else {
            return Err(ChannelError::InvalidAddress);
        };
        let (operator, output) = keys.split_at(32);
        let key = |bytes: &[u8]| XOnlyPublicKey::from_slice(bytes).map_err(|_| ChannelError::InvalidAddress);
        Ok(Self { mainnet, operator: key(operator)?, output_key: key(output)? })
    }

    pub fn script_pubkey(&self) -> ScriptBuf {
        use bitcoin::key::TweakedPublicKey;
        ScriptBuf::new_p2tr_tweaked(TweakedPublicKey::dangerous_assume_tweaked(self.output_key))
    }
}

impl std::fmt::Display for ArkAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = [0u8; 65];
        let (_, keys) = bytes.split_at_mut(1);
        let (operator, output) = keys.split_at_mut(32);
        operator.copy_from_slice(&self.operator.serialize());
        output.copy_from_slice(&self.output_key.serialize());
        let hrp = bech32::Hrp::parse(if self.mainnet { "ark" } else { "tark" }).map_err(|_| std::fmt::Error)?;
        bech32::encode_to_fmt::<bech32::Bech32m, _>(f, hrp, &bytes).map_err(|_| std::fmt::Error)
    }
}
