//! Opening in a batch as it should go, and when the other side does not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::Amount;
use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::message::Funding;
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    Acceptance, Balance, ChannelInfo, Clock, EventKind, FundingChoice, Wallet, WalletConfig, WalletError,
};

use crate::world::{World, eventually, pay, refused, sats};

/// The system's clock, moved forward.
#[derive(Default)]
pub struct Ahead(AtomicU64);

impl Ahead {
    pub fn by(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        now + self.0.load(Ordering::SeqCst)
    }
}

/// The wallet of this name with a clock that can be moved forward.
pub async fn with_clock(world: &World, name: &str) -> (Wallet, Arc<Ahead>) {
    let clock = Arc::new(Ahead::default());
    let config = WalletConfig { clock: clock.clone(), ..world.config(name) };
    (Wallet::open(config, &World::mnemonic(name)).await.expect("a wallet opens"), clock)
}

/// What a refusal must leave as it was.
pub async fn shown(wallet: &Wallet) -> (Vec<ChannelInfo>, Balance) {
    (wallet.channels().expect("channels"), wallet.balance().await.expect("balance"))
}

/// What has reached the operator of nonces, tree signatures, and forfeits.
pub async fn signed(world: &World) -> [u64; 3] {
    let operator = world.regtest.operator().await;
    let calls = [Call::SubmitTreeNonces, Call::SubmitTreeSignatures, Call::SubmitSignedForfeitTxs];
    calls.map(|call| operator.faults().seen(call))
}

/// The kinds of the events that wait, acknowledged.
pub async fn take_events(wallet: &Wallet) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    while let Ok(Ok(event)) = tokio::time::timeout(Duration::from_millis(50), wallet.next_event()).await {
        if let Some(token) = &event.token {
            wallet.acknowledge_event(token).expect("acknowledges");
            kinds.push(event.kind);
        }
    }
    kinds
}

