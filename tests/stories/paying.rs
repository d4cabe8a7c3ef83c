//! Paying, row by row: what counts, what is refused with which figures, and that a refusal leaves everything as it was.

use std::collections::HashSet;

use bitcoin::Amount;
use bitcoin::secp256k1::schnorr::Signature;
use virtual_channels::channel::message::UpdateMessage;
use virtual_channels::channel::{Authorisation, Channel, ChannelError, ChannelUpdate};
use virtual_channels::store::{ChannelState, StoreError};
use virtual_channels::wallet::{KeyUse, Payment, Wallet, WalletError};

use crate::offline::{NOW, Offline, checkpoint, keys};
use crate::world::{pay, refused, sats};

const CAPACITY: u64 = 100_000;

/// A payer, a receiver and one open channel.
struct Pair {
    place: Offline,
    payer: Wallet,
    receiver: Wallet,
    channel: Channel,
}

async fn pair() -> Pair {
    pair_of(CAPACITY).await
}

async fn pair_of(capacity: u64) -> Pair {
    let place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, capacity);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    Pair { place, payer, receiver, channel }
}

impl Pair {
    fn pay(&self, amount: u64, payment_id: &str) -> Payment {
        self.payer.pay(&self.channel.id, sats(amount), payment_id, None).unwrap()
    }

    /// What was refused, and that nothing has changed in the payer's file.
    fn pay_refused(&self, amount: u64, payment_id: &str) -> WalletError {
        let before = self.place.row("payer", &self.channel.id);
        let error = refused(self.payer.pay(&self.channel.id, sats(amount), payment_id, None));
        assert_eq!(self.place.row("payer", &self.channel.id), before, "{error}");
        error
    }

    /// The same for the receiver.
    fn receive_refused(&self, message: &UpdateMessage) -> WalletError {
        let before = self.place.row("receiver", &self.channel.id);
        let error = refused(self.receiver.receive(message));
        assert_eq!(self.place.row("receiver", &self.channel.id), before, "{error}");
        error
    }

    fn both(&self, amount: u64, payment_id: &str) -> Amount {
        pay(&self.payer, &self.receiver, &self.channel.id, amount, payment_id).amount
    }

    /// An update as only the payer's key can make it, whatever its wallet would say.
    fn sign(&self, previous: u64, amount: u64) -> ChannelUpdate {
        let key = keys("payer").keypair(KeyUse::Payer, 1).unwrap();
        let close = self.channel.close_template(self.place.info.checkpoint).unwrap();
        ChannelUpdate::sign(&self.channel, &close, &key, sats(previous), sats(amount))
    }

    /// Closes a wallet of the pair, puts an old file in its place and opens it again.
    async fn payer_restored_from(&mut self, copy: &str) {
        self.payer.close().unwrap();
        self.place.restore("payer", copy);
        self.payer = self.place.wallet("payer").await;
    }

    async fn back_up_payer(&mut self, copy: &str) {
        self.payer.close().unwrap();
        self.place.copy("payer", copy);
        self.payer = self.place.wallet("payer").await;
    }
}

fn message(update: ChannelUpdate) -> UpdateMessage {
    UpdateMessage { update, authorisation: None, memo: None }
}

fn impossible(error: WalletError) -> (u64, Option<u64>, Option<u64>) {
    match error {
        WalletError::Channel(ChannelError::ImpossibleAmount { amount, below, above, .. }) => {
            (amount.to_sat(), below.map(Amount::to_sat), above.map(Amount::to_sat))
        }
        other => panic!("{other:?}"),
    }
}

fn over(error: WalletError) -> (u64, u64) {
    match error {
        WalletError::Channel(ChannelError::OverCapacity { amount, capacity }) => (amount.to_sat(), capacity.to_sat()),
        other => panic!("{other:?}"),
    }
}

/// The update that a stale or forked answer carries.
fn shown(error: WalletError) -> UpdateMessage {
    match error {
        WalletError::Channel(ChannelError::Stale { stored, .. } | ChannelError::Forked { stored, .. }) => {
            message(*stored)
        }
        other => panic!("{other:?}"),
    }
}

fn is_stale(error: &WalletError) -> bool {
    matches!(error, WalletError::Channel(ChannelError::Stale { .. }))
}

