//! Opening while the operator fails or lies: neither side signs anything away, and the next try succeeds.

use std::time::Duration;

use bitcoin::Amount;
use regtest::operator::{Action, Call, Knob, Phase, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::channel::message::Accept;
use virtual_channels::operator::OperatorError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, Wallet, WalletError};

use crate::opening::{signed, take_events};
use crate::world::{World, eventually, pay, refused, sats};

pub const CAPACITY: u64 = 30_000;
pub const WHOLE: u64 = 40_000;

pub struct Opening {
    pub world: World,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub accept: Accept,
}

impl Opening {
    pub async fn agreed() -> Self {
        let world = World::start(Unit::Blocks).await;
        let payer = world.rich("payer", WHOLE).await;
        let receiver = world.wallet("receiver").await;
        let (_, accept) = world.agree(&payer, &receiver, CAPACITY).await;
        Self { world, payer, receiver, accept }
    }

    pub async fn turn_once(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().turn_once(knob);
    }

    pub async fn turn(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().turn(knob);
    }

    pub async fn release(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().release(knob);
    }

    /// One channel on both sides, confirmed, that takes a payment; every sat is where it belongs.
    pub async fn works(&self, id: &ChannelId) {
        let Self { world, payer, receiver, .. } = self;
        world.mine(1).await;
        eventually("the receiver's channel", async || {
            receiver.resume().await.is_ok_and(|(left, errors)| left == 0 && errors.is_empty())
        })
        .await;
        world.confirm(payer, receiver, id).await;
        pay(payer, receiver, id, 5_000, "works");
        assert_eq!((payer.channels().unwrap().len(), receiver.channels().unwrap().len()), (1, 1));
        let balance = payer.balance().await.unwrap();
        assert_eq!((balance.pending, balance.in_channels), (Amount::ZERO, sats(CAPACITY - 5_000)));
        assert_eq!((balance.settled, balance.total()), (sats(WHOLE - CAPACITY), sats(WHOLE - 5_000)));
        for wallet in [payer, receiver] {
            let (left, errors) = wallet.resume().await.unwrap();
            assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
        }
    }

    /// Neither side has signed anything away, and everything can be done again.
    pub async fn untouched(&self, error: &WalletError) {
        let balance = self.payer.balance().await.unwrap();
        assert_eq!((balance.settled, balance.total()), (sats(WHOLE), sats(WHOLE)), "{error}");
        assert!(self.payer.channels().unwrap().is_empty() && self.receiver.channels().unwrap().is_empty());
        let events = take_events(&self.payer).await;
        assert!(matches!(events.as_slice(), [EventKind::OpeningFailed { .. }]), "{events:?}");
    }
}

