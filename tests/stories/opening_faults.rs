//! Opening while the operator fails, lies, or goes away, and while this side is killed.

use std::time::Duration;

use bitcoin::{Amount, OutPoint};
use regtest::operator::{Action, Call, Claim, Knob, Phase, Unit};
use virtual_channels::channel::message::Accept;
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::operator::OperatorError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Acceptance, EventKind, FundingChoice, InviteRequest, Step, Wallet, WalletError};

use crate::opening::{shown, signed, take_events, with_clock};
use crate::world::{World, eventually, pay, refused, request, sats};

const CAPACITY: u64 = 30_000;
const WHOLE: u64 = 40_000;

struct Opening {
    world: World,
    payer: Wallet,
    receiver: Wallet,
    accept: Accept,
}

impl Opening {
    async fn agreed() -> Self {
        let world = World::start(Unit::Blocks).await;
        let payer = world.rich("payer", WHOLE).await;
        let receiver = world.wallet("receiver").await;
        let (_, accept) = world.agree(&payer, &receiver, CAPACITY).await;
        Self { world, payer, receiver, accept }
    }

    async fn turn_once(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().turn_once(knob);
    }

    async fn turn(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().turn(knob);
    }

    async fn release(&self, knob: Knob) {
        self.world.regtest.operator().await.faults().release(knob);
    }

