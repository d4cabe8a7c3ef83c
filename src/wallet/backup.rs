//! Exporting the static backup ([`crate::channel::backup`]): everything, or one channel.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, ScriptBuf};
use secp256k1::rand::RngCore;
use secp256k1::rand::rngs::OsRng;

use super::batch::{BatchData, decode};
use super::error::Result;
use super::exit::was_left;
use super::maintain::has_ended;
use super::offchain::OffchainData;
use super::open_offchain::offer_of;
use super::signed_away::gone_for_good;
use super::{Wallet, WalletError};
use crate::channel::backup::{self, BackupScript, ChannelBackup, SALT, ScriptUse, StaticBackup};
use crate::channel::branch::Branch;
use crate::channel::{Authorisation, ChannelId, ChannelTerms, Offer};
use crate::log::note;
use crate::store::{ChannelRow, ChannelState, Db, Flow, FlowKind, FundingKind, OwnScript, Role, ScriptKind};

impl Wallet {
    /// The static backup of the whole wallet, encrypted with a key from the mnemonic, as text: all channels that have not
    /// ended, those that are being opened, and what leads to the wallet's own coins without the operator. To be stored
    /// somewhere else after every opening; payments do not change it. About 3 kB for the first channel, 1 to 2 for each more.
    ///
    /// Of a damaged file everything is saved that can be read, and the log says what is left out: an older backup may have
    /// it. Two are restored one after the other, into the same file. What would not fit into 8 MiB, thousands of channels, is
    /// an error: each channel has a backup of its own then ([`Wallet::channel_backup`]).
    pub fn backup(&self) -> Result<String> {
        // First: what is stored as a channel meanwhile is in it twice, and not missing.
        let offchain = self.offchain_openings()?;
        self.sealed(true, |db, shared| {
            let (mut rows, damaged) = db.channels()?;
            if !damaged.is_empty() {
                note!(Error, "{} channels that are left out of the backup: their rows are damaged", damaged.len());
            }
            rows.retain(|row| !has_ended(row));
            let mut scripts = Vec::new();
            for kind in [ScriptKind::Vtxo, ScriptKind::Boarding, ScriptKind::Chain] {
                scripts.extend(db.scripts(kind)?);
            }
            let openings = batch_openings(db)?.into_iter().chain(offchain).collect();
            Ok(Picked { rows, scripts, openings, branches: own_branches(db, shared)? })
        })
    }

    /// The offers of channels that this wallet funds off chain just now, from coins or by a refund, with the VTXO that
    /// the transaction makes.
    fn offchain_openings(&self) -> Result<Vec<Offer>> {
        let flows = self.store.read::<_, Box<WalletError>>(|db| {
            let mut flows = db.flows_of(FlowKind::OpenOffchain)?;
            flows.extend(db.flows_of(FlowKind::Refund)?);
            Ok(flows)
        })?;
        let offer = |flow: &Flow| -> Result<Option<Offer>> {
            let data: OffchainData = decode(flow)?;
            if data.opening.is_none() {
                return Ok(None);
            }
            offer_of(&data, OutPoint::new(self.offchain_job(flow, &data)?.tx.txid(), 0)).map(Some)
        };
        Ok(flows.iter().filter_map(|flow| readable(flow, offer(flow)).flatten()).collect())
    }

    /// The static backup of one channel, with the scripts this wallet is paid to in it: small enough for a file beside a
    /// receipt. Restoring takes it in place of the whole.
    pub fn channel_backup(&self, id: &ChannelId) -> Result<String> {
        self.sealed(false, |db, _| {
            let row = db.channel(id)?.ok_or(WalletError::NotFound)?;
            let terms = ChannelTerms::from_canonical(&row.record.terms)?;
            let own = match row.record.role {
                Role::Payer => terms.payer,
                Role::Receiver => terms.receiver,
            };
            let mut scripts = Vec::new();
            for payout in [own.ark_payout, own.chain_payout] {
                scripts.extend(db.script(&payout.script())?);
            }
            Ok(Picked { rows: vec![row], scripts, ..Picked::default() })
        })
    }

