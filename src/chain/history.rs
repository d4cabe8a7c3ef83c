//! What a script, or a transaction, has to do with others.

use std::collections::HashSet;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, OutPoint, Script, Transaction, Txid, Weight};

use super::ChainError;
use super::esplora::{Chain, Coin, Coins, Spend, TxStatus};
use super::http::bad;
use super::told;

/// Transactions in one page that are taken; servers send some 50.
const PAGE_LIMIT: usize = 500;

/// No server's pages of confirmed transactions are smaller, unless there are no more.
const SMALLEST_PAGE: usize = 10;

/// Transactions of a history that are taken, in bytes without witnesses.
const HISTORY_LIMIT: usize = 400_000;

/// A transaction with where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub tx: Transaction,
    pub txid: Txid,
    pub status: TxStatus,
}

/// The transactions that pay to a script or spend from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Those in the mempool, then the confirmed ones, newest first.
    pub entries: Vec<Entry>,
    /// Whether that is all; else there are older ones.
    pub complete: bool,
}

impl History {
    /// What of it is unspent. That holds for a part of a history, too: whatever spends an output is newer than it.
    pub(super) fn coins(&self, script: &Script) -> Coins {
        let inputs = self.entries.iter().flat_map(|entry| &entry.tx.input);
        let spent: HashSet<OutPoint> = inputs.map(|input| input.previous_output).collect();
        let mut coins = Vec::new();
        for entry in &self.entries {
            let outputs = (0..).zip(&entry.tx.output).filter(|(_, output)| output.script_pubkey == *script);
            let outputs = outputs.map(|(vout, output)| Coin {
                outpoint: OutPoint::new(entry.txid, vout),
                output: output.clone(),
                status: entry.status,
            });
            coins.extend(outputs.filter(|coin| !spent.contains(&coin.outpoint)));
        }
        Coins { coins, complete: self.complete }
    }
}

/// What a transaction weighs and pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxFee {
    pub fee: Amount,
    pub weight: Weight,
    pub status: TxStatus,
}

impl Chain {
    /// The history of `script`, newest first, in at most `pages` calls; a little over 400 kB of it are taken.
    pub async fn history(&self, script: &Script, pages: usize) -> Result<History, ChainError> {
        const CALL: &str = "the history of a script";
        let hash = sha256::Hash::hash(script.as_bytes());
        let mut path = format!("/scripthash/{hash}/txs");
        let (mut history, mut seen, mut size) = (History::default(), HashSet::new(), 0);
        for _ in 0..pages {
            let page: Vec<told::Tx> = self.http.json(CALL, &path).await?.unwrap_or_default();
            if page.len() > PAGE_LIMIT {
                return Err(bad(CALL, format!("{} transactions at once", page.len())));
            }
            let mut confirmed = 0;
            for told in page {
                let entry = entry(CALL, told)?;
                if !seen.insert(entry.txid) {
                    return Err(bad(CALL, format!("{} twice", entry.txid)));
                }
                if entry.status.is_confirmed() {
                    confirmed += 1;
                    path = format!("/scripthash/{hash}/txs/chain/{}", entry.txid);
                }
                size += entry.tx.base_size();
                history.entries.push(entry);
                if size > HISTORY_LIMIT {
                    return Ok(history);
                }
            }
            if confirmed < SMALLEST_PAGE {
                history.complete = true;
                break;
            }
        }
        Ok(history)
    }

    /// Fee and weight of a transaction; `None` when the server does not know it.
    pub async fn fee_of(&self, txid: Txid) -> Result<Option<TxFee>, ChainError> {
        const CALL: &str = "a transaction's fee";
        let found: Option<told::Paying> = self.http.json(CALL, &format!("/tx/{txid}")).await?;
        let Some(found) = found else { return Ok(None) };
        let (fee, weight) = (Amount::from_sat(found.fee), Weight::from_wu(found.weight));
        if fee > Amount::MAX_MONEY || weight == Weight::ZERO || weight > Weight::MAX_BLOCK {
            return Err(bad(CALL, format!("{fee} for {weight} weight units")));
        }
        Ok(Some(TxFee { fee, weight, status: found.status.read(CALL)? }))
    }

    /// What spends each output of a transaction, in order; `None` when the server does not know the transaction.
    pub async fn outspends(&self, txid: Txid) -> Result<Option<Vec<Option<Spend>>>, ChainError> {
        const CALL: &str = "what spends a transaction's outputs";
        let found: Option<Vec<told::Outspend>> = self.http.json(CALL, &format!("/tx/{txid}/outspends")).await?;
        let Some(found) = found else { return Ok(None) };
        found.into_iter().map(|told| spend_of(CALL, told)).collect::<Result<_, _>>().map(Some)
    }
}

/// What spends an output, out of the server's words.
pub(super) fn spend_of(call: &'static str, found: told::Outspend) -> Result<Option<Spend>, ChainError> {
    if !found.spent {
        return Ok(None);
    }
    let txid = found.txid.ok_or_else(|| bad(call, "spent by nothing".into()))?;
    let status = match found.status {
        Some(status) => status.read(call)?,
        None => TxStatus::Mempool,
    };
    Ok(Some(Spend { txid, status }))
}

/// A transaction that is what it is called, with amounts that can be.
fn entry(call: &'static str, told: told::Tx) -> Result<Entry, ChainError> {
    let (called, status) = (told.txid, told.status.read(call)?);
    let tx = told.into_transaction();
    let txid = tx.compute_txid();
    if txid != called {
        return Err(bad(call, format!("{txid} for {called}")));
    }
    let paid = tx.output.iter().try_fold(Amount::ZERO, |sum, output| sum.checked_add(output.value));
    if tx.input.is_empty() || tx.output.is_empty() {
        return Err(bad(call, format!("{txid} spends or pays nothing")));
    }
    if paid.is_none_or(|paid| paid > Amount::MAX_MONEY) {
        return Err(bad(call, format!("{txid} pays more than there is")));
    }
    Ok(Entry { tx, txid, status })
}

#[cfg(test)]
mod tests {
    use bitcoin::{ScriptBuf, Sequence, TxIn, TxOut, Witness, absolute, transaction};

    use super::*;

    fn entry(spends: OutPoint, outputs: &[(u64, &Script)]) -> Entry {
        let input = vec![TxIn {
            previous_output: spends,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        }];
        let output = outputs
            .iter()
            .map(|(sats, script)| TxOut { value: Amount::from_sat(*sats), script_pubkey: (*script).to_owned() });
        let tx = Transaction {
            version: transaction::Version::TWO,
            lock_time: absolute::LockTime::ZERO,
            input,
            output: output.collect(),
        };
        Entry { txid: tx.compute_txid(), tx, status: TxStatus::Mempool }
    }

    #[test]
    fn the_coins_of_a_history_are_what_it_does_not_spend() {
        let (ours, other) = (ScriptBuf::new_op_return([1]), ScriptBuf::new_op_return([2]));
        let old = entry(OutPoint::null(), &[(1, &ours), (2, &other), (3, &ours)]);
        let new = entry(OutPoint::new(old.txid, 0), &[(4, &other), (5, &ours)]);
        let amounts = |history: &History| -> Vec<(u64, u32)> {
            history.coins(&ours).coins.iter().map(|coin| (coin.output.value.to_sat(), coin.outpoint.vout)).collect()
        };
        let all = History { entries: vec![new.clone(), old], complete: true };
        assert_eq!(amounts(&all), [(5, 1), (3, 2)]);
        let newest = History { entries: vec![new], complete: false };
        assert_eq!((amounts(&newest), newest.coins(&ours).complete), (vec![(5, 1)], false));
    }
}
