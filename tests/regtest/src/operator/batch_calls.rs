//! The calls that take part in a running batch.

use std::sync::Arc;

use bitcoin::PublicKey;
use bitcoin::hashes::{Hash, sha256};
use tonic::Status;

use super::errors::{Code, refuse};
use super::psbt::{self, Unsigned};
use super::round::Session;
use super::shared::Shared;
use super::{musig, wire};

fn in_session<T>(
    shared: &Shared,
    batch_id: &str,
    key: &str,
    what: &str,
    work: impl FnOnce(&mut Session) -> Result<T, String>,
) -> Result<T, Status> {
    let result = shared.with_book(|book| {
        let session = book.session.as_mut().filter(|s| s.id == batch_id && !s.cosigners.is_empty());
        let session = session.ok_or(format!("signing session not found for round \"{batch_id}\""))?;
        if !session.cosigners.contains(key) {
            return Err(format!("cosigner {key} not found for round \"{batch_id}\""));
        }
        work(session)
    });
    shared.step();
    let refusal =
        |e| refuse(Code::Internal, format!("failed to add {what}: {e}")).with("round_id", batch_id).with("pubkey", key);
    result.map_err(|e| refusal(e).into())
}

fn check_key(key: &str) -> Result<(), Status> {
    let parsed = key.parse::<PublicKey>().ok().filter(|k| k.compressed);
    parsed.map(|_| ()).ok_or_else(|| Status::invalid_argument(format!("invalid cosigner public key {key}")))
}

/// ConfirmRegistration.
pub async fn confirm(
    shared: Arc<Shared>,
    request: wire::ConfirmRegistrationRequest,
) -> Result<wire::ConfirmRegistrationResponse, Status> {
    if request.intent_id.is_empty() {
        return Err(Status::invalid_argument("missing intent id"));
    }
    let hash = sha256::Hash::hash(request.intent_id.as_bytes()).to_byte_array();
    shared.with_book(|book| {
        let session = book.session.as_mut();
        let session =
            session.ok_or_else(|| refuse(Code::ConfirmationSessionNotStarted, "confirmation session not started"))?;
        let slot = session.confirmed.get_mut(&hash).ok_or_else(|| {
            refuse(Code::Internal, "failed to confirm intent: intent hash not found")
                .with("intent_id", &request.intent_id)
        })?;
        *slot = true;
        Ok::<_, Status>(())
    })?;
    shared.step();
    Ok(wire::ConfirmRegistrationResponse {})
}

/// SubmitTreeNonces: once for each cosigner.
pub async fn nonces(
    shared: Arc<Shared>,
    request: wire::SubmitTreeNoncesRequest,
) -> Result<wire::SubmitTreeNoncesResponse, Status> {
    if request.batch_id.is_empty() {
        return Err(Status::invalid_argument("missing batch id"));
    }
    if request.tree_nonces.is_empty() {
        return Err(Status::invalid_argument("missing tree nonces"));
    }
    let nonces = musig::read_nonces(&request.tree_nonces)
        .map_err(|e| Status::invalid_argument(format!("invalid tree nonces: {e}")))?;
    check_key(&request.pubkey)?;
    in_session(&shared, &request.batch_id, &request.pubkey, "nonces", |session| {
        if session.nonces.contains_key(&request.pubkey) {
            return Err("already there".into());
        }
        session.nonces.insert(request.pubkey.clone(), nonces);
        Ok(())
    })?;
    Ok(wire::SubmitTreeNoncesResponse {})
}

/// SubmitTreeSignatures: once for each cosigner.
pub async fn signatures(
    shared: Arc<Shared>,
    request: wire::SubmitTreeSignaturesRequest,
) -> Result<wire::SubmitTreeSignaturesResponse, Status> {
    if request.batch_id.is_empty() {
        return Err(Status::invalid_argument("missing batch id"));
    }
    check_key(&request.pubkey)?;
    if request.tree_signatures.is_empty() {
        return Err(Status::invalid_argument("missing tree signatures"));
    }
    let signatures = musig::read_signatures(&request.tree_signatures)
        .map_err(|e| Status::invalid_argument(format!("invalid tree signatures {e}")))?;
    in_session(&shared, &request.batch_id, &request.pubkey, "signatures", |session| {
        if session.signatures.contains_key(&request.pubkey) {
            return Err("already there".into());
        }
        session.signatures.insert(request.pubkey.clone(), signatures);
        Ok(())
    })?;
    Ok(wire::SubmitTreeSignaturesResponse {})
}

/// SubmitSignedForfeitTxs: forfeits, and the commitment transaction with boarding signatures.
pub async fn forfeits(
    shared: Arc<Shared>,
    request: wire::SubmitSignedForfeitTxsRequest,
) -> Result<wire::SubmitSignedForfeitTxsResponse, Status> {
    if request.signed_forfeit_txs.is_empty() && request.signed_commitment_tx.is_empty() {
        return Err(Status::invalid_argument("either forfeit txs or commitment tx must be set"));
    }
    let settings = shared.settings();
    if !request.signed_forfeit_txs.is_empty() {
        let tip = shared.tip().await.map_err(|e| Status::internal(e.to_string()))?;
        let address = settings.forfeit_address().script_pubkey();
        let taken = shared.with_book(|book| match &mut book.session {
            Some(session) => session.forfeits.take(&request.signed_forfeit_txs, &address, &tip, settings.dust),
            None => Err("forfeit txs map not initialized".into()),
        });
        taken.map_err(|e| {
            refuse(Code::InvalidForfeitTxs, format!("failed to sign forfeit txs: {e}"))
                .with("forfeit_txs", format!("[{}]", request.signed_forfeit_txs.join(" ")))
        })?;
    }
    if !request.signed_commitment_tx.is_empty() {
        commitment(&shared, &request.signed_commitment_tx)?;
    }
    shared.step();
    Ok(wire::SubmitSignedForfeitTxsResponse {})
}

fn commitment(shared: &Shared, text: &str) -> Result<(), Status> {
    let bad = |e: String| Status::from(refuse(Code::InvalidBoardingInputSig, e).with("signed_commitment_tx", text));
    let wrap = |e: String| bad(format!("failed to verify boarding tapscript sigs: {e}"));
    let packet = psbt::decode(text).map_err(wrap)?;
    let signers = shared.settings().all_signers();
    shared.with_book(|book| {
        let session = book.session.as_mut().filter(|s| s.commitment.is_some());
        let Some(session) = session else { return Err(Status::internal("something went wrong")) };
        let Some(own) = &session.commitment else { return Err(Status::internal("something went wrong")) };
        if own.unsigned_tx.compute_txid() != packet.unsigned_tx.compute_txid() {
            return Err(wrap("not this batch's commitment transaction".into()));
        }
        let prevouts = psbt::prevouts(own).map_err(wrap)?;
        let signed = psbt::verify_leaf_signatures(&packet, &prevouts, &signers, Unsigned::Skip).map_err(wrap)?;
        if signed.is_empty() {
            return Err(bad("no signed inputs found".into()));
        }
        for index in signed {
            session.boarding.insert(index, packet.inputs[index].clone());
        }
        Ok(())
    })
}
