//! Paying, row by row: what counts, what is refused with which figures, and that a refusal leaves everything as it was.

use bitcoin::Amount;
use bitcoin::secp256k1::schnorr::Signature;
use virtual_channels::channel::message::UpdateMessage;
use virtual_channels::channel::{Authorisation, Channel, ChannelError, ChannelUpdate};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{KeyUse, Payment, Wallet, WalletError};

use crate::offline::{NOW, Offline, checkpoint, keys};
use crate::world::{pay, refused, sats};

pub const CAPACITY: u64 = 100_000;

/// A payer, a receiver and one open channel.
pub struct Pair {
    pub place: Offline,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub channel: Channel,
}

pub async fn pair() -> Pair {
    pair_of(CAPACITY).await
}

async fn pair_of(capacity: u64) -> Pair {
    let place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, capacity);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    Pair { place, payer, receiver, channel }
}

impl Pair {
    pub fn pay(&self, amount: u64, payment_id: &str) -> Payment {
        self.payer.pay(&self.channel.id, sats(amount), payment_id, None).unwrap()
    }

    /// What was refused, and that nothing has changed in the payer's file.
    pub fn pay_refused(&self, amount: u64, payment_id: &str) -> WalletError {
        let before = self.place.row("payer", &self.channel.id);
        let error = refused(self.payer.pay(&self.channel.id, sats(amount), payment_id, None));
        assert_eq!(self.place.row("payer", &self.channel.id), before, "{error}");
        error
    }

    /// The same for the receiver.
    pub fn receive_refused(&self, message: &UpdateMessage) -> WalletError {
        let before = self.place.row("receiver", &self.channel.id);
        let error = refused(self.receiver.receive(message));
        assert_eq!(self.place.row("receiver", &self.channel.id), before, "{error}");
        error
    }

    pub fn both(&self, amount: u64, payment_id: &str) -> Amount {
        pay(&self.payer, &self.receiver, &self.channel.id, amount, payment_id).amount
    }

    /// An update as only the payer's key can make it, whatever its wallet would say.
    fn sign(&self, previous: u64, amount: u64) -> ChannelUpdate {
        let key = keys("payer").keypair(KeyUse::Payer, 1).unwrap();
        let close = self.channel.close_template(self.place.info.checkpoint).unwrap();
        ChannelUpdate::sign(&self.channel, &close, &key, sats(previous), sats(amount))
    }

    /// Closes a wallet of the pair, puts an old file in its place and opens it again.
    pub async fn payer_restored_from(&mut self, copy: &str) {
        self.payer.close().unwrap();
        self.place.restore("payer", copy);
        self.payer = self.place.wallet("payer").await;
    }

    pub async fn back_up_payer(&mut self, copy: &str) {
        self.payer.close().unwrap();
        self.place.copy("payer", copy);
        self.payer = self.place.wallet("payer").await;
    }
}

pub fn message(update: ChannelUpdate) -> UpdateMessage {
    UpdateMessage { update, authorisation: None, memo: None }
}

fn impossible(error: WalletError) -> (u64, Option<u64>, Option<u64>) {
    match error {
        WalletError::Channel(ChannelError::ImpossibleAmount(error)) => {
            (error.amount.to_sat(), error.below.map(Amount::to_sat), error.above.map(Amount::to_sat))
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
    let parsed = UpdateMessage::parse(&text).map_err(Box::from);
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
        Authorisation { checkpoint: Some(other), ..authorisation },
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
