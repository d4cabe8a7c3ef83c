//! What a refusal of the operator leads to, and whether leaving on chain is worth it.

use bitcoin::Amount;

use crate::channel::{ChannelError, ChannelId};
use crate::operator::code;
use crate::store::{ChannelRow, Role};
use crate::wallet::batch::decode;
use crate::wallet::coins::sum;
use crate::wallet::error::Result;
use crate::wallet::exit::paid_for;
use crate::wallet::offchain::OffchainData;
use crate::wallet::refund::refund_flow;
use crate::wallet::{ExitReason, Wallet, WalletError};

/// A claim is to be confirmed within so many blocks.
const AIM: u16 = 6;

impl Wallet {
    /// Why a channel is to be left on chain after its close or refund failed like that; `None` where trying again may
    /// help. The operator is asked once more: one word of it is not enough.
    pub(super) async fn leaves_after(&self, row: &ChannelRow, error: &WalletError) -> Option<ExitReason> {
        if matches!(error, WalletError::FinalizeFailed { .. }) {
            return Some(ExitReason::NotFinalized);
        }
        let loaded = self.loaded(&row.record.id).ok().filter(|_| row.hot.role == Role::Receiver)?;
        let terms = &loaded.channel.terms;
        let script = matches!(error, WalletError::Operator(error) if error.is(code::INVALID_VTXO_SCRIPT));
        let signer = matches!(error, WalletError::Channel(ChannelError::WrongOperator { .. }));
        if !script && !signer {
            return None;
        }
        let info = self.fresh_info().await.ok()?;
        // It raised the delay above d1, and takes the channel no more.
        let raised = terms.check_delay(&info).is_err();
        // It signs no more with the key that is in the channel.
        let retired = || info.check_signer(&terms.operator, self.now().unix()).is_err();
        (script && raised || signer && retired()).then_some(ExitReason::OperatorRefuses)
    }

    /// Whether the operator has signed the refund of a channel, and then refused to finalize it at least once.
    pub(super) fn is_refund_refused(&self, id: &ChannelId) -> Result<bool> {
        let Some(flow) = self.store.read(|db| db.flow(&refund_flow(id)))? else { return Ok(false) };
        Ok(decode::<OffchainData>(&flow)?.refused_at.is_some())
    }

    /// Refuses to leave on chain what is worth less than that would cost. What this wallet has beside the channel comes on
    /// chain with it.
    pub(in crate::wallet) async fn check_worth(&self, row: &ChannelRow) -> Result<()> {
        let own = match row.hot.role {
            Role::Receiver => row.hot.amount(),
            Role::Payer => row.record.capacity.checked_sub(row.hot.high).unwrap_or(Amount::ZERO),
        };
        let amount = sum([own, self.beside(&row.record.funding)?]);
        let size = self.channel_info(row.clone())?.exit_vbytes;
        // As in an exit itself: a server without estimates holds nobody up.
        let rate = self.net.chain.fees().await.unwrap_or_default().within(AIM);
        let fee = paid_for(rate, amount, size);
        match amount.checked_sub(fee) {
            Some(left) if left > Amount::ZERO => Ok(()),
            left => {
                let left = left.unwrap_or(Amount::ZERO);
                Err(Box::new(WalletError::FeesLeaveTooLittle { fee, left, minimum: Amount::ONE_SAT }))
            }
        }
    }
}
