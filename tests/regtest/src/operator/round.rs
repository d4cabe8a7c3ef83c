//! A batch from its first intent to its commitment transaction: registration, confirmation, tree signing, forfeits, broadcast.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::psbt::{Input, Psbt};
use bitcoin::{PublicKey, ScriptBuf};
use tokio::time::{sleep, timeout_at};

use super::commitment::{self, Plan};
use super::errors::{Code, Refusal, refuse};
use super::events::{Routed, all};
use super::faults::{Knob, Phase};
use super::finish;
use super::forfeit::Forfeits;
use super::musig::{Nonces, Signatures, TreeSigning};
use super::settings::Settings;
use super::shared::{Shared, uuid};
use super::state::Registered;
use super::tree::TxTree;
use super::wallet::Coin;
use super::wire::get_event_stream_response::Event;
use super::{register, wire};

/// What the calls of a running batch write into.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Session {
    pub id: String,
    /// Intent ids, hashed as in BatchStarted: confirmed or not. Empty until BatchStarted.
    pub confirmed: HashMap<[u8; 32], bool>,
    /// Who must sign the tree beside the operator. Empty until TreeSigningStarted.
    pub cosigners: HashSet<String>,
    pub nonces: HashMap<String, Nonces>,
    pub signatures: HashMap<String, Signatures>,
    pub forfeits: Forfeits,
    pub commitment: Option<Psbt>,
    /// Boarding inputs that somebody has signed.
    pub boarding: HashMap<usize, Input>,
    pub coins: Vec<Coin>,
}

/// Why a batch failed, and who pays for it.
pub struct Failure {
    reason: Refusal,
    crimes: Vec<(ScriptBuf, String)>,
}

impl From<Refusal> for Failure {
    fn from(reason: Refusal) -> Self {
        Failure { reason, crimes: Vec::new() }
    }
}

/// An internal failure.
pub fn broken(text: impl Into<String>) -> Failure {
    refuse(Code::Internal, text).into()
}

impl Failure {
    /// With scripts to convict.
    pub fn with_crimes(mut self, crimes: Vec<(ScriptBuf, String)>) -> Self {
        self.crimes = crimes;
        self
    }
}

/// Runs batches for ever: one whenever an intent waits.
pub async fn run(shared: Arc<Shared>) {
    loop {
        if shared.with_book(|b| b.queue.is_empty()) {
            shared.wake.notified().await;
            continue;
        }
        batch(&shared).await;
    }
}

async fn batch(shared: &Arc<Shared>) {
    let settings = shared.settings();
    let end = Instant::now() + settings.session;
    let id = uuid();
    sleep(part(end, 6)).await;
    let selected = select(shared, &settings).await;
    if selected.len() < settings.min_participants {
        give_back(shared, selected);
        sleep(part(end, 6)).await;
        return;
    }
    let hashes = selected.iter().map(|r| (sha256::Hash::hash(r.id.as_bytes()).to_byte_array(), false)).collect();
    let session = Session { id: id.clone(), confirmed: hashes, ..Session::default() };
    shared.with_book(|b| b.session = Some(session));
    let result = Batch { shared: shared.clone(), settings, id: id.clone(), end }.go(selected.clone()).await;
    if let Err(failure) = result {
        fail(shared, &id, &selected, failure);
    }
    shared.with_book(|b| {
        b.session = None;
        for vtxo in selected.iter().flat_map(|r| &r.vtxos) {
            let waits = b.queue.iter().any(|r| r.vtxos.iter().any(|v| v.outpoint == vtxo.outpoint));
            if !waits {
                b.locked.remove(&vtxo.outpoint);
            }
        }
    });
}

/// A share of the time that is left.
fn part(end: Instant, share: u32) -> Duration {
    (end.saturating_duration_since(Instant::now()) / share).max(Duration::from_millis(50))
}

