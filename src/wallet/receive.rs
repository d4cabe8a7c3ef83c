//! Receiving: two verifications and one durable commit, for one update or a thousand.

use std::num::NonZero;
use std::sync::Arc;

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};

use super::close::awaits_signatures;
use super::error::Result;
use super::loaded::{Authorised, LoadedChannel, limits};
use super::net;
use super::pay::{check_memo, require_open};
use super::restore_mark::require_alive;
use super::{Wallet, WalletError};
use crate::channel::message::memo_hash;
use crate::channel::receiver::{Judged, Verdict, judge};
use crate::channel::{ChannelError, ChannelId, ChannelUpdate, OperatorInfo, Receipt, Unit, UpdateMessage};
use crate::log::note;
use crate::store::{ChannelState, Db, FundingKind, HotRow, Role};

/// The most updates one call takes.
pub const MAX_BATCH: usize = 10_000;

/// An update that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub channel_id: ChannelId,
    /// All that has been received in the channel.
    pub amount: Amount,
    /// What this update added: zero for one that was seen before.
    ///
    /// The first update of a receiver that was restored (`awaits_update` until then) counts whatever the deadlines say: it
    /// is what had been paid before. Hand over nothing new for it: a payer might make it after its locktime, and take the
    /// money back.
    pub increase: Amount,
    /// As the payer wrote it; not authenticated.
    pub memo: Option<String>,
}

/// A verified update, with what its ark signature fits.
struct Verified {
    loaded: Arc<LoadedChannel>,
    authorised: Arc<Authorised>,
    /// The Authorisation to be stored, where the update brought a new one.
    new_authorisation: Option<Vec<u8>>,
}

impl Wallet {
    /// Verifies an update and stores it durably. Stale and forked updates are refused with the stored one, which the
    /// payer needs to catch up.
    pub fn receive(&self, message: &UpdateMessage) -> Result<Received> {
        let answer = self.receive_one(message);
        Self::told(message, &answer);
        answer
    }

    fn receive_one(&self, message: &UpdateMessage) -> Result<Received> {
        let info = self.info()?;
        let verified = self.verify(message, &info)?;
        let loaded = verified.loaded.clone();
        let received = self.store.write(|db| self.take(db, message, verified, &info))?;
        self.unload_restored(&loaded);
        self.events.ring();
        Ok(received)
    }

    /// A line of the log.
    fn told(message: &UpdateMessage, answer: &Result<Received>) {
        let (id, amount) = (message.update.channel_id, message.update.amount.to_sat());
        match answer {
            Ok(received) => {
                note!(Debug, "channel {id}: receives {} sats, {amount} in all", received.increase.to_sat());
            }
            Err(error) => note!(Warn, "channel {id}: does not take {amount} sats in all: {error}"),
        }
    }

    /// Many updates at once: signatures verified on all cores, all that count in one durable commit. The answers are
    /// in the order of the updates; one that is refused does not keep the others from counting.
    pub fn receive_many(&self, messages: &[UpdateMessage]) -> Result<Vec<Result<Received>>> {
        if messages.len() > MAX_BATCH {
            return Err(Box::new(WalletError::TooMany { limit: MAX_BATCH }));
        }
        let info = self.info()?;
        let verified = self.verify_all(messages, &info);
        let answers = self.store.write(|db| {
            let mut answers = Vec::with_capacity(messages.len());
            for (message, verified) in messages.iter().zip(verified) {
                let answer = verified.and_then(|verified| self.take(db, message, verified, &info));
                match answer {
                    // A failing disk fails the whole transaction: nothing was taken.
                    Err(error) if error.is_fatal() => return Err(error),
                    answer => answers.push(answer),
                }
            }
            Ok::<_, Box<WalletError>>(answers)
        })?;
        self.events.ring();
        messages.iter().zip(&answers).for_each(|(message, answer)| Self::told(message, answer));
        Ok(answers)
    }

