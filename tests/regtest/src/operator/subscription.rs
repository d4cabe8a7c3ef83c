//! Script subscriptions: who wants to hear about which output scripts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use tokio::sync::mpsc;
use tonic::Status;

use super::errors::{Code, refuse};
use super::indexer::check_script;
use super::shared::{Shared, uuid};
use super::state::Vtxo;
use super::wire;
use super::wire::get_subscription_response::Data;

const BACKLOG: usize = 512;

/// Something that made or spent VTXOs.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Change {
    pub txid: Txid,
    /// The commitment as raw hex, or the ark transaction as a PSBT.
    pub tx: String,
    pub made: Vec<Vtxo>,
    pub spent: Vec<Vtxo>,
    pub swept: Vec<OutPoint>,
    /// The VTXO that each checkpoint spends, its id and its PSBT.
    pub checkpoints: Vec<(OutPoint, Txid, String)>,
}

struct Subscription {
    scripts: BTreeSet<String>,
    /// Events that no stream has taken yet.
    waiting: Vec<wire::GetSubscriptionResponse>,
    stream: Option<mpsc::Sender<wire::GetSubscriptionResponse>>,
    /// Counts the streams: a newer one takes over.
    generation: u64,
}

/// All subscriptions.
#[derive(Default)]
pub struct Subscriptions {
    all: Mutex<HashMap<String, Subscription>>,
}

fn unknown(id: &str) -> Status {
    refuse(Code::SubscriptionNotFound, format!("subscription {id} not found")).with("subscription_id", id).into()
}

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Subscription>> {
        self.all.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Tells everybody who listens to one of the scripts.
    pub fn publish(&self, change: &Change) {
        for subscription in self.lock().values_mut() {
            let wanted = |v: &&Vtxo| subscription.scripts.contains(&v.script().to_hex_string());
            let made: Vec<_> = change.made.iter().filter(wanted).collect();
            let spent: Vec<_> = change.spent.iter().filter(wanted).collect();
            if made.is_empty() && spent.is_empty() {
                continue;
            }
            let scripts: BTreeSet<String> = made.iter().chain(&spent).map(|v| v.script().to_hex_string()).collect();
            let event = wire::IndexerSubscriptionEvent {
                txid: change.txid.to_string(),
                scripts: scripts.into_iter().collect(),
                new_vtxos: made.iter().map(|v| v.shown()).collect(),
                spent_vtxos: spent.iter().map(|v| v.shown()).collect(),
                tx: change.tx.clone(),
                checkpoint_txs: change
                    .checkpoints
                    .iter()
                    .map(|(o, id, tx)| (o.to_string(), wire::IndexerTxData { txid: id.to_string(), tx: tx.clone() }))
                    .collect(),
                swept_vtxos: change
                    .swept
                    .iter()
                    .map(|o| wire::IndexerVtxo {
                        outpoint: Some(wire::IndexerOutpoint { txid: o.txid.to_string(), vout: o.vout }),
                        ..Default::default()
                    })
                    .collect(),
            };
            let message = wire::GetSubscriptionResponse { data: Some(Data::Event(event)) };
            match &subscription.stream {
                Some(stream) if stream.try_send(message.clone()).is_ok() => {}
                _ if subscription.waiting.len() < BACKLOG => subscription.waiting.push(message),
                _ => {}
            }
        }
    }

    /// Ends all streams; the subscriptions stay until their timeout.
    pub fn drop_all(&self) {
        self.lock().values_mut().for_each(|s| s.stream = None);
    }

    /// Forgets everything, as a restart does.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn make(&self, scripts: BTreeSet<String>) -> String {
        let id = uuid();
        let subscription = Subscription { scripts, waiting: Vec::new(), stream: None, generation: 0 };
        self.lock().insert(id.clone(), subscription);
        id
    }

    /// Removes the subscription unless a newer stream has it.
    fn expire(&self, id: &str, generation: u64) {
        let mut all = self.lock();
        if all.get(id).is_some_and(|s| s.generation == generation) {
            all.remove(id);
        }
    }
}

