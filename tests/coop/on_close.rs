//! Channels whose payer authorises on close only.

use bitcoin::Amount;
use regtest::Mode;
use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::AuthorisationPolicy::{AtOpen, OnClose};
use virtual_channels::channel::message::{CloseGrant, CloseRequest};
use virtual_channels::channel::{Authorisation, AuthorisationPolicy, ChannelError, ChannelTerms};
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::{Clock, FundingChoice, InviteRequest, SystemClock, Wallet, WalletError};

use crate::case::{Case, FUNDS, case, kinds, request, through};
use crate::offline::FakeClock;
use crate::world::{World, eventually, refused, sats};

const PAID: u64 = 2_000;

async fn paid() -> Case {
    let case = case(Unit::Seconds, OnClose, None).await;
    case.paid(PAID, "a");
    case
}

fn needs_grant(error: &WalletError) -> bool {
    matches!(error, WalletError::Channel(ChannelError::GrantNeeded { .. }))
}

impl Case {
    async fn is_closed_at(&self, amount: u64) {
        assert_eq!(self.state("receiver"), ChannelState::Closed);
        assert_eq!(self.receiver.balance().await.unwrap().preconfirmed, sats(amount));
        eventually("the payer sees the close", async || {
            self.payer.watch(&self.id).await.is_ok_and(|report| report.state == ChannelState::Closed)
        })
        .await;
        assert_eq!(self.total(&self.payer).await, FUNDS - amount);
        assert!(self.row("payer").submit_answer.is_some());
        self.no_checkpoint_was_signed_early().await;
    }

    fn holds_checkpoint(&self) -> bool {
        let bytes = self.row("receiver").authorisation.unwrap();
        Authorisation::from_bytes(&bytes).unwrap().checkpoint.is_some()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_with_the_payer_online() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let case = case(unit, OnClose, None).await;
        let first = case.pay(PAID, "a");
        let authorisation = first.authorisation.unwrap();
        assert_eq!(authorisation.checkpoint, None, "kept until the close");
        case.receiver.receive(&first).unwrap();
        let terms = ChannelTerms::from_canonical(&case.row("receiver").record.terms).unwrap();
        assert_eq!(terms.authorisation, OnClose);

        // The receiver alone cannot, and nothing has begun.
        let before = case.row("receiver");
        assert!(needs_grant(&refused(case.receiver.close_channel(&case.id).await)));
        assert_eq!((case.row("receiver"), case.step("receiver", FlowKind::Close)), (before, None));

        let request = case.receiver.request_close(&case.id).unwrap();
        assert_eq!(case.state("receiver"), ChannelState::Open, "asking binds nobody");
        case.paid(500, "meanwhile");
        let grant = case.payer.grant_close(&request).await.unwrap();
        assert_eq!(case.state("payer"), ChannelState::Closing);
        let error = refused(case.payer.pay(&case.id, sats(1), "late", None));
        assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closing, .. }), "{error}");
        let txid = case.receiver.close_with(&grant).await.unwrap();
        case.is_closed_at(PAID + 500).await;
        assert_eq!(case.row("payer").result.unwrap().txid, txid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", FUNDS).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&crate::case::invite()).unwrap();
    let proposal = payer.propose(&invite, &request(FundingChoice::Batch, OnClose, None)).await.unwrap();
    let accepted = receiver.accept(&proposal.offer).await.unwrap();
    let virtual_channels::wallet::Acceptance::Accepted(accept) = accepted else { panic!("{accepted:?}") };
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    let case = Case { world, payer, receiver, id };
    case.paid(PAID, "a");
    let grant = case.granted().await.unwrap();
    case.receiver.close_with(&grant).await.unwrap();
    case.is_closed_at(PAID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_to_close_alone_does_not_take_it() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", FUNDS).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    for funding in [FundingChoice::Offchain, FundingChoice::Batch] {
        let error = refused(payer.propose(&invite, &request(funding, OnClose, None)).await);
        assert!(matches!(error, WalletError::Channel(ChannelError::OnCloseRefused)), "{error}");
    }
    // A payer that does not keep to the invite is refused by the receiver itself.
    let mut proposal = payer.propose(&invite, &request(FundingChoice::Batch, AtOpen, None)).await.unwrap();
    proposal.offer.terms.authorisation = OnClose;
    let error = refused(receiver.accept(&proposal.offer).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::OnCloseRefused)), "{error}");
}

