//! Opening while streams break and processes end, on either side and at each phase: it goes on from the file.

use std::time::Duration;

use regtest::operator::{Knob, Phase};
use virtual_channels::wallet::{EventKind, Step, Wallet, WalletError};

use crate::opening::signed;
use crate::opening_faults::{Opening, WHOLE};
use crate::world::{eventually, sats};

async fn streams_drop(phase: Phase) {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::DropStreams(phase)).await;
    let id = loop {
        match opening.payer.open_channel(&opening.accept).await.map_err(|error| *error) {
            Ok(id) => break id,
            // The receiver may come back a moment later than the payer; the payer may try again.
            Err(WalletError::NotOpened { .. }) => {}
            Err(WalletError::BatchUndecided { .. }) => tokio::time::sleep(Duration::from_millis(200)).await,
            Err(WalletError::Operator(error)) if error.is_registered() || error.is_batch_failure() => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_at_the_batchs_start() {
    streams_drop(Phase::Started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_before_nonces() {
    streams_drop(Phase::Nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_before_signatures() {
    streams_drop(Phase::Signatures).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_before_forfeits() {
    streams_drop(Phase::Forfeits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_before_the_broadcast() {
    streams_drop(Phase::Broadcast).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_drop_before_the_end_is_told() {
    streams_drop(Phase::Finalized).await;
}

/// The payer's process ends while the batch stands at `phase`; opened again from the same file it goes on.
async fn payer_reopened(phase: Phase, reached: Step) {
    let mut opening = Opening::agreed().await;
    opening.turn(Knob::Stall(phase)).await;
    let running = tokio::spawn({
        let (payer, accept) = (opening.payer.clone(), opening.accept.clone());
        async move { payer.open_channel(&accept).await }
    });
    wait_for(&opening.payer, reached).await;
    running.abort();
    opening.payer.close().unwrap();
    opening.release(Knob::Stall(phase)).await;
    opening.payer = opening.world.wallet("payer").await;
    assert_eq!(opening.payer.balance().await.unwrap().total(), sats(WHOLE), "held, not lost");
    eventually("the opening goes on", async || {
        let (left, errors) = opening.payer.resume().await.unwrap();
        // An Accept that is good for longer than the failed batch takes allows to open again.
        let retry = left == 0 && opening.payer.channels().unwrap().is_empty();
        if retry {
            let _ = opening.payer.open_channel(&opening.accept).await;
        }
        left == 0 && (errors.is_empty() || retry) && opening.payer.channels().unwrap().len() == 1
    })
    .await;
    let id = opening.payer.channels().unwrap()[0].id;
    opening.works(&id).await;
}

/// Until the wallet has shown this progress; each is shown once.
pub async fn wait_for(wallet: &Wallet, reached: Step) {
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let event = wallet.next_event().await.expect("events");
            match (event.token, event.kind) {
                (_, EventKind::Progress { step, .. }) if step == reached => return,
                (Some(token), _) => wallet.acknowledge_event(&token).expect("acknowledges"),
                _ => {}
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited 30 s for {reached:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_at_the_batchs_start() {
    payer_reopened(Phase::Started, Step::BatchStarted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_before_nonces() {
    payer_reopened(Phase::Nonces, Step::BatchStarted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_before_tree_signatures_are_collected() {
    payer_reopened(Phase::Signatures, Step::TreeSigned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_before_forfeits_are_taken() {
    payer_reopened(Phase::Forfeits, Step::BranchStored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_before_the_broadcast() {
    payer_reopened(Phase::Broadcast, Step::BranchStored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_killed_before_it_knows_the_end() {
    payer_reopened(Phase::Finalized, Step::BranchStored).await;
}

/// The receiver's process ends while the batch stands at `phase`; opened again it goes on.
async fn receiver_reopened(phase: Phase, reached: Step) {
    let mut opening = Opening::agreed().await;
    opening.turn(Knob::Stall(phase)).await;
    let running = tokio::spawn({
        let (payer, accept) = (opening.payer.clone(), opening.accept.clone());
        async move { payer.open_channel(&accept).await }
    });
    wait_for(&opening.receiver, reached).await;
    opening.receiver.close().unwrap();
    opening.release(Knob::Stall(phase)).await;
    let opened = running.await.unwrap();
    opening.receiver = opening.world.wallet("receiver").await;
    let (_, errors) = opening.receiver.resume().await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    let id = match opened.map_err(|error| *error) {
        Ok(id) => id,
        Err(WalletError::NotOpened { .. }) => opening.payer.open_channel(&opening.accept).await.unwrap(),
        Err(error) => panic!("{error}"),
    };
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_killed_before_nonces() {
    receiver_reopened(Phase::Nonces, Step::BatchStarted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_killed_before_tree_signatures_are_collected() {
    receiver_reopened(Phase::Signatures, Step::TreeSigned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_killed_with_the_branch_stored() {
    receiver_reopened(Phase::Forfeits, Step::BranchStored).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_killed_before_it_knows_the_end() {
    receiver_reopened(Phase::Finalized, Step::BranchStored).await;
}

/// Resuming beside a running co-signer starts no second one, which would spoil the session of the first.
#[tokio::test(flavor = "multi_thread")]
async fn resuming_while_co_signing() {
    let opening = Opening::agreed().await;
    opening.turn(Knob::Stall(Phase::Nonces)).await;
    let before = signed(&opening.world).await;
    let running = tokio::spawn({
        let (payer, accept) = (opening.payer.clone(), opening.accept.clone());
        async move { payer.open_channel(&accept).await }
    });
    wait_for(&opening.receiver, Step::BatchStarted).await;
    for _ in 0..3 {
        let (left, errors) = opening.receiver.resume().await.unwrap();
        assert!(left == 1 && errors.is_empty(), "{errors:?}");
    }
    opening.release(Knob::Stall(Phase::Nonces)).await;
    let id = running.await.unwrap().unwrap();
    opening.works(&id).await;
    assert_eq!(signed(&opening.world).await[0], before[0] + 2, "the first batch made it");
}
