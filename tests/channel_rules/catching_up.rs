//! Stale, forked, replayed and re-signed updates, and how the payer catches up.

use bitcoin::Amount;
use virtual_channels::channel::amount::Limits;
use virtual_channels::channel::payer::PayerState;
use virtual_channels::channel::receiver::{Judged, Verdict, judge};
use virtual_channels::channel::{ChannelError, ChannelUpdate, Unit};

use crate::pair::{Pair, sats};

const LIMITS: Limits = Limits { min: Amount::from_sat(330), max: Amount::MAX_MONEY };

/// A receiver as the rules make it: verifies, judges, keeps one update.
struct Receiver<'a> {
    pair: &'a Pair,
    stored: Option<Judged>,
}

impl<'a> Receiver<'a> {
    fn new(pair: &'a Pair) -> Self {
        Self { pair, stored: None }
    }

    fn receive(&mut self, update: ChannelUpdate) -> Result<Verdict, ChannelError> {
        update.verify(&self.pair.channel, &[&self.pair.close])?;
        LIMITS.check(self.pair.channel.terms.capacity, update.amount)?;
        let incoming = Judged { update, script: self.pair.script() };
        let verdict = judge(self.stored.as_ref(), &incoming)?;
        if verdict != Verdict::Replay {
            self.stored = Some(incoming);
        }
        Ok(verdict)
    }

    fn amount(&self) -> u64 {
        self.stored.map_or(0, |stored| stored.update.amount.to_sat())
    }
}

/// A payer as the rules make it.
#[derive(Clone)]
struct Payer<'a> {
    pair: &'a Pair,
    state: PayerState,
}

impl<'a> Payer<'a> {
    fn new(pair: &'a Pair) -> Self {
        Self { pair, state: PayerState::default() }
    }

    fn pay(&mut self, add: u64) -> ChannelUpdate {
        let amount = self.state.next(self.pair.channel.terms.capacity, &LIMITS, sats(add)).unwrap();
        let update = self.pair.update(self.state.base().to_sat(), amount.to_sat());
        self.state = self.state.signed(update);
        update
    }

    fn catch_up(&mut self, shown: ChannelUpdate) {
        self.state = self.state.catch_up(&self.pair.channel, shown).unwrap();
    }
}

fn pair() -> Pair {
    Pair::new(81, Unit::Seconds, 1_000_000)
}

fn stale(amount: u64, stored: ChannelUpdate) -> ChannelError {
    ChannelError::Stale { amount: sats(amount), stored: Box::new(stored) }
}

fn forked(amount: u64, previous: u64, stored: ChannelUpdate) -> ChannelError {
    ChannelError::Forked { amount: sats(amount), previous: sats(previous), stored: Box::new(stored) }
}

#[test]
fn higher_counts_and_the_same_again_is_a_replay() {
    let pair = pair();
    let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
    for (add, amount) in [(1_000, 1_000), (1, 1_001), (50_000, 51_001)] {
        let update = payer.pay(add);
        assert_eq!(receiver.receive(update), Ok(Verdict::Counts));
        assert_eq!(receiver.amount(), amount);
        for _ in 0..3 {
            assert_eq!(receiver.receive(update), Ok(Verdict::Replay));
        }
    }
    // The very same split signed anew (fresh randomness) is the same payment.
    let again = pair.update(1_001, 51_001);
    assert_ne!(again.exit_signature, receiver.stored.unwrap().update.exit_signature);
    assert_eq!(receiver.receive(again), Ok(Verdict::Replay));
}

#[test]
fn lower_amount_is_stale_with_the_stored_update() {
    let pair = pair();
    let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
    let updates = [payer.pay(1_000), payer.pay(500), payer.pay(1)];
    for update in updates {
        receiver.receive(update).unwrap();
    }
    let stored = updates[2];
    assert_eq!(receiver.receive(updates[0]), Err(stale(1_000, stored)));
    assert_eq!(receiver.receive(updates[1]), Err(stale(1_500, stored)));
    // Whatever it claims to be built on.
    assert_eq!(receiver.receive(pair.update(1_501, 1_500)), Err(stale(1_500, stored)));
    assert_eq!(receiver.amount(), 1_501);
}

#[test]
fn updates_out_of_order_highest_wins() {
    let pair = pair();
    let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
    let [a, b, c, d] = [payer.pay(1_000), payer.pay(10), payer.pay(10), payer.pay(10)];
    assert_eq!(receiver.receive(c), Ok(Verdict::Counts), "built on one that is still on its way");
    assert_eq!(receiver.receive(a), Err(stale(1_000, c)));
    assert_eq!(receiver.receive(d), Ok(Verdict::Counts));
    assert_eq!(receiver.receive(b), Err(stale(1_010, d)));
    assert_eq!(receiver.receive(d), Ok(Verdict::Replay));
    assert_eq!(receiver.amount(), 1_030);
}