/// Nor may a payer leave out what the terms promise.
#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_is_missing_where_it_was_promised() {
    let case = case(Unit::Seconds, AtOpen, None).await;
    let mut update = case.pay(PAID, "a");
    let full = update.authorisation.unwrap();
    update.authorisation = Some(Authorisation { checkpoint: None, ..full });
    let error = refused(case.receiver.receive(&through(&update)));
    assert!(matches!(error, WalletError::Channel(ChannelError::MissingAuthorisation { .. })), "{error}");
    update.authorisation = Some(full);
    case.receiver.receive(&update).unwrap();
    case.receiver.close_channel(&case.id).await.unwrap();
}

/// A payment was lost on the way: the grant brings it.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_never_arrived_comes_with_the_grant() {
    let case = paid().await;
    case.pay(700, "lost");
    let grant = case.granted().await.unwrap();
    case.receiver.close_with(&grant).await.unwrap();
    case.is_closed_at(PAID + 700).await;
}

/// A grant for more than the receiver holds, which comes as late as its clock says.
async fn granted_more(policy: AuthorisationPolicy, clock: impl FnOnce(&Case) -> u64) -> (Case, CloseGrant) {
    let mut case = case(Unit::Seconds, policy, None).await;
    case.paid(PAID, "a");
    case.pay(700, "lost");
    let grant = case.granted().await.unwrap();
    let mut config = case.world.config("receiver");
    config.clock = FakeClock::at(clock(&case));
    config.max_blind_seconds = Some(0);
    case.receiver.close().unwrap();
    case.receiver = Wallet::open(config, &World::mnemonic("receiver")).await.unwrap();
    (case, grant)
}

/// The receiver has not looked at the channel for too long: it looks first, since what was lost was signed.
#[tokio::test(flavor = "multi_thread")]
async fn more_is_granted_to_a_receiver_that_has_not_looked() {
    for policy in [OnClose, AtOpen] {
        let (case, grant) = granted_more(policy, |_| SystemClock::default().now() + 60).await;
        // With nothing to look at it gives up nothing.
        case.world.regtest.set_esplora(Mode::Fail);
        let before = case.row("receiver");
        let error = refused(case.receiver.close_with(&grant).await);
        assert!(matches!(error, WalletError::Chain(_)), "{error}");
        assert_eq!((case.row("receiver"), case.step("receiver", FlowKind::Close)), (before, None));
        case.world.regtest.set_esplora(Mode::Answer);
        case.receiver.close_with(&grant).await.unwrap();
        case.is_closed_at(PAID + 700).await;
    }
}

