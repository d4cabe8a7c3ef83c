//! The stored state as scripts, and as bdk's graph of transactions, which knows what is spent in the best chain.

use std::collections::HashMap;
use std::sync::Arc;

use bdk_wallet::chain::local_chain::LocalChain;
use bdk_wallet::chain::tx_graph::TxGraph;
use bdk_wallet::chain::{BlockId, CanonicalizationParams, CheckPoint, ConfirmationBlockTime, TxUpdate};
use bitcoin::bip32::{ChildNumber, Xpub};
use bitcoin::constants::genesis_block;
use bitcoin::key::TapTweak;
use bitcoin::{OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use secp256k1::SECP256K1;

use super::super::WalletError;
use super::super::error::Result;
use super::super::keys::{KeyUse, Keys};
use super::state::{Branch, GAP, OwnKey, State};
use crate::channel::Network;

/// A coin of the on-chain wallet that no confirmed transaction has spent.
#[derive(Debug, Clone)]
pub(super) struct OnchainCoin {
    pub outpoint: OutPoint,
    pub output: TxOut,
    pub key: OwnKey,
    pub confirmed: bool,
    /// The transaction in the mempool that spends it.
    pub spent_by: Option<Txid>,
}

/// The wallet as it was at the last look.
pub(super) struct Picture {
    pub state: State,
    account: Xpub,
    /// Scripts of addresses and of change, by index: those given out and the gap after them.
    addresses: Vec<ScriptBuf>,
    change: Vec<ScriptBuf>,
    /// Payouts of exits (`m/86'/coin'/0'/0/i`), whose indexes are far apart.
    payouts: Vec<(ScriptBuf, OwnKey)>,
    keys: HashMap<ScriptBuf, OwnKey>,
    chain: LocalChain,
    graph: TxGraph<ConfirmationBlockTime>,
}

fn corrupt() -> WalletError {
    WalletError::CorruptFlow { what: "the on-chain wallet" }
}

impl Picture {
    pub fn new(keys: &Keys, network: Network, state: State, payouts: Vec<(ScriptBuf, u32)>) -> Result<Self> {
        let account = keys.onchain_account()?;
        let scripts = |key_use, branch: Branch| -> Result<Vec<ScriptBuf>> {
            let end = branch.used.max(branch.shown).saturating_add(GAP);
            (0..end).map(|index| derive(&account, OwnKey { key_use, index })).collect()
        };
        let addresses = scripts(KeyUse::Onchain, state.addresses)?;
        let change = scripts(KeyUse::OnchainChange, state.change)?;
        let payouts: Vec<(ScriptBuf, OwnKey)> =
            payouts.into_iter().map(|(script, index)| (script, OwnKey { key_use: KeyUse::Chain, index })).collect();
        let indexed = [(KeyUse::Onchain, &addresses), (KeyUse::OnchainChange, &change)].into_iter().flat_map(
            |(key_use, scripts)| {
                scripts.iter().zip(0..).map(move |(script, index)| (script.clone(), OwnKey { key_use, index }))
            },
        );
        let keys = indexed.chain(payouts.iter().cloned()).collect();
        let (chain, graph) = graph(&state, network)?;
        Ok(Self { state, account, addresses, change, payouts, keys, chain, graph })
    }

    /// The key of a script that is ours, here.
    pub fn key_of(&self, script: &Script) -> Option<OwnKey> {
        self.keys.get(script).copied()
    }

    /// The script of an address or of change.
    pub fn script(&self, key: OwnKey) -> Result<ScriptBuf> {
        let known = match key.key_use {
            KeyUse::OnchainChange => self.change.get(key.index as usize),
            _ => self.addresses.get(key.index as usize),
        };
        known.cloned().map_or_else(|| derive(&self.account, key), Ok)
    }

    /// Scripts of a branch with their keys, lowest index first, the gap after those given out among them.
    pub fn branch(&self, key_use: KeyUse) -> impl Iterator<Item = (&ScriptBuf, OwnKey)> {
        let scripts = if key_use == KeyUse::OnchainChange { &self.change } else { &self.addresses };
        scripts.iter().zip(0..).map(move |(script, index)| (script, OwnKey { key_use, index }))
    }

    /// The scripts of exits' payouts, and their keys; oldest first.
    pub fn payouts(&self) -> &[(ScriptBuf, OwnKey)] {
        &self.payouts
    }

    pub fn transaction(&self, txid: &Txid) -> Option<&Transaction> {
        self.state.known.get(txid).map(|known| &known.tx)
    }

    /// Coins that no confirmed transaction has spent, the largest first; none of a block's reward that is too young.
    pub fn coins(&self) -> Vec<OnchainCoin> {
        let tip = self.chain.tip().block_id();
        let own = self.state.known.iter().flat_map(|(txid, known)| {
            let outputs = known.tx.output.iter().zip(0..);
            outputs.filter_map(|(output, vout)| Some((self.key_of(&output.script_pubkey)?, OutPoint::new(*txid, vout))))
        });
        let found = self.graph.filter_chain_txouts(&self.chain, tip, CanonicalizationParams::default(), own);
        let unspent = found.filter_map(|(key, found)| {
            let spent_by = match &found.spent_by {
                Some((position, _)) if position.is_confirmed() => return None,
                Some((_, txid)) => Some(*txid),
                None => None,
            };
            let confirmed = found.chain_position.is_confirmed();
            found.is_mature(tip.height).then_some(OnchainCoin {
                outpoint: found.outpoint,
                output: found.txout,
                key,
                confirmed,
                spent_by,
            })
        });
        let mut coins: Vec<OnchainCoin> = unspent.collect();
        coins.sort_unstable_by_key(|coin| (std::cmp::Reverse(coin.output.value), coin.outpoint));
        coins
    }
}

/// The BIP86 script of an address or of change, from the public key of the account.
fn derive(account: &Xpub, key: OwnKey) -> Result<ScriptBuf> {
    let failed = |_| WalletError::KeyDerivation;
    let branch = u32::from(key.key_use == KeyUse::OnchainChange);
    let normal = |index| ChildNumber::from_normal_idx(index).map_err(failed);
    let child = account.derive_pub(SECP256K1, &[normal(branch)?, normal(key.index)?]).map_err(failed)?;
    let (output, _) = child.to_x_only_pub().tap_tweak(SECP256K1, None);
    Ok(ScriptBuf::new_p2tr_tweaked(output))
}

/// What is known, as bdk keeps it.
fn graph(state: &State, network: Network) -> Result<(LocalChain, TxGraph<ConfirmationBlockTime>)> {
    let genesis = BlockId { height: 0, hash: genesis_block(network.to_bitcoin()).block_hash() };
    let blocks = state.blocks().ok_or_else(corrupt)?.into_iter().map(|(height, hash)| BlockId { height, hash });
    let tip = CheckPoint::from_block_ids(std::iter::once(genesis).chain(blocks)).map_err(|_| corrupt())?;
    let chain = LocalChain::from_tip(tip).map_err(|_| corrupt())?;
    let mut txs = TxUpdate::default();
    for (txid, known) in &state.known {
        txs.txs.push(Arc::new(known.tx.clone()));
        match known.place {
            Some(place) => {
                let block_id = BlockId { height: place.height, hash: place.hash };
                txs.anchors.insert((ConfirmationBlockTime { block_id, confirmation_time: place.time }, *txid));
            }
            None => {
                txs.seen_ats.insert((*txid, known.since));
            }
        }
    }
    let mut graph = TxGraph::default();
    let _ = graph.apply_update(txs);
    Ok((chain, graph))
}
