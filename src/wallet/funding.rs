//! Checking a channel VTXO that exists: what a receiver looks at before it counts a channel as open.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, TxOut, Txid};

use super::batch::OutcomeData;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::chain::TxStatus;
use crate::channel::branch::{Branch, BranchContext, BranchReport};
use crate::channel::message::Offer;
use crate::channel::{Channel, ChannelError, ChannelTerms, Delay, Unit};
use crate::operator::Vtxo;

/// A channel VTXO that passed all checks.
pub(super) struct VerifiedFunding {
    pub branch: Branch,
    pub report: BranchReport,
    /// How long the operator's batches live.
    pub batch_expiry: Delay,
    /// When it expires, in the unit of the terms.
    pub expiry: u64,
    /// By the operator's clock, unix seconds.
    pub expires_at: u64,
}

impl Wallet {
    /// Script, amount and state in the operator's books; the branch, recomputed and every signature verified; every
    /// commitment transaction deep enough. Nothing of it is believed from the operator alone.
    pub(super) async fn verify_funding(&self, terms: &ChannelTerms, outpoint: OutPoint) -> Result<VerifiedFunding> {
        let operator = self.net.operator().await?;
        let channel = Channel::new(*terms, outpoint)?;
        let unusable = |what: &str| WalletError::FundingNotUsable { what: what.into() };
        let vtxo = operator.vtxos_by_outpoints(&[outpoint]).await?.pop();
        let vtxo = vtxo.ok_or_else(|| unusable("is not known to the operator"))?;
        check_books(&vtxo, &channel.prevout())?;
        let branch = match self.store.read(|db| db.branch(&outpoint))? {
            Some(branch) => branch,
            None => operator.branch_of(outpoint).await?,
        };
        let (report, batch_expiry) = self.verify_branch(&vtxo, &branch, &channel.prevout(), terms.unit()).await?;
        let expiry = self.expiry_of(&report.commitments, batch_expiry, terms.unit()).await?;
        Ok(VerifiedFunding { branch, report, batch_expiry, expiry, expires_at: vtxo.expires_at })
    }

    /// Whether the branch leads from commitment transactions on chain down to the VTXO, which must be `output`: every
    /// script and signature. Answers also how long its batches live.
    pub(super) async fn verify_branch(
        &self,
        vtxo: &Vtxo,
        branch: &Branch,
        output: &TxOut,
        unit: Unit,
    ) -> Result<(BranchReport, Delay)> {
        let mut commitment_outputs = HashMap::new();
        for txid in branch_roots(branch) {
            let tx = self.net.chain.transaction(txid).await?;
            let tx = tx.ok_or(WalletError::NotConfirmed { txid, confirmations: 0, needed: 1 })?;
            for (vout, output) in tx.output.into_iter().enumerate() {
                commitment_outputs.insert(OutPoint::new(txid, vout as u32), output);
            }
        }
        let info = self.info()?;
        let mut refused = WalletError::FundingNotUsable { what: "has no known batch expiry".into() };
        for expiry in self.expiry_candidates(vtxo, branch, unit).await? {
            let context =
                BranchContext { commitment_outputs: &commitment_outputs, forfeit_key: info.forfeit_key, expiry };
            match branch.verify(&context, vtxo.outpoint, output) {
                Ok(report) => return Ok((report, expiry)),
                Err(error) => refused = error.into(),
            }
        }
        Err(Box::new(refused))
    }

