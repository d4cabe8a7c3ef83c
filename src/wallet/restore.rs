//! Restoring: a new database from the mnemonic, and from the static backup where there is one.

use std::sync::Arc;
use std::time::Duration;

use bitcoin::{Amount, OutPoint};

use super::error::Result;
use super::keys::{KeyUse, Keys};
use super::net::{self, Net, check_network};
use super::restore_channel::{insert, key_fits};
use super::restore_scan::{Found, Scan};
use super::{OnchainBalance, Wallet, WalletConfig, WalletError};
use crate::channel::backup::{self, BackupScript, ScriptUse, StaticBackup};
use crate::channel::script::default_vtxo;
use crate::channel::{ChannelId, Network, OperatorInfo};
use crate::log::note;
use crate::store::{Binding, OwnScript, ScriptKind, Store};

/// The longest that is searched in the books, and on chain.
const SEARCH_LIMIT: Duration = Duration::from_secs(600);

/// A coin that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundCoin {
    pub outpoint: OutPoint,
    pub amount: Amount,
}

/// What a restore came to.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    /// VTXOs that can be spent, or recovered in a batch.
    pub vtxos: Vec<FoundCoin>,
    /// Coins at boarding addresses.
    pub boarding: Vec<FoundCoin>,
    /// What the on-chain wallet holds: coins for fees, payouts of exits and withdrawals to oneself.
    pub onchain: OnchainBalance,
    /// Channels out of the backup, also those that turned out to have ended.
    pub channels: Vec<ChannelId>,
    /// VTXOs of this wallet and channels that are on chain and have not been claimed: exits under way.
    pub exits: Vec<OutPoint>,
    /// What could not be done, or not be known.
    pub warnings: Vec<RestoreWarning>,
}

/// What a restore could not do. Restoring again, or going on with the wallet, does it later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreWarning {
    /// Without a backup channels are not found: the other side can describe them ([`Wallet::recover_channel`]).
    NoBackup,
    /// The operator did not answer: VTXOs were not looked for. Restore again when it does.
    OperatorAway { why: String },
    /// The chain server did not answer: coins on chain were not looked for. Restore again when it does.
    ChainAway { why: String },
    /// More keys are in use than were looked at: up to this index.
    TooManyKeys { index: u32 },
    /// This channel could not be looked at.
    ChannelNotSeen { channel_id: ChannelId, why: String },
    /// A channel that was being opened when the backup was made is in the books, and could not be taken over yet: restore
    /// again once its batch is confirmed.
    OpeningNotSeen { offer_id: String, why: String },
    /// The books say that this channel's VTXO was spent, and not by whom: what became of it is to be seen.
    ChannelSpent { channel_id: ChannelId },
    /// The branch of this VTXO could not be had: without the operator it cannot be taken on chain.
    BranchMissing { outpoint: OutPoint, why: String },
}

impl Wallet {
    /// Makes the database of a wallet again: finds VTXOs by the operator's books, boarding coins and payouts on chain, and
    /// gives out no key again that may be in use. With the text of [`Wallet::backup`] (or of
    /// [`Wallet::channel_backup`]) also the channels, without the operator, too. How channels go on from there:
    /// [`crate::channel::backup`].
    ///
    /// Everything is written in one transaction after the search. A restore that was interrupted, or that warns of a
    /// server that was away, is called again, on the same file: it adds what is missing and takes nothing away.
    ///
    /// A text of another mnemonic, network or operator is [`WalletError::OtherBackup`]; a damaged one is told by its
    /// checksum. Nothing is created then, nor when the operator does not answer and there is no backup.
    pub async fn restore(config: WalletConfig, mnemonic: &str, backup: Option<&str>) -> Result<(Self, RestoreReport)> {
        let keys = Keys::from_mnemonic(mnemonic, config.network)?;
        let backup = backup.map(|text| read(&keys, config.network, text)).transpose()?;
        let net = Net::new(&config)?;
        let mut report = RestoreReport::default();
        let operator = match net.operator().await {
            Ok(operator) => Some(operator),
            Err(error) if backup.is_some() => {
                report.warnings.push(RestoreWarning::OperatorAway { why: error.to_string() });
                None
            }
            Err(error) => return Err(error),
        };
        let info = match (operator, &backup) {
            (Some(operator), _) => operator.info(),
            (None, Some(backup)) => Arc::new(backup.info.clone()),
            (None, None) => return Err(Box::new(WalletError::NotFound)),
        };
        check_network(config.network, &info)?;
        if backup.as_ref().is_some_and(|backup| !same_operator(backup, &info)) {
            return Err(Box::new(WalletError::OtherBackup { what: "operator" }));
        }
        let mut scan = Scan { keys: &keys, info: &info, known: Vec::new(), given_out: 0, whole: false };
        match &backup {
            Some(backup) => {
                scan.known = backup.scripts.iter().map(|own| own_script(&keys, own)).collect::<Result<_>>()?;
                scan.given_out = backup.next_key_index;
                scan.whole = backup.whole;
            }
            None => report.warnings.push(RestoreWarning::NoBackup),
        }
        let mut found = Found::default();
        // What was found until then counts, also when a search does not come to its end.
        if let Some(operator) = operator
            && let Err(error) = in_time(scan.books(operator, &mut found)).await
        {
            report.warnings.push(RestoreWarning::OperatorAway { why: error.to_string() });
        }
        if let Err(error) = in_time(scan.chain(&net.chain, &mut found)).await {
            report.warnings.push(RestoreWarning::ChainAway { why: error.to_string() });
        }
        report.warnings.extend(found.cut.map(|index| RestoreWarning::TooManyKeys { index }));
        let next = scan.settle(&mut found)?;
        let (channels, damaged) = store(&config, &keys, &info, operator.is_some(), backup.as_ref(), &found, next)?;
        report.channels = channels;
        report.warnings.extend(damaged);
        note!(Info, "restored: {} VTXOs, {} channels, next key {next}", found.vtxos.len(), report.channels.len());
        let wallet = Self::open(config, mnemonic).await?;
        let openings = backup.map(|backup| backup.openings).unwrap_or_default();
        wallet.look_for_openings(&found.vtxos, &openings, &mut report).await;
        wallet.look_after_restore(&found, &mut report).await;
        Ok((wallet, report))
    }
}

