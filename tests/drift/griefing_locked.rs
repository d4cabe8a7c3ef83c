//! The payer registers the channel VTXO for a batch, so that the operator refuses to spend it off chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use regtest::operator::Call;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::WalletError;

use crate::case::{PAID, paid_with};
use crate::world::{eventually, sats};
use regtest::operator::Unit;

/// Again and again, as fast as it can: each time the receiver evicts the intent, and in one of the gaps it closes. The
/// receiver's cost is some calls; the payer's is the same.
#[tokio::test(flavor = "multi_thread")]
async fn locked_again_and_again() {
    // No batch begins: the intents stay in the queue, where they lock.
    let case = Arc::new(paid_with(Unit::Seconds, |_| {}).await);
    case.change(|settings| settings.min_participants = 2).await;
    case.lock().await.unwrap();
    let deletions = async || case.world.regtest.operator().await.faults().seen(Call::DeleteIntent);
    let before = deletions().await;
    let (stop, locks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let hostile = tokio::spawn({
        let (case, stop, locks) = (case.clone(), stop.clone(), locks.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                if case.lock().await.is_ok() {
                    locks.fetch_add(1, Ordering::SeqCst);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    eventually("the close", async || case.receiver.close_channel(&case.id).await.is_ok()).await;
    stop.store(true, Ordering::SeqCst);
    hostile.await.unwrap();
    assert!(deletions().await > before, "evicted");
    assert_eq!(case.state(), ChannelState::Closed);
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(PAID));
    assert!(case.lock().await.is_err(), "it is spent");
}

/// Every batch takes the hostile intent and comes to nothing, since the payer does not sign: while one runs the channel
/// is locked, and no deletion reaches it. Between two of them the receiver closes.
#[tokio::test(flavor = "multi_thread")]
async fn locked_by_one_batch_after_the_other() {
    let case = Arc::new(paid_with(Unit::Seconds, |settings| settings.ban_threshold = 0).await);
    let stop = Arc::new(AtomicBool::new(false));
    let hostile = tokio::spawn({
        let (case, stop) = (case.clone(), stop.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                let _ = case.lock().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let started = async || case.world.regtest.operator().await.faults().seen(Call::RegisterIntent);
    let before = started().await;
    eventually("a hostile intent", async || started().await > before).await;
    let mut refusals = 0;
    loop {
        match case.receiver.close_channel(&case.id).await.map_err(|error| *error) {
            Ok(_) => break,
            Err(WalletError::Operator(error)) if error.is_registered() => refusals += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(refusals < 2_000, "no gap between the batches");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stop.store(true, Ordering::SeqCst);
    hostile.await.unwrap();
    assert_eq!(case.state(), ChannelState::Closed);
}