#[tokio::test]
async fn first_payment_at_below_and_above_the_minimum() {
    for (first, possible) in [(1, false), (329, false), (330, true), (331, true)] {
        let pair = pair().await;
        if possible {
            assert_eq!(pair.both(first, "first"), sats(first));
        } else {
            assert_eq!(impossible(pair.pay_refused(first, "first")), (first, None, Some(330)));
            assert_eq!(pair.both(330, "first"), sats(330), "the id of what was refused is free");
        }
    }
}

#[tokio::test]
async fn one_sat_more() {
    let pair = pair().await;
    pair.both(330, "first");
    for more in 1..=5 {
        assert_eq!(pair.both(1, &format!("{more}")), sats(330 + more));
    }
}

#[tokio::test]
async fn over_capacity_on_the_payers_side() {
    let pair = pair().await;
    assert_eq!(over(pair.pay_refused(CAPACITY + 1, "a")), (CAPACITY + 1, CAPACITY));
    pair.both(60_000, "b");
    assert_eq!(over(pair.pay_refused(40_001, "c")), (100_001, CAPACITY));
    assert_eq!(pair.payer.channel(&pair.channel.id).unwrap().remaining, sats(40_000));
}

#[tokio::test]
async fn over_capacity_on_the_receivers_side() {
    let pair = pair().await;
    pair.both(1_000, "a");
    for amount in [CAPACITY + 1, u64::MAX] {
        let mut update = pair.sign(1_000, 2_000);
        update.amount = sats(amount);
        assert_eq!(over(pair.receive_refused(&message(update))), (amount, CAPACITY));
    }
}

#[tokio::test]
async fn remainder_zero_and_remainder_of_dust() {
    let pair = pair_of(10_000).await;
    for dust in [9_671, 9_999] {
        assert_eq!(impossible(pair.pay_refused(dust, "a")), (dust, Some(9_670), Some(10_000)));
    }
    pair.both(9_000, "a");
    assert_eq!(impossible(pair.pay_refused(671, "b")), (9_671, Some(9_670), Some(10_000)));
    // A payer that signs it all the same is refused, too.
    let error = pair.receive_refused(&message(pair.sign(9_000, 9_671)));
    assert_eq!(impossible(error), (9_671, Some(9_670), Some(10_000)));
    let payment = pair.pay(1_000, "b");
    assert_eq!((payment.amount, payment.remaining), (sats(10_000), sats(0)));
    assert_eq!(pair.receiver.receive(&payment.message).unwrap().amount, sats(10_000));
    assert_eq!(over(pair.pay_refused(1, "c")), (10_001, 10_000));
}

#[tokio::test]
async fn u64_extremes() {
    let pair = pair().await;
    let nothing = pair.pay_refused(0, "a");
    assert!(matches!(nothing, WalletError::Channel(ChannelError::ZeroPayment)), "{nothing}");
    assert_eq!(over(pair.pay_refused(u64::MAX, "a")), (u64::MAX, CAPACITY));
    pair.both(1_000, "a");
    assert_eq!(over(pair.pay_refused(u64::MAX, "b")).1, CAPACITY, "the sum does not wrap");
    assert_eq!(over(pair.pay_refused(u64::MAX - 999, "b")).1, CAPACITY);
    // `previous` is not signed: any number may stand there.
    let mut update = pair.sign(1_000, 2_000);
    update.previous = Amount::from_sat(u64::MAX);
    let text = message(update).to_text().unwrap();
    let parsed = UpdateMessage::parse(&text).map_err(WalletError::from);
    let before = pair.place.row("receiver", &pair.channel.id);
    if parsed.and_then(|parsed| pair.receiver.receive(&parsed)).is_err() {
        assert_eq!(pair.place.row("receiver", &pair.channel.id), before);
        assert!(pair.receiver.receive(&message(update)).is_err());
        assert_eq!(pair.place.row("receiver", &pair.channel.id), before);
    }
    assert_eq!(pair.receiver.receive(&message(pair.sign(2_000, 3_000))).unwrap().amount, sats(3_000));
}

#[tokio::test]
async fn equal_amount_again() {
    let pair = pair().await;
    let payment = pair.pay(1_000, "a");
    assert_eq!(pair.receiver.receive(&payment.message).unwrap().increase, sats(1_000));
    let stored = pair.place.row("receiver", &pair.channel.id);
    for _ in 0..3 {
        let again = pair.receiver.receive(&payment.message).unwrap();
        assert_eq!((again.amount, again.increase), (sats(1_000), sats(0)));
        // The same amount signed once more on the same base is the same payment.
        assert_eq!(pair.receiver.receive(&message(pair.sign(0, 1_000))).unwrap().increase, sats(0));
    }
    assert_eq!(pair.place.row("receiver", &pair.channel.id), stored, "the first signatures stay");
}

