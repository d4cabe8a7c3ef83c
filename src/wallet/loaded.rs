//! Channels in memory: what never changes about one, computed once, and its key.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::Result;
use super::keys::{KeyUse, SecretKeypair};
use super::restore_mark::is_restored;
use super::{Wallet, WalletError};
use crate::channel::amount::Limits;
use crate::channel::deadline::{Deadlines, Timing};
use crate::channel::transactions::CloseTemplate;
use crate::channel::{Authorisation, Channel, ChannelId, ChannelTerms, Party, Unit};
use crate::store::{ChannelRecord, ChannelState, Db, HotRow, Role, StoreError};

use super::clock::Now;

/// The static part of a channel, ready for signing and verifying.
pub(super) struct LoadedChannel {
    pub channel: Channel,
    pub record: ChannelRecord,
    pub keypair: SecretKeypair,
    /// The close under the stored Authorisation, by that Authorisation's hash.
    authorised: Mutex<Option<Arc<Authorised>>>,
    /// The operator's books showed the VTXO spent or swept at the last look: nothing more is to be had from it there.
    gone: std::sync::atomic::AtomicBool,
    /// It came out of a backup, and its latest update has not been seen since.
    pub(super) restored: std::sync::atomic::AtomicBool,
}

/// An Authorisation with the close it is for.
pub(super) struct Authorised {
    pub hash: [u8; 32],
    pub authorisation: Authorisation,
    pub close: CloseTemplate,
}

impl Wallet {
    /// The channel from memory, else from the store.
    pub(super) fn loaded(&self, id: &ChannelId) -> Result<Arc<LoadedChannel>> {
        if let Some(found) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(found.clone());
        }
        let reopened = self.store.reopened();
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        let loaded = Arc::new(self.load(row.record)?);
        if row.hot.state == ChannelState::Confirming {
            // Its expiry is still to be learned, perhaps by another process.
            return Ok(loaded);
        }
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have had the file since it was read.
        if self.store.reopened() == reopened {
            all.insert(*id, loaded.clone());
        }
        Ok(loaded)
    }

    /// Remembers what the operator's books show of the channel VTXO.
    pub(super) fn mark_gone(&self, loaded: &LoadedChannel, gone: bool) -> Result<()> {
        if loaded.gone.load(Ordering::SeqCst) == gone {
            return Ok(());
        }
        let key = gone_key(&loaded.channel.id);
        self.store.write::<_, Box<WalletError>>(|db| {
            if gone { Ok(db.set_meta(&key, &[1])?) } else { Ok(db.delete_meta(&key)?) }
        })?;
        loaded.gone.store(gone, Ordering::SeqCst);
        Ok(())
    }

    /// Forgets what is in memory of a channel, after its record changed.
    pub(super) fn unload(&self, id: &ChannelId) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn load(&self, record: ChannelRecord) -> Result<LoadedChannel> {
        let corrupt = |what: &str| StoreError::Corrupt { what: what.into() };
        let terms = ChannelTerms::from_canonical(&record.terms)?;
        let channel = Channel::new(terms, record.funding)?;
        if channel.id != record.id {
            return Err(corrupt("terms of a channel").into());
        }
        let (key_use, key) = match record.role {
            Role::Payer => (KeyUse::Payer, terms.payer.key),
            Role::Receiver => (KeyUse::Receiver, terms.receiver.key),
        };
        let keypair = self.keys.keypair(key_use, record.key_index).map_err(|error| match *error {
            WalletError::KeyDerivation => Box::new(corrupt("key index of a channel").into()),
            _ => error,
        })?;
        if keypair.xonly() != key {
            return Err(corrupt("key index of a channel").into());
        }
        let (gone, restored) = self.store.read::<_, Box<WalletError>>(|db| {
            Ok((db.meta(&gone_key(&channel.id))?.is_some(), is_restored(db, &channel.id)?))
        })?;
        let [gone, restored] = [gone, restored].map(std::sync::atomic::AtomicBool::new);
        Ok(LoadedChannel { channel, record, keypair, authorised: Mutex::new(None), gone, restored })
    }

    /// The Authorisation that the hot row names, with its close.
    pub(super) fn authorised(
        &self,
        db: &Db<'_>,
        loaded: &LoadedChannel,
        hot: &HotRow,
    ) -> Result<Option<Arc<Authorised>>> {
        let Some(hash) = hot.authorisation_hash else { return Ok(None) };
        if let Some(cached) = loaded.latest().filter(|cached| cached.hash == hash) {
            return Ok(Some(cached));
        }
        let Some(bytes) = db.authorisation(&hot.id)? else { return Ok(None) };
        Ok(Some(loaded.remember(hash, Authorisation::from_bytes(&bytes)?)?))
    }
}

impl LoadedChannel {
    /// What is in memory. Another process may have stored a newer one: only the hash in the hot row decides.
    pub fn latest(&self) -> Option<Arc<Authorised>> {
        self.authorised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the close of an Authorisation in memory.
    pub fn remember(&self, hash: [u8; 32], authorisation: Authorisation) -> Result<Arc<Authorised>> {
        let close = self.channel.close_template(authorisation.script)?;
        let authorised = Arc::new(Authorised { hash, authorisation, close });
        *self.authorised.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorised.clone());
        Ok(authorised)
    }

    /// Refuses new money in a VTXO that the operator's books show spent or swept.
    pub fn check_not_gone(&self) -> Result<()> {
        match self.gone.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(Box::new(WalletError::AlreadySpent { channel_id: self.channel.id, spent_by: None })),
            false => Ok(()),
        }
    }

    /// The keys and payouts of this wallet's side.
    pub fn own_side(&self) -> &Party {
        match self.record.role {
            Role::Payer => &self.channel.terms.payer,
            Role::Receiver => &self.channel.terms.receiver,
        }
    }

    pub fn unit(&self) -> Unit {
        self.channel.terms.unit()
    }

    /// When the VTXO expires, by everything that counts: the sweep leaves, and the operator's clock, which in block
    /// units runs a second a block.
    pub fn expiry(&self, now: &Now) -> u64 {
        let record = &self.record;
        if record.expires_at == 0 {
            return record.expiry;
        }
        match self.unit() {
            Unit::Seconds => record.expiry.min(record.expires_at),
            Unit::Blocks => record.expiry.min(now.height.saturating_add(record.expires_at.saturating_sub(now.wall))),
        }
    }

    /// Whether the VTXO has expired, by whoever says so first.
    pub fn has_expired(&self, now: &Now) -> bool {
        now.latest(self.unit()) >= self.expiry(now)
    }

    pub fn deadlines(&self, now: &Now, cutoff: Option<u64>) -> Deadlines {
        let record = &self.record;
        let expiry = self.expiry(now);
        Timing::of(&self.channel.terms, record.batch_expiry.value(), expiry, record.levels.into(), cutoff).deadlines()
    }

    /// Refuses when the channel takes no more payments.
    pub fn check_close_by(&self, now: &Now, cutoff: Option<u64>) -> Result<()> {
        let close_by = self.deadlines(now, cutoff).close_by;
        let moment = now.latest(self.unit());
        if moment >= close_by {
            return Err(Box::new(WalletError::PastCloseBy { channel_id: self.channel.id, close_by, now: moment }));
        }
        Ok(())
    }
}

/// The bounds payments of this wallet keep to.
pub(super) fn limits(info: &crate::channel::OperatorInfo) -> Limits {
    Limits::of(info)
}

fn gone_key(id: &ChannelId) -> String {
    format!("gone:{id}")
}