/// A server that answers slowly does not hold up a restore for ever.
async fn in_time(search: impl Future<Output = Result<()>>) -> Result<()> {
    let found = tokio::time::timeout(SEARCH_LIMIT, search).await;
    found.unwrap_or(Err(Box::new(WalletError::StillRunning { seconds: SEARCH_LIMIT.as_secs() })))
}

/// Decrypts and decodes a backup of this mnemonic and network.
pub(super) fn read(keys: &Keys, network: Network, text: &str) -> Result<StaticBackup> {
    let plain = backup::open(&*keys.backup_key()?, text)?.ok_or(WalletError::OtherBackup { what: "mnemonic" })?;
    let backup = StaticBackup::decode(&plain)?;
    if backup.network != network || backup.info.network != network {
        return Err(Box::new(WalletError::OtherBackup { what: "network" }));
    }
    Ok(backup)
}

/// Whether the operator is the one of the backup, which may have changed its signer key since.
fn same_operator(backup: &StaticBackup, info: &OperatorInfo) -> bool {
    let known = [backup.operator, backup.info.signer];
    known.contains(&info.signer)
        || info.deprecated_signers.iter().any(|signer| known.contains(&signer.key))
        || info.forfeit_key == backup.info.forfeit_key
}

/// The script a backup names.
fn own_script(keys: &Keys, own: &BackupScript) -> Result<OwnScript> {
    let (kind, key_use) = match own.script_use {
        ScriptUse::Vtxo => (ScriptKind::Vtxo, KeyUse::Vtxo),
        ScriptUse::Boarding => (ScriptKind::Boarding, KeyUse::Boarding),
        ScriptUse::Chain => (ScriptKind::Chain, KeyUse::Chain),
    };
    let script = match own.delay {
        Some(delay) => {
            let key = keys.keypair(key_use, own.key_index)?.xonly();
            default_vtxo(key, own.operator, delay)?.script_pubkey()
        }
        None => keys.chain_payout(own.key_index)?.script(),
    };
    Ok(OwnScript { script, kind, key_index: own.key_index, operator: own.operator, delay: own.delay })
}

/// Writes everything, in one transaction; answers the channels of the backup, and which of them the file has damaged.
fn store(
    config: &WalletConfig,
    keys: &Keys,
    info: &OperatorInfo,
    fresh: bool,
    backup: Option<&StaticBackup>,
    found: &Found,
    next: u32,
) -> Result<(Vec<ChannelId>, Vec<RestoreWarning>)> {
    for channel in backup.iter().flat_map(|backup| &backup.channels) {
        key_fits(keys, channel)?;
    }
    let operator = backup.map_or(info.signer, |backup| backup.operator);
    let binding = Binding { fingerprint: keys.fingerprint()?, network: config.network, operator };
    let file = Store::open(&config.database)?;
    let mut warnings = Vec::new();
    let channels = file.write::<_, Box<WalletError>>(|db| {
        match db.binding()? {
            Some(stored) => db.bind(&Binding { operator: stored.operator, ..binding })?,
            None => db.bind(&binding)?,
        }
        if fresh || net::stored(db)?.is_none() {
            net::put_info(db, info)?;
        }
        db.skip_key_indexes(next)?;
        for own in found.scripts.values() {
            db.add_script(own)?;
        }
        let Some(backup) = backup else { return Ok(Vec::new()) };
        if let (Some(expiry), None) = (backup.batch_expiry, db.batch_expiry()?) {
            db.set_batch_expiry(expiry)?;
        }
        for (outpoint, branch) in &backup.branches {
            if db.sound_branch(outpoint)?.is_none() {
                db.put_branch(outpoint, branch)?;
            }
        }
        backup.channels.iter().map(|channel| insert(db, channel, &mut warnings)).collect()
    })?;
    file.close()?;
    Ok((channels, warnings))
}
