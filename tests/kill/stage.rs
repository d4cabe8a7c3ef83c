//! A chain, an operator, and wallets of which one lives in a child process and is killed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use regtest::operator::{Action, Call, Knob, Phase, Unit};
use virtual_channels::channel::Network;
use virtual_channels::store::Store;
use virtual_channels::wallet::{Clock, EventKind, Wallet, WalletConfig};

use crate::child::{Victim, say};
use crate::world::World;

/// The system's clock, so many seconds ahead.
struct Ahead(Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        now + self.0.load(Ordering::SeqCst)
    }
}

/// Where a killed flow is looked after.
pub struct Stage {
    pub world: World,
    ahead: Arc<AtomicU64>,
}

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
pub enum Kill {
    /// So long after it was ready.
    After(Duration),
    /// While its call waits at the operator, which has not looked at it.
    Before(Call),
    /// After the operator has done what the call asks for, while the answer is on its way.
    Answering(Call),
    /// When it says this.
    Said(&'static str),
    /// While the batch stands still here.
    At(Phase),
}

impl Stage {
    pub async fn new(unit: Unit) -> Self {
        let change = |settings: &mut regtest::operator::Settings| settings.session = Duration::from_millis(1_500);
        Self { world: World::with(unit, change).await, ahead: Arc::default() }
    }

    /// The wallet of this name, with this stage's clock.
    pub async fn wallet(&self, name: &str) -> Wallet {
        let config = WalletConfig { clock: Arc::new(Ahead(self.ahead.clone())), ..self.world.config(name) };
        Wallet::open(config, &World::mnemonic(name)).await.unwrap()
    }

    /// Starts a child that opens the wallet of this name and does `task`.
    pub fn victim(&self, task: &str, name: &str, more: &[&str]) -> Victim {
        let config = self.world.config(name);
        let ahead = self.ahead.load(Ordering::SeqCst).to_string();
        let mut arguments = vec![config.database.to_str().unwrap(), name, &config.operator_url, &config.esplora_url];
        arguments.push(&ahead);
        arguments.extend(more);
        let victim = Victim::start(task, &arguments);
        assert_eq!(victim.hear(), "ready");
        victim
    }

    /// The flows that a wallet's file holds, with their steps.
    pub fn flows(&self, name: &str) -> Vec<String> {
        let store = Store::open(&self.world.path(name)).unwrap();
        let flows = store.read(|db| db.flows()).unwrap();
        flows.iter().map(|flow| format!("{:?} {}", flow.kind, flow.step)).collect()
    }

    /// All wallets' clocks go ahead.
    pub fn pass(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Asks the operator to hold what the kill waits for. To be called before the child is told to begin.
    pub async fn prepare(&self, kill: Kill) {
        let operator = self.world.regtest.operator().await;
        match kill {
            Kill::Before(call) => operator.faults().once(call, Action::Hang),
            Kill::Answering(call) => operator.faults().once(call, Action::KeepAnswer),
            Kill::At(phase) => operator.faults().turn(Knob::Stall(phase)),
            Kill::After(_) | Kill::Said(_) => {}
        }
    }

    /// Waits for the moment and kills. What the child says until then is given to `answer`; "done" is always the end.
    pub async fn strike(&self, mut victim: Victim, kill: Kill, mut answer: impl AsyncFnMut(&mut Victim, &str)) {
        let started = Instant::now();
        let mut said = String::new();
        loop {
            let held = self.world.regtest.operator().await.faults().held() > 0;
            let now = match kill {
                Kill::After(time) => started.elapsed() >= time,
                Kill::Before(_) | Kill::Answering(_) | Kill::At(_) => held,
                Kill::Said(line) => said == line,
            };
            if now || said == "done" {
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(40), "{kill:?} does not come; last heard: {said:?}");
            if let Some(line) = victim.hear_within(Duration::from_millis(1)) {
                answer(&mut victim, &line).await;
                said = line;
            }
        }
        victim.kill();
        self.world.regtest.operator().await.faults().clear();
    }
}

/// In the child: its wallet, and the arguments that are left.
pub async fn enter<'a>(arguments: &'a [&'a str]) -> (Wallet, &'a [&'a str]) {
    let [path, name, operator, esplora, ahead, rest @ ..] = arguments else { panic!("{arguments:?}") };
    let config = WalletConfig::new(PathBuf::from(path), Network::Regtest, *operator, *esplora);
    let clock = Ahead(Arc::new(AtomicU64::new(ahead.parse().unwrap())));
    let config = WalletConfig { clock: Arc::new(clock), ..config };
    let wallet = Wallet::open(config, &World::mnemonic(name)).await.unwrap();
    let listener = wallet.clone();
    tokio::spawn(async move {
        loop {
            // Progress first; what is durable would come again and again, and is not what is waited for here.
            for event in listener.pending_events(100).unwrap() {
                if let EventKind::Progress { step, .. } = event.kind {
                    say(&format!("{step:?}"));
                }
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    say("ready");
    (wallet, rest)
}