/// Takes the oldest intents out of the queue; one with a boarding coin that is gone falls away.
async fn select(shared: &Shared, settings: &Settings) -> Vec<Registered> {
    let taken: Vec<Registered> = shared.with_book(|b| {
        b.queue.sort_by_key(|r| r.at);
        let count = b.queue.len().min(settings.max_participants);
        b.queue.drain(..count).collect()
    });
    let mut selected = Vec::new();
    for one in taken {
        let mut gone = false;
        for coin in &one.boarding {
            gone |= matches!(shared.node.utxo(&coin.outpoint).await, Ok(None));
        }
        if !gone {
            selected.push(one);
        }
    }
    selected
}

fn give_back(shared: &Shared, intents: Vec<Registered>) {
    shared.with_book(|b| {
        for one in intents {
            // An intent that came in meanwhile over the same coin wins.
            let _ = register::push(b, one);
        }
    });
}

fn fail(shared: &Shared, id: &str, selected: &[Registered], failure: Failure) {
    let settings = shared.settings();
    let now = shared.now();
    let coins = shared.with_book(|b| {
        for (script, reason) in failure.crimes {
            b.bans.convict(script, &reason, now, settings.ban_duration);
        }
        b.session.as_mut().map(|s| std::mem::take(&mut s.coins))
    });
    shared.wallet().give_back(coins.unwrap_or_default());
    let event = Event::BatchFailed(wire::BatchFailedEvent { id: id.into(), reason: failure.reason.line() });
    let topics = selected.iter().flat_map(Registered::topics).collect();
    shared.events.publish(vec![Routed { topics, event }]);
}

/// One running batch.
pub struct Batch {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settings: Settings,
    pub(crate) id: String,
    pub(crate) end: Instant,
}

impl Batch {
    async fn go(&self, selected: Vec<Registered>) -> Result<(), Failure> {
        let hashes = selected.iter().map(|r| sha256::Hash::hash(r.id.as_bytes()).to_string()).collect();
        self.publish(vec![all(Event::BatchStarted(wire::BatchStartedEvent {
            id: self.id.clone(),
            intent_id_hashes: hashes,
            batch_expiry: i64::from(self.settings.batch_expiry),
        }))]);
        self.phase(Phase::Started).await?;
        let confirmed = self.confirmations(selected).await?;
        let plan = commitment::plan(&self.shared, &self.settings, &confirmed).map_err(broken)?;
        self.session(|s| {
            s.coins = plan.coins.clone();
            s.commitment = Some(plan.commitment.clone());
            s.forfeits = Forfeits::new(plan.forfeiting.clone(), plan.connectors.as_ref());
        });
        let tree = match &plan.tree {
            Some(tree) => Some(self.sign_tree(tree, &plan, &confirmed).await?),
            None => None,
        };
        finish::finish(self, plan, tree, confirmed).await
    }

    async fn confirmations(&self, selected: Vec<Registered>) -> Result<Vec<Registered>, Failure> {
        let deadline = Instant::now() + part(self.end, 2);
        self.until(deadline, |s| s.confirmed.values().all(|c| *c)).await;
        let answers = self.session(|s| s.confirmed.clone());
        let came = |r: &Registered| answers.get(sha256::Hash::hash(r.id.as_bytes()).as_byte_array()) == Some(&true);
        let (confirmed, rest): (Vec<_>, Vec<_>) = selected.into_iter().partition(came);
        if confirmed.len() < self.settings.min_participants.max(1) {
            give_back(&self.shared, rest.into_iter().chain(confirmed).collect());
            return Err(broken("not enough intent confirmations received"));
        }
        give_back(&self.shared, rest);
        Ok(confirmed)
    }

