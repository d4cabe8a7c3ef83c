//! A channel that one side has lost for good, file and backup, from what the other side still has: the terms and the
//! outpoint, as an Offer, and the latest update.

use super::error::Result;
use super::funding::VerifiedFunding;
use super::keys::KeyUse;
use super::restore_mark::mark_restored;
use super::{Wallet, WalletError};
use crate::channel::message::{Funding, Offer};
use crate::channel::script::default_vtxo;
use crate::channel::{Channel, ChannelError, ChannelId, ChannelTerms, Delay, OperatorInfo, Party};
use crate::log::note;
use crate::store::{ChannelRecord, ChannelState, Db, FundingKind, OwnScript, Role, ScriptKind};
use crate::task;

/// So many key indexes beyond the counter are tried: without a backup it may be far behind.
const INDEXES_AHEAD: u32 = 10_000;

/// Whose side of a channel this wallet is, by its keys.
struct Side {
    role: Role,
    key_index: u32,
    /// The delay in its payout inside Ark.
    delay: Delay,
}

impl Wallet {
    /// The channel as an Offer that names its VTXO: all that the other side needs to have it again
    /// ([`Wallet::recover_channel`]), beside the latest update. It is no offer of anything new. No network.
    pub fn describe_channel(&self, id: &ChannelId) -> Result<Offer> {
        let loaded = self.loaded(id)?;
        let cosigner = self.keys.keypair(KeyUse::Cosigner, loaded.record.key_index)?.public_key();
        let funding = Funding::Offchain { outpoint: loaded.channel.funding };
        // Which invite it was is not kept, and of no interest any more.
        Ok(Offer { invite_id: [0; 32], terms: loaded.channel.terms, cosigner, funding })
    }

    /// Takes back a channel that the other side describes, as payer or receiver, whichever this wallet's key in it is.
    /// Nothing of the description is believed: the key and both payouts must be this wallet's own, and the VTXO is looked
    /// up and verified with its whole branch. A channel that is known already is answered as it is.
    ///
    /// It goes on as one out of a backup does: a receiver takes the latest update next, a payer must be shown it.
    /// What a receiver gets with that update is what it was paid before it lost the channel, and pays for nothing new:
    /// neither the invite's bounds nor the deadlines are looked at for it.
    pub async fn recover_channel(&self, offer: &Offer) -> Result<ChannelId> {
        let _flow = self.flow.lock().await;
        let Funding::Offchain { outpoint } = offer.funding else {
            return Err(ChannelError::OfferMismatch { what: "the outpoint: it names none" }.into());
        };
        let id = Channel::new(offer.terms, outpoint)?.id;
        if let Some(known) = self.store.read(|db| db.channel_at(&outpoint))? {
            return if known.record.id == id { Ok(id) } else { Err(ChannelError::OtherOffer.into()) };
        }
        let info = self.fresh_info().await?;
        self.observe().await?;
        check_shape(&offer.terms, &info)?;
        let wallet = self.clone();
        let (terms, known) = (offer.terms, info.clone());
        // Ten thousand keys take a second.
        let side = task::blocking(move || wallet.side_of(&terms, &known)).await;
        let side = side.ok_or(WalletError::Closed)??;
        let verified = self.verify_funding(&offer.terms, outpoint).await?;
        let kind = self.kind_of(&side, &verified)?;
        let (capacity, limit) = (offer.terms.capacity, self.config.max_preconfirmed);
        if side.role == Role::Receiver && kind == FundingKind::Offchain && capacity > limit {
            return Err(Box::new(WalletError::PreconfirmedTooLarge { capacity, limit }));
        }
        let record = ChannelRecord {
            id,
            role: side.role,
            terms: offer.terms.canonical(),
            capacity,
            funding: outpoint,
            funding_kind: kind,
            key_index: side.key_index,
            commitments: verified.report.commitments.clone(),
            batch_expiry: verified.batch_expiry,
            expiry: verified.expiry,
            expires_at: verified.expires_at,
            levels: verified.report.levels as u32,
            created_at: self.timestamp(),
        };
        let channel = Channel::new(offer.terms, outpoint)?;
        self.store.write(|db| {
            self.own_payouts(db, &offer.terms, &side)?;
            db.put_branch(&outpoint, &verified.branch)?;
            self.insert_channel(db, &channel, &record, ChannelState::Open)?;
            mark_restored(db, &id)?;
            Ok::<_, Box<WalletError>>(db.set_last_watch(&id, self.watched_at())?)
        })?;
        note!(Info, "channel {id}: recovered as {}", side.role);
        Ok(id)
    }

