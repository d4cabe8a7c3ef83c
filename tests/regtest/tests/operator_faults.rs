//! The operator fails as it is told to, and is well again afterwards.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use operator_support::{Coin, Party, code};
use regtest::Node;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::wire::{self, IndexerVtxo};
use regtest::operator::{Action, Call, Claim, Code, Knob, Operator, Phase, Settings, Unit, psbt};
use tokio::time::timeout;

fn place(vtxo: &IndexerVtxo) -> OutPoint {
    let outpoint = vtxo.outpoint.as_ref().unwrap();
    OutPoint::new(outpoint.txid.parse().unwrap(), outpoint.vout)
}

async fn operator() -> (Node, Operator) {
    let node = Node::start().await.unwrap();
    let settings = Settings { session: Duration::from_secs(4), auto_mine: true, ..Settings::for_unit(Unit::Seconds) };
    (node.clone(), Operator::start(node, settings).await.unwrap())
}

async fn funded(operator: &Operator, node: &Node) -> (Party, Coin) {
    let mut party = Party::new(operator).await;
    let boarding = party.board(node, 100_000).await;
    party.settle(&[boarding], vec![party.vtxo_output(100_000)]).await.unwrap();
    let vtxos = party.vtxos(&party.vtxo_tree().script_pubkey()).await;
    let coin = party.coin(place(&vtxos[0]), 100_000);
    (party, coin)
}

