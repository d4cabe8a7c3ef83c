//! Inviting, offering, accepting: what is refused before anything leaves, with its figures.

use bitcoin::Amount;
use regtest::operator::Unit;
use virtual_channels::channel::message::{Accept, Invite};
use virtual_channels::channel::{ChannelError, Delay, Network};
use virtual_channels::store::StoreError;
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest, Wallet, WalletConfig, WalletError};

use crate::opening::{shown, signed, with_clock};
use crate::world::{World, refused, request, sats};

#[tokio::test(flavor = "multi_thread")]
async fn invite_used_twice() {
    let world = World::start(Unit::Blocks).await;
    let (first, second) = (world.rich("first", 40_000).await, world.rich("second", 40_000).await);
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let one = first.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    let two = second.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    receiver.accept(&one.offer).await.unwrap();
    let before = shown(&receiver).await;
    assert!(matches!(refused(receiver.accept(&two.offer).await), WalletError::Channel(ChannelError::InviteUsed)));
    assert_eq!(shown(&receiver).await, before);
    // The first is still good.
    let Acceptance::Accepted(accept) = receiver.accept(&one.offer).await.unwrap() else { panic!("a batch offer") };
    first.open_channel(&accept).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_invite() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    payer.close().unwrap();
    let (payer, payer_clock) = with_clock(&world, "payer").await;
    let (receiver, clock) = with_clock(&world, "receiver").await;
    let asked = InviteRequest { valid_seconds: 100, ..InviteRequest::default() };
    let invite = receiver.create_invite(&asked).unwrap();
    let proposal = payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    clock.by(102);
    payer_clock.by(102);
    let before = (shown(&payer).await, shown(&receiver).await);
    for error in [
        refused(receiver.accept(&proposal.offer).await),
        refused(payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await),
        refused(payer.quote_open(&invite, &request(30_000, FundingChoice::Offchain)).await),
    ] {
        let WalletError::Channel(ChannelError::InviteExpired { expired_at, now }) = error else { panic!("{error}") };
        assert!(expired_at == invite.expires_at && now > expired_at);
    }
    assert_eq!((shown(&payer).await, shown(&receiver).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn offer_for_another_invite() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let (receiver, stranger) = (world.wallet("receiver").await, world.wallet("stranger").await);
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let other = receiver.create_invite(&InviteRequest::default()).unwrap();
    let proposal = payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    let before = shown(&receiver).await;
    let error = refused(stranger.accept(&proposal.offer).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::OtherInvite)), "{error}");
    let mut moved = proposal.offer.clone();
    moved.invite_id = other.id();
    let error = refused(receiver.accept(&moved).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::OfferMismatch { .. })), "{error}");
    assert_eq!(shown(&receiver).await, before);
    receiver.accept(&proposal.offer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_operator_key() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let mut invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let right = invite.operator;
    invite.operator = invite.receiver.key;
    let before = shown(&payer).await;
    for funding in [FundingChoice::Batch, FundingChoice::Offchain] {
        let error = refused(payer.propose(&invite, &request(30_000, funding)).await);
        let WalletError::Channel(ChannelError::WrongOperator { expected, got }) = error else { panic!("{error}") };
        assert_eq!((*expected, *got), (invite.operator, right));
    }
    assert_eq!(shown(&payer).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_network() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let foreign = Invite { network: Network::Signet, ..invite.clone() };
    let before = shown(&payer).await;
    let error = refused(payer.propose(&foreign, &request(30_000, FundingChoice::Batch)).await);
    let WalletError::Channel(ChannelError::WrongNetwork { expected, got }) = error else { panic!("{error}") };
    assert_eq!((expected, got), (Network::Signet, Network::Regtest));
    let mut offer = payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap().offer;
    offer.terms.network = Network::Signet;
    let error = refused(receiver.accept(&offer).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::WrongNetwork { .. })), "{error}");
    assert_eq!(shown(&payer).await, before);
    // A wallet for another network than the operator's is not even created.
    let config = WalletConfig { network: Network::Signet, ..world.config("signet") };
    let error = refused(Wallet::open(config, &World::mnemonic("signet")).await);
    let WalletError::Channel(ChannelError::WrongNetwork { expected, got }) = error else { panic!("{error}") };
    assert_eq!((expected, got), (Network::Signet, Network::Regtest));
    assert!(!world.path("signet").exists());
    world.wallet("signet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_below_the_operators_exit_delay() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    let mut short = offer.clone();
    short.terms.d1 = Delay::at_least(offer.terms.unit(), 19).unwrap();
    let other = world.wallet("other").await;
    let invite = other.create_invite(&InviteRequest::default()).unwrap();
    short.invite_id = invite.id();
    short.terms.receiver = invite.receiver;
    let error = refused(other.accept(&short).await);
    let WalletError::Channel(ChannelError::DelayTooShort { delay, minimum }) = error else { panic!("{error}") };
    assert_eq!((delay, minimum), (19, 20));
    // The operator raises its delay between the Accept and the opening: nothing is registered.
    let before = (shown(&payer).await, signed(&world).await);
    world.regtest.operator().await.change(|settings| settings.exit_delay = 24);
    let error = refused(payer.open_channel(&accept).await);
    let WalletError::Channel(ChannelError::DelayTooShort { delay, minimum }) = error else { panic!("{error}") };
    assert_eq!((delay, minimum), (20, 24));
    assert_eq!((shown(&payer).await, signed(&world).await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_leave_less_than_the_minimum() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let poor = world.wallet("poor").await;
    world.board(&poor, 700).await;
    let receiver = world.wallet("receiver").await;
    world.regtest.operator().await.change(|settings| {
        settings.fees.offchain_input = "100.0".into();
        settings.fees.onchain_input = "200.0".into();
        settings.fees.offchain_output = "200.0".into();
    });
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let before = (shown(&payer).await, shown(&poor).await);
    for error in [refused(poor.settle(false).await), refused(poor.quote_settle(false).await)] {
        let WalletError::FeesLeaveTooLittle { fee, left, minimum } = error else { panic!("{error}") };
        assert_eq!((fee, left, minimum), (sats(400), sats(300), sats(330)));
    }
    // The capacity alone is there, but not with the fee; and not with change too small to be made.
    for (capacity, needed) in [(39_900, 40_400), (39_600, 40_430)] {
        let error = refused(payer.propose(&invite, &request(capacity, FundingChoice::Batch)).await);
        let WalletError::InsufficientFunds { needed: figure, available } = error else { panic!("{error}") };
        assert!(figure > available, "{figure} {available}");
        assert!(figure <= sats(needed), "{figure}");
        assert_eq!(available, sats(40_000));
    }
    assert_eq!((shown(&payer).await, shown(&poor).await), before);
    let quote = payer.quote_open(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    assert_eq!((quote.fee, quote.amount), (sats(500), sats(30_000)));
    let proposal = payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    assert_eq!(proposal.fee, quote.fee);
    let Acceptance::Accepted(accept) = receiver.accept(&proposal.offer).await.unwrap() else { panic!("a batch offer") };
    payer.open_channel(&accept).await.unwrap();
    assert_eq!(payer.balance().await.unwrap().total(), sats(39_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn fee_raised_after_the_offer() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    world.regtest.operator().await.change(|settings| settings.fees.offchain_output = "200.0".into());
    let before = shown(&payer).await;
    let error = refused(payer.open_channel(&accept).await);
    let code = virtual_channels::operator::code::INTENT_INSUFFICIENT_FEE;
    assert!(matches!(&error, WalletError::Operator(error) if error.is(code)), "{error}");
    assert_eq!(shown(&payer).await, before);
    payer.cancel_proposal(&offer.id()).unwrap();
    assert!(matches!(refused(payer.open_channel(&accept).await), WalletError::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn wallet_cannot_cover_capacity() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let before = shown(&payer).await;
    let funding = [FundingChoice::Batch, FundingChoice::Offchain];
    for (funding, capacity, needed) in
        [(funding[0], 50_000, 50_000), (funding[1], 50_000, 50_000), (funding[0], 39_900, 40_230)]
    {
        let error = refused(payer.propose(&invite, &request(capacity, funding)).await);
        let WalletError::InsufficientFunds { needed: figure, available } = error else { panic!("{error}") };
        assert_eq!((figure, available), (sats(needed), sats(40_000)));
    }
    let error = refused(payer.propose(&invite, &request(5_000, FundingChoice::BatchFromBoarding)).await);
    let WalletError::InsufficientFunds { needed, available } = error else { panic!("{error}") };
    assert_eq!((needed, available), (sats(5_000), Amount::ZERO));
    assert_eq!(shown(&payer).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_the_invites_bounds() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let asked = InviteRequest {
        min_capacity: sats(10_000),
        max_capacity: Some(sats(20_000)),
        offchain_funding: false,
        ..InviteRequest::default()
    };
    let invite = receiver.create_invite(&asked).unwrap();
    let before = shown(&payer).await;
    for capacity in [9_999, 20_001] {
        let error = refused(payer.propose(&invite, &request(capacity, FundingChoice::Batch)).await);
        let WalletError::Channel(ChannelError::CapacityOutOfBounds { capacity: figure, min, max }) = error else {
            panic!("{error}")
        };
        assert_eq!((figure, min, max), (sats(capacity), sats(10_000), sats(20_000)));
    }
    let error = refused(payer.propose(&invite, &request(15_000, FundingChoice::Offchain)).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::FundingKindRefused { kind: "off chain" })), "{error}");
    let online = InviteRequest { batch_funding: false, ..InviteRequest::default() };
    let invite = receiver.create_invite(&online).unwrap();
    let error = refused(payer.propose(&invite, &request(15_000, FundingChoice::Batch)).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::FundingKindRefused { .. })), "{error}");
    assert_eq!(shown(&payer).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn accept_of_another_ended_or_forged() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    payer.close().unwrap();
    let (payer, clock) = with_clock(&world, "payer").await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    let before = (shown(&payer).await, signed(&world).await);
    let unknown = Accept { offer_id: [7; 32], ..accept.clone() };
    assert!(matches!(refused(payer.open_channel(&unknown).await), WalletError::NotFound));
    let longer = Accept { valid_until: accept.valid_until + 1, ..accept.clone() };
    let error = refused(payer.open_channel(&longer).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
    clock.by(200);
    let error = refused(payer.open_channel(&accept).await);
    let WalletError::Channel(ChannelError::AcceptExpired { valid_until, now }) = error else { panic!("{error}") };
    assert!(valid_until == accept.valid_until && now > valid_until);
    assert_eq!((shown(&payer).await, signed(&world).await), before);
    // Cancelled, it is gone; a second time there is nothing to cancel.
    payer.cancel_proposal(&offer.id()).unwrap();
    assert!(matches!(refused(payer.cancel_proposal(&offer.id())), WalletError::NotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_offers_over_the_same_coin() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let (receiver, other) = (world.wallet("receiver").await, world.wallet("other").await);
    let (_, one) = world.agree(&payer, &receiver, 30_000).await;
    let (late, two) = world.agree(&payer, &other, 30_000).await;
    let (first, second) = tokio::join!(payer.open_channel(&one), payer.open_channel(&two));
    let (id, error) = match (first, second) {
        (Ok(id), Err(error)) | (Err(error), Ok(id)) => (id, error),
        other => panic!("{other:?}"),
    };
    let spent = virtual_channels::operator::code::VTXO_ALREADY_SPENT;
    let locked = matches!(&*error, WalletError::Store(StoreError::CoinLocked { .. }));
    assert!(locked || matches!(&*error, WalletError::Operator(error) if error.is(spent)), "{error}");
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.pending, balance.total()), (Amount::ZERO, sats(40_000)));
    assert_eq!(payer.channels().unwrap().len(), 1);
    let _ = (id, late);
}