#[tokio::test]
async fn lower_amount() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let error = pair.receive_refused(&message(pair.sign(0, 999)));
    let WalletError::Channel(ChannelError::Stale { amount, stored }) = error else { panic!("{error}") };
    assert_eq!((amount, stored.amount), (sats(999), sats(1_000)));
}

#[tokio::test]
async fn update_for_another_channel() {
    let place = Offline::new();
    // The last two have the same keys, terms and address, and differ in the outpoint alone.
    let channels = place.channels("payer", "receiver", [(1, 1), (2, 2), (2, 3)].into_iter(), CAPACITY);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    for channel in &channels {
        pay(&payer, &receiver, &channel.id, 1_000, "a");
    }
    for (own, other) in [(0, 1), (1, 2), (2, 1)] {
        let mut payment = payer.pay(&channels[own].id, sats(500), &format!("{own} {other}"), None).unwrap().message;
        payment.update.channel_id = channels[other].id;
        let before = place.row("receiver", &channels[other].id);
        let error = refused(receiver.receive(&payment));
        assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
        assert_eq!(place.row("receiver", &channels[other].id), before);
    }
    let mut unknown = payer.latest_update(&channels[0].id).unwrap().message;
    unknown.update.channel_id.0[7] ^= 1;
    assert!(matches!(refused(receiver.receive(&unknown)), WalletError::NotFound));
    // The payer is no receiver, and the other way round.
    let own = payer.latest_update(&channels[0].id).unwrap().message;
    assert!(matches!(refused(payer.receive(&own)), WalletError::WrongRole { .. }));
    let error = refused(receiver.pay(&channels[0].id, sats(500), "x", None));
    assert!(matches!(error, WalletError::WrongRole { .. }));
}

#[tokio::test]
async fn every_signature_damaged_swapped_or_from_elsewhere() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let good = pair.sign(1_000, 2_000);
    let other = pair.sign(1_000, 2_001);
    let flip = |signature: &Signature, bit: usize| {
        let mut bytes = signature.serialize();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Signature::from_slice(&bytes).unwrap()
    };
    for bit in (0..512).step_by(37) {
        let bad = ChannelUpdate { exit_signature: flip(&good.exit_signature, bit), ..good };
        let error = pair.receive_refused(&message(bad));
        assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
        // A good exit signature beside a bad ark signature may be for a checkpoint script not known here.
        let bad = ChannelUpdate { ark_signature: flip(&good.ark_signature, bit), ..good };
        let error = pair.receive_refused(&message(bad));
        assert!(matches!(error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })), "{error}");
    }
    let thief = keys("thief").keypair(KeyUse::Payer, 1).unwrap();
    let close = pair.channel.close_template(pair.place.info.checkpoint).unwrap();
    let stolen = ChannelUpdate::sign(&pair.channel, &close, &thief, sats(1_000), sats(2_000));
    for bad in [
        ChannelUpdate { exit_signature: good.ark_signature, ark_signature: good.exit_signature, ..good },
        ChannelUpdate { exit_signature: other.exit_signature, ..good },
        ChannelUpdate { ark_signature: other.ark_signature, ..good },
        ChannelUpdate { amount: sats(2_001), ..good },
        ChannelUpdate { ark_signature: stolen.ark_signature, ..good },
        stolen,
    ] {
        pair.receive_refused(&message(bad));
    }
    assert_eq!(pair.receiver.receive(&message(good)).unwrap().increase, sats(1_000));
}

#[tokio::test]
async fn missing_authorisation() {
    let pair = pair().await;
    let mut payment = pair.pay(1_000, "a").message;
    assert!(payment.authorisation.is_some());
    let authorisation = payment.authorisation.take();
    let error = pair.receive_refused(&payment);
    assert!(matches!(error, WalletError::Channel(ChannelError::MissingAuthorisation { .. })), "{error}");
    payment.authorisation = authorisation;
    assert_eq!(pair.receiver.receive(&payment).unwrap().amount, sats(1_000));
}

