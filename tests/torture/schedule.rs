//! One schedule: a channel is opened, used, hurt, and brought to its end.

use std::path::PathBuf;
use std::time::Duration;

use regtest::esplora::Mode;
use regtest::operator::{Action, Call, Knob};
use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};

use crate::actor::{Actor, Answer};
use crate::cheat;
use crate::ending;
use crate::ledger::{Ledger, fees_since, transactions_since};
use crate::report::Outcome;
use crate::stage::{FEE_COINS, FUNDS, Stage};
use crate::world::sats;

/// The least and the most of one payment: well above what going on chain costs.
const PAYMENT: std::ops::Range<u64> = 20_000..60_000;

/// The capacity of a channel.
const CAPACITY: std::ops::Range<u64> = 400_000..900_000;

/// The most blocks that a reorganisation takes back.
const DEEPEST_REORG: u32 = 3;

/// Beside a schedule's seed.
const WICKED: u64 = 0x5eed;

/// A schedule while it runs.
pub struct Run<'a> {
    pub stage: &'a mut Stage,
    pub rng: StdRng,
    /// What cheats decide by: a seed means the same schedule with them as without.
    pub wicked: StdRng,
    pub payer: Actor,
    pub receiver: Actor,
    pub outcome: Outcome,
    pub ledger: Ledger,
    /// The channel, once the payer has said so.
    pub channel: Option<String>,
    /// No operator from now on, for good.
    pub operator_gone: bool,
    /// The phones' clocks are so many seconds off the chain's.
    pub clock_error: i64,
    /// The payer came back with an old file: it may have forgotten what it signed.
    pub forgetful: bool,
    kept: Option<PathBuf>,
    paid: u64,
    /// Every update that left the payer.
    sent: Vec<String>,
    /// The id and amount of the payment that left the payer last.
    last: Option<(String, String)>,
}

/// Runs the schedule of `seed`, on the chain of the one before where there was one.
pub async fn run(stage: &mut Option<Stage>, seed: u64) -> Outcome {
    let rng = StdRng::seed_from_u64(seed);
    if stage.is_none() {
        *stage = Some(Stage::new().await);
    }
    let Some(stage) = stage.as_mut() else { unreachable!("it has just been made") };
    let (payer, receiver) = (stage.actor(format!("payer-{seed}")), stage.actor(format!("receiver-{seed}")));
    let mut run = Run {
        stage,
        rng,
        wicked: StdRng::seed_from_u64(seed ^ WICKED),
        payer,
        receiver,
        outcome: Outcome::default(),
        ledger: Ledger::default(),
        channel: None,
        operator_gone: false,
        clock_error: 0,
        forgetful: false,
        kept: None,
        paid: 0,
        sent: Vec::new(),
        last: None,
    };
    let from = run.stage.height().await + 1;
    // A reorganisation must not take what this schedule sends into blocks before its first.
    run.stage.mine(DEEPEST_REORG).await;
    run.fund().await;
    run.open().await;
    if run.channel.is_some() {
        for _ in 0..run.rng.gen_range(3..14) {
            run.act().await;
        }
    }
    ending::end(&mut run).await;
    run.ledger.fees = fees_since(run.stage.regtest(), from).await;
    run.ledger.check(&mut run.outcome);
    if !run.outcome.violations.is_empty() {
        run.outcome.log.extend(transactions_since(run.stage.regtest(), from).await);
    }
    run.outcome.payments = run.paid;
    run.outcome
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Payer,
    Receiver,
}

