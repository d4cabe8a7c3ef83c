//! What leaves: nonces and signatures of the tree, and at last what spends the inputs.

use std::time::Duration;

use bitcoin::OutPoint;

use super::connectors::Connector;
use super::session::{Ready, Session};
use super::{BatchInput, BatchPlan, InputKind, commitment, forfeit};
use crate::operator::client::CALL_LIMIT;
use crate::operator::error::{OperatorError, Phase, short};
use crate::operator::{Operator, decode, wire};

/// Sending forfeits: arkd checks them all before it answers.
const FORFEIT_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn send_nonces(
    operator: &Operator,
    request: wire::SubmitTreeNoncesRequest,
) -> Result<(), OperatorError> {
    operator.call(CALL_LIMIT, &request).await.map(drop).map_err(|error| batch_over(error, Phase::Signing))
}

pub(super) async fn send_signatures(
    operator: &Operator,
    request: wire::SubmitTreeSignaturesRequest,
) -> Result<(), OperatorError> {
    operator.call(CALL_LIMIT, &request).await.map(drop).map_err(|error| batch_over(error, Phase::Signing))
}

/// A call of the session that is refused: the batch has ended, or ends without us. Its failure may still be on its way
/// over the stream.
pub(super) fn batch_over(error: OperatorError, phase: Phase) -> OperatorError {
    match error {
        OperatorError::Refused { call, error } => {
            OperatorError::BatchFailed { reason: short(&format!("{call} was refused: {error}")), phase }
        }
        other => other,
    }
}

/// What is needed to sign the inputs away, collected and checked before the observer says yes.
pub(super) struct Signatures<'a> {
    forfeits: Vec<(&'a BatchInput, Connector)>,
    boarding: Vec<&'a BatchInput>,
}

impl<'a> Signatures<'a> {
    pub(super) fn of(plan: &'a BatchPlan, session: &Session<'_>, ready: &Ready) -> Result<Self, OperatorError> {
        let of_kind = |kind| plan.inputs.iter().filter(move |input| input.kind == kind);
        let vtxos: Vec<OutPoint> = of_kind(InputKind::Vtxo).map(|input| input.coin.outpoint).collect();
        let connectors = session.connectors.assign(&vtxos, &ready.outcome.commitment)?;
        let boarding: Vec<&BatchInput> = of_kind(InputKind::Boarding).collect();
        let spent = |outpoint: &OutPoint| {
            ready.outcome.commitment.input.iter().filter(|input| input.previous_output == *outpoint).count()
        };
        if let Some(input) = boarding.iter().find(|input| spent(&input.coin.outpoint) != 1) {
            return Err(OperatorError::refuse(format!("{} is not spent", input.coin.outpoint)));
        }
        Ok(Self { forfeits: of_kind(InputKind::Vtxo).zip(connectors).collect(), boarding })
    }

    pub(super) fn sign(&self, operator: &Operator, ready: &Ready) -> Result<Signed, OperatorError> {
        let forfeit_script = operator.info().forfeit_script.clone();
        let forfeits = self
            .forfeits
            .iter()
            .map(|(input, connector)| forfeit::sign(input, connector, &forfeit_script))
            .map(|psbt| psbt.map(|psbt| decode::encode_psbt(&psbt)));
        Ok(Signed {
            forfeits: forfeits.collect::<Result<Vec<_>, OperatorError>>()?,
            commitment: commitment::sign_boarding(&ready.commitment, &self.boarding)?
                .map(|psbt| decode::encode_psbt(&psbt))
                .unwrap_or_default(),
        })
    }
}

/// Base64 PSBTs, on their way out.
pub(super) struct Signed {
    forfeits: Vec<String>,
    commitment: String,
}

impl Signed {
    pub(super) async fn send(self, operator: &Operator) -> Result<(), OperatorError> {
        if self.forfeits.is_empty() && self.commitment.is_empty() {
            return Ok(());
        }
        let request = wire::SubmitSignedForfeitTxsRequest {
            signed_forfeit_txs: self.forfeits,
            signed_commitment_tx: self.commitment,
        };
        operator.call(FORFEIT_LIMIT, &request).await.map(drop)
    }
}