    async fn sign_tree(&self, tree: &TxTree, plan: &Plan, confirmed: &[Registered]) -> Result<TxTree, Failure> {
        let third = part(self.end, 3);
        let cosigners: HashSet<String> = confirmed.iter().flat_map(|r| r.cosigners().to_vec()).collect();
        let output = &plan.commitment.unsigned_tx.output[0];
        let mut signing = TreeSigning::new(tree, output, plan.sweep, &self.shared.tree_key()).map_err(broken)?;
        self.session(|s| s.cosigners = cosigners.clone());
        let shown = self.shown_tree(tree);
        let mut events: Vec<_> = shown.nodes().iter().map(|n| self.tree_event(n, 0, n.topics())).collect();
        let mut listed: Vec<_> = cosigners.iter().cloned().collect();
        listed.sort();
        events.push(all(Event::TreeSigningStarted(wire::TreeSigningStartedEvent {
            id: self.id.clone(),
            cosigners_pubkeys: listed,
            unsigned_commitment_tx: plan.commitment.to_string(),
        })));
        self.publish(events);
        self.phase(Phase::Nonces).await?;
        let wanted = cosigners.len();
        if !self.until(Instant::now() + third, |s| s.nonces.len() == wanted).await {
            return Err(self.timed_out("nonce", "nonces", confirmed, |s| s.nonces.keys().cloned().collect()));
        }
        for (key, nonces) in self.session(|s| s.nonces.clone()) {
            signing.add_nonces(&public(&key)?, nonces);
        }
        let aggregated = signing.aggregate().map_err(|e| broken(format!("failed to aggregate nonces: {e}")))?;
        self.send_nonces(tree, &signing, &aggregated)?;
        if self.shared.faults.take(Knob::RepeatNonces) {
            let mut other = TreeSigning::new(tree, output, plan.sweep, &self.shared.tree_key()).map_err(broken)?;
            for (key, nonces) in self.session(|s| s.nonces.clone()) {
                other.add_nonces(&public(&key)?, nonces);
            }
            let again = other.aggregate().map_err(broken)?;
            self.send_nonces(tree, &other, &again)?;
        }
        self.phase(Phase::Signatures).await?;
        signing.sign().map_err(broken)?;
        if !self.until(Instant::now() + third, |s| s.signatures.len() == wanted).await {
            return Err(
                self.timed_out("signature", "signatures", confirmed, |s| s.signatures.keys().cloned().collect())
            );
        }
        let mut crimes = Vec::new();
        for (key, signatures) in self.session(|s| s.signatures.clone()) {
            if let Err(reason) = signing.add_signatures(&public(&key)?, signatures) {
                crimes.extend(blame(confirmed, &key, &reason));
            }
        }
        if !crimes.is_empty() {
            return Err(broken("some musig2 signatures are invalid").with_crimes(crimes));
        }
        let finished = signing.finish().map_err(|e| broken(format!("failed to aggregate tree signatures: {e}")))?;
        let mut signed = tree.clone();
        signed.for_each_mut(&mut |node| {
            let sighash_type = bitcoin::TapSighashType::Default;
            let signature = finished.get(&node.txid()).copied();
            node.psbt.inputs[0].tap_key_sig =
                signature.map(|signature| bitcoin::taproot::Signature { signature, sighash_type });
        });
        Ok(signed)
    }

    /// The tree as it is shown: on another parent where a test wants that.
    fn shown_tree(&self, tree: &TxTree) -> TxTree {
        let mut shown = tree.clone();
        if self.shared.faults.take(Knob::WrongParent) {
            shown.psbt.unsigned_tx.input[0].previous_output.txid = bitcoin::Txid::from_byte_array([7; 32]);
            let root = shown.txid();
            shown.children.iter_mut().for_each(|c| c.psbt.unsigned_tx.input[0].previous_output.txid = root);
        }
        shown
    }