#[test]
fn a_payer_that_forgot_an_update_is_told_and_catches_up() {
    let pair = pair();
    let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
    receiver.receive(payer.pay(1_000)).unwrap();
    let backup = payer.clone();
    let lost = payer.pay(4_000);
    receiver.receive(lost).unwrap();

    // A smaller, an equal and a larger payment out of the backup.
    for add in [3_000, 4_000, 4_001, 90_000] {
        let mut restored = backup.clone();
        let update = restored.pay(add);
        let amount = 1_000 + add;
        let error = match amount {
            ..5_000 => stale(amount, lost),
            // The same amount as the lost one, built on the same: nobody can tell them apart, and it is one payment.
            5_000 => {
                assert_eq!(receiver.receive(update), Ok(Verdict::Replay));
                continue;
            }
            _ => forked(amount, 1_000, lost),
        };
        assert_eq!(receiver.receive(update), Err(error));
        restored.catch_up(lost);
        assert_eq!(restored.state.base(), sats(5_000));
        assert_eq!(restored.state.high, sats(amount.max(5_000)), "what it may owe is not forgotten");
        // The refused payment signed again on that base.
        let again = restored.pay(add);
        let mut receiver = Receiver { pair: &pair, stored: receiver.stored };
        assert_eq!(receiver.receive(again), Ok(Verdict::Counts));
        assert_eq!(receiver.amount(), 5_000 + add);
    }
}

#[test]
fn the_same_amount_built_on_another_is_forked() {
    let pair = pair();
    let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
    receiver.receive(payer.pay(1_000)).unwrap();
    let backup = payer.clone();
    receiver.receive(payer.pay(1_000)).unwrap();
    let stored = payer.pay(1_000);
    receiver.receive(stored).unwrap();
    // The backup pays 2 000 at once: 3 000, as stored, but for something else.
    let mut restored = backup;
    let update = restored.pay(2_000);
    assert_eq!(receiver.receive(update), Err(forked(3_000, 1_000, stored)));
    restored.catch_up(stored);
    assert_eq!(restored.state.update, Some(update), "what it was built on nobody has signed");
    assert_eq!(receiver.receive(restored.pay(2_000)), Ok(Verdict::Counts), "the next one is built on what both have");
    assert_eq!(receiver.amount(), 5_000);
}

/// All small combinations of stored and incoming, against the rules written out once more.
#[test]
fn every_combination_of_amounts() {
    let pair = pair();
    let make = |previous: u64, amount: u64| pair.update(previous, amount);
    let levels = [0, 330, 331, 400];
    for old_amount in [330, 331, 400] {
        for old_previous in levels.into_iter().filter(|previous| *previous < old_amount) {
            let stored = Judged { update: make(old_previous, old_amount), script: pair.script() };
            for amount in [330, 331, 400, 500] {
                for previous in levels {
                    for script in [pair.script(), pair.other_script()] {
                        let incoming = Judged { update: make(previous, amount), script };
                        let resigned = script != stored.script;
                        let expected = if amount < old_amount {
                            Err(stale(amount, stored.update))
                        } else if amount == old_amount {
                            match (resigned, previous == old_previous) {
                                (true, _) => Ok(Verdict::Resigned),
                                (false, true) => Ok(Verdict::Replay),
                                (false, false) => Err(forked(amount, previous, stored.update)),
                            }
                        } else if previous < old_amount {
                            Err(forked(amount, previous, stored.update))
                        } else {
                            Ok(Verdict::Counts)
                        };
                        assert_eq!(judge(Some(&stored), &incoming), expected);
                        assert_eq!(judge(None, &incoming), Ok(Verdict::Counts));
                    }
                }
            }
        }
    }
}

#[test]
fn re_signed_for_a_newer_checkpoint_script() {
    let pair = pair();
    let mut newer = pair.clone();
    newer.info.checkpoint = pair.other_script();
    newer.close = pair.channel.close_template(newer.script()).unwrap();
    let old = pair.update(0, 1_000);
    let new = newer.update(0, 1_000);
    let closes = [&newer.close, &pair.close];
    assert_eq!((new.verify(&pair.channel, &closes), old.verify(&pair.channel, &closes)), (Ok(0), Ok(1)));
    let stored = Judged { update: old, script: pair.script() };
    assert_eq!(judge(Some(&stored), &Judged { update: new, script: newer.script() }), Ok(Verdict::Resigned));
    // A payer recognises both as its own: the exit signature does not depend on the script of the day.
    assert!(old.verify_exit(&newer.channel).is_ok() && new.verify_exit(&pair.channel).is_ok());
    // Higher amounts count with either.
    let higher = Judged { update: newer.update(1_000, 1_001), script: newer.script() };
    assert_eq!(judge(Some(&stored), &higher), Ok(Verdict::Counts));
}