    /// Which side this wallet is. The payouts must be its own: the VTXO does not commit to them, and an update for others
    /// would be money for somebody else.
    fn side_of(&self, terms: &ChannelTerms, info: &OperatorInfo) -> Result<Side> {
        let end =
            self.store.read::<_, Box<WalletError>>(|db| Ok(db.coming_key_index()?))?.saturating_add(INDEXES_AHEAD);
        let mine = [(KeyUse::Receiver, Role::Receiver, terms.receiver), (KeyUse::Payer, Role::Payer, terms.payer)];
        for (key_use, role, party) in mine {
            let Some(key_index) = self.keys.index_of(key_use, &party.key, end)? else { continue };
            let delay = self.payout_delay(&party, key_index, terms, info)?;
            return Ok(Side { role, key_index, delay });
        }
        Err(Box::new(WalletError::NotFound))
    }

    /// The exit delay in this side's payout inside Ark. A side's three keys are given out together, one after the other.
    fn payout_delay(&self, party: &Party, key_index: u32, terms: &ChannelTerms, info: &OperatorInfo) -> Result<Delay> {
        let foreign = || ChannelError::OfferMismatch { what: "the payout scripts: they are not this wallet's" };
        if self.keys.chain_payout(key_index.saturating_add(2))? != party.chain_payout {
            return Err(foreign().into());
        }
        let key = self.keys.keypair(KeyUse::Vtxo, key_index.saturating_add(1))?.xonly();
        let mut delays = vec![info.unilateral_exit_delay, terms.d1];
        delays.extend(self.store.read(|db| db.scripts(ScriptKind::Vtxo))?.into_iter().filter_map(|own| own.delay));
        delays.dedup();
        for delay in delays {
            if default_vtxo(key, terms.operator, delay)?.output_key() == party.ark_payout.key() {
                return Ok(delay);
            }
        }
        Err(foreign().into())
    }

    /// In a batch that this side co-signed nobody can have made two of it; whatever else it is counts as preconfirmed.
    fn kind_of(&self, side: &Side, verified: &VerifiedFunding) -> Result<FundingKind> {
        let in_batch = verified.branch.nodes.iter().all(|node| !node.cosigners.is_empty());
        let cosigner = self.keys.keypair(KeyUse::Cosigner, side.key_index)?.public_key();
        match side.role {
            Role::Payer if in_batch => Ok(FundingKind::Batch),
            Role::Receiver if in_batch && verified.branch.cosigned_by(&cosigner) => Ok(FundingKind::Batch),
            _ => Ok(FundingKind::Offchain),
        }
    }

    /// The payouts become own scripts, and their keys are not given out again.
    fn own_payouts(&self, db: &Db<'_>, terms: &ChannelTerms, side: &Side) -> Result<()> {
        let party = match side.role {
            Role::Payer => terms.payer,
            Role::Receiver => terms.receiver,
        };
        let (vtxo, chain) = (side.key_index.saturating_add(1), side.key_index.saturating_add(2));
        let own =
            |script, kind, key_index, delay| OwnScript { script, kind, key_index, operator: terms.operator, delay };
        db.add_script(&own(party.ark_payout.script(), ScriptKind::Vtxo, vtxo, Some(side.delay)))?;
        let script = party.chain_payout.script();
        if db.script(&script)?.is_none() {
            db.add_script(&own(script, ScriptKind::Chain, chain, None))?;
        }
        Ok(db.skip_key_indexes(chain.saturating_add(1))?)
    }
}

/// What the terms must be to be a channel at all. Whether they would be agreed on today is of no interest.
fn check_shape(terms: &ChannelTerms, info: &OperatorInfo) -> Result<()> {
    if terms.network != info.network {
        return Err(ChannelError::WrongNetwork { expected: info.network, got: terms.network }.into());
    }
    let keys = [terms.payer.key, terms.receiver.key, terms.operator];
    if keys.iter().enumerate().any(|(i, key)| keys.iter().skip(i + 1).any(|other| other == key)) {
        return Err(ChannelError::EqualKeys.into());
    }
    let units = [terms.d1.unit(), terms.d2.unit(), crate::channel::Unit::of(terms.locktime)];
    if units.iter().any(|unit| *unit != info.unit()) {
        return Err(ChannelError::UnitMix.into());
    }
    let (d1, d2) = (terms.d1.value(), terms.d2.value());
    if d1 >= d2 { Err(ChannelError::DelayOrder { d1, d2 }.into()) } else { Ok(()) }
}