/// Whether a call comes through once the client has noticed that its connection is gone: the first after it may not.
async fn answers_again(party: &mut Party) -> bool {
    for _ in 0..50 {
        if party.ark.get_info(wire::GetInfoRequest {}).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_dropped_delayed_refused_garbled_and_lost() {
    let (node, operator) = operator().await;
    let (mut alice, coin) = funded(&operator, &node).await;
    let faults = operator.faults();
    let info = wire::GetInfoRequest {};

    faults.once(Call::GetInfo, Action::Drop);
    assert!(alice.ark.get_info(info).await.is_err());
    assert!(answers_again(&mut alice).await, "the next connection works");
    faults.once(Call::GetInfo, Action::Delay(Duration::from_millis(300)));
    assert!(timeout(Duration::from_millis(100), alice.ark.get_info(info)).await.is_err());
    faults.once(Call::GetInfo, Action::Hang);
    assert!(timeout(Duration::from_millis(500), alice.ark.get_info(info)).await.is_err());
    faults.times(Call::GetInfo, Action::Refuse(Code::VtxoBanned, "on purpose".into()), 2);
    for _ in 0..2 {
        let refused = alice.ark.get_info(info).await.unwrap_err();
        assert_eq!((code(&refused), refused.message()), (29, "VTXO_BANNED (29): on purpose"));
    }
    faults.once(Call::GetInfo, Action::Status(tonic::Code::Unavailable, "away".into()));
    assert_eq!(alice.ark.get_info(info).await.unwrap_err().code(), tonic::Code::Unavailable);
    faults.once(Call::GetInfo, Action::Garbage);
    assert_eq!(alice.ark.get_info(info).await.unwrap().into_inner().signer_pubkey, "rubbish");
    faults.once(Call::GetInfo, Action::RawGarbage);
    assert!(timeout(Duration::from_secs(5), alice.ark.get_info(info)).await.unwrap().is_err());
    assert!(answers_again(&mut alice).await, "the next connection works");

    let (ark, checkpoints) = alice.offchain(std::slice::from_ref(&coin), vec![alice.vtxo_output(100_000)]);
    faults.once(Call::SubmitTx, Action::LoseAnswer);
    assert!(alice.submit(&ark, &checkpoints).await.is_err());
    assert!(operator.vtxo(&coin.outpoint).unwrap().is_spent, "it was carried out");
    assert!(answers_again(&mut alice).await, "the next connection works");
    let intent = operator_support::signed_intent(
        &[coin],
        Vec::new(),
        operator_support::short_message("get-pending-tx"),
        &[&alice.key],
    );
    let request =
        wire::GetPendingTxRequest { identifier: Some(wire::get_pending_tx_request::Identifier::Intent(intent)) };
    let pending = alice.ark.get_pending_tx(request).await.unwrap().into_inner().pending_txs.remove(0);
    let answer = wire::SubmitTxResponse {
        ark_txid: pending.ark_txid,
        final_ark_tx: pending.final_ark_tx,
        signed_checkpoint_txs: pending.signed_checkpoint_txs,
    };
    faults.once(Call::FinalizeTx, Action::AnswerError);
    assert!(alice.finalize(&answer).await.is_err());
    let made = OutPoint::new(answer.ark_txid.parse().unwrap(), 0);
    assert!(operator.vtxo(&made).is_some(), "it was carried out");
    assert_eq!(faults.seen(Call::FinalizeTx), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_submission_can_be_wrong() {
    let (node, operator) = operator().await;
    let signer = operator.settings().signer_key();
    let mut seen = Vec::new();
    for knob in [
        Knob::WrongCheckpointSignature,
        Knob::MissingCheckpointSignature,
        Knob::OtherCheckpoint,
        Knob::WrongArkSignature,
        Knob::MissingArkSignature,
    ] {
        let (mut alice, coin) = funded(&operator, &node).await;
        let (ark, checkpoints) = alice.offchain(&[coin], vec![alice.vtxo_output(100_000)]);
        operator.faults().turn_once(knob);
        let answer = alice.submit(&ark, &checkpoints).await.unwrap();
        let verdict = |text: &str| {
            let packet = psbt::decode(text).unwrap();
            let prevouts = psbt::prevouts(&packet).unwrap();
            let valid = psbt::verify_leaf_signatures(&packet, &prevouts, &[alice.x()], psbt::Unsigned::Refuse).is_ok();
            let signed = packet.inputs[0].tap_script_sigs.keys().any(|(k, _)| *k == signer);
            (packet.unsigned_tx.compute_txid(), valid, signed)
        };
        let (ark_txid, ark_valid, ark_signed) = verdict(&answer.final_ark_tx);
        let (id, valid, signed) = verdict(&answer.signed_checkpoint_txs[0]);
        assert_eq!(ark_txid, ark.unsigned_tx.compute_txid());
        seen.push((valid, signed, id == checkpoints[0].unsigned_tx.compute_txid(), ark_valid, ark_signed));
    }
    assert_eq!(
        seen,
        [
            (false, true, true, true, true),
            (false, false, true, true, true),
            (false, true, false, true, true),
            (true, true, true, false, true),
            (true, true, true, false, false),
        ]
    );
}

/// A batch in which the operator does one thing wrong: what the payer saw, and how it ended for it.
async fn batch_with(operator: &Operator, node: &Node, knob: Knob) -> (Vec<Event>, bool, Coin) {
    let (mut alice, coin) = funded(operator, node).await;
    operator.faults().turn_once(knob);
    let coins = [coin.clone()];
    let mut stream = alice.listen(&coins).await;
    let other = Party::new(operator).await;
    let cosigners = [alice.cosigner_key(), other.cosigner_key()];
    let few = match knob {
        Knob::MissingCosigner(_) => &cosigners[..],
        _ => &cosigners[..1],
    };
    let id = alice.register_with(&coins, vec![alice.vtxo_output(100_000)], few, &[]).await.unwrap();
    let mut watcher = alice.listen(&coins).await;
    let ended = tokio::spawn(async move { alice.follow(&mut stream, Some(id), &coins).await });
    while let Ok(Some(event)) = timeout(Duration::from_secs(6), watcher.next()).await {
        if matches!(event, Event::BatchFinalized(_) | Event::BatchFailed(_)) {
            break;
        }
    }
    let well = matches!(ended.await, Ok(Ok(_)));
    operator.faults().clear();
    (watcher.seen, well, coin)
}

fn trees(events: &[Event], index: i32) -> Vec<bitcoin::Psbt> {
    let all = events.iter().filter_map(|e| match e {
        Event::TreeTx(tx) if tx.batch_index == index => Some(psbt::decode(&tx.tx).unwrap()),
        _ => None,
    });
    all.collect()
}

fn commitments(events: &[Event]) -> (Txid, Option<Txid>) {
    let id = |text: &str| psbt::decode(text).unwrap().unsigned_tx.compute_txid();
    let mut ids = (None, None);
    for event in events {
        match event {
            Event::TreeSigningStarted(e) => ids.0 = Some(id(&e.unsigned_commitment_tx)),
            Event::BatchFinalization(e) => ids.1 = Some(id(&e.commitment_tx)),
            _ => {}
        }
    }
    (ids.0.unwrap(), ids.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_can_be_wrong() {
    let (node, operator) = operator().await;
    let (events, _, coin) = batch_with(&operator, &node, Knob::WrongLeafScript).await;
    assert_ne!(trees(&events, 0)[0].unsigned_tx.output[0].script_pubkey, coin.tree.script_pubkey());
    let (events, _, _) = batch_with(&operator, &node, Knob::WrongLeafAmount).await;
    assert_eq!(trees(&events, 0)[0].unsigned_tx.output[0].value.to_sat(), 99_999);
    let (events, _, _) = batch_with(&operator, &node, Knob::MissingCosigner(1)).await;
    let cosigners = trees(&events, 0)[0].inputs[0].unknown.keys().filter(|k| k.key.starts_with(b"cosigner")).count();
    assert_eq!(cosigners, 2, "the payer and the operator");
    let (_, well, _) = batch_with(&operator, &node, Knob::WrongSweepKey).await;
    assert!(!well, "the payer's key does not fit");
    let (events, well, _) = batch_with(&operator, &node, Knob::WrongParent).await;
    assert!(!well && trees(&events, 0)[0].unsigned_tx.input[0].previous_output.txid != commitments(&events).0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_batch_can_be_wrong() {
    let (node, operator) = operator().await;
    let (events, _, _) = batch_with(&operator, &node, Knob::OtherCommitment).await;
    let (signed, shown) = commitments(&events);
    assert_ne!(Some(signed), shown);
    let (events, _, _) = batch_with(&operator, &node, Knob::ForeignConnector).await;
    assert_ne!(trees(&events, 1)[0].unsigned_tx.input[0].previous_output.txid, commitments(&events).0);
    let signatures = |events: &[Event]| events.iter().filter(|e| matches!(e, Event::TreeSignature(_))).count();
    let (events, _, _) = batch_with(&operator, &node, Knob::MissingTreeSignature).await;
    assert_eq!(signatures(&events), 0);
    let (_, well, _) = batch_with(&operator, &node, Knob::WrongTreeSignature).await;
    assert!(!well, "it does not verify");
    let (events, _, _) = batch_with(&operator, &node, Knob::RepeatNonces).await;
    let aggregated: Vec<_> = events.iter().filter(|e| matches!(e, Event::TreeNoncesAggregated(_))).collect();
    assert!(aggregated.len() == 2 && aggregated[0] != aggregated[1]);
    let (events, well, _) = batch_with(&operator, &node, Knob::HoldCommitment).await;
    assert!(well && node.transaction(&commitments(&events).0).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_fail_at_every_phase() {
    let (node, operator) = operator().await;
    for phase in [Phase::Started, Phase::Nonces, Phase::Signatures, Phase::Forfeits, Phase::Broadcast] {
        let (events, well, coin) = batch_with(&operator, &node, Knob::FailBatch(phase)).await;
        assert!(!well, "{phase:?}");
        let Some(Event::BatchFailed(failed)) = events.last() else { panic!("{phase:?}: {:?}", events.last()) };
        assert!(failed.reason.starts_with("INTERNAL_ERROR (0): failed on purpose"));
        assert!(!operator.vtxo(&coin.outpoint).unwrap().is_spent);
    }
    let (_, well, _) = batch_with(&operator, &node, Knob::StaleNew).await;
    assert!(well, "all is well again");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_at_every_phase() {
    let (node, operator) = operator().await;
    for phase in [Phase::Started, Phase::Nonces, Phase::Signatures, Phase::Forfeits, Phase::Finalized] {
        let (events, well, _) = batch_with(&operator, &node, Knob::DropStreams(phase)).await;
        assert!(!well && !matches!(events.last(), Some(Event::BatchFinalized(_) | Event::BatchFailed(_))), "{phase:?}");
    }
    let (_, well, _) = batch_with(&operator, &node, Knob::StaleNew).await;
    assert!(well, "all is well again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_indexer_lies_and_settings_change_the_digest() {
    let (node, operator) = operator().await;
    let (mut alice, coin) = funded(&operator, &node).await;
    let script = alice.vtxo_tree().script_pubkey();
    operator.faults().claim(coin.outpoint, Claim { swept: Some(true), spent: Some(true), ..Claim::default() });
    let shown = alice.vtxos(&script).await.remove(0);
    assert!(shown.is_swept && shown.is_spent && !shown.is_unrolled);
    operator.faults().clear();
    let (ark, checkpoints) = alice.offchain(&[coin], vec![alice.vtxo_output(100_000)]);
    alice.submit(&ark, &checkpoints).await.unwrap();
    operator.faults().turn(Knob::StaleSpent);
    assert!(!alice.vtxos(&script).await[0].is_spent);
    operator.faults().release(Knob::StaleSpent);
    assert!(alice.vtxos(&script).await[0].is_spent);

    let before = operator.settings().digest();
    let call = |digest: &str, version: &str| {
        let mut request = tonic::Request::new(wire::ConfirmRegistrationRequest { intent_id: "x".into() });
        request.metadata_mut().insert("x-digest", digest.parse().unwrap());
        request.metadata_mut().insert("x-build-version", version.parse().unwrap());
        request
    };
    let refused = alice.ark.confirm_registration(call(&before, "0.9.15")).await.unwrap_err();
    assert_eq!(code(&refused), 25);
    operator.change(|s| {
        s.vtxo_max = 1_000_000;
        s.min_build_version = "0.9.15".into();
    });
    let stale = alice.ark.confirm_registration(call(&before, "0.9.15")).await.unwrap_err();
    assert_eq!((code(&stale), stale.code()), (49, tonic::Code::FailedPrecondition));
    let old = alice.ark.confirm_registration(call(&operator.settings().digest(), "0.9.14")).await.unwrap_err();
    assert_eq!((code(&old), old.code()), (48, tonic::Code::FailedPrecondition));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_operator_comes_back_with_its_books() {
    let (node, operator) = operator().await;
    let (mut alice, coin) = funded(&operator, &node).await;
    let mut stream = alice.listen(std::slice::from_ref(&coin)).await;
    stream.next().await.unwrap();
    let stopped = operator.stop().await;
    assert!(stream.next().await.is_none(), "the stream ended");
    assert!(alice.ark.get_info(wire::GetInfoRequest {}).await.is_err());
    let operator = stopped.start().await.unwrap();
    assert_eq!(alice.vtxos(&alice.vtxo_tree().script_pubkey()).await.len(), 1, "the same client goes on");
    alice.settle(&[coin], vec![alice.vtxo_output(100_000)]).await.unwrap();
    drop(operator);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_may_lag_behind_the_answers() {
    let (node, operator) = operator().await;
    let (mut alice, coin) = funded(&operator, &node).await;
    operator.change(|s| s.lag = Duration::from_secs(2));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let script = alice.vtxo_tree().script_pubkey();
    let (ark, checkpoints) = alice.offchain(&[coin], vec![alice.vtxo_output(100_000)]);
    let answer = alice.submit(&ark, &checkpoints).await.unwrap();
    assert!(!alice.vtxos(&script).await[0].is_spent, "not yet");
    assert_eq!(code(&alice.submit(&ark, &checkpoints).await.unwrap_err()), 6, "spent, before it is a duplicate");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(alice.vtxos(&script).await[0].is_spent);
    assert_eq!(code(&alice.submit(&ark, &checkpoints).await.unwrap_err()), 1);
    alice.finalize(&answer).await.unwrap();
    assert_eq!(alice.vtxos(&script).await.len(), 1, "the new one is not there yet");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(alice.vtxos(&script).await.len(), 2);
}