async fn batch_fails_then_succeeds(phase: Phase) {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::FailBatch(phase)).await;
    let id = opening.payer.open_channel(&opening.accept).await.unwrap();
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_fails_at_its_start_then_succeeds() {
    batch_fails_then_succeeds(Phase::Started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_fails_before_nonces_then_succeeds() {
    batch_fails_then_succeeds(Phase::Nonces).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_fails_before_signatures_then_succeeds() {
    batch_fails_then_succeeds(Phase::Signatures).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_fails_before_forfeits_then_succeeds() {
    batch_fails_then_succeeds(Phase::Forfeits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_fails_with_everything_signed_then_succeeds() {
    batch_fails_then_succeeds(Phase::Broadcast).await;
}

/// The operator calls a batch failed that it has broadcast: the channel is there, and no second batch is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn batch_called_failed_after_its_broadcast() {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::FailBatch(Phase::Finalized)).await;
    let before = signed(&opening.world).await;
    let id = opening.payer.open_channel(&opening.accept).await.unwrap();
    opening.works(&id).await;
    assert_eq!(signed(&opening.world).await, [before[0] + 2, before[1] + 2, before[2] + 1]);
}

/// A tree that is not as agreed: refused by both before a nonce leaves.
async fn wrong_tree(knob: Knob) {
    let opening = Opening::agreed().await;
    let before = signed(&opening.world).await;
    opening.turn_once(knob).await;
    let error = refused(opening.payer.open_channel(&opening.accept).await);
    assert!(matches!(&error, WalletError::Operator(OperatorError::TreeRefused { .. })), "{error:?}");
    opening.untouched(&error).await;
    assert_eq!(signed(&opening.world).await, before, "neither nonces nor signatures nor forfeits");
    let id = opening.payer.open_channel(&opening.accept).await.unwrap();
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_with_a_wrong_leaf_script() {
    wrong_tree(Knob::WrongLeafScript).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_with_a_wrong_amount() {
    wrong_tree(Knob::WrongLeafAmount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_without_the_payer_among_its_cosigners() {
    wrong_tree(Knob::MissingCosigner(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_without_the_receiver_among_its_cosigners() {
    wrong_tree(Knob::MissingCosigner(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_with_a_wrong_sweep_key() {
    wrong_tree(Knob::WrongSweepKey).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_with_a_wrong_parent() {
    wrong_tree(Knob::WrongParent).await;
}

/// A wrong end of the session: tree signatures are out, but the forfeit that would pay for it is never signed.
async fn wrong_end(knob: Knob) {
    let opening = Opening::agreed().await;
    let before = signed(&opening.world).await;
    opening.turn_once(knob).await;
    let error = refused(opening.payer.open_channel(&opening.accept).await);
    assert!(matches!(&error, WalletError::Operator(_)), "{error:?}");
    assert!(!matches!(&error, WalletError::Operator(error) if error.may_be_committed()), "{error:?}");
    opening.untouched(&error).await;
    assert_eq!(signed(&opening.world).await[2], before[2], "no forfeit");
    // The next one is good, once the operator has noticed that the batch came to nothing.
    let id = loop {
        match opening.payer.open_channel(&opening.accept).await.map_err(|error| *error) {
            Ok(id) => break id,
            Err(WalletError::Operator(error)) if error.is_registered() => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commitment_at_batch_finalization_differs() {
    wrong_end(Knob::OtherCommitment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connector_from_elsewhere() {
    wrong_end(Knob::ForeignConnector).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_signature_missing() {
    wrong_end(Knob::MissingTreeSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tree_signature_wrong() {
    wrong_end(Knob::WrongTreeSignature).await;
}

/// A second set of nonces for the same tree gets no second signature: a secret nonce would be told by two.
#[tokio::test(flavor = "multi_thread")]
async fn same_tree_nonces_twice() {
    let opening = Opening::agreed().await;
    let before = signed(&opening.world).await;
    opening.turn_once(Knob::RepeatNonces).await;
    // The operator may fail its own batch by it; then the retry goes with fresh nonces.
    let id = opening.payer.open_channel(&opening.accept).await.unwrap();
    opening.works(&id).await;
    let after = signed(&opening.world).await;
    assert_eq!(after[1] - before[1], after[0] - before[0], "one set of signatures for each set of nonces");
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_whose_answer_is_lost() {
    let opening = Opening::agreed().await;
    opening.world.regtest.operator().await.faults().once(Call::RegisterIntent, Action::LoseAnswer);
    let error = refused(opening.payer.open_channel(&opening.accept).await);
    assert!(matches!(&error, WalletError::Operator(error) if error.is_transport()), "{error}");
    opening.untouched(&error).await;
    let id = opening.payer.open_channel(&opening.accept).await.unwrap();
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minimum_expiry_gap_refuses_the_inputs() {
    let opening = Opening::agreed().await;
    let change = |gap| move |settings: &mut regtest::operator::Settings| settings.settlement_min_expiry_gap = gap;
    opening.world.regtest.operator().await.change(change(Duration::from_secs(60)));
    let error = refused(opening.payer.open_channel(&opening.accept).await);
    let WalletError::Operator(OperatorError::Refused { call, error: arkd }) = &error else { panic!("{error}") };
    assert_eq!(*call, "RegisterIntent");
    assert!(arkd.message.contains("expires after"), "{arkd}");
    opening.untouched(&error).await;
    // Off chain it goes at once.
    let id = opening.world.open_offchain(&opening.payer, &opening.receiver, CAPACITY).await;
    assert_eq!(opening.payer.channel(&id).unwrap().state, ChannelState::Open);
}

/// A batch that would live too short is left before anything is confirmed or signed.
#[tokio::test(flavor = "multi_thread")]
async fn batch_expiry_too_short_for_the_terms() {
    let opening = Opening::agreed().await;
    let before = signed(&opening.world).await;
    opening.world.regtest.operator().await.change(|settings| settings.batch_expiry = 100);
    let error = refused(opening.payer.open_channel(&opening.accept).await);
    assert!(
        matches!(&error, WalletError::Operator(OperatorError::Veto { why }) if why.contains("deadlines")),
        "{error}"
    );
    opening.untouched(&error).await;
    assert_eq!(signed(&opening.world).await, before);
}