/// What cannot be taken any more is said, and the payer grants what is held.
#[tokio::test(flavor = "multi_thread")]
async fn more_is_granted_than_can_be_taken() {
    for policy in [OnClose, AtOpen] {
        let late = |case: &Case| case.receiver.channel(&case.id).unwrap().close_by + 60;
        let (case, grant) = granted_more(policy, late).await;
        let before = case.row("receiver");
        let error = refused(case.receiver.close_with(&grant).await);
        assert!(matches!(error, WalletError::PastCloseBy { .. }), "{error}");
        assert_eq!((case.row("receiver"), case.step("receiver", FlowKind::Close)), (before, None));
        let grant = case.granted().await.unwrap();
        case.receiver.close_with(&grant).await.unwrap();
        case.is_closed_at(PAID).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_was_restored_from_an_old_file() {
    let mut case = paid().await;
    case.payer.close().unwrap();
    let copy = case.world.path("copy");
    std::fs::copy(case.world.path("payer"), &copy).unwrap();
    case.payer = case.world.wallet("payer").await;
    case.paid(900, "forgotten");
    case.payer.close().unwrap();
    crate::offline::restore(&case.world.path("payer"), &copy);
    case.payer = case.world.wallet("payer").await;
    // It recognises its own signature, and grants all of it.
    let grant = case.granted().await.unwrap();
    assert_eq!(case.row("payer").hot.high, sats(PAID + 900));
    case.receiver.close_with(&grant).await.unwrap();
    case.is_closed_at(PAID + 900).await;
}

/// It has granted less already, when the receiver shows what another phone of the payer has signed: that is remembered
/// before it is signed again.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_has_granted_less_already() {
    let mut case = paid().await;
    let first = case.receiver.request_close(&case.id).unwrap();
    case.payer.close().unwrap();
    std::fs::copy(case.world.path("payer"), case.world.path("other phone")).unwrap();
    let config = case.world.config("other phone");
    case.payer = case.world.wallet("payer").await;
    case.paid(900, "by the other phone");
    case.payer.close().unwrap();
    case.payer = Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
    case.payer.grant_close(&first).await.unwrap();
    assert_eq!((case.state("other phone"), case.row("other phone").hot.high), (ChannelState::Closing, sats(PAID)));
    let grant = case.granted().await.unwrap();
    let hot = case.row("other phone").hot;
    assert_eq!((hot.state, hot.high, hot.amount()), (ChannelState::Closing, sats(PAID + 900), sats(PAID + 900)));
    case.receiver.close_with(&grant).await.unwrap();
    assert_eq!(case.state("receiver"), ChannelState::Closed);
    // What was known is never forgotten: the first request is granted at the highest.
    let again = case.payer.grant_close(&first).await;
    assert!(again.is_ok(), "{again:?}");
    assert_eq!(case.row("other phone").hot.high, sats(PAID + 900));
}

/// Killed after each step; the grant is taken again, or not needed any more.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step() {
    let mut case = paid().await;
    let request = case.receiver.request_close(&case.id).unwrap();
    case.payer.grant_close(&request).await.unwrap();
    case.reopen("payer").await;
    assert_eq!(case.state("payer"), ChannelState::Closing);
    // Lost with the process: the same request is granted again.
    let grant = case.payer.grant_close(&request).await.unwrap();
    case.reopen("receiver").await;
    // Stored, and killed before the close began.
    case.world.regtest.operator().await.faults().times(Call::SubmitTx, Action::Drop, 1);
    case.fault(Call::GetPendingTx, Action::Drop).await;
    let error = refused(case.receiver.close_with(&grant).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    assert!(case.holds_checkpoint());
    assert_eq!(case.step("receiver", FlowKind::Close).as_deref(), Some("built"));
    case.reopen_and_resume("receiver").await;
    case.is_closed_at(PAID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn granted_and_closed_later_alone() {
    let mut case = paid().await;
    let grant = case.granted().await.unwrap();
    // The operator is away when the grant comes: it is stored as soon as the operator's script is known again.
    case.world.regtest.stop_operator().await;
    let error = refused(case.receiver.close_with(&grant).await);
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    case.world.regtest.start_operator().await.unwrap();
    case.reopen("receiver").await;
    case.receiver.close_with(&grant).await.unwrap();
    case.is_closed_at(PAID).await;
}

/// A receiver that never uses a grant leaves the payer to its refund.
#[tokio::test(flavor = "multi_thread")]
async fn granted_and_never_closed() {
    let case = paid().await;
    case.granted().await.unwrap();
    let error = refused(case.payer.refund(&case.id).await);
    assert!(matches!(error, WalletError::LocktimeNotReached { .. }), "{error}");
    case.pass_locktime().await;
    case.payer.refund(&case.id).await.unwrap();
    assert_eq!(case.state("payer"), ChannelState::Refunded);
    assert_eq!(case.total(&case.payer).await, FUNDS);
    // And a refund that has begun grants nothing.
    let request = case.receiver.request_close(&case.id).unwrap();
    let error = refused(case.payer.grant_close(&request).await);
    assert!(matches!(error, WalletError::WrongState { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_not_the_receivers() {
    let case = paid().await;
    let good = case.receiver.request_close(&case.id).unwrap();
    let own = case.payer.request_close(&case.id).unwrap();
    let exactly = CloseRequest { exactly: true, ..good.clone() };
    let later = CloseRequest { expires_at: good.expires_at + 1, ..good.clone() };
    let mut less = good.clone();
    less.update.as_mut().unwrap().amount = sats(PAID - 1);
    let none = CloseRequest { update: None, ..good.clone() };
    for wrong in [own, exactly, later, less, none] {
        let error = refused(case.payer.grant_close(&wrong).await);
        assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
    }
    let other = paid().await;
    let foreign = other.receiver.request_close(&other.id).unwrap();
    assert!(matches!(refused(case.payer.grant_close(&foreign).await), WalletError::NotFound));
    let renamed = CloseRequest { channel_id: case.id, ..foreign };
    assert!(matches!(refused(case.payer.grant_close(&renamed).await), WalletError::Channel(_)));
    assert_eq!((case.state("payer"), case.row("payer").hot.amount()), (ChannelState::Open, sats(PAID)));
    case.payer.grant_close(&good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_request_is_of_no_use() {
    let case = paid().await;
    let request = case.receiver.request_close(&case.id).unwrap();
    let mut config = case.world.config("payer");
    config.clock = FakeClock::at(request.expires_at);
    case.payer.close().unwrap();
    let payer = virtual_channels::wallet::Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
    let error = refused(payer.grant_close(&request).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::CloseRequestExpired { .. })), "{error}");
    assert_eq!(case.state("payer"), ChannelState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_that_are_not_the_payers() {
    let case = paid().await;
    let good = case.granted().await.unwrap();
    let other = paid().await;
    let mut foreign = other.granted().await.unwrap();
    assert!(matches!(refused(case.receiver.close_with(&foreign).await), WalletError::NotFound));
    foreign.channel_id = case.id;
    assert!(matches!(refused(case.receiver.close_with(&foreign).await), WalletError::Channel(_)));
    // Every part is signed: nothing can be put in its place, not even the other channel's own parts under its name.
    let mut mixed = good.clone();
    mixed.grant = foreign.grant;
    assert!(matches!(refused(case.receiver.close_with(&mixed).await), WalletError::Channel(_)));
    assert_eq!((case.state("receiver"), case.holds_checkpoint()), (ChannelState::Open, false));
    let error = refused(case.payer.close_with(&good).await);
    assert!(matches!(error, WalletError::WrongRole { .. }), "{error}");
    case.receiver.close_with(&good).await.unwrap();
    case.is_closed_at(PAID).await;
    // Again: closed is closed.
    let error = refused(case.receiver.close_with(&good).await);
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closed, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_paid_is_nothing_to_grant() {
    let case = case(Unit::Seconds, OnClose, None).await;
    let request = case.receiver.request_close(&case.id).unwrap();
    let error = refused(case.payer.grant_close(&request).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");
    assert_eq!(case.state("payer"), ChannelState::Open);
    let grant = case.receiver.release_channel(&case.id).await.unwrap();
    case.payer.close_with(&grant).await.unwrap();
    assert_eq!(case.total(&case.payer).await, FUNDS);
    assert_eq!(case.receiver.balance().await.unwrap().total(), Amount::ZERO);
    assert!(!kinds(&case.payer).is_empty());
}