/// Every combination of what the payer has, what it built that on, and what the receiver shows.
#[test]
fn payer_catches_up_in_all_combinations() {
    let pair = pair();
    let levels = [0, 400, 500, 600, 700];
    for own_amount in levels {
        for own_previous in levels.into_iter().filter(|previous| *previous < own_amount.max(1)) {
            for shown_amount in [400, 500, 600, 700, 800] {
                for shown_previous in [0, 400, 500] {
                    let own = (own_amount > 0).then(|| pair.update(own_previous, own_amount));
                    let high = sats(own_amount.max(650));
                    let state = PayerState { update: own, high };
                    let shown = pair.update(shown_previous, shown_amount);
                    let after = state.catch_up(&pair.channel, shown).unwrap();
                    let adopted = match own {
                        None => true,
                        Some(_) if shown_amount > own_amount => true,
                        // The receiver has not seen ours yet, or ours was built without knowing of it.
                        Some(_) if shown_amount < own_amount => own_previous < shown_amount,
                        // Nobody has signed what it is built on.
                        Some(_) => false,
                    };
                    let context = format!("own {own_amount} on {own_previous}, shown {shown_amount}");
                    assert_eq!(after.update, if adopted { Some(shown) } else { own }, "{context}");
                    assert_eq!(after.high, if adopted { high.max(sats(shown_amount)) } else { high }, "{context}");
                    assert!(after.high >= state.high, "what it may owe never shrinks");
                }
            }
        }
    }
}

#[test]
fn a_receiver_that_has_not_seen_the_latest_yet_changes_nothing() {
    let pair = pair();
    let mut payer = Payer::new(&pair);
    let [first, second] = [payer.pay(1_000), payer.pay(10)];
    let before = payer.state;
    payer.catch_up(first);
    assert_eq!(payer.state, before);
    payer.catch_up(second);
    assert_eq!(payer.state, before);
}

#[test]
fn a_payer_adopts_only_its_own() {
    let pair = pair();
    let mut payer = Payer::new(&pair);
    payer.pay(1_000);
    let state = payer.state;
    let exit = Err(ChannelError::InvalidSignature { what: "exit signature" });
    let forged = ChannelUpdate { amount: sats(9_000), ..payer.pay(10) };
    assert_eq!(state.catch_up(&pair.channel, forged), exit);
    let receivers = ChannelUpdate::sign(&pair.channel, &pair.close, &pair.receiver, sats(0), sats(9_000));
    assert_eq!(state.catch_up(&pair.channel, receivers), exit);
    let other = Pair::new(82, Unit::Seconds, 1_000_000);
    let error = ChannelError::OtherChannel { expected: pair.channel.id.into(), got: other.channel.id.into() };
    assert_eq!(state.catch_up(&pair.channel, other.update(0, 9_000)), Err(error));
    let over = pair.update(0, 1_000_001);
    let error = ChannelError::OverCapacity { amount: sats(1_000_001), capacity: sats(1_000_000) };
    assert_eq!(state.catch_up(&pair.channel, over), Err(error));
    // The ark signature does not matter: it belongs to the script of its day.
    let mine = pair.update(1_000, 9_000);
    let shown = ChannelUpdate { ark_signature: mine.exit_signature, ..mine };
    assert_eq!(state.catch_up(&pair.channel, shown).unwrap().base(), sats(9_000));
}

/// Random histories with losses, replays, reordering and restored backups: the receiver's amount never falls, never
/// passes what the payer signed, and after catching up the next payment counts.
#[test]
fn random_histories_converge() {
    use secp256k1::rand::Rng;
    let pair = Pair::new(83, Unit::Blocks, 1_000_000_000);
    let mut rng = crate::pair::rng(84);
    for _ in 0..30 {
        let (mut payer, mut receiver) = (Payer::new(&pair), Receiver::new(&pair));
        let (mut backups, mut sent) = (vec![payer.clone()], Vec::new());
        let mut signed = 0;
        for _ in 0..40 {
            match rng.gen_range(0..6) {
                0 => backups.push(payer.clone()),
                1 => payer = backups[rng.gen_range(0..backups.len())].clone(),
                _ => {
                    let update = payer.pay(rng.gen_range(330..5_000));
                    signed = signed.max(update.amount.to_sat());
                    sent.push(update);
                }
            }
            if let (Some(update), true) = (sent.get(rng.gen_range(0..sent.len().max(1))), rng.gen_ratio(2, 3)) {
                let before = receiver.amount();
                match receiver.receive(*update) {
                    Err(ChannelError::Stale { stored, .. } | ChannelError::Forked { stored, .. }) => {
                        assert_eq!(stored.amount.to_sat(), before);
                        payer.catch_up(*stored);
                    }
                    other => drop(other.unwrap()),
                }
                assert!(receiver.amount() >= before && receiver.amount() <= signed);
            }
        }
        // In the end one exchange is enough: show, catch up, pay.
        if let Some(stored) = receiver.stored {
            payer.catch_up(stored.update);
            let before = receiver.amount();
            assert_eq!(receiver.receive(payer.pay(1_000)), Ok(Verdict::Counts));
            assert!(receiver.amount() > before);
        }
    }
}