    /// What `choose` picks, together with what every backup holds.
    fn sealed(&self, whole: bool, choose: impl FnOnce(&Db<'_>, &mut Shared) -> Result<Picked>) -> Result<String> {
        let info = self.info()?;
        let backup = self.store.read(|db| {
            let mut shared = Shared::default();
            let Picked { rows, scripts, openings, branches } = choose(db, &mut shared)?;
            let operator = db.binding()?.map_or(info.signer, |binding| binding.operator);
            Ok::<_, Box<WalletError>>(StaticBackup {
                network: self.config.network,
                info: info.as_ref().clone(),
                operator,
                made_at: self.timestamp(),
                next_key_index: db.coming_key_index()?,
                whole,
                batch_expiry: db.batch_expiry()?,
                scripts: scripts.iter().map(script_backup).collect(),
                channels: channel_backups(db, rows, whole, &mut shared)?,
                openings,
                branches,
            })
        })?;
        let mut salt = [0; SALT];
        OsRng.fill_bytes(&mut salt);
        Ok(backup::seal(&*self.keys.backup_key()?, salt, backup.encode()?)?)
    }
}

/// Co-signers of the branches so far: those of one batch have the same, up to a thousand in each transaction.
#[derive(Default)]
struct Shared(HashSet<Arc<[PublicKey]>>);

impl Shared {
    fn branch(&mut self, mut branch: Branch) -> Branch {
        for node in &mut branch.nodes {
            if let Some(known) = self.0.get(&node.cosigners) {
                node.cosigners = known.clone();
            } else {
                self.0.insert(node.cosigners.clone());
            }
        }
        branch
    }
}

/// What goes into a backup.
#[derive(Default)]
struct Picked {
    rows: Vec<ChannelRow>,
    scripts: Vec<OwnScript>,
    openings: Vec<Offer>,
    branches: Vec<(OutPoint, Branch)>,
}

/// The offers of channels that are being opened in a batch, or were proposed: until they are stored as channels the
/// journal alone has their terms.
fn batch_openings(db: &Db<'_>) -> Result<Vec<Offer>> {
    let offer = |flow: &Flow| -> Result<Option<Offer>> {
        let data: BatchData = decode(flow)?;
        data.opening.map(|opening| Ok(Offer::parse(&opening.offer)?)).transpose()
    };
    let mut offers = Vec::new();
    for kind in [FlowKind::OpenPayer, FlowKind::OpenReceiver] {
        offers.extend(db.flows_of(kind)?.iter().filter_map(|flow| readable(flow, offer(flow)).flatten()));
    }
    Ok(offers)
}

/// One damaged entry of the journal must not keep everything else from being saved.
fn readable<T>(flow: &Flow, read: Result<T>) -> Option<T> {
    read.inspect_err(|error| note!(Error, "{} that is left out of the backup: {error}", flow.kind)).ok()
}

/// The branches of own VTXOs that are not gone for good, as far as is known.
fn own_branches(db: &Db<'_>, shared: &mut Shared) -> Result<Vec<(OutPoint, Branch)>> {
    let done = gone_for_good(db)?;
    let own: HashSet<ScriptBuf> = db.scripts(ScriptKind::Vtxo)?.into_iter().map(|own| own.script).collect();
    let mut branches = Vec::new();
    for outpoint in db.branch_outpoints()? {
        if done.contains(&outpoint) || was_left(db, &outpoint)? {
            continue;
        }
        let Some(branch) = db.sound_branch(&outpoint)? else { continue };
        let pays_us = branch
            .leaf()
            .and_then(|tx| tx.output.get(outpoint.vout as usize))
            .is_some_and(|output| own.contains(&output.script_pubkey));
        if pays_us {
            branches.push((outpoint, shared.branch(branch)));
        }
    }
    Ok(branches)
}

fn script_backup(own: &OwnScript) -> BackupScript {
    let script_use = match own.kind {
        ScriptKind::Vtxo => ScriptUse::Vtxo,
        ScriptKind::Boarding => ScriptUse::Boarding,
        ScriptKind::Chain => ScriptUse::Chain,
    };
    BackupScript { script_use, key_index: own.key_index, operator: own.operator, delay: own.delay }
}

/// Of many, one that cannot be read must not keep the others from being saved.
fn channel_backups(db: &Db<'_>, rows: Vec<ChannelRow>, whole: bool, shared: &mut Shared) -> Result<Vec<ChannelBackup>> {
    let mut backups = Vec::new();
    for row in rows {
        let id = row.record.id;
        match channel_backup(db, row, shared) {
            Err(error) if whole && matches!(*error, WalletError::Channel(_)) => {
                note!(Error, "channel {id} is left out of the backup: {error}");
            }
            backup => backups.push(backup?),
        }
    }
    Ok(backups)
}

fn channel_backup(db: &Db<'_>, row: ChannelRow, shared: &mut Shared) -> Result<ChannelBackup> {
    let record = row.record;
    Ok(ChannelBackup {
        is_payer: record.role == Role::Payer,
        is_offchain: record.funding_kind == FundingKind::Offchain,
        was_confirmed: row.hot.state != ChannelState::Confirming,
        terms: ChannelTerms::from_canonical(&record.terms)?,
        funding: record.funding,
        key_index: record.key_index,
        commitments: record.commitments,
        batch_expiry: record.batch_expiry,
        expiry: record.expiry,
        expires_at: record.expires_at,
        levels: record.levels,
        created_at: record.created_at,
        authorisation: row.authorisation.map(|bytes| Authorisation::from_bytes(&bytes)).transpose()?,
        branch: db.sound_branch(&record.funding)?.map(|branch| shared.branch(branch)).unwrap_or_default(),
    })
}
