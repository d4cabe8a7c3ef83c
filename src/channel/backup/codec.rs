//! The bytes of a backup: version, counts before lists, numbers big endian. Keys, operators and transactions that several
//! entries share (channels of one batch) are written once.

use std::collections::HashMap;
use std::hash::Hash as StdHash;

use bitcoin::consensus::encode::{VarInt, deserialize_partial, serialize};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Sequence, Transaction, Txid, XOnlyPublicKey};

use super::{BackupScript, ChannelBackup, MAX_BYTES, ScriptUse, StaticBackup};
use crate::channel::branch::{Branch, BranchNode, MAX_NODES};
use crate::channel::{Authorisation, ChannelError, ChannelTerms, Delay, Message, Network};

/// The most channels in a backup: what fills it, since each takes more than a hundred bytes.
pub const MAX_CHANNELS: usize = MAX_BYTES / 100;

/// The most own scripts in a backup: what fills it, since each takes eleven bytes.
pub const MAX_SCRIPTS: usize = MAX_BYTES / 11;

const VERSION: u8 = 1;

/// The longest of the variable parts that are text or messages. What the operator says of itself takes most: some
/// hundred former signers, four fee programs.
const MAX_PART: usize = 256 * 1024;

/// Branches share transactions, and these share keys: so many bytes they may take all together once they are apart.
/// Co-signers stay together.
const MAX_APART: usize = 8 * MAX_BYTES;

fn malformed() -> ChannelError {
    ChannelError::Malformed { what: "backup" }
}

/// Entries written once and named by their place.
struct Pool<T> {
    entries: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T: Clone + Eq + StdHash> Pool<T> {
    fn new() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }

    fn place(&mut self, entry: T) -> usize {
        *self.places.entry(entry).or_insert_with_key(|entry| {
            self.entries.push(entry.clone());
            self.entries.len() - 1
        })
    }
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend(serialize(&VarInt::from(count)));
}

fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    count(bytes, part.len());
    bytes.extend(part);
}

fn delay(bytes: &mut Vec<u8>, delay: Option<Delay>) {
    bytes.extend(delay.map_or(0, |delay| delay.sequence().to_consensus_u32()).to_be_bytes());
}

