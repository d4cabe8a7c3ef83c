//! What the chain's server said becomes the new state: what is over is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::{OutPoint, ScriptBuf, Txid};

use super::super::coins::sum;
use super::look::Looks;
use super::picture::Picture;
use super::state::{Known, OwnKey, Place, State};
use crate::chain::{ChainError, Entry, History, TxStatus};

/// A transaction of ours that the server does not show yet is not gone, for so many seconds.
const LAG: u64 = 120;

/// Transactions kept beside those that spend from them; those with the most money.
const MAX_KNOWN: usize = 1_000;

/// Answers about scripts, and the end of the chain after them.
pub(super) struct Answers {
    pub tip: Place,
    pub scripts: Looks,
    pub histories: HashMap<ScriptBuf, History>,
    /// All addresses were looked at.
    pub scanned: bool,
}

fn place(entry: &Entry) -> Option<Place> {
    match entry.status {
        TxStatus::Confirmed { height, hash, time } => Some(Place { height, hash, time }),
        _ => None,
    }
}

impl Picture {
    /// The state after `answers`, at `now` (unix seconds). Refuses answers that cannot be of one chain.
    pub fn take(&self, answers: &Answers, now: u64) -> Result<State, ChainError> {
        let found = answers.histories.values().flat_map(|history| &history.entries);
        let mut known: BTreeMap<Txid, Known> = BTreeMap::new();
        for entry in found {
            let since = self.state.known.get(&entry.txid).map_or(now, |known| known.since);
            known.insert(entry.txid, Known { tx: entry.tx.clone(), place: place(entry), since });
        }
        let mut state = State { tip: Some(answers.tip).filter(|tip| tip.height > 0), known, ..self.state.clone() };
        state.scanned |= answers.scanned;
        let Some(blocks) = state.blocks() else {
            let what = "transactions in blocks that are not of one chain".into();
            return Err(ChainError::BadAnswer { call: "the history of a script", what });
        };
        let shown = answers.histories.values().flat_map(|history| &history.entries);
        let spent: HashSet<OutPoint> =
            shown.flat_map(|entry| &entry.tx.input).map(|input| input.previous_output).collect();
        for (txid, known) in &self.state.known {
            let replaced = known.tx.input.iter().any(|input| spent.contains(&input.previous_output));
            if state.known.contains_key(txid) || replaced || self.is_gone(known, answers, now) {
                continue;
            }
            let mut known = known.clone();
            // Not asked for this time. The block may be gone; the next look will tell.
            let fits = |place: &Place| {
                place.height <= answers.tip.height && blocks.get(&place.height).is_none_or(|hash| *hash == place.hash)
            };
            known.place = known.place.filter(fits);
            state.known.insert(*txid, known);
        }
        // Two that were not asked for may be of different blocks at one height: the deeper truth is not known, so both wait.
        if state.blocks().is_none() {
            let asked: HashSet<&Txid> =
                answers.histories.values().flat_map(|history| &history.entries).map(|entry| &entry.txid).collect();
            let unasked = state.known.iter_mut().filter(|(txid, _)| !asked.contains(txid));
            unasked.for_each(|(_, known)| known.place = None);
        }
        let own = |script: &ScriptBuf| answers.scripts.get(script).copied().or_else(|| self.key_of(script));
        for entry in answers.histories.values().flat_map(|history| &history.entries) {
            entry.tx.output.iter().filter_map(|output| own(&output.script_pubkey)).for_each(|key| state.mark_used(key));
        }
        state.leave_out_what_is_over(&own);
        Ok(state)
    }

    /// Whether a transaction would have been shown by what was asked, if it were there.
    fn is_gone(&self, known: &Known, answers: &Answers, now: u64) -> bool {
        if known.place.is_none() && now < known.since.saturating_add(LAG) {
            return false;
        }
        self.touched(known).any(|(script, _)| answers.histories.get(&script).is_some_and(|history| history.complete))
    }
}

impl State {
    /// Keeps transactions with a coin of ours, those that are not buried yet, and what spends from either.
    fn leave_out_what_is_over(&mut self, own: &impl Fn(&ScriptBuf) -> Option<OwnKey>) {
        let mut spenders: HashMap<OutPoint, Vec<Txid>> = HashMap::new();
        for (txid, known) in &self.known {
            for input in &known.tx.input {
                spenders.entry(input.previous_output).or_default().push(*txid);
            }
        }
        let spent_by = |outpoint: &OutPoint| spenders.get(outpoint).into_iter().flatten();
        let buried: HashSet<Txid> =
            self.known.iter().filter(|(_, known)| self.is_buried(known)).map(|(txid, _)| *txid).collect();
        let own_outputs = |txid: &Txid, known: &Known| -> Vec<(OutPoint, bitcoin::Amount)> {
            let outputs = known.tx.output.iter().zip(0..);
            let own = outputs.filter(|(output, _)| own(&output.script_pubkey).is_some());
            own.map(|(output, vout)| (OutPoint::new(*txid, vout), output.value)).collect()
        };
        let owned: HashMap<Txid, Vec<(OutPoint, bitcoin::Amount)>> =
            self.known.iter().map(|(txid, known)| (*txid, own_outputs(txid, known))).collect();
        let is_own = |outpoint: &OutPoint| {
            owned.get(&outpoint.txid).is_some_and(|own| own.iter().any(|(own, _)| own == outpoint))
        };
        let mut needed: Vec<(bitcoin::Amount, Txid)> = Vec::new();
        for (txid, known) in &self.known {
            let outputs = owned.get(txid).map(Vec::as_slice).unwrap_or_default();
            let ours = !outputs.is_empty() || known.tx.input.iter().any(|input| is_own(&input.previous_output));
            let coin = outputs.iter().any(|(outpoint, _)| !spent_by(outpoint).any(|txid| buried.contains(txid)));
            if ours && (coin || !buried.contains(txid)) {
                needed.push((sum(outputs.iter().map(|(_, value)| *value)), *txid));
            }
        }
        needed.sort_unstable_by(|a, b| b.cmp(a));
        let mut open: Vec<Txid> = needed.into_iter().take(MAX_KNOWN).map(|(_, txid)| txid).collect();
        let mut kept: HashSet<Txid> = HashSet::new();
        while let Some(txid) = open.pop() {
            if kept.insert(txid) {
                let outputs = owned.get(&txid).into_iter().flatten();
                open.extend(outputs.flat_map(|(outpoint, _)| spent_by(outpoint)));
            }
        }
        self.known.retain(|txid, _| kept.contains(txid));
    }
}
