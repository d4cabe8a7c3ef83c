//! Which scripts a sync looks at: those where something is expected, and some of the others in turn.

use std::collections::HashMap;

use bitcoin::{OutPoint, ScriptBuf, TxOut};

use super::super::keys::KeyUse;
use super::picture::Picture;
use super::state::{Known, OwnKey, Place, State};

/// Scripts where something is expected that one sync looks at.
const EXPECTED: usize = 100;

/// Others that it looks at, in turn.
const IN_TURN: usize = 10;

/// Scripts to look at, with their keys.
pub(super) type Looks = HashMap<ScriptBuf, OwnKey>;

impl Picture {
    /// The scripts to look at when the chain ends at `tip`; `exiting` are those that exits under way pay to.
    pub fn looks(&self, exiting: &[ScriptBuf], tip: Place) -> Looks {
        let mut looks: Looks = self.given_out().collect();
        looks.extend(exiting.iter().filter_map(|script| Some((script.clone(), self.key_of(script)?))));
        for known in self.state.known.values().filter(|known| !self.state.is_buried(known)) {
            looks.extend(self.touched(known));
        }
        let mut all: Vec<(ScriptBuf, OwnKey)> = looks.into_iter().collect();
        all.sort_unstable_by_key(|(_, key)| std::cmp::Reverse(key.index));
        all.truncate(EXPECTED);
        let mut looks: Looks = all.into_iter().collect();
        if self.state.tip == Some(tip) {
            return looks;
        }
        let rest: Vec<(&ScriptBuf, OwnKey)> =
            self.others().filter(|(script, _)| !looks.contains_key(*script)).collect();
        let turn = (tip.height as usize).saturating_mul(IN_TURN);
        let start = turn.checked_rem(rest.len()).unwrap_or(0);
        let turn = rest.into_iter().cycle().skip(start).take(IN_TURN);
        looks.extend(turn.map(|(script, key)| (script.clone(), key)));
        looks
    }

    /// Addresses and change scripts that were given out and not paid to yet.
    fn given_out(&self) -> impl Iterator<Item = (ScriptBuf, OwnKey)> {
        let State { addresses, change, .. } = self.state;
        // The next address is in errors, too.
        let shown = addresses.shown.max(addresses.used.saturating_add(1));
        let branches = [(KeyUse::Onchain, addresses.used..shown), (KeyUse::OnchainChange, change.used..change.shown)];
        branches.into_iter().flat_map(|(key_use, indexes)| {
            let scripts = self.branch(key_use).filter(move |(_, key)| indexes.contains(&key.index));
            scripts.map(|(script, key)| (script.clone(), key))
        })
    }

    /// The own scripts a transaction pays to or spends from.
    pub fn touched<'a>(&'a self, known: &'a Known) -> impl Iterator<Item = (ScriptBuf, OwnKey)> + 'a {
        let spent = known.tx.input.iter().filter_map(|input| self.output(&input.previous_output));
        let scripts = known.tx.output.iter().chain(spent).map(|output| &output.script_pubkey);
        scripts.filter_map(|script| Some((script.clone(), self.key_of(script)?)))
    }

    fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        self.transaction(&outpoint.txid)?.output.get(outpoint.vout as usize)
    }

    /// Everything that was ever used, in an order that stays.
    fn others(&self) -> impl Iterator<Item = (&ScriptBuf, OwnKey)> {
        let State { addresses, change, .. } = self.state;
        let addresses = self.branch(KeyUse::Onchain).take(addresses.used as usize);
        let change = self.branch(KeyUse::OnchainChange).take(change.used as usize);
        addresses.chain(change).chain(self.payouts().iter().map(|(script, key)| (script, *key)))
    }
}