    fn send_nonces(
        &self,
        tree: &TxTree,
        signing: &TreeSigning,
        aggregated: &HashMap<String, String>,
    ) -> Result<(), Failure> {
        let mut events = Vec::new();
        for node in tree.nodes() {
            let nonces = signing.nonces_of(&node.txid()).map_err(broken)?;
            let topics = node.topics();
            let event = Event::TreeNonces(wire::TreeNoncesEvent {
                id: self.id.clone(),
                topic: topics.clone(),
                txid: node.txid().to_string(),
                nonces,
            });
            events.push(Routed { topics, event });
        }
        events.push(all(Event::TreeNoncesAggregated(wire::TreeNoncesAggregatedEvent {
            id: self.id.clone(),
            tree_nonces: aggregated.clone(),
        })));
        self.publish(events);
        Ok(())
    }

    fn timed_out(
        &self,
        what: &str,
        plural: &str,
        confirmed: &[Registered],
        came: impl Fn(&Session) -> HashSet<String>,
    ) -> Failure {
        let (got, wanted) = self.session(|s| (came(s), s.cosigners.clone()));
        let collection = if what == "nonce" { "nonce" } else { "signatures" };
        let text = format!(
            "musig2 signing session timed out ({collection} collection), collected {}/{} {plural}",
            got.len(),
            wanted.len()
        );
        let missing = wanted.difference(&got);
        let crimes = missing
            .flat_map(|key| blame(confirmed, key, &format!("missing musig2 {what} for cosigner {key}")))
            .collect();
        Failure::from(refuse(Code::SigningSessionTimedOut, text)).with_crimes(crimes)
    }

    /// A TreeTx event; as in arkd without the txid.
    pub(crate) fn tree_event(&self, node: &TxTree, batch_index: i32, topics: Vec<String>) -> Routed {
        let children = node.children.iter().enumerate().map(|(i, c)| (i as u32, c.txid().to_string())).collect();
        let event = Event::TreeTx(wire::TreeTxEvent {
            id: self.id.clone(),
            topic: topics.clone(),
            batch_index,
            txid: String::new(),
            tx: node.psbt.to_string(),
            children,
        });
        Routed { topics, event }
    }

    pub(crate) fn publish(&self, events: Vec<Routed>) {
        self.shared.events.publish(events);
    }

    pub(crate) fn session<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        self.shared.with_book(|b| work(b.session.get_or_insert_default()))
    }

    /// Waits until the session has what is wanted, or the deadline; says whether it has.
    pub(crate) async fn until(&self, deadline: Instant, check: impl Fn(&Session) -> bool) -> bool {
        let mut progress = self.shared.progress.subscribe();
        loop {
            if self.session(|s| check(s)) {
                return true;
            }
            if timeout_at(deadline.into(), progress.changed()).await.is_err() {
                return self.session(|s| check(s));
            }
        }
    }

    /// The faults that belong to a phase.
    pub(crate) async fn phase(&self, phase: Phase) -> Result<(), Failure> {
        let faults = &self.shared.faults;
        if faults.take(Knob::DropStreams(phase)) {
            self.shared.events.drop_all();
        }
        if faults.holds(Knob::Stall(phase)) {
            let _held = faults.hold();
            while faults.holds(Knob::Stall(phase)) {
                sleep(Duration::from_millis(50)).await;
            }
        }
        if faults.take(Knob::FailBatch(phase)) {
            return Err(broken(format!("failed on purpose: {phase:?}")));
        }
        Ok(())
    }

    /// What is left of the session.
    pub(crate) fn rest(&self) -> Instant {
        self.end.max(Instant::now() + Duration::from_millis(50))
    }
}

fn public(key: &str) -> Result<PublicKey, Failure> {
    key.parse().map_err(|_| broken(format!("invalid cosigner key {key}")))
}

/// The scripts of the intents that a cosigner belongs to.
fn blame(intents: &[Registered], cosigner: &str, reason: &str) -> Vec<(ScriptBuf, String)> {
    let theirs = intents.iter().filter(|r| r.cosigners().iter().any(|c| c == cosigner));
    theirs.flat_map(|r| r.scripts()).map(|s| (s, reason.to_owned())).collect()
}
