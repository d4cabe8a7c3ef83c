//! How a schedule ends: somebody acts, or nobody does; then both wallets do what is due until nothing is left to do.

use secp256k1::rand::Rng;

use crate::actor::Answer;
use crate::cheat;
use crate::schedule::{Run, Side};

/// Rounds of maintenance after which a channel counts as stuck.
const ROUNDS: u32 = 300;

/// Rounds in which nothing moves before time is moved on.
const QUIET: u32 = 2;

/// How often both wallets are asked what they have, until they answer.
const COUNTS: u32 = 5;

pub async fn end(run: &mut Run<'_>) {
    if let Some(channel) = run.channel.clone() {
        begin(run, &channel).await;
    }
    run.calm().await;
    settle_down(run).await;
    count(run).await;
}

/// The last thing that somebody does on purpose.
async fn begin(run: &mut Run<'_>, channel: &str) {
    let how = run.rng.gen_range(0..100);
    let lies = how < 40 && run.rng.gen_bool(0.3);
    // What an operator has answered well once is not asked for again: there is nothing left to lie about.
    if lies {
        run.close_at_a_liar(channel).await;
    } else if run.wicked.gen_bool(0.3) {
        run.leave_unfinished(Side::Receiver, "close", channel).await;
    }
    match how {
        0..40 => {
            let closed = run.ask_dangerously(Side::Receiver, "close", &[channel], 120);
            let spoil = run.rng.gen_bool(0.2);
            if let (Answer::Done(fields), true) = (closed, spoil) {
                // A close that is final cannot be spoiled any more.
                if cheat::poison(&run.payer.home.operator, &fields[0]).await {
                    run.outcome.fault("rubbish in FinalizeTx after the close");
                }
            }
        }
        40..60 => run.note("nobody closes: maintenance has to"),
        60..72 => {
            run.outcome.fault("operator gone for good");
            run.note("the operator is gone for good");
            run.operator_gone = true;
            run.stage.stop_operator().await;
        }
        72..84 => {
            run.outcome.fault("payer unrolls");
            run.ask_dangerously(Side::Payer, "exit", &[channel], 200);
        }
        84..92 => {
            run.outcome.fault("receiver exits");
            run.ask_dangerously(Side::Receiver, "exit", &[channel], 200);
        }
        _ => {
            for _ in 0..52 {
                run.pass(3_600).await;
            }
            if run.wicked.gen_bool(0.5) {
                run.leave_unfinished(Side::Payer, "refund", channel).await;
            }
            run.ask_dangerously(Side::Payer, "refund", &[channel], 120);
            run.ask_dangerously(Side::Receiver, "close", &[channel], 120);
        }
    }
}

/// Both wallets maintain, blocks come, time passes, until nothing is left to do.
async fn settle_down(run: &mut Run<'_>) {
    let (mut before, mut quiet) = (String::new(), 0);
    for round in 0..ROUNDS {
        // What the receiver may have lost on its way comes again, as long as the channel lives.
        if let (Some(channel), true) = (run.channel.clone(), round == 0)
            && let Some(latest) = run.ask(Side::Payer, "latest", &[&channel]).first()
        {
            run.receive(&latest);
        }
        for side in [Side::Receiver, Side::Payer] {
            let longest = if round < 6 { 600 } else { 0 };
            match longest {
                0 => run.ask(side, "maintain", &[]),
                _ => run.ask_dangerously(side, "maintain", &[], longest),
            };
            if run.operator_gone && side == Side::Payer {
                run.ask(side, "exit-coins", &[]);
            }
        }
        // A payer whose own cheating stands in the way of its refund has to go on chain.
        if let (Some(channel), true) = (run.channel.clone(), round == ROUNDS / 2) {
            run.ask(Side::Payer, "exit", &[&channel]);
        }
        run.stage.mine(1).await;
        let state = describe(run);
        // Flows of the payer an operator can end. A receiver keeps what it accepted for some days: its batch may have been
        // published all the same.
        if is_over(&state) && (run.operator_gone || state.contains("flows Done([\"0\"])")) {
            run.note(format!("over after {round} rounds"));
            return;
        }
        quiet = if state == before { quiet + 1 } else { 0 };
        before = state;
        if quiet >= QUIET {
            run.stage.pass(3_600).await;
        }
    }
    run.outcome.wrong(format!("stuck: {before}"));
}

/// What both wallets have under way, and the states of their channels.
fn describe(run: &mut Run<'_>) -> String {
    let mut text = String::new();
    for side in [Side::Payer, Side::Receiver] {
        let channels = run.ask(side, "channels", &[]).done().unwrap_or_default();
        let states: Vec<&str> = channels.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        let exits = run.ask(side, "under-way", &[]).done().unwrap_or_default();
        let exits: Vec<&String> = exits.iter().filter(|exit| !exit.is_empty()).collect();
        text += &format!("channels {states:?} exits {exits:?}; ");
    }
    // Asking is work for everybody, and decides nothing as long as something else is under way.
    if is_over(&text) && !run.operator_gone {
        for side in [Side::Payer, Side::Receiver] {
            text += &format!("flows {:?}; ", run.ask(side, "resume", &[]));
        }
    }
    text
}

/// No exits, and every channel ended on both sides.
fn is_over(state: &str) -> bool {
    let open = ["confirming", "open", "closing", "refunding", "exiting", "\"closed\""];
    !open.iter().any(|word| state.contains(word)) && state.matches("exits []").count() == 2
}

async fn count(run: &mut Run<'_>) {
    run.learn_high();
    run.check_receiver();
    for side in [Side::Payer, Side::Receiver] {
        let channels = run.ask(side, "channels", &[]).done().unwrap_or_default();
        let who = if side == Side::Payer { "payer" } else { "receiver" };
        run.outcome.ends.extend(channels.iter().filter_map(|line| Some(format!("{who} {}", line.split(' ').nth(1)?))));
    }
    if run.operator_gone {
        // Only for its books, which nobody needed to get the money.
        run.stage.start_operator().await;
    }
    let gone = run.operator_gone;
    let payer_before = run.ledger.payer_before;
    let mut total = |side| {
        let mut sats = |verb| {
            // A machine with too much to do answers late.
            let mut answers = (0..COUNTS).filter_map(|_| run.ask(side, verb, &[]).first());
            answers.next().and_then(|text| text.parse::<u64>().ok())
        };
        let (in_books, on_chain) = (sats("balance")?, sats("onchain-balance")?);
        // An operator that comes back knows nothing of what was claimed on chain while it was away: the change of a close
        // whose channel the payer took. Its books count as far as something is missing.
        let stale = gone && side == Side::Payer;
        let in_books = if stale { in_books.min(payer_before.saturating_sub(on_chain)) } else { in_books };
        Some(in_books + on_chain)
    };
    match (total(Side::Payer), total(Side::Receiver)) {
        (Some(payer), Some(receiver)) => {
            run.ledger.payer_after = payer;
            run.ledger.receiver_after = receiver;
            if gone {
                run.ledger.unanswered = receiver.saturating_sub(run.ledger.receiver_before).min(run.ledger.signed);
            }
        }
        other => run.outcome.wrong(format!("the money cannot be counted: {other:?}")),
    }
}
