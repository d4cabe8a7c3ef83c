//! The scripts arkd accepts: leaves made of multisig with an optional lock in front, and trees of such leaves.

use bitcoin::key::{Secp256k1, TapTweak};
use bitcoin::opcodes::all::{
    OP_CHECKSIG, OP_CHECKSIGADD, OP_CHECKSIGVERIFY, OP_CLTV, OP_CSV, OP_DROP, OP_NUMEQUAL, OP_VERIFY,
};
use bitcoin::script::{Builder, Instruction};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TapNodeHash, TaprootMerkleBranch};
use bitcoin::{Script, ScriptBuf, XOnlyPublicKey};

/// The internal key of every Ark output: nobody knows its secret.
pub const UNSPENDABLE: [u8; 32] = [
    0x50, 0x92, 0x9b, 0x74, 0xc1, 0xa0, 0x49, 0x54, 0xb7, 0x8b, 0x4b, 0x60, 0x35, 0xe9, 0x7a, 0x5e, 0x07, 0x8a, 0x5a,
    0x0f, 0x28, 0xec, 0x96, 0xd5, 0x47, 0xbf, 0xee, 0x9a, 0xce, 0x80, 0x3a, 0xc0,
];

/// [`UNSPENDABLE`] as a key.
pub fn unspendable() -> XOnlyPublicKey {
    XOnlyPublicKey::from_slice(&UNSPENDABLE).expect("a point of the curve")
}

/// Locktimes from here on are times, below they are heights.
pub const FIRST_TIME: u32 = 500_000_000;

/// A relative lock as arkd reads it: a number below 512 in its settings is blocks, else seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Blocks since confirmation.
    Blocks(u32),
    /// Seconds since confirmation, a multiple of 512.
    Seconds(u32),
}

impl Delay {
    /// From one of arkd's settings.
    pub fn from_setting(value: u32) -> Delay {
        if value < 512 { Delay::Blocks(value) } else { Delay::Seconds(value - value % 512) }
    }

    /// For comparison: arkd counts a block as a second.
    pub fn seconds(self) -> i64 {
        match self {
            Delay::Blocks(n) | Delay::Seconds(n) => i64::from(n),
        }
    }

    /// The BIP68 sequence number.
    pub fn sequence(self) -> u32 {
        match self {
            Delay::Blocks(n) => n,
            Delay::Seconds(n) => (1 << 22) | (n >> 9),
        }
    }

    fn from_script_number(number: i64) -> Result<Delay, String> {
        if number & (1 << 31) != 0 {
            return Err("sequence is disabled".into());
        }
        if number & (1 << 22) != 0 {
            Ok(Delay::Seconds(((number & 0xffff) << 9) as u32))
        } else {
            u32::try_from(number).map(Delay::Blocks).map_err(|_| "negative sequence".into())
        }
    }
}

/// What stands in front of the signatures of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing.
    None,
    /// CHECKLOCKTIMEVERIFY.
    Until(u32),
    /// CHECKSEQUENCEVERIFY.
    After(Delay),
    /// A condition script and OP_VERIFY.
    Condition,
    /// A condition, then CHECKSEQUENCEVERIFY.
    ConditionAfter(Delay),
}

/// One leaf: a lock and the keys that must all sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The script itself.
    pub script: ScriptBuf,
    /// All keys that must sign, in script order.
    pub keys: Vec<XOnlyPublicKey>,
    /// The lock in front.
    pub lock: Lock,
}

impl Leaf {
    /// Reads a leaf; anything that is not one of arkd's five kinds is an error.
    pub fn parse(script: &Script) -> Result<Leaf, String> {
        let instructions =
            script.instructions_minimal().collect::<Result<Vec<_>, _>>().map_err(|e| format!("bad script: {e}"))?;
        let leaf = |keys, lock| Ok(Leaf { script: script.to_owned(), keys, lock });
        if let Some(keys) = multisig(&instructions) {
            return leaf(keys, Lock::None);
        }
        if let Some((keys, lock)) = locked(&instructions)? {
            return leaf(keys, lock);
        }
        for (i, one) in instructions.iter().enumerate() {
            if *one != Instruction::Op(OP_VERIFY) {
                continue;
            }
            let rest = &instructions[i + 1..];
            if let Some(keys) = multisig(rest) {
                return leaf(keys, Lock::Condition);
            }
            if let Some((keys, Lock::After(delay))) = locked(rest)? {
                return leaf(keys, Lock::ConditionAfter(delay));
            }
        }
        Err(format!("script does not match any known closure type: {script:x}"))
    }

