//! Maintenance: what is due is done in one call, whatever fails, and it says when to come back.

use std::time::{Duration, Instant};

use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    ChannelChange, Clock, MaintenanceReport, MaintenanceTask, SystemClock, Wallet, WalletError,
};

use crate::world::{World, eventually, pay, sats};

fn now() -> u64 {
    SystemClock::default().now()
}

async fn maintained(wallet: &Wallet) -> MaintenanceReport {
    tokio::time::timeout(Duration::from_secs(300), wallet.maintain()).await.expect("it ends").unwrap()
}

/// Without an error.
async fn clean(wallet: &Wallet) -> MaintenanceReport {
    let report = maintained(wallet).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    report
}

fn tasks(report: &MaintenanceReport) -> Vec<MaintenanceTask> {
    let mut tasks: Vec<MaintenanceTask> = report.errors.iter().map(|failed| failed.task).collect();
    tasks.sort_by_key(|task| *task as u8);
    tasks
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pending_in_an_empty_wallet() {
    let world = World::start(Unit::Seconds).await;
    let report = clean(&world.wallet("wallet").await).await;
    assert_eq!((report.next_run, report.settled, report.left, report.changed.len()), (None, None, 0, 0));
}

/// Boarding coins are settled, a channel that was confirmed opens, and the next run is in time for what comes first.
#[tokio::test(flavor = "multi_thread")]
async fn settles_and_opens() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    world.board(&payer, 60_000).await;
    let report = clean(&payer).await;
    assert_eq!(report.settled.unwrap().amount, sats(60_000));
    // Its batch is not confirmed yet: that is no reason to settle again.
    assert_eq!(clean(&payer).await.settled, None);
    world.mine(1).await;
    eventually("settled", async || payer.balance().await.is_ok_and(|b| b.settled == sats(60_000))).await;
    let report = clean(&payer).await;
    assert_eq!(report.settled, None);
    // Renewed long before it expires.
    let expiry = payer.maintain().await.unwrap().next_run.unwrap();
    assert!(expiry > now() + 60, "{expiry}");

    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 40_000).await;
    let id = payer.open_channel(&accept).await.unwrap();
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    let report = clean(&receiver).await;
    assert!(report.changed.is_empty());
    let soon = report.next_run.unwrap();
    assert!(soon > now() && soon <= now() + 11 * 60, "a confirming channel is looked at soon: {soon}");
    world.mine(1).await;
    eventually("open", async || {
        let report = clean(&receiver).await;
        let change = ChannelChange { channel_id: id, before: ChannelState::Confirming, after: ChannelState::Open };
        report.changed == [change]
    })
    .await;
    let info = receiver.channel(&id).unwrap();
    let next = clean(&receiver).await.next_run.unwrap();
    assert!(next > now() && next < info.watch_by.unwrap().max(now() + 16 * 60), "{next}");
}

struct Case {
    world: World,
    payer: Wallet,
    receiver: Wallet,
    id: ChannelId,
}

/// A channel with 7 000 sats paid, counted in blocks, so that time is mined.
async fn paid() -> Case {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 40_000).await;
    pay(&payer, &receiver, &id, 7_000, "a");
    Case { world, payer, receiver, id }
}

