//! The stored state as a `bdk_wallet`: scripts, and what is spent in the best chain.

use std::collections::HashMap;
use std::sync::Arc;

use bdk_wallet::chain::{BlockId, CanonicalizationParams, CheckPoint, ConfirmationBlockTime, TxUpdate};
use bdk_wallet::{KeychainKind, Update};
use bitcoin::{OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};

use super::super::WalletError;
use super::super::error::Result;
use super::super::keys::{KeyUse, Keys};
use super::state::{GAP, OwnKey, State};
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
    pub wallet: bdk_wallet::Wallet,
    /// Payouts of exits (`m/86'/coin'/0'/0/i`), which are in no order: scripts and key indexes.
    payouts: HashMap<ScriptBuf, u32>,
}

fn keychain(key_use: KeyUse) -> KeychainKind {
    if key_use == KeyUse::OnchainChange { KeychainKind::Internal } else { KeychainKind::External }
}

impl Picture {
    pub fn new(keys: &Keys, network: Network, state: State, payouts: HashMap<ScriptBuf, u32>) -> Result<Self> {
        let corrupt = || WalletError::CorruptFlow { what: "the on-chain wallet" };
        let account = keys.onchain_account()?;
        // Public keys only: signing is our own, by index.
        let descriptor = |branch| format!("tr({account}/{branch}/*)");
        let wallet = bdk_wallet::Wallet::create(descriptor(0), descriptor(1)).network(network.to_bitcoin());
        let wallet = wallet.lookahead(GAP).create_wallet_no_persist();
        let mut wallet = wallet.map_err(|_| WalletError::KeyDerivation)?;
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
        let blocks = state.blocks().ok_or_else(corrupt)?.into_iter().map(|(height, hash)| BlockId { height, hash });
        let genesis = wallet.local_chain().genesis_hash();
        let chain = CheckPoint::from_block_ids(std::iter::once(BlockId { height: 0, hash: genesis }).chain(blocks));
        let last = |branch: super::state::Branch| branch.used.max(branch.shown).checked_sub(1);
        let last_active_indices =
            [(KeychainKind::External, last(state.addresses)), (KeychainKind::Internal, last(state.change))];
        let update = Update {
            last_active_indices: last_active_indices
                .into_iter()
                .filter_map(|(kind, last)| Some((kind, last?)))
                .collect(),
            tx_update: txs,
            chain: Some(chain.map_err(|_| corrupt())?),
        };
        wallet.apply_update(update).map_err(|_| corrupt())?;
        Ok(Self { state, wallet, payouts })
    }

    /// The key of a script that is ours, here.
    pub fn key_of(&self, script: &Script) -> Option<OwnKey> {
        if let Some((kind, index)) = self.wallet.spk_index().index_of_spk(script.to_owned()) {
            let key_use = if *kind == KeychainKind::Internal { KeyUse::OnchainChange } else { KeyUse::Onchain };
            return Some(OwnKey { key_use, index: *index });
        }
        self.payouts.get(script).map(|index| OwnKey { key_use: KeyUse::Chain, index: *index })
    }

    /// The script of an address or of change.
    pub fn script(&self, key: OwnKey) -> ScriptBuf {
        let kind = keychain(key.key_use);
        let known = self.wallet.spk_index().spk_at_index(kind, key.index);
        known.unwrap_or_else(|| self.wallet.peek_address(kind, key.index).script_pubkey())
    }

    /// The scripts of exits' payouts, and their keys.
    pub fn payouts(&self) -> impl Iterator<Item = (&ScriptBuf, OwnKey)> {
        self.payouts.iter().map(|(script, index)| (script, OwnKey { key_use: KeyUse::Chain, index: *index }))
    }

    pub fn transaction(&self, txid: &Txid) -> Option<&Transaction> {
        self.state.known.get(txid).map(|known| &known.tx)
    }

    /// Coins that no confirmed transaction has spent, the largest first; none of a block's reward that is too young.
    pub fn coins(&self) -> Vec<OnchainCoin> {
        let chain = self.wallet.local_chain();
        let tip = chain.tip().block_id();
        let own = self.state.known.iter().flat_map(|(txid, known)| {
            let outputs = known.tx.output.iter().zip(0..);
            outputs.filter_map(|(output, vout)| Some((self.key_of(&output.script_pubkey)?, OutPoint::new(*txid, vout))))
        });
        let found = self.wallet.tx_graph().filter_chain_txouts(chain, tip, CanonicalizationParams::default(), own);
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
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.output.value), coin.outpoint));
        coins
    }
}
