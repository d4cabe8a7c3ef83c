//! What became of attempts at an opening: a batch whose end was not seen, or that "failed" after everything was
//! signed, may have made the channel all the same.

use bitcoin::Txid;

use super::batch::{BatchData, OutcomeData, decode};
use super::error::Result;
use super::keys::KeyUse;
use super::{Wallet, WalletError};
use crate::channel::ChannelId;
use crate::channel::message::Offer;
use crate::store::{Flow, Role};

/// What a look at chain and books showed.
pub(super) enum Found {
    /// The channel came to be; it is stored and the flow is gone.
    Channel(ChannelId),
    /// It is in the books, but its commitment transaction is not confirmed, so it cannot be checked yet.
    Unconfirmed(Txid),
    /// Neither.
    Nothing,
}

impl BatchData {
    /// Whether a batch that was signed for may still come.
    pub fn has_attempts(&self) -> bool {
        self.outcome.is_some() || !self.earlier.is_empty()
    }

    /// The commitment transactions of batches that were signed for.
    pub fn commitments(&self) -> impl Iterator<Item = &Txid> {
        self.outcome.iter().chain(&self.earlier).map(|attempt| &attempt.commitment)
    }

    /// The attempts that got as far as a stored branch, the latest first.
    fn attempts(&self) -> impl Iterator<Item = &OutcomeData> {
        self.outcome.iter().chain(self.earlier.iter().rev()).filter(|attempt| !attempt.leaves.is_empty())
    }

    /// The commitment transaction of the latest attempt.
    pub fn latest_attempt(&self) -> Option<Txid> {
        self.outcome.iter().chain(self.earlier.iter().rev()).map(|attempt| attempt.commitment).next()
    }
}

impl Wallet {
    /// Looks whether any attempt of a flow made the channel: first those whose branch is stored, then by the channel's
    /// script in the operator's books.
    pub(super) async fn find_opened(&self, flow: &Flow, role: Role) -> Result<Found> {
        let data: BatchData = decode(flow)?;
        for attempt in data.attempts() {
            if self.batch_went_through(attempt, &data).await? == Some(true) {
                return self.complete_opening(flow.id, attempt, role).map(Found::Channel);
            }
        }
        let opening = data.opening.ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let script = offer.terms.tree()?.script_pubkey();
        let books = self.net.operator().await?.vtxos_by_scripts(std::slice::from_ref(&script)).await?;
        let cosigner = self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?.public_key();
        let mut found = Ok(Found::Nothing);
        // Anybody can pay to this script; what was not co-signed here is somebody else's.
        for vtxo in books.iter().filter(|vtxo| vtxo.amount == offer.terms.capacity && !vtxo.preconfirmed) {
            found = match self.outcome_of(vtxo, &offer, &cosigner).await.map_err(|error| *error) {
                Ok(outcome) => return self.complete_opening(flow.id, &outcome, role).map(Found::Channel),
                Err(WalletError::NotConfirmed { txid, .. }) => Ok(Found::Unconfirmed(txid)),
                Err(error) => Err(error.into()),
            };
        }
        found
    }
}