    /// True for a leaf that can only be used on chain.
    pub fn is_exit(&self) -> bool {
        self.exit_delay().is_some()
    }

    /// The relative lock of an exit leaf.
    pub fn exit_delay(&self) -> Option<Delay> {
        match self.lock {
            Lock::After(delay) | Lock::ConditionAfter(delay) => Some(delay),
            _ => None,
        }
    }

    /// The tapleaf hash.
    pub fn hash(&self) -> TapLeafHash {
        TapLeafHash::from_script(&self.script, LeafVersion::TapScript)
    }

    /// `<delay> CSV DROP <key> CHECKSIG`: checkpoint and sweep leaves.
    pub fn after(delay: Delay, key: XOnlyPublicKey) -> Leaf {
        let script = Builder::new()
            .push_int(i64::from(delay.sequence()))
            .push_opcode(OP_CSV)
            .push_opcode(OP_DROP)
            .push_x_only_key(&key)
            .push_opcode(OP_CHECKSIG)
            .into_script();
        Leaf { script, keys: vec![key], lock: Lock::After(delay) }
    }
}

fn multisig(instructions: &[Instruction<'_>]) -> Option<Vec<XOnlyPublicKey>> {
    let mut keys = Vec::new();
    let mut rest = instructions;
    let mut adding = false;
    while let [Instruction::PushBytes(push), Instruction::Op(op), tail @ ..] = rest {
        keys.push(XOnlyPublicKey::from_slice(push.as_bytes()).ok()?);
        let first = keys.len() == 1;
        match (*op, tail) {
            (OP_CHECKSIG, []) if !adding => return Some(keys),
            (OP_CHECKSIG, _) if first => adding = true,
            (OP_CHECKSIGVERIFY, _) if !adding => {}
            (OP_CHECKSIGADD, _) if adding => {}
            _ => return None,
        }
        rest = tail;
    }
    match rest {
        [count, Instruction::Op(OP_NUMEQUAL)] if adding && count.script_num() == Some(keys.len() as i64) => Some(keys),
        _ => None,
    }
}

fn locked(instructions: &[Instruction<'_>]) -> Result<Option<(Vec<XOnlyPublicKey>, Lock)>, String> {
    let [number, Instruction::Op(op), Instruction::Op(OP_DROP), rest @ ..] = instructions else {
        return Ok(None);
    };
    let (Some(number), Some(keys)) = (script_number(number), multisig(rest)) else { return Ok(None) };
    let lock = match *op {
        OP_CSV => Lock::After(Delay::from_script_number(number)?),
        OP_CLTV => Lock::Until(u32::try_from(number).map_err(|_| "locktime out of range".to_owned())?),
        _ => return Ok(None),
    };
    Ok(Some((keys, lock)))
}

/// Numbers of up to five bytes, as CLTV and CSV take them.
fn script_number(instruction: &Instruction<'_>) -> Option<i64> {
    let Instruction::PushBytes(push) = instruction else { return instruction.script_num() };
    let bytes = push.as_bytes();
    let (last, head) = match bytes.split_last() {
        None => return Some(0),
        Some(_) if bytes.len() > 5 => return None,
        Some(split) => split,
    };
    let mut value = i64::from(last & 0x7f) << (8 * head.len());
    for (i, byte) in head.iter().enumerate() {
        value |= i64::from(*byte) << (8 * i);
    }
    Some(if last & 0x80 == 0 { value } else { -value })
}

/// A taproot tree of leaves, put together as arkd does: neighbours in pairs, an odd last leaf joins the last pair, then the
/// branches in a queue.
#[derive(Clone, Debug)]
pub struct LeafTree {
    /// The leaves in the order of their owner.
    pub leaves: Vec<Leaf>,
    root: TapNodeHash,
    paths: Vec<Vec<TapNodeHash>>,
}

struct Branch {
    hash: TapNodeHash,
    members: Vec<usize>,
}

impl LeafTree {
    /// Builds the tree; there must be a leaf.
    pub fn new(leaves: Vec<Leaf>) -> Result<LeafTree, String> {
        let mut paths = vec![Vec::new(); leaves.len()];
        let mut join = |a: Branch, b: Branch| {
            a.members.iter().for_each(|i| paths[*i].push(b.hash));
            b.members.iter().for_each(|i| paths[*i].push(a.hash));
            let members = a.members.into_iter().chain(b.members).collect();
            Branch { hash: TapNodeHash::from_node_hashes(a.hash, b.hash), members }
        };
        let mut branches: Vec<Branch> = Vec::new();
        let mut waiting: Option<Branch> = None;
        for (i, leaf) in leaves.iter().enumerate() {
            let leaf = Branch { hash: TapNodeHash::from(leaf.hash()), members: vec![i] };
            match waiting.take() {
                Some(left) => branches.push(join(left, leaf)),
                None => waiting = Some(leaf),
            }
        }
        if let Some(odd) = waiting {
            let joined = match branches.pop() {
                Some(last) => join(last, odd),
                None => odd,
            };
            branches.push(joined);
        }
        let mut queue = std::collections::VecDeque::from(branches);
        while queue.len() > 1 {
            let (Some(a), Some(b)) = (queue.pop_front(), queue.pop_front()) else { break };
            queue.push_back(join(a, b));
        }
        let root = queue.pop_front().ok_or("empty scripts array")?.hash;
        Ok(LeafTree { leaves, root, paths })
    }

    /// Parses the revealed scripts of an output.
    pub fn parse(scripts: &[ScriptBuf]) -> Result<LeafTree, String> {
        LeafTree::new(scripts.iter().map(|s| Leaf::parse(s)).collect::<Result<_, _>>()?)
    }

    /// The output script.
    pub fn script_pubkey(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr(&Secp256k1::verification_only(), unspendable(), Some(self.root))
    }

    /// The control block of the leaf with this script.
    pub fn control_block(&self, script: &Script) -> Option<ControlBlock> {
        let index = self.leaves.iter().position(|l| *l.script == *script)?;
        let (_, parity) = unspendable().tap_tweak(&Secp256k1::verification_only(), Some(self.root));
        Some(ControlBlock {
            leaf_version: LeafVersion::TapScript,
            output_key_parity: parity,
            internal_key: unspendable(),
            merkle_branch: TaprootMerkleBranch::try_from(self.paths[index].clone()).ok()?,
        })
    }

    /// The leaf deepest in the tree (the one that is dearest to spend).
    pub fn deepest(&self) -> Option<&Leaf> {
        let deepest = (0..self.leaves.len()).max_by_key(|i| (self.paths[*i].len(), self.leaves[*i].script.len()))?;
        self.leaves.get(deepest)
    }

    /// The shortest exit, if there is an exit at all.
    pub fn smallest_exit(&self) -> Option<Delay> {
        self.leaves.iter().filter_map(Leaf::exit_delay).min_by_key(|d| d.seconds())
    }

    /// arkd's rules for what an output it serves may look like: every leaf that is not an exit needs the operator, and no exit
    /// is shorter than `shortest`.
    pub fn validate(&self, operator: XOnlyPublicKey, shortest: Delay, blocks_allowed: bool) -> Result<(), String> {
        for leaf in self.leaves.iter().filter(|l| !l.is_exit()) {
            if let Lock::Until(until) = leaf.lock
                && !blocks_allowed
                && until < FIRST_TIME
            {
                return Err("invalid forfeit closure, CLTV block type not allowed".into());
            }
            if !leaf.keys.contains(&operator) {
                return Err("invalid forfeit closure, signer pubkey not found".into());
            }
        }
        for delay in self.leaves.iter().filter_map(Leaf::exit_delay) {
            if !blocks_allowed && matches!(delay, Delay::Blocks(_)) {
                return Err("invalid exit closure, CSV block type not allowed".into());
            }
        }
        match self.smallest_exit() {
            Some(smallest) if smallest.seconds() < shortest.seconds() => Err("exit delay is too short".into()),
            _ => Ok(()),
        }
    }
}

/// The anchor output of every virtual transaction: anyone can spend it.
pub fn anchor() -> bitcoin::TxOut {
    bitcoin::TxOut { value: bitcoin::Amount::ZERO, script_pubkey: anchor_script() }
}

/// Its script, P2A.
pub fn anchor_script() -> ScriptBuf {
    ScriptBuf::from_bytes(vec![0x51, 0x02, 0x4e, 0x73])
}

/// An output too small for the chain: OP_RETURN and the 32-byte key.
pub fn is_sub_dust(script: &Script) -> bool {
    script.len() == 34 && script.as_bytes().starts_with(&[0x6a, 0x20])
}