impl Run<'_> {
    pub fn note(&mut self, what: impl Into<String>) {
        self.outcome.log.push(what.into());
    }

    pub fn ask(&mut self, side: Side, verb: &str, arguments: &[&str]) -> Answer {
        self.ask_or_kill(side, verb, arguments, None)
    }

    fn ask_or_kill(&mut self, side: Side, verb: &str, arguments: &[&str], kill: Option<Duration>) -> Answer {
        let ahead = self.stage.ahead + self.clock_error;
        let actor = match side {
            Side::Payer => &mut self.payer,
            Side::Receiver => &mut self.receiver,
        };
        // Operator and chain server answer on the same threads.
        let answer = tokio::task::block_in_place(|| actor.ask(ahead, verb, arguments, kill));
        let asked: String = arguments.join(" ").chars().take(90).collect();
        let line = format!("{} {verb} {asked} -> {answer}", actor.home.name);
        self.outcome.log.push(line);
        answer
    }

    /// Asks; now and then the process is killed meanwhile.
    pub fn ask_dangerously(&mut self, side: Side, verb: &str, arguments: &[&str], longest: u64) -> Answer {
        let kill = self.rng.gen_bool(0.25).then(|| Duration::from_micros(self.rng.gen_range(0..longest * 1_000)));
        let answer = self.ask_or_kill(side, verb, arguments, kill);
        if answer == Answer::Killed {
            let who = if side == Side::Payer { "payer" } else { "receiver" };
            self.outcome.fault(format!("kill -9 of the {who} at {verb}"));
        }
        answer
    }

    async fn fund(&mut self) {
        let boarding = self.ask(Side::Payer, "boarding", &[]).first().expect("an address");
        let payer = self.ask(Side::Payer, "onchain", &[]).first().expect("an address");
        let receiver = self.ask(Side::Receiver, "onchain", &[]).first().expect("an address");
        self.stage.pay(&[(&boarding, FUNDS), (&payer, FEE_COINS), (&receiver, FEE_COINS)]).await;
        self.ledger.payer_before = FUNDS + FEE_COINS;
        self.ledger.receiver_before = FEE_COINS;
    }

    async fn open(&mut self) {
        let capacity = self.rng.gen_range(CAPACITY).to_string();
        let kind = ["boarding", "boarding", "batch", "offchain"][self.rng.gen_range(0..4)];
        if kind != "boarding" {
            self.ask(Side::Payer, "settle", &[]);
            self.stage.mine(1).await;
        }
        for attempt in 0..4 {
            if attempt < 2 {
                self.maybe_operator_fault().await;
            }
            if self.try_open(kind, &capacity).await {
                break;
            }
            self.calm().await;
            self.ask(Side::Payer, "resume", &[]);
            self.ask(Side::Receiver, "resume", &[]);
            self.find_channel();
            if self.channel.is_some() {
                break;
            }
        }
        self.calm().await;
        self.stage.mine(1).await;
        if let Some(channel) = self.channel.clone() {
            for side in [Side::Payer, Side::Receiver] {
                self.ask(side, "watch", &[&channel]);
            }
        }
    }

    async fn try_open(&mut self, kind: &str, capacity: &str) -> bool {
        let Some(invite) = self.ask(Side::Receiver, "invite", &[]).first() else { return false };
        let Some(proposal) = self.ask_dangerously(Side::Payer, "propose", &[&invite, capacity, kind], 400).done()
        else {
            return false;
        };
        let [offer, _] = proposal.as_slice() else { return false };
        let Some(accepted) = self.ask_dangerously(Side::Receiver, "accept", &[offer], 200).done() else { return false };
        match accepted.as_slice() {
            [how, id] if how == "open" => self.channel = Some(id.clone()),
            [_, accept] => {
                self.channel = self.ask_dangerously(Side::Payer, "open", &[accept], 2_500).first();
            }
            _ => {}
        }
        self.channel.is_some()
    }

    /// The channel as the payer's wallet knows it: what answered nothing may have gone through.
    pub fn find_channel(&mut self) {
        let known = self.ask(Side::Payer, "channels", &[]).done().unwrap_or_default();
        if let Some(id) = known.first().and_then(|line| line.split(' ').next()) {
            self.channel = Some(id.to_owned());
        }
    }

    async fn act(&mut self) {
        let Some(channel) = self.channel.clone() else { return };
        if self.wicked.gen_bool(0.25) {
            self.cheat(&channel).await;
        }
        match self.rng.gen_range(0..100) {
            0..40 => self.pay(&channel, true),
            40..46 => self.pay(&channel, false),
            46..52 => self.replay(),
            52..58 => self.maybe_operator_fault().await,
            58..62 => {
                let side = if self.rng.gen_bool(0.5) { Side::Payer } else { Side::Receiver };
                self.ask_dangerously(side, "maintain", &[], 300);
            }
            62..66 => {
                let blocks = self.rng.gen_range(1..=DEEPEST_REORG);
                self.outcome.fault("reorganisation");
                self.note(format!("reorg of {blocks}"));
                self.stage.regtest().node().reorg(blocks).await.expect("a reorg");
            }
            66..70 => self.stage.mine(1).await,
            70..74 => {
                let seconds = self.rng.gen_range(60..3_600);
                self.note(format!("{seconds} s pass"));
                self.pass(seconds).await;
            }
            74..77 => {
                self.clock_error = [-86_400, -600, 0, 3_600][self.rng.gen_range(0..4)];
                self.outcome.fault("phone clock set wrong");
                self.note(format!("phones are {} s off", self.clock_error));
            }
            77..80 => {
                self.outcome.fault("chain server away");
                self.stage.regtest().set_esplora(Mode::Fail);
                self.ask(Side::Receiver, "watch", &[&channel]);
                self.pay(&channel, true);
                self.stage.regtest().set_esplora(Mode::Answer);
            }
            80..83 => {
                self.outcome.fault("operator restarted");
                self.stage.stop_operator().await;
                self.pay(&channel, true);
                self.stage.start_operator().await;
            }
            83..87 => self.kept = Some(cheat::keep(&mut self.payer)),
            87..91 => {
                if let Some(copy) = self.kept.clone() {
                    self.outcome.fault("payer rolled back to an old file");
                    self.forgetful = true;
                    self.note("the payer comes back with an old file");
                    cheat::roll_back(&mut self.payer, &copy);
                }
            }
            91..94 => {
                if cheat::lock(&mut self.payer, &channel).await {
                    self.outcome.fault("payer locks the channel by an intent");
                    self.note("the payer locked the channel");
                }
            }
            94..97 => {
                self.outcome.fault("payer unrolls");
                self.ask_dangerously(Side::Payer, "exit", &[&channel], 200);
            }
            _ => self.close(&channel).await,
        }
    }

    /// The receiver, or an operator that helps nobody, tries something. Nothing may come of it.
    async fn cheat(&mut self, channel: &str) {
        match self.wicked.gen_range(0..4) {
            0 | 1 => self.show_something_else(channel),
            2 => {
                self.outcome.fault("receiver closes at more than was signed");
                if cheat::overclaim(&mut self.receiver, channel).await == Some(true) {
                    self.outcome.wrong("the operator took a close at more than was signed");
                }
            }
            _ => self.books_fault().await,
        }
    }

    /// The receiver says that it refused the payment it has, and shows an update that is old, or said to be built on
    /// another: the payer must not forget what it paid.
    fn show_something_else(&mut self, channel: &str) {
        let Some((id, amount)) = self.last.clone() else { return };
        let mut shown = self.sent[self.wicked.gen_range(0..self.sent.len())].clone();
        if self.wicked.gen_bool(0.7) {
            let base = sats(self.wicked.gen_range(0..CAPACITY.end));
            shown = cheat::on_another_base(self.sent.last().expect("the last"), base).expect("an update");
        }
        self.outcome.fault("receiver shows an old update, or one on another base");
        self.ask(Side::Payer, "catch-up", &[&shown]);
        self.learn_high();
        let signed = self.ledger.signed;
        // The app tries the same payment again.
        let Some(again) = self.ask(Side::Payer, "pay", &[channel, &amount, &id]).done() else { return };
        self.signed(&again[0]);
        if self.ledger.signed > signed && !self.forgetful {
            self.outcome.wrong(format!("{id} was paid twice: {signed} became {}", self.ledger.signed));
        }
    }

    /// What only some flows ask for goes wrong.
    async fn books_fault(&mut self) {
        if self.operator_gone {
            return;
        }
        const CALLS: [Call; 4] = [Call::GetVirtualTxs, Call::GetVtxoChain, Call::DeleteIntent, Call::GetSubscription];
        let call = CALLS[self.wicked.gen_range(0..CALLS.len())];
        let action = match self.wicked.gen_range(0..4) {
            0 => Action::Drop,
            1 => Action::AnswerError,
            2 => Action::Garbage,
            _ => Action::LoseAnswer,
        };
        let operator = self.stage.regtest().operator().await;
        if call == Call::GetVirtualTxs && self.wicked.gen_bool(0.5) {
            operator.faults().turn(Knob::WrongVirtualSignatures);
        } else {
            operator.faults().once(call, action);
        }
        drop(operator);
        self.outcome.fault(format!("operator: {call:?}"));
    }

    /// Submits and never finalizes; then somebody who knows of it may finalize it with rubbish, after which only the chain
    /// is left. `verb` is that of `side`, "close" or "refund".
    pub async fn leave_unfinished(&mut self, side: Side, verb: &str, channel: &str) {
        let submissions = async |stage: &Stage| stage.regtest().operator().await.faults().submissions();
        let before = submissions(self.stage).await.len();
        self.stage.regtest().operator().await.faults().always(Call::FinalizeTx, Action::Drop);
        self.ask(side, verb, &[channel]);
        self.stage.regtest().operator().await.faults().clear();
        let submitted = submissions(self.stage).await;
        let Some(last) = submitted.last().filter(|_| submitted.len() > before) else { return };
        self.outcome.fault(format!("{verb} submitted, not finalized"));
        if self.wicked.gen_bool(0.6) {
            let ark: bitcoin::Psbt = last.signed_ark_tx.parse().expect("a transaction");
            let txid = ark.unsigned_tx.compute_txid().to_string();
            if cheat::poison(&self.payer.home.operator, &txid).await {
                self.outcome.fault(format!("rubbish in FinalizeTx of a {verb}"));
                self.note(format!("somebody finalizes the {verb} with rubbish"));
            }
        }
    }

    /// Time passes, and both look; now and then one is killed while it does.
    pub async fn pass(&mut self, seconds: u64) {
        self.stage.pass(seconds).await;
        for side in [Side::Receiver, Side::Payer] {
            self.ask_dangerously(side, "maintain", &[], 400);
        }
    }

    /// The receiver closes, now and then at an operator that lies.
    pub async fn close(&mut self, channel: &str) {
        if self.operator_gone || self.rng.gen_bool(0.6) {
            self.ask_dangerously(Side::Receiver, "close", &[channel], 120);
        } else {
            self.close_at_a_liar(channel).await;
        }
    }

    /// The receiver closes at an operator that answers what was submitted with something else.
    pub async fn close_at_a_liar(&mut self, channel: &str) {
        const LIES: [Knob; 5] = [
            Knob::WrongCheckpointSignature,
            Knob::MissingCheckpointSignature,
            Knob::OtherCheckpoint,
            Knob::WrongArkSignature,
            Knob::MissingArkSignature,
        ];
        let lie = LIES[self.rng.gen_range(0..LIES.len())];
        self.outcome.fault(format!("operator lies: {lie:?}"));
        self.note(format!("the operator lies: {lie:?}"));
        // What was asked for before would come first.
        self.stage.regtest().operator().await.faults().clear();
        let before = self.finalized().await;
        self.stage.regtest().operator().await.faults().turn(lie);
        // Nor does it show later what it should have answered.
        self.stage.regtest().operator().await.faults().always(Call::GetPendingTx, Action::Drop);
        let closed = self.ask(Side::Receiver, "close", &[channel]);
        self.stage.regtest().operator().await.faults().clear();
        if self.finalized().await > before {
            self.outcome.wrong(format!("a signed checkpoint left after {lie:?}: {closed}"));
        }
    }

    async fn finalized(&mut self) -> u64 {
        self.stage.regtest().operator().await.faults().seen(Call::FinalizeTx)
    }

    /// An old update comes again: nothing may go down.
    fn replay(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let text = self.sent[self.rng.gen_range(0..self.sent.len())].clone();
        self.outcome.fault("an old update again");
        self.ask_dangerously(Side::Receiver, "receive", &[&text], 12);
        self.check_receiver();
    }

    /// The receiver's file holds all that it acknowledged.
    pub fn check_receiver(&mut self) {
        let Some(channel) = self.channel.clone() else { return };
        for line in self.ask(Side::Receiver, "channels", &[]).done().unwrap_or_default() {
            let fields: Vec<&str> = line.split(' ').collect();
            if let [id, _, amount, _] = fields.as_slice()
                && *id == channel
            {
                let amount: u64 = amount.parse().expect("an amount");
                if amount < self.ledger.acknowledged {
                    let acknowledged = self.ledger.acknowledged;
                    self.outcome.wrong(format!("the receiver holds {amount}, it had acknowledged {acknowledged}"));
                }
            }
        }
    }

    /// Pays, and hands it over unless the update is lost on its way.
    fn pay(&mut self, channel: &str, delivered: bool) {
        let amount = self.rng.gen_range(PAYMENT);
        let id = format!("payment {}", self.rng.r#gen::<u64>());
        match self.ask_dangerously(Side::Payer, "pay", &[channel, &amount.to_string(), &id], 12) {
            Answer::Done(fields) => {
                if let [total, text] = fields.as_slice() {
                    self.last = Some((id, amount.to_string()));
                    self.signed(total);
                    self.sent.push(text.clone());
                    if delivered {
                        self.receive(text);
                    }
                }
            }
            // It may have been signed before the end came.
            Answer::Killed => self.learn_high(),
            Answer::Refused(_) => {}
        }
    }

    fn signed(&mut self, total: &str) {
        let total = total.parse().expect("an amount");
        self.ledger.signed = self.ledger.signed.max(total);
    }

    /// What the payer's own file says is the most it signed: never less than what has left it.
    pub fn learn_high(&mut self) {
        let Some(channel) = self.channel.clone() else { return };
        for line in self.ask(Side::Payer, "channels", &[]).done().unwrap_or_default() {
            let Some(high) = line.strip_prefix(&channel).and_then(|rest| rest.split(' ').nth(3)) else { continue };
            if !self.forgetful && high.parse::<u64>().is_ok_and(|high| high < self.ledger.signed) {
                let signed = self.ledger.signed;
                self.outcome.wrong(format!("the payer knows of {high}, {signed} had left it"));
            }
            self.signed(high);
        }
    }

    /// Gives the receiver an update. What it answers is shown to a payer that has forgotten something.
    pub fn receive(&mut self, text: &str) {
        match self.ask_dangerously(Side::Receiver, "receive", &[text], 12) {
            Answer::Done(fields) => {
                let amount = fields.first().and_then(|text| text.parse().ok()).expect("an amount");
                if amount > self.ledger.acknowledged {
                    self.paid += 1;
                    self.ledger.acknowledged = amount;
                }
            }
            Answer::Killed => {}
            Answer::Refused(_) => {
                let Some(channel) = self.channel.clone() else { return };
                if let Some(shown) = self.ask(Side::Receiver, "latest", &[&channel]).first() {
                    self.ask(Side::Payer, "catch-up", &[&shown]);
                }
            }
        }
    }

    /// The next call of some kind goes wrong at the operator.
    async fn maybe_operator_fault(&mut self) {
        const CALLS: [Call; 9] = [
            Call::SubmitTx,
            Call::FinalizeTx,
            Call::GetPendingTx,
            Call::RegisterIntent,
            Call::SubmitTreeNonces,
            Call::SubmitTreeSignatures,
            Call::SubmitSignedForfeitTxs,
            Call::GetVtxos,
            Call::GetInfo,
        ];
        if self.operator_gone || self.rng.gen_bool(0.4) {
            return;
        }
        let call = CALLS[self.rng.gen_range(0..CALLS.len())];
        let action = match self.rng.gen_range(0..6) {
            0 => Action::Drop,
            1 => Action::LoseAnswer,
            2 => Action::AnswerError,
            3 => Action::Garbage,
            4 => Action::RawGarbage,
            _ => Action::Delay(Duration::from_millis(300)),
        };
        self.outcome.fault(format!("operator: {call:?}"));
        self.note(format!("operator fault: {call:?} {action:?}"));
        self.stage.regtest().operator().await.faults().once(call, action);
    }

    /// Nothing goes wrong any more, until something is asked for again.
    pub async fn calm(&mut self) {
        self.clock_error = 0;
        self.stage.regtest().set_esplora(Mode::Answer);
        if !self.operator_gone {
            let operator = self.stage.regtest().operator().await;
            operator.faults().clear();
            operator.pardon();
        }
    }
}