    /// One channel on both sides, confirmed, that takes a payment; every sat is where it belongs.
    async fn works(&self, id: &ChannelId) {
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
    async fn untouched(&self, error: &WalletError) {
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
        match opening.payer.open_channel(&opening.accept).await {
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
async fn commitment_transaction_never_confirms() {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::HoldCommitment).await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    world.mine(3).await;
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    for wallet in [payer, receiver] {
        let report = wallet.watch(&id).await.unwrap();
        assert_eq!((report.state, report.confirmations), (ChannelState::Confirming, 0));
    }
    let before = (shown(payer).await, shown(receiver).await);
    assert_eq!(before.0.1.total(), sats(WHOLE));
    let error = refused(payer.pay(&id, sats(1_000), "too early", None));
    let WalletError::WrongState { channel_id, state, .. } = error else { panic!("{error}") };
    assert_eq!((channel_id, state), (id, ChannelState::Confirming));
    let error = refused(receiver.close_channel(&id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");
    assert_eq!((shown(payer).await, shown(receiver).await), before);
}

/// A boarding coin whose batch is never broadcast is not counted beside the channel, and comes back when the batch is
/// nowhere to be seen for long.
#[tokio::test(flavor = "multi_thread")]
async fn boarding_coin_of_a_batch_that_is_never_broadcast() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 1_000).await;
    world.board(&payer, WHOLE).await;
    payer.close().unwrap();
    let (payer, clock) = with_clock(&world, "payer").await;
    let receiver = world.wallet("receiver").await;
    world.regtest.operator().await.faults().turn_once(Knob::HoldCommitment);
    let (_, accept) = world.agree_from(&payer, &receiver, CAPACITY, FundingChoice::BatchFromBoarding).await;
    payer.open_channel(&accept).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.boarding, balance.in_channels), (Amount::ZERO, sats(CAPACITY)));
    assert_eq!(balance.total(), sats(WHOLE + 1_000));
    clock.by(601);
    assert_eq!(payer.balance().await.unwrap().boarding, sats(WHOLE));
}

async fn streams_drop(phase: Phase) {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::DropStreams(phase)).await;
    let id = loop {
        match opening.payer.open_channel(&opening.accept).await {
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
async fn wait_for(wallet: &Wallet, reached: Step) {
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
    let id = match opened {
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

/// Another's double spend takes the commitment out of the chain for good: neither side calls it open any more.
#[tokio::test(flavor = "multi_thread")]
async fn commitment_reorged_out() {
    let opening = Opening::agreed().await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    world.confirm(payer, receiver, &id).await;
    pay(payer, receiver, &id, 5_000, "before");
    let late = payer.pay(&id, sats(500), "late", None).unwrap();
    let node = world.regtest.node();
    let tip = node.tip().await.unwrap().height;
    let block = node.block_hash(tip).await.unwrap().unwrap();
    node.invalidate(&block).await.unwrap();
    for wallet in [payer, receiver] {
        eventually("not open", async || {
            wallet.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Confirming)
        })
        .await;
        assert_eq!(wallet.balance().await.unwrap().settled, Amount::ZERO);
    }
    let error = refused(payer.pay(&id, sats(1_000), "meanwhile", None));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    let error = refused(receiver.receive(&late.message));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    // It confirms again: so does the channel, with what was paid.
    world.confirm(payer, receiver, &id).await;
    pay(payer, receiver, &id, 1_000, "after");
    assert_eq!(receiver.balance().await.unwrap().receivable, sats(6_500));
}

/// What the operator claims of the funding VTXO before it is counted.
async fn claimed(claim: Claim, what: &str) {
    let opening = Opening::agreed().await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    let funding = receiver.channel(&id).unwrap().funding;
    world.mine(1).await;
    eventually("open", async || payer.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Open)).await;
    let payment = payer.pay(&id, sats(1_000), "uncounted", None).unwrap();
    world.regtest.operator().await.faults().claim(funding, claim);
    let before = shown(receiver).await;
    let seen = async || receiver.watch(&id).await.err().map(|error| error.to_string()).unwrap_or_default();
    eventually(what, async || seen().await.contains(what)).await;
    let error = refused(receiver.watch(&id).await);
    assert!(matches!(error, WalletError::FundingNotUsable { .. } | WalletError::Channel(_)), "{error}");
    assert_eq!(shown(receiver).await, before);
    assert_eq!(receiver.channel(&id).unwrap().state, ChannelState::Confirming);
    // The payer pays into its own channel; the receiver does not count it.
    let error = refused(receiver.receive(&payment.message));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    world.regtest.operator().await.faults().clear();
    eventually("open", async || receiver.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Open)).await;
    assert_eq!(receiver.receive(&payment.message).unwrap().amount, sats(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_spent() {
    claimed(Claim { spent: Some(true), ..Claim::default() }, "is spent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_swept() {
    claimed(Claim { swept: Some(true), ..Claim::default() }, "is swept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_unrolled() {
    claimed(Claim { unrolled: Some(true), ..Claim::default() }, "is on chain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_expires_too_soon() {
    let soon = i64::try_from(virtual_channels::wallet::Clock::now(&virtual_channels::wallet::SystemClock::default()))
        .unwrap()
        + 30;
    claimed(Claim { expires_at: Some(soon), ..Claim::default() }, "deadlines do not fit").await;
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

async fn offchain_proposal(opening: &Opening) -> Result<virtual_channels::wallet::Proposal, WalletError> {
    let invite = opening.receiver.create_invite(&InviteRequest::default()).unwrap();
    opening.payer.propose(&invite, &request(CAPACITY, FundingChoice::Offchain)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_above_the_receivers_cap() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 150_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let proposal = payer.propose(&invite, &request(100_001, FundingChoice::Offchain)).await.unwrap();
    let before = shown(&receiver).await;
    let error = refused(receiver.accept(&proposal.offer).await);
    let WalletError::PreconfirmedTooLarge { capacity, limit } = error else { panic!("{error}") };
    assert_eq!((capacity, limit), (sats(100_001), sats(100_000)));
    assert_eq!(shown(&receiver).await, before);
    assert_eq!(payer.balance().await.unwrap().total(), sats(150_000));
}

/// The answer to a call of an off-chain opening never comes, or is of no use: the money is held, not lost, and
/// resuming finds the channel, with the offer that the receiver needs.
async fn offchain_answer_lost(call: Call, action: Action) {
    let opening = Opening::agreed().await;
    opening.world.regtest.operator().await.faults().once(call, action);
    let id = match offchain_proposal(&opening).await {
        Ok(proposal) => proposal.channel_id.unwrap(),
        Err(_) => {
            let balance = opening.payer.balance().await.unwrap();
            assert_eq!((balance.pending, balance.total()), (sats(WHOLE), sats(WHOLE)));
            let (left, errors) = opening.payer.resume().await.unwrap();
            assert!(left == 0 && errors.is_empty(), "{errors:?}");
            opening.payer.channels().unwrap()[0].id
        }
    };
    let balance = opening.payer.balance().await.unwrap();
    assert_eq!((balance.pending, balance.in_channels), (Amount::ZERO, sats(CAPACITY)));
    assert_eq!(balance.total(), sats(WHOLE));
    let offer = opening.payer.offer(&id).unwrap();
    let Acceptance::Open(accepted) = opening.receiver.accept(&offer).await.unwrap() else { panic!("off chain") };
    assert_eq!(accepted, id);
    pay(&opening.payer, &opening.receiver, &id, 1_000, "works");
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answer_lost() {
    offchain_answer_lost(Call::SubmitTx, Action::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answered_with_an_error() {
    offchain_answer_lost(Call::SubmitTx, Action::AnswerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answered_with_garbage() {
    offchain_answer_lost(Call::SubmitTx, Action::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_never_arrives() {
    offchain_answer_lost(Call::SubmitTx, Action::Drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_answer_lost() {
    offchain_answer_lost(Call::FinalizeTx, Action::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_never_arrives() {
    offchain_answer_lost(Call::FinalizeTx, Action::Drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_answered_with_an_error() {
    offchain_answer_lost(Call::FinalizeTx, Action::AnswerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_refused_holds_nothing() {
    let opening = Opening::agreed().await;
    let refuse = Action::Refuse(regtest::operator::Code::VtxoRecoverable, "not now".into());
    opening.world.regtest.operator().await.faults().once(Call::SubmitTx, refuse);
    let before = shown(&opening.payer).await;
    let error = offchain_proposal(&opening).await.unwrap_err();
    let code = virtual_channels::operator::code::VTXO_RECOVERABLE;
    assert!(matches!(&error, WalletError::Operator(error) if error.is(code)), "{error}");
    assert_eq!(shown(&opening.payer).await, before);
    assert!(matches!(refused(opening.payer.offer(&ChannelId([1; 32]))), WalletError::NotFound));
}

/// Both sides of an off-chain opening look at the funding VTXO themselves.
#[tokio::test(flavor = "multi_thread")]
async fn off_chain_funding_that_is_not_there() {
    let opening = Opening::agreed().await;
    let proposal = offchain_proposal(&opening).await.unwrap();
    let funding = opening.payer.channel(&proposal.channel_id.unwrap()).unwrap().funding;
    let before = shown(&opening.receiver).await;
    let mut offer = proposal.offer.clone();
    offer.funding = virtual_channels::channel::message::Funding::Offchain { outpoint: OutPoint { vout: 1, ..funding } };
    let error = refused(opening.receiver.accept(&offer).await);
    assert!(matches!(error, WalletError::FundingNotUsable { .. }), "{error}");
    for (claim, what) in [
        (Claim { spent: Some(true), ..Claim::default() }, "is spent"),
        (Claim { swept: Some(true), ..Claim::default() }, "is swept"),
        (Claim { unrolled: Some(true), ..Claim::default() }, "is on chain"),
    ] {
        opening.world.regtest.operator().await.faults().claim(funding, claim);
        let error = refused(opening.receiver.accept(&proposal.offer).await);
        assert!(matches!(&error, WalletError::FundingNotUsable { what: found } if found == what), "{error}");
    }
    assert_eq!(shown(&opening.receiver).await, before);
    opening.world.regtest.operator().await.faults().clear();
    opening.receiver.accept(&proposal.offer).await.unwrap();
    let other = offchain_offer_again(&opening, &proposal.offer).await;
    assert!(matches!(other, WalletError::Channel(ChannelError::InviteUsed)), "{other}");
}

/// A second channel for the same invite.
async fn offchain_offer_again(opening: &Opening, offer: &virtual_channels::channel::message::Offer) -> WalletError {
    let mut again = offer.clone();
    again.terms.capacity = sats(CAPACITY - 1);
    let point = OutPoint::new(bitcoin::Txid::from_raw_hash(bitcoin::hashes::Hash::all_zeros()), 3);
    again.funding = virtual_channels::channel::message::Funding::Offchain { outpoint: point };
    refused(opening.receiver.accept(&again).await)
}