#[tokio::test]
async fn authorisation_with_a_bad_signature() {
    let pair = pair().await;
    let good = pair.pay(1_000, "a").message;
    let authorisation = good.authorisation.unwrap();
    let other = authorisation.pending[0];
    for bad in [
        Authorisation { checkpoint: other, ..authorisation },
        Authorisation { pending: [authorisation.pending[0], other], ..authorisation },
        Authorisation { pending: [authorisation.pending[1], authorisation.pending[1]], ..authorisation },
        Authorisation { delete: [authorisation.delete[0], other], ..authorisation },
        Authorisation { delete: [other, authorisation.delete[1]], ..authorisation },
    ] {
        let error = pair.receive_refused(&UpdateMessage { authorisation: Some(bad), ..good.clone() });
        assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
    }
    pair.receiver.receive(&good).unwrap();
}

#[tokio::test]
async fn authorisation_for_another_checkpoint_script() {
    let mut place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let receiver = place.wallet("receiver").await;
    // The payer believes in scripts that the receiver knows nothing of.
    for script in [checkpoint(1_000 * 512), checkpoint(2 * 86_528)] {
        place.info.checkpoint = script;
        let payer = place.wallet("payer").await;
        let payment = payer.pay(&channel.id, sats(1_000), &format!("{}", script.delay.value()), None).unwrap();
        let before = place.row("receiver", &channel.id);
        let error = refused(receiver.receive(&payment.message));
        assert!(matches!(error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })), "{error}");
        assert_eq!(place.row("receiver", &channel.id), before);
        payer.close().unwrap();
    }
    // Once the receiver has heard of it too, the same payment counts.
    receiver.close().unwrap();
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    let latest = payer.latest_update(&channel.id).unwrap();
    assert_eq!(receiver.receive(&latest.message).unwrap().amount, latest.amount);
}

#[tokio::test]
async fn a_channel_that_is_not_open() {
    use ChannelState::*;
    for state in [Confirming, Closing, Closed, Settled, Refunding, Refunded, Exiting, Lost] {
        let pair = pair().await;
        pair.both(1_000, "before");
        let next = message(pair.sign(1_000, 2_000));
        for name in ["payer", "receiver"] {
            pair.place.store(name).write(|db| db.set_state(&pair.channel.id, &[Open], state)).unwrap();
        }
        for error in [pair.pay_refused(500, "after"), pair.receive_refused(&next)] {
            let WalletError::WrongState { channel_id, state: found, .. } = error else { panic!("{error}") };
            assert_eq!((channel_id, found), (pair.channel.id, state));
        }
        // What had been paid is still told.
        let again = pair.pay(1_000, "before");
        assert!(again.repeated);
        assert_eq!(pair.receiver.receive(&again.message).unwrap().increase, sats(0));
    }
}

