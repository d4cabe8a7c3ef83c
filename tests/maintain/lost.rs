//! What the other side does is noticed, whoever tells it late.

use bitcoin::Txid;
use regtest::operator::{Action, Call, Knob, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitReason, Wallet};

use crate::case::{Case, PAID, maintained, reasons, told};
use crate::world::{World, eventually, pay, sats};

async fn refunded(case: &Case) {
    let locktime = u64::from(case.payer.channel(&case.id).unwrap().locktime.to_consensus_u32());
    case.mine_to(locktime).await;
    case.payer.refund(&case.id).await.unwrap();
}

/// A receiver that came too late sees that it did; one that was never paid lost nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_refunds() {
    let case = Case::new(Unit::Blocks).await;
    refunded(&case).await;
    maintained(&case.receiver).await;
    assert_eq!(case.state(&case.receiver), ChannelState::Lost);
    let lost = |kind: &EventKind| matches!(kind, EventKind::ChannelLost { amount, .. } if *amount == sats(PAID));
    assert_eq!(told(&case.receiver, lost), 1);
    let report = maintained(&case.receiver).await;
    assert!(report.errors.is_empty() && report.next_run.is_none(), "{report:?}");

    let case = Case::unpaid(Unit::Blocks).await;
    refunded(&case).await;
    let report = maintained(&case.receiver).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(case.state(&case.receiver), ChannelState::Refunded);
    assert_eq!(told(&case.receiver, |kind| matches!(kind, EventKind::ChannelRefunded { .. })), 1);
}

/// Books that are behind: nothing is decided until they have caught up.
#[tokio::test(flavor = "multi_thread")]
async fn the_indexer_lags() {
    let case = Case::new(Unit::Blocks).await;
    for knob in [Knob::StaleNew, Knob::StaleSpent] {
        case.world.regtest.operator().await.faults().turn(knob);
    }
    let closing = tokio::spawn({
        let (receiver, id) = (case.receiver.clone(), case.id);
        async move { receiver.close_channel(&id).await }
    });
    closing.await.unwrap().unwrap();
    for knob in [Knob::StaleSpent, Knob::StaleNew] {
        let report = maintained(&case.payer).await;
        assert!(report.exits.is_empty() && report.changed.is_empty(), "{report:?}");
        case.world.regtest.operator().await.faults().release(knob);
    }
    eventually("the payer sees it", async || {
        maintained(&case.payer).await;
        case.state(&case.payer) == ChannelState::Closed
    })
    .await;
}

/// The receiver's phone, and a close at more than it knows of by another one with the same words.
async fn closed_by_another_phone() -> (Case, Wallet, Txid) {
    let case = Case::new(Unit::Blocks).await;
    case.receiver.close().unwrap();
    std::fs::copy(case.world.path("receiver"), case.world.path("other phone")).unwrap();
    let other = Wallet::open(case.world.config("other phone"), &World::mnemonic("receiver")).await.unwrap();
    let receiver = case.world.wallet("receiver").await;
    // The other one has taken more meanwhile.
    pay(&case.payer, &other, &case.id, 1_000, "two");
    let txid = other.close_channel(&case.id).await.unwrap();
    other.close().unwrap();
    (case, receiver, txid)
}

/// A close that this phone did not make, with its own signature: another phone with the same words did. That is no theft.
#[tokio::test(flavor = "multi_thread")]
async fn another_phone_closed_it() {
    let (case, receiver, txid) = closed_by_another_phone().await;
    let report = maintained(&receiver).await;
    assert!(report.exits.is_empty(), "{report:?}");
    let info = receiver.channel(&case.id).unwrap();
    assert_eq!((info.state, info.result), (ChannelState::Closed, Some(txid)));
    assert_eq!(reasons(&receiver), []);
}

/// Its close is in the books, and nobody answers with its transactions yet: that is no theft either.
#[tokio::test(flavor = "multi_thread")]
async fn another_phone_closed_it_and_it_is_not_shown_yet() {
    let (case, receiver, _) = closed_by_another_phone().await;
    case.world.regtest.operator().await.faults().always(Call::GetVirtualTxs, Action::Drop);
    let report = maintained(&receiver).await;
    assert!(report.exits.is_empty(), "{report:?}");
    assert_eq!(case.state(&receiver), ChannelState::Open);
    case.world.regtest.operator().await.faults().clear();
    maintained(&receiver).await;
    assert_eq!(case.state(&receiver), ChannelState::Closed);
    assert_eq!(reasons(&receiver), []);
}

/// And then the operator goes before it is settled: with the close in hand this phone brings it on chain.
#[tokio::test(flavor = "multi_thread")]
async fn another_phone_closed_it_and_the_operator_goes() {
    let (case, receiver, _) = closed_by_another_phone().await;
    assert_eq!(receiver.watch(&case.id).await.unwrap().state, ChannelState::Closed);
    case.world.regtest.stop_operator().await;
    case.mine_to(receiver.channel(&case.id).unwrap().payer_exit_by).await;
    assert_eq!(case.left_alone(&receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&receiver), [ExitReason::Deadline]);
    case.has_on_chain(&receiver, PAID + 1_000 - 3_000, PAID + 1_000).await;
}