impl Case {
    async fn mine_to(&self, height: u64) {
        let tip = u64::from(self.world.regtest.node().tip().await.unwrap().height);
        self.world.mine(u32::try_from(height - tip).unwrap()).await;
        eventually("the chain server", async || {
            self.receiver.watch(&self.id).await.is_ok() && self.receiver.channel(&self.id).is_ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closes_what_takes_no_more_payments() {
    let case = paid().await;
    let info = case.receiver.channel(&case.id).unwrap();
    let early = clean(&case.receiver).await;
    assert!(early.changed.is_empty());
    let tip = u64::from(case.world.regtest.node().tip().await.unwrap().height);
    let next = early.next_run.unwrap();
    assert!(next > now() && next <= now() + (info.close_by - tip) * 540 + 5, "{next}");
    case.mine_to(info.close_by).await;
    // Its coin is settled in the same run.
    let report = clean(&case.receiver).await;
    let change = ChannelChange { channel_id: case.id, before: ChannelState::Open, after: ChannelState::Closed };
    assert_eq!(report.changed, [change]);
    assert_eq!(report.settled.unwrap().amount, sats(7_000));
    case.world.mine(1).await;
    eventually("the payer sees it", async || {
        clean(&case.payer).await;
        case.payer.channel(&case.id).unwrap().state == ChannelState::Closed
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_after_the_locktime() {
    let case = paid().await;
    let locktime = u64::from(case.payer.channel(&case.id).unwrap().locktime.to_consensus_u32());
    assert!(clean(&case.payer).await.changed.is_empty());
    case.mine_to(locktime).await;
    let report = clean(&case.payer).await;
    let change = ChannelChange { channel_id: case.id, before: ChannelState::Open, after: ChannelState::Refunded };
    assert_eq!(report.changed, [change]);
    assert!(report.settled.is_some());
    assert_eq!(case.payer.balance().await.unwrap().total(), sats(50_000));
    // For the receiver it is over: that is no error, and nothing hangs.
    let report = clean(&case.receiver).await;
    let change = ChannelChange { channel_id: case.id, before: ChannelState::Open, after: ChannelState::Lost };
    assert_eq!(report.changed, [change]);
}

/// The chain is looked at, the operator's absence is said once, and it comes back soon.
#[tokio::test(flavor = "multi_thread")]
async fn works_with_a_dead_operator() {
    let case = paid().await;
    let close_by = case.receiver.channel(&case.id).unwrap().close_by;
    case.mine_to(close_by).await;
    case.world.regtest.stop_operator().await;
    let report = maintained(&case.receiver).await;
    assert_eq!(tasks(&report), [MaintenanceTask::Operator]);
    let next = report.next_run.unwrap();
    assert!(next <= now() + 15 * 60 && next > now(), "{next}");
    // A reorganisation is seen without it.
    case.world.regtest.start_operator().await.unwrap();
    let report = clean(&case.receiver).await;
    assert_eq!(report.changed.len(), 1);
    assert_eq!(case.receiver.channel(&case.id).unwrap().state, ChannelState::Closed);
}

/// A channel that was confirmed opens without the operator, as payer.
#[tokio::test(flavor = "multi_thread")]
async fn opens_with_a_dead_operator() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 40_000).await;
    let id = payer.open_channel(&accept).await.unwrap();
    world.mine(1).await;
    world.regtest.stop_operator().await;
    eventually("open", async || {
        assert_eq!(tasks(&maintained(&payer).await), [MaintenanceTask::Operator]);
        payer.channel(&id).unwrap().state == ChannelState::Open
    })
    .await;
}

/// An operator that takes calls and never answers them holds up nothing for long.
#[tokio::test(flavor = "multi_thread")]
async fn ends_when_nobody_answers() {
    let case = paid().await;
    let faults = case.world.regtest.operator().await;
    for call in [Call::GetInfo, Call::GetVtxos] {
        faults.faults().always(call, Action::Hang);
    }
    let started = Instant::now();
    let report = maintained(&case.receiver).await;
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    assert_eq!(tasks(&report), [MaintenanceTask::Operator]);
    faults.faults().clear();
    drop(faults);
    case.world.regtest.set_esplora(regtest::esplora::Mode::Fail);
    let report = maintained(&case.receiver).await;
    assert_eq!(tasks(&report), [MaintenanceTask::Chain]);
}

/// Twice at once, with payments beside it: everything is done once, and every payment counts.
#[tokio::test(flavor = "multi_thread")]
async fn twice_at_once_and_with_payments() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 60_000).await;
    let receiver = world.wallet("receiver").await;
    let due = world.open_offchain(&payer, &receiver, 20_000).await;
    pay(&payer, &receiver, &due, 3_000, "due");
    payer.settle(false).await.unwrap();
    world.mine(1).await;
    eventually("settled", async || payer.balance().await.is_ok_and(|b| b.settled == sats(40_000))).await;
    let open = world.open(&payer, &receiver, 20_000).await;
    let before = receiver.balance().await.unwrap().total();
    let close_by = receiver.channel(&due).unwrap().close_by;
    let tip = u64::from(world.regtest.node().tip().await.unwrap().height);
    world.mine(u32::try_from(close_by - tip).unwrap()).await;
    let paying = tokio::task::spawn_blocking({
        let (payer, receiver) = (payer.clone(), receiver.clone());
        move || {
            (0..20)
                .map(|number| pay(&payer, &receiver, &open, 400, &format!("{number}")).increase.to_sat())
                .sum::<u64>()
        }
    });
    let (first, second) = tokio::join!(maintained(&receiver), maintained(&receiver));
    let errors: Vec<_> = first.errors.iter().chain(&second.errors).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(first.changed.len() + second.changed.len(), 1, "closed once");
    assert!(first.settled.is_some() != second.settled.is_some(), "settled once");
    assert_eq!(paying.await.unwrap(), 8_000);
    assert_eq!(receiver.channel(&open).unwrap().amount, sats(8_000));
    assert_eq!(receiver.balance().await.unwrap().total(), before + sats(8_000));
}

/// What was interrupted is gone on with.
#[tokio::test(flavor = "multi_thread")]
async fn resumes() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 30_000).await;
    let shop = world.wallet("shop").await;
    world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::Drop);
    let sent = wallet.send(&shop.ark_address().unwrap(), sats(5_000)).await;
    assert!(
        matches!(sent.as_ref().map_err(|error| &**error), Err(WalletError::OutcomeUnknown { .. }) | Ok(_)),
        "{sent:?}"
    );
    let report = clean(&wallet).await;
    assert_eq!((report.resumed, report.left), (usize::from(sent.is_err()), 0));
    assert_eq!(shop.balance().await.unwrap().total(), sats(5_000));
}

/// An operator whose fee would take too much: nothing is settled, no key is used up, and it is no error.
#[tokio::test(flavor = "multi_thread")]
async fn fees_that_are_not_worth_it() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.wallet("wallet").await;
    world.board(&wallet, 10_000).await;
    world.regtest.operator().await.change(|settings| settings.fees.onchain_input = "200.0".into());
    let address = wallet.new_ark_address().unwrap();
    for _ in 0..3 {
        let report = clean(&wallet).await;
        assert_eq!(report.settled, None);
    }
    assert_eq!(wallet.ark_address().unwrap(), address);
    assert_eq!(wallet.balance().await.unwrap().boarding, sats(10_000));
    // 2 % is too much, half a percent is not.
    world.regtest.operator().await.change(|settings| settings.fees.onchain_input = "50.0".into());
    assert_eq!(clean(&wallet).await.settled.unwrap().fee, sats(50));
}