    fn verify_all(&self, messages: &[UpdateMessage], info: &OperatorInfo) -> Vec<Result<Verified>> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(16);
        let share = messages.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let workers: Vec<_> = messages
                .chunks(share)
                .map(|chunk| {
                    (
                        chunk.len(),
                        scope.spawn(move || chunk.iter().map(|message| self.verify(message, info)).collect::<Vec<_>>()),
                    )
                })
                .collect();
            // A worker that panicked answers for its share with errors; nothing of it is taken.
            let join = |(count, worker): (usize, std::thread::ScopedJoinHandle<'_, Vec<Result<Verified>>>)| {
                worker.join().unwrap_or_else(|_| (0..count).map(|_| Err(WalletError::NotFound.into())).collect())
            };
            workers.into_iter().flat_map(join).collect()
        })
    }

    /// Everything that does not depend on what else is stored: the channel, both signatures, a new Authorisation.
    fn verify(&self, message: &UpdateMessage, info: &OperatorInfo) -> Result<Verified> {
        let id = message.update.channel_id;
        let loaded = self.loaded(&id)?;
        loaded.check_role(Role::Receiver)?;
        message.update.check_channel(&loaded.channel)?;
        // With what is in memory, so that a payment looks into the store once; `take` notices when that is outdated.
        if let Some(memory) = loaded.latest()
            && let Ok(verified) = self.verify_for(message, loaded.clone(), Some(memory), info)
        {
            return Ok(verified);
        }
        let stored = self.store.read(|db| {
            let hot = db.hot(&id)?.ok_or(WalletError::NotFound)?;
            self.authorised(db, &loaded, &hot)
        })?;
        self.verify_for(message, loaded, stored, info)
    }

    /// Both signatures, where `stored` is the Authorisation so far.
    fn verify_for(
        &self,
        message: &UpdateMessage,
        loaded: Arc<LoadedChannel>,
        stored: Option<Arc<Authorised>>,
        info: &OperatorInfo,
    ) -> Result<Verified> {
        let (authorised, new_authorisation) = self.choose_authorisation(message, &loaded, stored, info)?;
        message.update.verify(&loaded.channel, &[&authorised.close])?;
        Ok(Verified { loaded, authorised, new_authorisation })
    }

    /// The stored Authorisation, or the one the update brings where that is newer: all its signatures are verified.
    fn choose_authorisation(
        &self,
        message: &UpdateMessage,
        loaded: &LoadedChannel,
        stored: Option<Arc<Authorised>>,
        info: &OperatorInfo,
    ) -> Result<(Arc<Authorised>, Option<Vec<u8>>)> {
        let channel_id = message.update.channel_id;
        let (incoming, old) = match (message.authorisation, stored) {
            (None, None) => return Err(ChannelError::MissingAuthorisation { channel_id }.into()),
            (None, Some(stored)) => return Ok((stored, None)),
            (Some(incoming), Some(stored)) => {
                let is_current = stored.authorisation.script == info.checkpoint && !loaded.was_restored();
                if is_current || stored.authorisation.script == incoming.script {
                    // Ours is as good or better; other signatures over the same mean nothing.
                    return Ok((stored, None));
                }
                (incoming, Some(stored))
            }
            (Some(incoming), None) => (incoming, None),
        };
        // What a restored receiver knows of the operator may be older than its own latest update, which an exit needs.
        if incoming.script != info.checkpoint && !loaded.was_restored() {
            // As far as is known here the operator builds no checkpoint with it: it would make nothing closable.
            let unknown = ChannelError::UnknownCheckpointScript { channel_id };
            return Ok((old.ok_or(unknown)?, None));
        }
        incoming.script.check(info.network, &info.forfeit_key)?;
        let bytes = incoming.to_bytes();
        let hash = sha256::Hash::hash(&bytes).to_byte_array();
        let close = loaded.channel.close_template(incoming.script)?;
        incoming.verify(&loaded.channel, &close)?;
        Ok((Arc::new(Authorised { hash, authorisation: incoming, close }), Some(bytes)))
    }

    /// Judges a verified update against what is stored, and stores it where it counts.
    fn take(&self, db: &Db<'_>, message: &UpdateMessage, verified: Verified, info: &OperatorInfo) -> Result<Received> {
        let update = &message.update;
        let hot = db.hot(&update.channel_id)?.ok_or(WalletError::NotFound)?;
        let stored = self.authorised(db, &verified.loaded, &hot)?;
        let is_stored = stored.as_ref().is_some_and(|stored| stored.hash == verified.authorised.hash);
        // What this process knows of the operator may be old: then the Authorisation that another one has stored since is
        // for the newer script, and is not replaced.
        let replaces = verified.new_authorisation.is_some() && stored.is_some();
        let newer = if replaces { self.learned_elsewhere(db)? } else { None };
        let info = newer.as_ref().unwrap_or(info);
        let verified = if newer.is_some() || verified.new_authorisation.is_none() && !is_stored {
            // Verified with one that another process has replaced since.
            self.verify_for(message, verified.loaded, stored.clone(), info)?
        } else {
            verified
        };
        let loaded = &verified.loaded;
        let incoming = Judged { update: *update, script: verified.authorised.authorisation.script };
        let stored_script = stored.map_or(incoming.script, |stored| stored.authorisation.script);
        let stored = hot.update.map(|update| Judged { update, script: stored_script });
        let verdict = judge(stored.as_ref(), &incoming)?;
        // What a restored receiver had before is no new money: it counts whenever it comes.
        let restored = loaded.awaits_update(db)?;
        if verdict == Verdict::Counts && restored {
            require_alive(&hot)?;
        } else if verdict == Verdict::Counts {
            require_open(&hot)?;
            loaded.check_not_gone()?;
            self.check_script(db, info, &incoming)?;
            // More than is held could only be had on chain, which that may not be worth.
            loaded.channel.terms.check_delay(info)?;
            limits(info).check(loaded.record.capacity, update.amount)?;
            let now = self.now();
            let cutoff = info.check_signer(&loaded.channel.terms.operator, now.unix())?;
            loaded.check_close_by(&now, cutoff)?;
            self.check_sight(loaded, &hot, &verified)?;
        }
        // The same once more, with other signatures: the first stay, unless the file has damaged them.
        let is_damaged = |stored: ChannelUpdate| {
            let stored = UpdateMessage { update: stored, ..message.clone() };
            self.verify_for(&stored, loaded.clone(), Some(verified.authorised.clone()), info).is_err()
        };
        let heals = verdict == Verdict::Replay
            && matches!(hot.state, ChannelState::Confirming | ChannelState::Open)
            && hot.update.is_some_and(|stored| stored != *update && is_damaged(stored));
        if verdict != Verdict::Replay || heals {
            let authorisation = verified.new_authorisation.as_deref();
            if hot.state == ChannelState::Closing {
                // The same amount for the operator's new checkpoint script: the close goes on with it, unless the
                // operator may hold what was submitted with the old one.
                if !awaits_signatures(db, &update.channel_id)? {
                    require_open(&hot)?;
                }
                db.replace_signatures(&update.channel_id, update, authorisation)?;
            } else {
                db.put_update(&update.channel_id, update, update.amount, None, authorisation)?;
            }
            loaded.caught_up(db)?;
        }
        let increase = update.amount.checked_sub(hot.amount()).unwrap_or(Amount::ZERO);
        let memo = message.memo.clone();
        Ok(Received { channel_id: update.channel_id, amount: update.amount, increase, memo })
    }

    /// Refuses new money for a checkpoint script that the operator has given up: it could not be closed with.
    fn check_script(&self, db: &Db<'_>, info: &OperatorInfo, incoming: &Judged) -> Result<()> {
        if incoming.script == info.checkpoint {
            return Ok(());
        }
        // Another process may know better.
        match net::stored(db)? {
            Some(info) if info.checkpoint == incoming.script => Ok(()),
            _ => Err(Box::new(WalletError::ReauthorisationNeeded { channel_id: incoming.update.channel_id })),
        }
    }

    /// Refuses new money when the chain has not been looked at for too long.
    fn check_sight(&self, loaded: &LoadedChannel, hot: &HotRow, verified: &Verified) -> Result<()> {
        let max_blind_seconds = self.max_blind(loaded, verified.authorised.authorisation.script.delay);
        let blind_seconds = self.now().wall.saturating_sub(hot.last_watch);
        if blind_seconds > max_blind_seconds {
            let channel_id = loaded.channel.id;
            return Err(Box::new(WalletError::Blind { channel_id, blind_seconds, max_blind_seconds }));
        }
        Ok(())
    }

    /// How long after a watch new money is taken, in seconds.
    pub(super) fn max_blind(&self, loaded: &LoadedChannel, checkpoint: crate::channel::Delay) -> u64 {
        if let Some(seconds) = self.config.max_blind_seconds {
            return seconds;
        }
        let delay = match loaded.record.funding_kind {
            FundingKind::Batch => loaded.channel.terms.d2,
            FundingKind::Offchain => checkpoint,
        };
        let seconds = match delay.unit() {
            Unit::Seconds => delay.value(),
            Unit::Blocks => delay.value() * 600,
        };
        seconds / 4
    }

    /// Proof of what has been received, for the payer. `memo` is the one of the payment it is asked for.
    pub fn receipt(&self, id: &ChannelId, memo: Option<&str>) -> Result<Receipt> {
        check_memo(memo)?;
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Receiver)?;
        let hot = self.store.read(|db| db.hot(id))?.ok_or(WalletError::NotFound)?;
        let update = hot.update.ok_or(ChannelError::NothingPaid)?;
        Ok(Receipt::sign(*id, update.amount, memo_hash(memo), &loaded.keypair))
    }
}
