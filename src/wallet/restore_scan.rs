//! Finding a wallet's keys again: which of them the operator's books and the chain know.
//!
//! One counter numbers the keys of VTXOs, channels and payouts, so a key that was seen says nothing of its neighbours:
//! every use is tried at every index, up to a gap. Boarding keys have one index.

use std::collections::{BTreeMap, HashMap, HashSet};

use bitcoin::{ScriptBuf, XOnlyPublicKey};
use futures_util::StreamExt;

use super::WalletError;
use super::address::BOARDING_INDEX;
use super::error::Result;
use super::keys::{KeyUse, Keys};
use crate::chain::{Chain, Coin};
use crate::channel::script::default_vtxo;
use crate::channel::{Delay, OperatorInfo};
use crate::operator::{Operator, Vtxo};
use crate::store::{OwnScript, ScriptKind};

/// So many indexes that nobody knows end the search, in the operator's books as on chain. An invite that came to nothing
/// takes three.
const GAP: u32 = 300;

/// Indexes asked for together.
const PAGE: u32 = 50;

/// The most indexes that are searched in the books, whatever the operator says, and on chain.
const MAX_IN_BOOKS: u32 = 20_000;
const MAX_ON_CHAIN: u32 = 6_000;

/// Questions to the chain at once.
const AT_ONCE: usize = 6;

/// Signer keys and delays that are tried at most.
const MAX_VARIANTS: usize = 12;

/// So many indexes beyond the last one seen are not given out again: they may be in invites and addresses that nobody
/// has used yet.
const MARGIN: u32 = GAP;

/// What a search needs.
pub(super) struct Scan<'a> {
    pub keys: &'a Keys,
    pub info: &'a OperatorInfo,
    /// From a backup.
    pub known: Vec<OwnScript>,
    /// From a backup: all indexes below have been given out.
    pub given_out: u32,
    /// Whether `known` is every script that was given out below.
    pub whole: bool,
}

/// What a search found.
#[derive(Default)]
pub(super) struct Found {
    pub scripts: BTreeMap<ScriptBuf, OwnScript>,
    pub vtxos: Vec<Vtxo>,
    pub boarding: Vec<Coin>,
    /// One more than the last index that is in use.
    pub used: u32,
    /// The search ended at its bound, not at the gap.
    pub cut: Option<u32>,
}

