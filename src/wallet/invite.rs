//! Inviting: the receiver says what channels it takes.

use bitcoin::Amount;

use super::error::Result;
use super::keys::KeyUse;
use super::pay::check_memo;
use super::{Wallet, WalletError};
use crate::channel::message::{Bounds, Invite};
use crate::channel::{Delay, OperatorInfo, Party, Payout};
use crate::store::{Db, Invite as StoredInvite};

/// What a receiver asks for. [`Default`] is what most want.
#[derive(Debug, Clone)]
pub struct InviteRequest {
    pub min_capacity: Amount,
    /// `None`: whatever the operator allows.
    pub max_capacity: Option<Amount>,
    /// From now to the refund locktime, in the operator's unit (seconds, or blocks on regtest).
    pub min_lifetime: u64,
    pub max_lifetime: u64,
    /// A margin on the operator's exit delay, in its unit: should it raise the delay later, closing still works.
    pub delay_margin: u64,
    /// The least d2 − d1; `None`: the operator's exit delay.
    pub min_gap: Option<u64>,
    pub batch_funding: bool,
    pub offchain_funding: bool,
    /// Whether the payer may keep the authorisation to close until it is asked: closing then needs it online.
    pub on_close: bool,
    pub memo: Option<String>,
    /// How long the invite is good, in seconds.
    pub valid_seconds: u64,
}

impl Default for InviteRequest {
    fn default() -> Self {
        Self {
            min_capacity: Amount::from_sat(1),
            max_capacity: None,
            min_lifetime: 0,
            max_lifetime: 365 * 24 * 3600,
            delay_margin: 0,
            min_gap: None,
            batch_funding: true,
            offchain_funding: true,
            on_close: false,
            memo: None,
            valid_seconds: 24 * 3600,
        }
    }
}

impl Wallet {
    /// An invite for one channel; stored before it is handed out.
    pub fn create_invite(&self, request: &InviteRequest) -> Result<Invite> {
        check_memo(request.memo.as_deref())?;
        let info = self.info()?;
        let exit = info.unilateral_exit_delay;
        let min_d1 = Delay::at_least(exit.unit(), exit.value().saturating_add(request.delay_margin))?;
        let max_d1 = Delay::at_least(exit.unit(), min_d1.value().saturating_mul(4)).unwrap_or(min_d1);
        let expires_at = self.now().unix().saturating_add(request.valid_seconds.min(365 * 24 * 3600));
        let min_capacity = request.min_capacity.max(info.min_amount());
        let max_capacity = request.max_capacity.unwrap_or(Amount::MAX_MONEY).min(info.max_amount());
        if min_capacity > max_capacity {
            return Err(Box::new(WalletError::AmountTooLarge { amount: min_capacity, maximum: max_capacity }));
        }
        self.store.write(|db| {
            let (key_index, receiver) = self.fresh_party(db, &info, KeyUse::Receiver)?;
            let invite = Invite {
                network: info.network,
                operator: info.signer,
                receiver,
                cosigner: self.keys.keypair(KeyUse::Cosigner, key_index)?.public_key(),
                bounds: Bounds {
                    min_capacity,
                    max_capacity,
                    min_lifetime: request.min_lifetime,
                    max_lifetime: request.max_lifetime,
                    min_d1,
                    max_d1,
                    min_gap: request.min_gap.unwrap_or(exit.value()),
                    batch_funding: request.batch_funding,
                    offchain_funding: request.offchain_funding,
                    on_close: request.on_close,
                },
                memo: request.memo.clone().filter(|memo| !memo.is_empty()),
                expires_at,
            };
            db.insert_invite(&StoredInvite {
                id: invite.id(),
                encoded: invite.to_text()?.into_bytes(),
                key_index,
                expires_at,
                used: false,
            })?;
            Ok(invite)
        })
    }

    /// One side of a new channel: a channel key, a fresh VTXO script and a fresh on-chain address, all of our own.
    pub(super) fn fresh_party(&self, db: &Db<'_>, info: &OperatorInfo, key_use: KeyUse) -> Result<(u32, Party)> {
        let key_index = db.next_key_index()?;
        let key = self.keys.keypair(key_use, key_index)?.xonly();
        let vtxo = self.fresh_vtxo(db, info)?;
        let ark_payout = Payout::from_script(&vtxo.script)?;
        let chain_payout = self.fresh_chain_payout(db, info)?;
        Ok((key_index, Party { key, ark_payout, chain_payout }))
    }
}