#[tokio::test]
async fn past_close_by() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let close_by = pair.payer.channel(&pair.channel.id).unwrap().close_by;
    pair.place.clock.advance(close_by - NOW - 1);
    pair.place.store("receiver").write(|db| db.set_last_watch(&pair.channel.id, close_by)).unwrap();
    assert_eq!(pair.both(1_000, "the last second"), sats(2_000));
    pair.place.clock.advance(1);
    for error in [pair.pay_refused(1_000, "late"), pair.receive_refused(&message(pair.sign(2_000, 3_000)))] {
        let WalletError::PastCloseBy { close_by: told, now, .. } = error else { panic!("{error}") };
        assert_eq!((told, now), (close_by, close_by));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_helps_nobody() {
    let pair = pair().await;
    let close_by = pair.receiver.channel(&pair.channel.id).unwrap().close_by;
    pair.place.clock.advance(close_by - NOW);
    pair.pay_refused(1_000, "late");
    pair.place.clock.advance(0u64.wrapping_sub(3_600));
    assert!(matches!(pair.pay_refused(1_000, "late"), WalletError::PastCloseBy { .. }));
}

#[tokio::test]
async fn sixty_four_threads_pay_at_once() {
    const THREADS: u64 = 64;
    let pair = pair().await;
    pair.both(1_000, "first");
    let amounts: Vec<Payment> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let pair = &pair;
                scope.spawn(move || (0..4).map(|n| pair.pay(7, &format!("{thread} {n}"))).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let total = 1_000 + THREADS * 4 * 7;
    assert_eq!(pair.payer.channel(&pair.channel.id).unwrap().amount, sats(total));
    let different: HashSet<u64> = amounts.iter().map(|payment| payment.amount.to_sat()).collect();
    assert_eq!(different.len() as u64, THREADS * 4, "each payment has an amount of its own");
    let messages: Vec<UpdateMessage> = amounts.into_iter().map(|payment| payment.message).collect();
    pair.receiver.receive_many(&messages).unwrap();
    assert_eq!(pair.receiver.channel(&pair.channel.id).unwrap().amount, sats(total));
}

#[tokio::test]
async fn the_same_payment_id_twice() {
    let pair = pair().await;
    let first = pair.pay(1_000, "order 7");
    let again = pair.pay(1_000, "order 7");
    assert!(!first.repeated && again.repeated);
    assert_eq!((again.amount, &again.message), (first.amount, &first.message));
    pair.pay(500, "order 8");
    let late = pair.pay(1_000, "order 7");
    assert_eq!((late.amount, late.repeated), (sats(1_500), true), "the latest update, nothing added");
    for id in ["", &"x".repeat(257)] {
        let error = refused(pair.payer.pay(&pair.channel.id, sats(500), id, None));
        assert!(matches!(error, WalletError::InvalidPaymentId { limit: 256 }), "{error}");
    }
}

#[tokio::test]
async fn a_payment_id_older_than_the_ring() {
    let pair = pair().await;
    pair.pay(1_000, "old");
    for n in 0..63 {
        pair.pay(1, &format!("{n}"));
    }
    assert!(pair.pay(1_000, "old").repeated, "the 64th from the end is still known");
    pair.pay(1, "one more");
    let again = pair.pay(1_000, "old");
    assert_eq!((again.amount, again.repeated), (sats(1_000 + 64 + 1_000), false), "as documented: it is a new payment");
}

#[tokio::test]
async fn stale_and_the_payer_catches_up() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(500, "b");
    pair.payer_restored_from("backup").await;
    let refused_update = pair.pay(100, "c").message;
    let error = pair.receive_refused(&refused_update);
    assert!(is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    // Whether "c" had been paid before the backup was put back cannot be known: it adds nothing.
    assert!(pair.pay(100, "c").repeated);
    assert_eq!(pair.both(100, "d"), sats(1_600));
}

#[tokio::test]
async fn forked_and_the_payer_catches_up() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(500, "b");
    pair.payer_restored_from("backup").await;
    let error = pair.receive_refused(&pair.pay(2_000, "c").message);
    assert!(!is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    let row = pair.place.row("payer", &pair.channel.id);
    assert_eq!((row.hot.amount(), row.hot.high), (sats(1_500), sats(3_000)), "what was signed may still be claimed");
    // The refused payment is signed again on the new base, under its own id, once.
    let again = pair.pay(2_000, "c");
    assert_eq!((again.amount, again.repeated), (sats(3_500), false));
    assert_eq!(pair.receiver.receive(&again.message).unwrap().increase, sats(2_000));
    assert!(pair.pay(2_000, "c").repeated);
}

#[tokio::test]
async fn forked_at_the_same_amount() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(300, "b");
    pair.both(200, "c");
    pair.payer_restored_from("backup").await;
    let error = pair.receive_refused(&pair.pay(500, "d").message);
    assert!(!is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    assert_eq!(pair.both(500, "d"), sats(2_000), "it has not been paid yet");
}

#[tokio::test]
async fn replayed_and_nothing_to_catch_up() {
    let pair = pair().await;
    let first = pair.pay(1_000, "a").message;
    pair.receiver.receive(&first).unwrap();
    pair.both(500, "b");
    let error = pair.receive_refused(&first);
    assert!(is_stale(&error));
    // The payer has forgotten nothing: what it is shown is its own latest, or older.
    let before = pair.place.row("payer", &pair.channel.id);
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    assert_eq!(pair.payer.catch_up(&first).unwrap(), sats(1_500), "a receiver cannot lower the base");
    assert_eq!(pair.place.row("payer", &pair.channel.id), before);
}

#[tokio::test]
async fn a_receiver_that_is_blind_for_too_long() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let until = pair.receiver.channel(&pair.channel.id).unwrap().takes_money_until.unwrap();
    assert_eq!(until, NOW + 173_056 / 4);
    pair.place.clock.advance(until - NOW);
    let stored = pair.pay(1_000, "b").message;
    assert_eq!(pair.receiver.receive(&stored).unwrap().amount, sats(2_000));
    pair.place.clock.advance(1);
    let next = pair.pay(1_000, "c").message;
    let error = pair.receive_refused(&next);
    let WalletError::Blind { blind_seconds, max_blind_seconds, .. } = error else { panic!("{error}") };
    assert_eq!((blind_seconds, max_blind_seconds), (173_056 / 4 + 1, 173_056 / 4));
    assert_eq!(pair.receiver.receive(&stored).unwrap().increase, sats(0), "what is stored is no new money");
    // A look at the chain, and the same update counts.
    pair.place.store("receiver").write(|db| db.set_last_watch(&pair.channel.id, until + 1)).unwrap();
    assert_eq!(pair.receiver.receive(&next).unwrap().amount, sats(3_000));
}

#[tokio::test]
async fn two_wallets_on_one_database() {
    let pair = pair().await;
    let other = pair.place.wallet("payer").await;
    pair.both(1_000, "first");
    std::thread::scope(|scope| {
        for (name, wallet, other) in [("one", &pair.payer, &other), ("two", &other, &pair.payer)] {
            let id = &pair.channel.id;
            scope.spawn(move || {
                for n in 0..40 {
                    let payment_id = format!("{name} {n}");
                    wallet.pay(id, sats(5), &payment_id, None).unwrap();
                    assert!(other.pay(id, sats(5), &payment_id, None).unwrap().repeated, "the other object knows it");
                }
            });
        }
    });
    assert_eq!(pair.payer.channel(&pair.channel.id).unwrap().amount, sats(1_400));
    let receiver = pair.place.wallet("receiver").await;
    let latest = other.latest_update(&pair.channel.id).unwrap().message;
    assert_eq!(receiver.receive(&latest).unwrap().amount, sats(1_400));
    assert_eq!(pair.receiver.receive(&latest).unwrap().increase, sats(0), "the first object sees the second's commit");
}

#[tokio::test]
async fn a_closed_wallet_pays_nothing() {
    let pair = pair().await;
    pair.payer.close().unwrap();
    let error = refused(pair.payer.pay(&pair.channel.id, sats(1_000), "a", None));
    assert!(matches!(error, WalletError::Store(StoreError::Closed)), "{error}");
}

const FULL: &str = "STORIES_FULL_DISK";

/// The test runs itself again with a bound on the size of files, which is as good as a full disk.
#[tokio::test]
async fn a_full_disk() {
    if let Some(folder) = std::env::var_os(FULL) {
        return pay_until_full(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let blocks = 600; // of 512 bytes
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "paying::a_full_disk", "--nocapture", "--test-threads=1"])
        .env(FULL, folder.path())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("> nothing was lost"), "{text}");
}