/// Both sides: a channel that takes payments, once it is confirmed; and its money adds up.
async fn works(world: &World, payer: &Wallet, receiver: &Wallet, id: &ChannelId) {
    world.confirm(payer, receiver, id).await;
    pay(payer, receiver, id, 5_000, "works");
    assert_eq!(receiver.balance().await.unwrap().receivable, sats(5_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_from_several_vtxos_without_change() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 30_000).await;
    world.board(&payer, 20_000).await;
    world.settle(&payer).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 50_000).await;
    let Funding::Batch { inputs } = &offer.funding else { panic!("a batch") };
    assert_eq!(inputs.len(), 2);
    let id = payer.open_channel(&accept).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.in_channels, balance.total()), (sats(50_000), sats(50_000)));
    works(&world, &payer, &receiver, &id).await;
    assert_eq!(payer.balance().await.unwrap().in_channels, sats(45_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_with_change() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 20_000).await;
    let before = payer.balance().await.unwrap();
    assert_eq!((before.settled, before.pending), (sats(50_000), Amount::ZERO), "an offer holds nothing");
    let id = payer.open_channel(&accept).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.in_channels), (sats(30_000), sats(20_000)));
    assert_eq!(payer.channel(&id).unwrap().state, ChannelState::Confirming);
    assert_eq!(take_events(&payer).await, vec![EventKind::ChannelFunded]);
    works(&world, &payer, &receiver, &id).await;
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.settled, balance.total()), (sats(30_000), sats(45_000)));
    // The same Accept again opens nothing again.
    assert!(matches!(refused(payer.open_channel(&accept).await), WalletError::NotFound));
    assert_eq!(payer.channels().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_from_a_boarding_coin_with_change() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 1_000).await;
    world.board(&payer, 50_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree_from(&payer, &receiver, 30_000, FundingChoice::BatchFromBoarding).await;
    let id = payer.open_channel(&accept).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.boarding, balance.settled), (Amount::ZERO, sats(1_000)));
    assert_eq!((balance.preconfirmed, balance.in_channels), (sats(20_000), sats(30_000)));
    works(&world, &payer, &receiver, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_channels_in_one_batch() {
    let world = World::start(Unit::Blocks).await;
    let first = world.rich("first", 40_000).await;
    let second = world.rich("second", 40_000).await;
    let (receiver, other) = (world.wallet("receiver").await, world.wallet("other").await);
    world.regtest.operator().await.change(|settings| {
        settings.min_participants = 2;
        settings.session = Duration::from_secs(4);
    });
    let (_, one) = world.agree(&first, &receiver, 40_000).await;
    let (_, two) = world.agree(&second, &other, 15_000).await;
    let (one, two) = tokio::join!(first.open_channel(&one), second.open_channel(&two));
    let (one, two) = (one.unwrap(), two.unwrap());
    let operator = world.regtest.operator().await;
    let commitment =
        |wallet: &Wallet, id| operator.vtxo(&wallet.channel(id).unwrap().funding).unwrap().commitment_txids;
    assert_eq!(commitment(&first, &one), commitment(&second, &two));
    drop(operator);
    works(&world, &first, &receiver, &one).await;
    works(&world, &second, &other, &two).await;
    assert!(first.channel(&one).unwrap().levels > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_stream_late() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let before = signed(&world).await;
    world.regtest.operator().await.faults().once(Call::GetEventStream, Action::Delay(Duration::from_secs(1)));
    let started = std::time::Instant::now();
    let (_, accept) = world.agree(&payer, &receiver, 40_000).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "the Accept is given out when the stream is open");
    let id = payer.open_channel(&accept).await.unwrap();
    works(&world, &payer, &receiver, &id).await;
    assert_eq!(signed(&world).await, [before[0] + 2, before[1] + 2, before[2] + 1], "the first batch made it");
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_never_signs() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    receiver.close().unwrap();
    let before = shown(&payer).await;
    for _ in 0..3 {
        let error = refused(payer.open_channel(&accept).await);
        let WalletError::NotOpened { why } = &error else { panic!("{error}") };
        assert!(why.contains("1/2 nonces"), "{why}");
        assert_eq!(shown(&payer).await, before);
    }
    let error = refused(payer.open_channel(&accept).await);
    assert!(matches!(&error, WalletError::Operator(error) if error.is_banned()), "{error}");
    assert_eq!(shown(&payer).await, before);
    let failed = take_events(&payer).await;
    assert_eq!(failed.len(), 4);
    assert!(failed.iter().all(|kind| matches!(kind, EventKind::OpeningFailed { .. })));
    // The ban passes, the receiver comes back: the same Accept still opens the channel.
    world.regtest.operator().await.pardon();
    let receiver = world.wallet("receiver").await;
    assert_eq!(receiver.resume().await.unwrap().0, 1);
    let Acceptance::Accepted(again) = receiver.accept(&offer).await.unwrap() else { panic!("a batch offer") };
    assert_eq!(again.valid_until, accept.valid_until, "co-signing goes on, and so does the Accept");
    let id = payer.open_channel(&accept).await.unwrap();
    works(&world, &payer, &receiver, &id).await;
    assert_eq!(receiver.resume().await.unwrap().0, 0);
}

/// The payer registers, its batch starts, and it never confirms: the batch goes on without them, the receiver stops
/// listening when its accept ends, and the payer's coins are its own.
#[tokio::test(flavor = "multi_thread")]
async fn payer_registers_and_never_confirms() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    let operator = world.regtest.operator().await;
    operator.faults().always(Call::ConfirmRegistration, Action::Hang);
    {
        let opening = payer.open_channel(&accept);
        tokio::pin!(opening);
        let started = eventually("the batch", async || operator.faults().held() > 0);
        tokio::select! {
            result = &mut opening => panic!("{result:?}"),
            () = started => {}
        }
    }
    payer.close().unwrap();
    receiver.close().unwrap();
    let (receiver, clock) = with_clock(&world, "receiver").await;
    clock.by(200);
    receiver.resume().await.unwrap();
    let events = take_events(&receiver).await;
    assert!(
        matches!(events.as_slice(), [.., EventKind::OpeningFailed { offer_id, .. }] if *offer_id == hex(&offer.id())),
        "{events:?}"
    );
    assert!(receiver.channels().unwrap().is_empty());
    operator.faults().clear();
    drop(operator);
    let payer = world.wallet("payer").await;
    payer.resume().await.unwrap();
    assert_eq!(payer.settle(true).await.unwrap().amount, sats(40_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn payer_never_confirms() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, _) = world.agree(&payer, &receiver, 30_000).await;
    receiver.close().unwrap();
    let (receiver, clock) = with_clock(&world, "receiver").await;
    clock.by(200);
    let (left, errors) = receiver.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{errors:?}");
    let events = take_events(&receiver).await;
    let [EventKind::OpeningFailed { offer_id, why }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(*offer_id, hex(&offer.id()));
    assert!(why.contains("did not open before the accept ended"), "{why}");
    assert!(receiver.channels().unwrap().is_empty());
    // Another offer may not take its place: what was signed for the first may still come.
    let mut other = offer.clone();
    other.terms.capacity = sats(29_000);
    assert!(matches!(refused(receiver.accept(&other).await), WalletError::Channel(ChannelError::InviteUsed)));
    // The same offer may be accepted again, and opened.
    let Acceptance::Accepted(accept) = receiver.accept(&offer).await.unwrap() else { panic!("a batch offer") };
    let id = payer.open_channel(&accept).await.unwrap();
    works(&world, &payer, &receiver, &id).await;
    assert!(matches!(refused(receiver.accept(&offer).await), WalletError::Channel(ChannelError::InviteUsed)));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn power_lost_before_register_intent() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 30_000).await;
    world.regtest.operator().await.faults().once(Call::RegisterIntent, Action::Hang);
    let opening = tokio::spawn({
        let payer = payer.clone();
        async move { payer.open_channel(&accept).await }
    });
    eventually("the coins are held", async || payer.balance().await.is_ok_and(|b| b.pending == sats(40_000))).await;
    eventually("the call", async || world.regtest.operator().await.faults().seen(Call::RegisterIntent) == 2).await;
    opening.abort();
    payer.close().unwrap();
    let payer = world.wallet("payer").await;
    assert_eq!(payer.balance().await.unwrap().pending, sats(40_000));
    let (left, errors) = payer.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{errors:?}");
    let id = payer.channels().unwrap()[0].id;
    works(&world, &payer, &receiver, &id).await;
}