impl Scan<'_> {
    /// The first index that is not known already.
    fn first(&self) -> u32 {
        if self.whole { self.given_out } else { 0 }
    }

    /// Signer keys and delays that own scripts may have: those of today, of signers the operator still names, and those
    /// of the backup.
    fn variants(&self, kind: ScriptKind, today: Delay) -> Vec<(XOnlyPublicKey, Delay)> {
        let known = self.known.iter().filter(|own| own.kind == kind).filter_map(|own| Some((own.operator, own.delay?)));
        let former = self.info.deprecated_signers.iter().map(|signer| (signer.key, today));
        let mut variants = vec![(self.info.signer, today)];
        for variant in known.chain(former) {
            if variants.len() < MAX_VARIANTS && !variants.contains(&variant) {
                variants.push(variant);
            }
        }
        variants
    }

    fn own_scripts(
        &self,
        kind: ScriptKind,
        index: u32,
        variants: &[(XOnlyPublicKey, Delay)],
    ) -> Result<Vec<OwnScript>> {
        let key_use = match kind {
            ScriptKind::Vtxo => KeyUse::Vtxo,
            ScriptKind::Boarding => KeyUse::Boarding,
            ScriptKind::Chain => {
                let script = self.keys.chain_payout(index)?.script();
                let operator = self.info.signer;
                return Ok(vec![OwnScript { script, kind, key_index: index, operator, delay: None }]);
            }
        };
        let key = self.keys.keypair(key_use, index)?.xonly();
        let own = |(operator, delay): &(XOnlyPublicKey, Delay)| {
            let script = default_vtxo(key, *operator, *delay)?.script_pubkey();
            Ok(OwnScript { script, kind, key_index: index, operator: *operator, delay: Some(*delay) })
        };
        variants.iter().map(own).collect()
    }

    /// The operator's books, page after page.
    pub async fn books(&self, operator: &Operator, found: &mut Found) -> Result<()> {
        let known: Vec<ScriptBuf> = self.of_kind(ScriptKind::Vtxo).map(|own| own.script.clone()).collect();
        let seen = operator.vtxos_by_scripts(&known).await?;
        let mut outpoints: HashSet<_> = seen.iter().map(|vtxo| vtxo.outpoint).collect();
        found.vtxos = seen;
        let variants = self.variants(ScriptKind::Vtxo, self.info.unilateral_exit_delay);
        let mut index = self.first();
        while index < found.used.max(self.given_out).saturating_add(GAP) {
            if index >= self.first().saturating_add(MAX_IN_BOOKS) {
                found.cut = Some(index);
                break;
            }
            let mut page = HashMap::new();
            for index in index..index + PAGE {
                let own = self.own_scripts(ScriptKind::Vtxo, index, &variants)?;
                page.extend(own.into_iter().map(|own| (own.script.clone(), own)));
            }
            let scripts: Vec<ScriptBuf> = page.keys().cloned().collect();
            for vtxo in operator.vtxos_by_scripts(&scripts).await? {
                let Some(own) = page.get(&vtxo.script) else { continue };
                found.used = found.used.max(own.key_index + 1);
                found.scripts.insert(vtxo.script.clone(), own.clone());
                if outpoints.insert(vtxo.outpoint) {
                    found.vtxos.push(vtxo);
                }
            }
            index += PAGE;
        }
        Ok(())
    }

    /// Boarding coins, and payouts on chain: some questions at once.
    pub async fn chain(&self, chain: &Chain, found: &mut Found) -> Result<()> {
        let boarding = self.variants(ScriptKind::Boarding, self.info.boarding_exit_delay);
        let boarding = self.own_scripts(ScriptKind::Boarding, BOARDING_INDEX, &boarding)?;
        let known = self.known.iter().filter(|own| own.kind != ScriptKind::Vtxo);
        let known: BTreeMap<_, _> = known.chain(&boarding).map(|own| (own.script.clone(), own.clone())).collect();
        self.ask_chain(chain, known.values().cloned().collect(), found).await?;
        let mut index = self.first();
        while index < found.used.max(self.given_out).saturating_add(GAP) {
            if index >= self.first().saturating_add(MAX_ON_CHAIN) {
                found.cut = Some(index);
                break;
            }
            let mut page = Vec::new();
            for index in index..index + PAGE {
                page.extend(self.own_scripts(ScriptKind::Chain, index, &[])?);
            }
            page.retain(|own| !known.contains_key(&own.script));
            self.ask_chain(chain, page, found).await?;
            index += PAGE;
        }
        Ok(())
    }

    async fn ask_chain(&self, chain: &Chain, own: Vec<OwnScript>, found: &mut Found) -> Result<()> {
        let questions = own.into_iter().map(|own| async move {
            let coins = chain.coins(&own.script).await?;
            Ok::<_, Box<WalletError>>((own, coins))
        });
        let mut answers = futures_util::stream::iter(questions).buffer_unordered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            let (own, coins) = answer?;
            if coins.coins.is_empty() {
                continue;
            }
            found.used = found.used.max(own.key_index.saturating_add(1));
            match own.kind {
                ScriptKind::Boarding => found.boarding.extend(coins.coins),
                ScriptKind::Vtxo | ScriptKind::Chain => {}
            }
            found.scripts.insert(own.script.clone(), own);
        }
        Ok(())
    }

    fn of_kind(&self, kind: ScriptKind) -> impl Iterator<Item = &OwnScript> {
        self.known.iter().filter(move |own| own.kind == kind)
    }

    /// Everything the wallet has to know from now on, and the first index it may give out. Addresses at indexes in
    /// between may have been handed out and be paid yet: their scripts are the wallet's, too.
    pub fn settle(&self, found: &mut Found) -> Result<u32> {
        let next = found.used.max(self.given_out).saturating_add(MARGIN).min(1 << 31);
        let today = [(self.info.signer, self.info.unilateral_exit_delay)];
        for index in self.first()..next {
            for own in self.own_scripts(ScriptKind::Vtxo, index, &today)? {
                found.scripts.insert(own.script.clone(), own);
            }
        }
        for own in self.own_scripts(
            ScriptKind::Boarding,
            BOARDING_INDEX,
            &[(self.info.signer, self.info.boarding_exit_delay)],
        )? {
            found.scripts.insert(own.script.clone(), own);
        }
        found.scripts.extend(self.known.iter().map(|own| (own.script.clone(), own.clone())));
        Ok(next)
    }
}