async fn pay_until_full(folder: &std::path::Path) {
    let place = Offline::at(folder);
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let payer = place.wallet("payer").await;
    let mut amount = payer.pay(&channel.id, sats(1_000), "first", None).unwrap().amount;
    // A reader that stays keeps the log from being moved into the file: it grows until it may not.
    let other = rusqlite::Connection::open(place.path("payer")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM channels;").unwrap();
    let error = loop {
        match payer.pay(&channel.id, sats(1), &amount.to_string(), None) {
            Ok(payment) => amount = payment.amount,
            Err(error) => break error,
        }
        assert!(amount < sats(3_000), "the disk never got full");
    };
    assert!(matches!(error, WalletError::Store(StoreError::Full | StoreError::Io { .. })), "{error}");
    let latest = payer.latest_update(&channel.id).unwrap();
    assert_eq!((latest.amount, place.row("payer", &channel.id).hot.high), (amount, amount), "as before the failure");
    // There is room again, once the log has been moved into the file.
    other.execute_batch("ROLLBACK; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(other);
    assert_eq!(payer.pay(&channel.id, sats(1), "later", None).unwrap().amount, amount + sats(1));
    println!("> nothing was lost");
}

#[tokio::test]
async fn twenty_thousand_payments_in_a_file_that_does_not_grow() {
    let place = Offline::in_memory();
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    pay(&payer, &receiver, &channel.id, 1_000, "first");
    let pages = |name: &str| {
        let file = rusqlite::Connection::open(place.path(name)).unwrap();
        file.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = [pages("payer"), pages("receiver")];
    for round in 0..20 {
        let payments: Vec<UpdateMessage> = (0..1_000)
            .map(|n| payer.pay(&channel.id, sats(1), &format!("{round} {n}"), None).unwrap().message)
            .collect();
        let answers = receiver.receive_many(&payments).unwrap();
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|received| received.increase == sats(1))));
    }
    assert_eq!(receiver.channel(&channel.id).unwrap().amount, sats(21_000));
    assert_eq!([pages("payer"), pages("receiver")], before);
    let file = |name: &str| std::fs::metadata(place.path(name)).unwrap().len();
    payer.close().unwrap();
    receiver.close().unwrap();
    assert_eq!([file("payer"), file("receiver")].map(|bytes| bytes as i64 / 4096), before);
}
