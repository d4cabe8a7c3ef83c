//! Calls of a batch that does not run.

use std::collections::HashMap;

use regtest::operator::wire;

use super::Answers;
use crate::operator_support::Party;

pub async fn all(alice: &mut Party, answers: &mut Answers) {
    let confirm = |id: &str| wire::ConfirmRegistrationRequest { intent_id: id.into() };
    answers.note("confirm nothing", alice.ark.confirm_registration(confirm("")).await);
    let txid = "22".repeat(32);
    let nonce = "02".to_owned() + &"11".repeat(32) + "02" + &"11".repeat(32);
    let pubkey = alice.cosigner_key();
    let nonces = |batch: &str, key: &str, nonce: Option<&str>| wire::SubmitTreeNoncesRequest {
        batch_id: batch.into(),
        pubkey: key.into(),
        tree_nonces: nonce.map(|n| HashMap::from([(txid.clone(), n.to_owned())])).unwrap_or_default(),
    };
    for (name, request) in [
        ("nonces for no batch", nonces("", &pubkey, Some(&nonce))),
        ("no nonces", nonces("nope", &pubkey, None)),
        ("short nonces", nonces("nope", &pubkey, Some("02"))),
        ("nonces of no key", nonces("nope", "", Some(&nonce))),
        ("nonces of a bad key", nonces("nope", "02ab", Some(&nonce))),
        ("nonces for an unknown batch", nonces("nope", &pubkey, Some(&nonce))),
    ] {
        answers.note(name, alice.ark.submit_tree_nonces(request).await);
    }
    let signatures = |batch: &str, key: &str, signature: Option<&str>| wire::SubmitTreeSignaturesRequest {
        batch_id: batch.into(),
        pubkey: key.into(),
        tree_signatures: signature.map(|s| HashMap::from([(txid.clone(), s.to_owned())])).unwrap_or_default(),
    };
    let signature = "11".repeat(32);
    for (name, request) in [
        ("signatures for no batch", signatures("", &pubkey, Some(&signature))),
        ("no signatures", signatures("nope", &pubkey, None)),
        ("short signatures", signatures("nope", &pubkey, Some("11"))),
        ("signatures for an unknown batch", signatures("nope", &pubkey, Some(&signature))),
    ] {
        answers.note(name, alice.ark.submit_tree_signatures(request).await);
    }
    let forfeits = |forfeits: &[&str], commitment: &str| wire::SubmitSignedForfeitTxsRequest {
        signed_forfeit_txs: forfeits.iter().map(|f| (*f).to_owned()).collect(),
        signed_commitment_tx: commitment.into(),
    };
    for (name, request) in [
        ("neither forfeits nor commitment", forfeits(&[], "")),
        ("garbage forfeits", forfeits(&["aGVsbG8="], "")),
        ("a garbage commitment", forfeits(&[], "aGVsbG8=")),
    ] {
        answers.note(name, alice.ark.submit_signed_forfeit_txs(request).await);
    }
    let topics = |id: &str, change| wire::UpdateStreamTopicsRequest { stream_id: id.into(), topics_change: change };
    use wire::update_stream_topics_request::TopicsChange;
    let overwrite = Some(TopicsChange::Overwrite(wire::OverwriteTopics { topics: vec!["x".into()] }));
    let empty = Some(TopicsChange::Modify(wire::ModifyTopics::default()));
    for (name, request) in [
        ("topics of no stream", topics("", overwrite.clone())),
        ("topics of an unknown stream", topics("nope", overwrite)),
        ("no topics", topics("nope", None)),
        ("no topics to change", topics("nope", empty)),
    ] {
        answers.note(name, alice.ark.update_stream_topics(request).await);
    }
}
