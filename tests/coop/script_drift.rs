//! The operator's checkpoint script changes under an open channel.

use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::AuthorisationPolicy::{AtOpen, OnClose};
use virtual_channels::channel::ChannelError;
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::WalletError;

use crate::case::{Case, FUNDS, case};
use crate::world::{eventually, refused, sats};

const FIRST: u64 = 2_000;
const MORE: u64 = 500;

impl Case {
    async fn new_script(&self) {
        self.change(|settings| settings.checkpoint_delay += 512).await;
    }

    async fn both_end_at(&self, amount: u64) {
        assert_eq!(self.state("receiver"), ChannelState::Closed);
        assert_eq!(self.receiver.balance().await.unwrap().preconfirmed, sats(amount));
        eventually("the payer sees the close", async || {
            self.payer.watch(&self.id).await.is_ok_and(|report| report.state == ChannelState::Closed)
        })
        .await;
        assert_eq!(self.total(&self.payer).await, FUNDS - amount);
    }
}

/// The receiver refuses updates that it could not close with, until the payer has signed for the new script.
#[tokio::test(flavor = "multi_thread")]
async fn no_further_update_until_the_payer_has_authorised_again() {
    let case = case(Unit::Seconds, AtOpen, None).await;
    case.paid(FIRST, "a");
    case.new_script().await;
    case.receiver.watch(&case.id).await.unwrap();
    // The payer has not seen it yet: it signs for the old one.
    let stale = case.pay(MORE, "b");
    let error = refused(case.receiver.receive(&stale));
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    assert_eq!(case.row("receiver").hot.amount(), sats(FIRST));
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    assert_eq!(case.receiver.receive(&again).unwrap().amount, sats(FIRST + MORE));
    case.paid(MORE, "c");
    case.receiver.close_channel(&case.id).await.unwrap();
    case.both_end_at(FIRST + 2 * MORE).await;
}

/// The receiver has begun to close at one amount when the script changes, and the payer has signed another since: it
/// signs the first again, since no other can be taken any more.
#[tokio::test(flavor = "multi_thread")]
async fn closing_at_less_than_the_payer_has_signed() {
    for policy in [AtOpen, OnClose] {
        let case = case(Unit::Seconds, policy, None).await;
        case.paid(FIRST, "a");
        case.fault(Call::SubmitTx, Action::Drop).await;
        if policy == OnClose {
            // The grant brings what was lost.
            case.pay(MORE, "never arrives");
            let grant = case.granted().await.unwrap();
            refused(case.receiver.close_with(&grant).await);
        } else {
            refused(case.receiver.close_channel(&case.id).await);
            let late = case.pay(MORE, "too late");
            let error = refused(case.receiver.receive(&late));
            assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closing, .. }), "{error}");
        }
        let held = case.row("receiver").hot.amount();
        case.new_script().await;
        let error = refused(case.receiver.close_channel(&case.id).await);
        assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
        assert_eq!(case.step("receiver", FlowKind::Close).as_deref(), Some("mismatch"));
        let request = case.receiver.request_close(&case.id).unwrap();
        assert!(request.exactly && request.update.unwrap().amount == held);
        let grant = case.payer.grant_close(&request).await.unwrap();
        case.receiver.close_with(&grant).await.unwrap();
        case.both_end_at(held.to_sat()).await;
        assert_eq!(case.row("payer").hot.high, sats(FIRST + MORE), "what was signed is never forgotten");
    }
}

/// A grant is for the script of its day.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_for_the_old_script() {
    let case = case(Unit::Seconds, OnClose, None).await;
    case.paid(FIRST, "a");
    let old = case.granted().await.unwrap();
    case.new_script().await;
    let before = case.row("receiver");
    let error = refused(case.receiver.close_with(&old).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    assert_eq!(case.row("receiver"), before);
    let new = case.granted().await.unwrap();
    case.receiver.close_with(&new).await.unwrap();
    case.both_end_at(FIRST).await;
}

/// Payments go on in a channel that authorises on close, over the new script, and the grant is for that.
#[tokio::test(flavor = "multi_thread")]
async fn payments_over_the_new_script() {
    let case = case(Unit::Seconds, OnClose, None).await;
    case.paid(FIRST, "a");
    case.new_script().await;
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    assert_eq!(again.authorisation.unwrap().checkpoint, None);
    case.receiver.watch(&case.id).await.unwrap();
    case.receiver.receive(&again).unwrap();
    case.paid(MORE, "b");
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::GrantNeeded { .. })), "{error}");
    let grant = case.granted().await.unwrap();
    case.receiver.close_with(&grant).await.unwrap();
    case.both_end_at(FIRST + MORE).await;
}