pub(super) fn encode(backup: &StaticBackup) -> Result<Vec<u8>, ChannelError> {
    let mut operators = Pool::new();
    let mut keys: Pool<PublicKey> = Pool::new();
    let mut nodes: Pool<Vec<u8>> = Pool::new();
    let mut write_branch = |branch: &Branch| {
        let mut bytes = Vec::new();
        count(&mut bytes, branch.nodes.len());
        for node in &branch.nodes {
            let mut written = serialize(&node.tx);
            count(&mut written, node.cosigners.len());
            for key in node.cosigners.iter() {
                count(&mut written, keys.place(*key));
            }
            count(&mut bytes, nodes.place(written));
        }
        bytes
    };

    let mut rest = Vec::new();
    count(&mut rest, backup.scripts.len());
    for script in &backup.scripts {
        rest.push(match script.script_use {
            ScriptUse::Vtxo => 0,
            ScriptUse::Boarding => 1,
            ScriptUse::Chain => 2,
        });
        rest.extend(script.key_index.to_be_bytes());
        count(&mut rest, operators.place(script.operator));
        delay(&mut rest, script.delay);
    }
    count(&mut rest, backup.branches.len());
    for (outpoint, branch) in &backup.branches {
        rest.extend(serialize(outpoint));
        rest.extend(write_branch(branch));
    }
    count(&mut rest, backup.channels.len());
    for channel in &backup.channels {
        let flags = [channel.is_payer, channel.is_offchain, channel.was_confirmed, channel.authorisation.is_some()];
        rest.push(flags.iter().enumerate().fold(0, |bits, (bit, flag)| bits | u8::from(*flag) << bit));
        part(&mut rest, &channel.terms.canonical());
        rest.extend(serialize(&channel.funding));
        rest.extend(channel.key_index.to_be_bytes());
        count(&mut rest, channel.commitments.len());
        channel.commitments.iter().for_each(|txid| rest.extend(txid.to_byte_array()));
        delay(&mut rest, Some(channel.batch_expiry));
        for number in [channel.expiry, channel.expires_at, channel.levels.into(), channel.created_at] {
            rest.extend(number.to_be_bytes());
        }
        if let Some(authorisation) = &channel.authorisation {
            part(&mut rest, &authorisation.to_bytes());
        }
        rest.extend(write_branch(&channel.branch));
    }

    count(&mut rest, backup.openings.len());
    for offer in &backup.openings {
        part(&mut rest, &Message::Offer(Box::new(offer.clone())).to_bytes());
    }

    let mut bytes = vec![VERSION, backup.network.code()];
    bytes.extend(backup.operator.serialize());
    bytes.extend(backup.made_at.to_be_bytes());
    bytes.extend(backup.next_key_index.to_be_bytes());
    bytes.push(backup.whole.into());
    delay(&mut bytes, backup.batch_expiry);
    part(&mut bytes, &serde_json::to_vec(&backup.info).map_err(|_| malformed())?);
    count(&mut bytes, operators.entries.len());
    operators.entries.iter().for_each(|key| bytes.extend(key.serialize()));
    count(&mut bytes, keys.entries.len());
    keys.entries.iter().for_each(|key| bytes.extend(key.serialize()));
    count(&mut bytes, nodes.entries.len());
    nodes.entries.iter().for_each(|node| bytes.extend(node));
    bytes.extend(rest);
    if bytes.len() > MAX_BYTES {
        return Err(ChannelError::TooLarge { size: bytes.len(), limit: MAX_BYTES });
    }
    // Found out now, and not when the phone is lost.
    if decode(&bytes)? != *backup {
        return Err(malformed());
    }
    Ok(bytes)
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ChannelError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ChannelError> {
        self.take(N)?.try_into().map_err(|_| malformed())
    }

    fn byte(&mut self) -> Result<u8, ChannelError> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    fn u32(&mut self) -> Result<u32, ChannelError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, ChannelError> {
        self.array().map(u64::from_be_bytes)
    }

    fn count(&mut self, limit: usize) -> Result<usize, ChannelError> {
        let (VarInt(count), used) = deserialize_partial::<VarInt>(self.0).map_err(|_| malformed())?;
        self.take(used)?;
        usize::try_from(count).ok().filter(|count| *count <= limit).ok_or_else(malformed)
    }

    fn part(&mut self) -> Result<&'a [u8], ChannelError> {
        let length = self.count(MAX_PART)?;
        self.take(length)
    }

    /// A list of `read`; it grows with what is there, not with what is claimed.
    fn list<T>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, ChannelError>,
    ) -> Result<Vec<T>, ChannelError> {
        let mut list = Vec::new();
        for _ in 0..self.count(limit)? {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn xonly(&mut self) -> Result<XOnlyPublicKey, ChannelError> {
        XOnlyPublicKey::from_slice(self.take(32)?).map_err(|_| ChannelError::InvalidKey)
    }

    fn delay(&mut self) -> Result<Option<Delay>, ChannelError> {
        match self.u32()? {
            0 => Ok(None),
            sequence => Delay::from_sequence(Sequence::from_consensus(sequence)).map(Some),
        }
    }

    fn transaction(&mut self) -> Result<Transaction, ChannelError> {
        let (tx, used) = deserialize_partial::<Transaction>(self.0).map_err(|_| malformed())?;
        self.take(used)?;
        Ok(tx)
    }

    fn outpoint(&mut self) -> Result<OutPoint, ChannelError> {
        bitcoin::consensus::deserialize(self.take(36)?).map_err(|_| malformed())
    }
}

/// The transactions of all branches, and how much they have taken so far.
#[derive(Default)]
struct Nodes {
    nodes: Vec<BranchNode>,
    taken: usize,
}

impl Nodes {
    fn take(&mut self, bytes: usize) -> Result<(), ChannelError> {
        self.taken = self.taken.saturating_add(bytes);
        match self.taken {
            0..=MAX_APART => Ok(()),
            size => Err(ChannelError::TooLarge { size, limit: MAX_APART }),
        }
    }

    fn branch(&mut self, reader: &mut Reader<'_>) -> Result<Branch, ChannelError> {
        let places = reader.list(MAX_NODES, |reader| reader.count(usize::MAX))?;
        let mut nodes = Vec::with_capacity(places.len());
        for place in places {
            let node = self.nodes.get(place).ok_or_else(malformed)?.clone();
            self.take(node.tx.total_size())?;
            nodes.push(node);
        }
        Ok(Branch { nodes })
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<StaticBackup, ChannelError> {
    if bytes.len() > MAX_BYTES {
        return Err(ChannelError::TooLarge { size: bytes.len(), limit: MAX_BYTES });
    }
    let mut reader = Reader(bytes);
    match reader.byte()? {
        VERSION => {}
        version => return Err(ChannelError::UnknownVersion { version: version.into() }),
    }
    let network = Network::from_code(reader.byte()?.into())?;
    let operator = reader.xonly()?;
    let made_at = reader.u64()?;
    let next_key_index = reader.u32()?;
    let whole = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return Err(malformed()),
    };
    let batch_expiry = reader.delay()?;
    let info = serde_json::from_slice(reader.part()?).map_err(|_| malformed())?;
    let operators = reader.list(MAX_SCRIPTS, Reader::xonly)?;
    let keys = reader
        .list(MAX_BYTES, |reader| PublicKey::from_slice(reader.take(33)?).map_err(|_| ChannelError::InvalidKey))?;
    let mut nodes = Nodes::default();
    nodes.nodes = reader.list(MAX_BYTES, |reader| {
        let tx = reader.transaction()?;
        let cosigners =
            reader.list(1024, |reader| keys.get(reader.count(usize::MAX)?).copied().ok_or_else(malformed))?;
        nodes.take(cosigners.len() * size_of::<PublicKey>())?;
        Ok(BranchNode { tx, cosigners: cosigners.into() })
    })?;
    let scripts = reader.list(MAX_SCRIPTS, |reader| {
        let script_use = match reader.byte()? {
            0 => ScriptUse::Vtxo,
            1 => ScriptUse::Boarding,
            2 => ScriptUse::Chain,
            _ => return Err(malformed()),
        };
        let key_index = reader.u32()?;
        let operator = *operators.get(reader.count(usize::MAX)?).ok_or_else(malformed)?;
        let delay = reader.delay()?;
        if (script_use == ScriptUse::Chain) != delay.is_none() || key_index >= 1 << 31 {
            return Err(malformed());
        }
        Ok(BackupScript { script_use, key_index, operator, delay })
    })?;
    let branches = reader.list(MAX_SCRIPTS, |reader| Ok((reader.outpoint()?, nodes.branch(reader)?)))?;
    let channels = reader.list(MAX_CHANNELS, |reader| channel(reader, &mut nodes))?;
    let openings = reader.list(MAX_CHANNELS, |reader| match Message::from_bytes(reader.part()?)? {
        Message::Offer(offer) => Ok(*offer),
        _ => Err(malformed()),
    })?;
    if !reader.0.is_empty() || next_key_index > 1 << 31 {
        return Err(malformed());
    }
    Ok(StaticBackup {
        network,
        info,
        operator,
        made_at,
        next_key_index,
        whole,
        batch_expiry,
        scripts,
        channels,
        openings,
        branches,
    })
}

fn channel(reader: &mut Reader<'_>, nodes: &mut Nodes) -> Result<ChannelBackup, ChannelError> {
    let bits = reader.byte()?;
    let flag = |bit: u8| bits & 1 << bit != 0;
    if bits >= 1 << 4 {
        return Err(malformed());
    }
    let terms = ChannelTerms::from_canonical(reader.part()?)?;
    let funding = reader.outpoint()?;
    let key_index = reader.u32()?;
    let commitments = reader.list(MAX_NODES, |reader| Ok(Txid::from_byte_array(reader.array()?)))?;
    let batch_expiry = reader.delay()?.ok_or_else(malformed)?;
    let (expiry, expires_at) = (reader.u64()?, reader.u64()?);
    let levels = u32::try_from(reader.u64()?).map_err(|_| malformed())?;
    let created_at = reader.u64()?;
    let authorisation = match flag(3) {
        true => Some(Authorisation::from_bytes(reader.part()?)?),
        false => None,
    };
    if key_index >= 1 << 31 || [expiry, expires_at, created_at].iter().any(|number| *number > i64::MAX as u64) {
        return Err(malformed());
    }
    Ok(ChannelBackup {
        is_payer: flag(0),
        is_offchain: flag(1),
        was_confirmed: flag(2),
        terms,
        funding,
        key_index,
        commitments,
        batch_expiry,
        expiry,
        expires_at,
        levels,
        created_at,
        authorisation,
        branch: nodes.branch(reader)?,
    })
}
