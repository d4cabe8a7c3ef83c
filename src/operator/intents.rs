//! Intents: register, delete, fee, confirm.

use bitcoin::SignedAmount;

use super::client::CALL_LIMIT;
use super::error::{OperatorError, short};
use super::{Operator, decode, wire};
use crate::channel::intent::Intent;

pub(super) fn encode(intent: &Intent) -> wire::Intent {
    wire::Intent { proof: decode::encode_psbt(intent.proof()), message: intent.message().to_owned() }
}

impl Operator {
    /// Registers a signed intent for the next batch; answers its id.
    pub async fn register_intent(&self, intent: &Intent) -> Result<String, OperatorError> {
        let request = wire::RegisterIntentRequest { intent: Some(encode(intent)) };
        let id = self.call(CALL_LIMIT, &request).await?.intent_id;
        if id.is_empty() || id.len() > 256 {
            return Err(OperatorError::bad("RegisterIntent", format!("intent id {:?}", short(&id))));
        }
        Ok(id)
    }

    /// Takes back the queued intents that use any input of the proof. Those selected into a running batch stay.
    pub async fn delete_intent(&self, intent: &Intent) -> Result<(), OperatorError> {
        let request = wire::DeleteIntentRequest { intent: Some(encode(intent)) };
        self.call(CALL_LIMIT, &request).await.map(drop)
    }

    /// What a batch would take for these inputs and outputs, in sats: inputs minus outputs must be at least this.
    /// The intent's message must be the estimate kind; its proof needs no signatures.
    pub async fn estimate_fee(&self, intent: &Intent) -> Result<SignedAmount, OperatorError> {
        let request = wire::EstimateIntentFeeRequest { intent: Some(encode(intent)) };
        let fee = self.call(CALL_LIMIT, &request).await?.fee;
        if fee.unsigned_abs() > bitcoin::Amount::MAX_MONEY.to_sat() {
            return Err(OperatorError::bad("EstimateIntentFee", format!("a fee of {fee} sats")));
        }
        Ok(SignedAmount::from_sat(fee))
    }

    /// Says that whoever registered the intent is there.
    pub async fn confirm_registration(&self, intent_id: &str) -> Result<(), OperatorError> {
        let request = wire::ConfirmRegistrationRequest { intent_id: intent_id.to_owned() };
        self.call(CALL_LIMIT, &request).await.map(drop)
    }
}