fn expire_later(shared: &Arc<Shared>, id: String, generation: u64, after: Duration) {
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        shared.subscriptions.expire(&id, generation);
    });
}

/// SubscribeForScripts: a new subscription, or more scripts for one.
pub async fn subscribe(
    shared: Arc<Shared>,
    request: wire::SubscribeForScriptsRequest,
) -> Result<wire::SubscribeForScriptsResponse, Status> {
    if request.scripts.is_empty() {
        return Err(Status::invalid_argument("missing scripts"));
    }
    for script in &request.scripts {
        check_script(script)?;
    }
    let scripts: BTreeSet<String> = request.scripts.iter().map(|s| s.to_lowercase()).collect();
    let mut subscription_id = request.subscription_id;
    if subscription_id.is_empty() {
        subscription_id = shared.subscriptions.make(scripts);
        expire_later(&shared, subscription_id.clone(), 0, shared.settings().subscription_timeout);
    } else {
        let mut all = shared.subscriptions.lock();
        all.get_mut(&subscription_id).ok_or_else(|| unknown(&subscription_id))?.scripts.extend(scripts);
    }
    Ok(wire::SubscribeForScriptsResponse { subscription_id })
}

/// UnsubscribeForScripts: some scripts, or all of it.
pub async fn unsubscribe(
    shared: Arc<Shared>,
    request: wire::UnsubscribeForScriptsRequest,
) -> Result<wire::UnsubscribeForScriptsResponse, Status> {
    let id = request.subscription_id;
    if id.is_empty() {
        return Err(Status::invalid_argument("missing subscription id"));
    }
    let mut all = shared.subscriptions.lock();
    let subscription = all.get_mut(&id).ok_or_else(|| unknown(&id))?;
    if request.scripts.is_empty() {
        all.remove(&id);
    } else {
        request.scripts.iter().for_each(|s| {
            subscription.scripts.remove(&s.to_lowercase());
        });
    }
    Ok(wire::UnsubscribeForScriptsResponse {})
}

/// GetSubscription: the stream of one subscription; a newer stream ends an older one.
pub fn stream(
    shared: &Arc<Shared>,
    request: wire::GetSubscriptionRequest,
) -> Result<mpsc::Receiver<wire::GetSubscriptionResponse>, Status> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let mut id = request.subscription_id;
    let fresh = id.is_empty();
    if fresh {
        id = shared.subscriptions.make(BTreeSet::new());
    }
    let settings = shared.settings();
    let generation = {
        let mut all = shared.subscriptions.lock();
        let subscription = all.get_mut(&id).ok_or_else(|| unknown(&id))?;
        if fresh {
            let started = wire::SubscriptionStartedEvent { subscription_id: id.clone() };
            let data = Some(Data::SubscriptionStarted(started));
            // The channel is new: there is room.
            let _ = sender.try_send(wire::GetSubscriptionResponse { data });
        }
        for message in subscription.waiting.drain(..) {
            let _ = sender.try_send(message);
        }
        subscription.generation += 1;
        subscription.stream = Some(sender.clone());
        subscription.generation
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + settings.heartbeat, settings.heartbeat);
        loop {
            tokio::select! {
                () = sender.closed() => break,
                _ = beat.tick() => {
                    let data = Some(Data::Heartbeat(wire::IndexerHeartbeat {}));
                    let _ = sender.try_send(wire::GetSubscriptionResponse { data });
                    let mine = shared.subscriptions.lock().get(&id).is_some_and(|s| s.generation == generation);
                    if !mine {
                        return;
                    }
                }
            }
        }
        if let Some(subscription) = shared.subscriptions.lock().get_mut(&id)
            && subscription.generation == generation
        {
            subscription.stream = None;
        }
        let after = if fresh { Duration::ZERO } else { settings.subscription_timeout };
        expire_later(&shared, id, generation, after);
    });
    Ok(receiver)
}
