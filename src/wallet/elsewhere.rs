//! The same seed on another phone: coins that were spent without this wallet, and keys that are in use already.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, ScriptBuf, Txid};

use super::batch::{InputData, InputKindData};
use super::error::Result;
use super::events::EventKind;
use super::keys::KeyUse;
use super::{Wallet, WalletError};
use crate::channel::OperatorInfo;
use crate::channel::script::default_vtxo;
use crate::operator::Vtxo;
use crate::store::Db;

/// So many keys ahead are looked for in the operator's books.
const KEYS_AHEAD: u32 = 20;

/// A coin of ours, and what spent it.
type Spent = (OutPoint, Option<Txid>);

impl Wallet {
    /// Takes note of the coins that a look at the books showed, and tells of those that somebody else has spent.
    pub(super) fn note_vtxos(&self, vtxos: &[&Vtxo]) -> Result<()> {
        let unspent: Vec<OutPoint> = vtxos.iter().filter(|vtxo| !vtxo.spent).map(|vtxo| vtxo.outpoint).collect();
        let spent = vtxos.iter().filter(|vtxo| vtxo.spent);
        let spent: Vec<Spent> =
            spent.map(|vtxo| (vtxo.outpoint, vtxo.ark_txid.or(vtxo.settled_by).or(vtxo.spent_by))).collect();
        self.note_coins(&unspent, &spent, false)
    }

    /// The same for boarding coins: the chain shows only those that are unspent.
    pub(super) async fn note_boarding(&self, unspent: &[OutPoint]) -> Result<()> {
        let known = self.store.read::<_, Box<WalletError>>(|db| Ok((db.known_coins()?, db.locked_coins()?)))?;
        let locked: HashSet<OutPoint> = known.1.into_iter().map(|(outpoint, _)| outpoint).collect();
        let missing = known.0.iter().filter(|coin| coin.boarding && !coin.done);
        let missing =
            missing.map(|coin| coin.outpoint).filter(|coin| !unspent.contains(coin) && !locked.contains(coin));
        let mut spent = Vec::new();
        for outpoint in missing {
            // What is in no block may come to nothing.
            match self.net.chain.outspend(outpoint).await? {
                Some(spend) if spend.status.is_confirmed() => spent.push((outpoint, Some(spend.txid))),
                _ => {}
            }
        }
        self.note_coins(unspent, &spent, true)
    }

    fn note_coins(&self, unspent: &[OutPoint], spent: &[Spent], boarding: bool) -> Result<()> {
        // Nothing is written, and nobody woken, by a look that shows nothing new.
        let known = self.store.read(known)?;
        let new: Vec<&OutPoint> = unspent.iter().filter(|coin| !known.contains_key(*coin)).collect();
        let gone: Vec<&Spent> = spent.iter().filter(|(coin, _)| known.get(coin) == Some(&false)).collect();
        if new.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let told = self.store.write::<_, Box<WalletError>>(|db| {
            for coin in new {
                db.know_coin(coin, boarding)?;
            }
            // Looked at again: a flow of this wallet may have come to its end since.
            let known = self::known(db)?;
            let mut told = false;
            for (outpoint, spent_by) in gone {
                if known.get(outpoint) != Some(&false) || db.lock_of(outpoint)?.is_some() {
                    continue;
                }
                db.coin_is_done(outpoint, boarding)?;
                self.push_event(db, None, &EventKind::SeedUsedElsewhere { outpoint: *outpoint, spent_by: *spent_by })?;
                told = true;
            }
            Ok(told)
        })?;
        if told {
            self.events.ring();
        }
        Ok(())
    }

    /// Coins that this wallet signs away: that they are spent is no surprise.
    pub(super) fn expect_spent(&self, db: &Db<'_>, inputs: &[InputData]) -> Result<()> {
        for input in inputs {
            db.coin_is_done(&input.outpoint, input.kind == InputKindData::Boarding)?;
        }
        Ok(())
    }

    /// The scripts of the next keys, with their indexes: nobody but this seed can have them in the books.
    pub(super) fn scripts_ahead(&self, info: &OperatorInfo) -> Result<Vec<(u32, ScriptBuf)>> {
        let next = self.store.read::<_, Box<WalletError>>(|db| Ok(db.coming_key_index()?))?;
        let ahead = next..next.saturating_add(KEYS_AHEAD).min(1 << 31);
        let script = |index| {
            let key = self.keys.keypair(KeyUse::Vtxo, index)?.xonly();
            Ok((index, default_vtxo(key, info.signer, info.unilateral_exit_delay)?.script_pubkey()))
        };
        ahead.map(script).collect()
    }

    /// Skips keys that the operator has seen already: another phone gave them out.
    pub(super) fn skip_seen(&self, ahead: &[(u32, ScriptBuf)], vtxos: &[Vtxo]) -> Result<()> {
        let seen = ahead.iter().filter(|(_, script)| vtxos.iter().any(|vtxo| vtxo.script == *script));
        match seen.map(|(index, _)| index).max() {
            Some(index) => self.store.write(|db| Ok(db.skip_key_indexes(index.saturating_add(1))?)),
            None => Ok(()),
        }
    }
}

/// Which coins are known, and whether they are of interest no more.
fn known(db: &Db<'_>) -> Result<HashMap<OutPoint, bool>> {
    Ok(db.known_coins()?.into_iter().map(|coin| (coin.outpoint, coin.done)).collect())
}