    /// What the batches of the branch may live for: the length learned from a batch, and what the operator's books say
    /// of the batch VTXOs in it. Only one of them gives the right scripts.
    async fn expiry_candidates(&self, vtxo: &Vtxo, branch: &Branch, unit: Unit) -> Result<Vec<Delay>> {
        let mut lengths: Vec<u64> = Vec::new();
        let mut candidates: Vec<Delay> =
            self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))?.into_iter().collect();
        if vtxo.preconfirmed {
            let tree: HashSet<Txid> = branch
                .nodes
                .iter()
                .filter(|node| !node.cosigners.is_empty())
                .map(|node| node.tx.compute_txid())
                .collect();
            let leaves: Vec<OutPoint> =
                branch.outpoints().into_iter().filter(|outpoint| tree.contains(&outpoint.txid)).collect();
            let books = self.net.operator().await?.vtxos_by_outpoints(&leaves).await?;
            lengths.extend(books.iter().map(|vtxo| vtxo.expires_at.saturating_sub(vtxo.created_at)));
        } else {
            lengths.push(vtxo.expires_at.saturating_sub(vtxo.created_at));
        }
        for length in lengths {
            // The books' two times may be a second apart from the round figure.
            let around: Vec<u64> = match unit {
                Unit::Seconds => vec![(length + 256) / 512 * 512],
                Unit::Blocks => vec![length, length + 1, length.saturating_sub(1)],
            };
            for value in around {
                if let Ok(delay) = Delay::at_least(unit, value)
                    && !candidates.contains(&delay)
                {
                    candidates.push(delay);
                }
            }
        }
        Ok(candidates)
    }

    /// When the first of the commitment transactions can be swept. All must be confirmed deep enough.
    pub(super) async fn expiry_of(&self, commitments: &[Txid], length: Delay, unit: Unit) -> Result<u64> {
        let needed = self.config.confirmations;
        let tip = self.net.chain.tip().await?.height;
        let mut earliest = u64::MAX;
        for txid in commitments {
            let status = self.net.chain.status(*txid).await?;
            let confirmations = status.confirmations(tip);
            let begin = match (status, unit) {
                (TxStatus::Confirmed { height, .. }, Unit::Blocks) if confirmations >= needed => u64::from(height),
                (TxStatus::Confirmed { time, .. }, Unit::Seconds) if confirmations >= needed => time,
                _ => return Err(Box::new(WalletError::NotConfirmed { txid: *txid, confirmations, needed })),
            };
            earliest = earliest.min(begin.saturating_add(length.value()));
        }
        Ok(earliest)
    }

    /// The outcome of a batch as its VTXO shows it, for a co-signer that missed the end. Its own key must be in every
    /// node: a tree that others signed alone can be signed by them again, another way.
    pub(super) async fn outcome_of(
        &self,
        vtxo: &Vtxo,
        offer: &Offer,
        cosigner: &bitcoin::secp256k1::PublicKey,
    ) -> Result<OutcomeData> {
        let verified = self.verify_funding(&offer.terms, vtxo.outpoint).await?;
        if !verified.branch.cosigned_by(cosigner) {
            return Err(Box::new(WalletError::FundingNotUsable {
                what: "is in a tree this wallet did not co-sign".into(),
            }));
        }
        self.store.write(|db| db.put_branch(&vtxo.outpoint, &verified.branch))?;
        let commitment =
            verified.report.commitments.first().copied().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        Ok(OutcomeData {
            commitment,
            expiry: verified.batch_expiry,
            leaves: vec![vtxo.outpoint],
            levels: vec![verified.report.levels as u32],
            at: self.timestamp(),
        })
    }
}

/// The VTXO in the operator's books against what was agreed.
fn check_books(vtxo: &Vtxo, expected: &TxOut) -> Result<()> {
    let what = if vtxo.script != expected.script_pubkey {
        "has another script"
    } else if vtxo.amount != expected.value {
        "has another amount"
    } else if vtxo.spent {
        "is spent"
    } else if vtxo.swept {
        "is swept"
    } else if vtxo.unrolled {
        "is on chain"
    } else if vtxo.has_assets {
        "carries assets"
    } else {
        return Ok(());
    };
    Err(Box::new(WalletError::FundingNotUsable { what: what.into() }))
}

/// The transactions outside a branch that it spends from: its commitment transactions.
pub(super) fn branch_roots(branch: &Branch) -> Vec<Txid> {
    let inside: HashSet<Txid> = branch.nodes.iter().map(|node| node.tx.compute_txid()).collect();
    let mut roots: Vec<Txid> =
        branch.outpoints().into_iter().map(|outpoint| outpoint.txid).filter(|txid| !inside.contains(txid)).collect();
    roots.sort_unstable();
    roots.dedup();
    roots
}

/// Whether terms fit the VTXO they are in.
pub(super) fn check_funding_time(
    terms: &ChannelTerms,
    verified: &VerifiedFunding,
    cutoff: Option<u64>,
    now: &super::clock::Now,
) -> std::result::Result<(), ChannelError> {
    let unit = terms.unit();
    let expiry = match unit {
        Unit::Seconds => verified.expiry.min(verified.expires_at),
        Unit::Blocks => verified.expiry.min(now.height.saturating_add(verified.expires_at.saturating_sub(now.wall))),
    };
    let levels = verified.report.levels as u64;
    let timing = crate::channel::deadline::Timing::of(terms, verified.batch_expiry.value(), expiry, levels, cutoff);
    timing.check(now.latest(unit)).map(drop)
}
