//! Faults that a test asks for: by call (the connection drops, the answer is late, wrong or lost) and by knob (a dishonest or
//! broken operator). Each holds once, a number of times, or until it is cleared.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bitcoin::{OutPoint, Psbt, Txid};
use serde::Deserialize;

use super::errors::Code;
use super::wire;

/// The calls of both services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[allow(missing_docs)]
pub enum Call {
    GetInfo,
    RegisterIntent,
    EstimateIntentFee,
    DeleteIntent,
    ConfirmRegistration,
    SubmitTreeNonces,
    SubmitTreeSignatures,
    SubmitSignedForfeitTxs,
    GetEventStream,
    UpdateStreamTopics,
    SubmitTx,
    FinalizeTx,
    GetPendingTx,
    GetVtxos,
    GetVtxoChain,
    GetVirtualTxs,
    SubscribeForScripts,
    UnsubscribeForScripts,
    GetSubscription,
}

/// What goes wrong with a call.
#[derive(Clone, Debug)]
pub enum Action {
    /// The connection drops before anything is done.
    Drop,
    /// The call is carried out after a while.
    Delay(Duration),
    /// No answer ever comes, nothing is done.
    Hang,
    /// Nothing is done; arkd's code and this text come back.
    Refuse(Code, String),
    /// Nothing is done; a bare gRPC status comes back, without arkd's details.
    Status(tonic::Code, String),
    /// The call is carried out, every text in the answer is replaced by rubbish.
    Garbage,
    /// The call is carried out, then bytes that are not HTTP/2 come over the connection.
    RawGarbage,
    /// The call is carried out, then the connection drops without an answer.
    LoseAnswer,
    /// The call is carried out, then a bare Internal status comes back.
    AnswerError,
    /// The call is carried out, no answer ever comes.
    KeepAnswer,
}

/// Where in a batch something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// After BatchStarted.
    Started,
    /// After the tree has been sent, before nonces.
    Nonces,
    /// After the nonces have been sent, before signatures.
    Signatures,
    /// After BatchFinalization, before forfeits and commitment signatures.
    Forfeits,
    /// All is signed; nothing has been broadcast.
    Broadcast,
    /// The commitment has been broadcast, nobody has been told.
    Finalized,
}

/// What an operator may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// SubmitTx answers checkpoints with a signature that does not verify.
    WrongCheckpointSignature,
    /// SubmitTx answers checkpoints without the operator's signature.
    MissingCheckpointSignature,
    /// SubmitTx answers another checkpoint than was asked for.
    OtherCheckpoint,
    /// SubmitTx answers an ark transaction with a signature that does not verify.
    WrongArkSignature,
    /// SubmitTx answers the ark transaction without the operator's signature.
    MissingArkSignature,
    /// The first output of every leaf pays another script.
    WrongLeafScript,
    /// The first output of every leaf pays one sat less.
    WrongLeafAmount,
    /// The cosigner at this place of each intent's list is left out of the tree.
    MissingCosigner(usize),
    /// The tree can be swept by another key.
    WrongSweepKey,
    /// The tree's root spends something else than the commitment's output 0.
    WrongParent,
    /// BatchFinalization shows another commitment transaction than was signed for.
    OtherCommitment,
    /// The connectors hang on something else than the commitment.
    ForeignConnector,
    /// The last tree signature is not sent.
    MissingTreeSignature,
    /// The last tree signature is wrong.
    WrongTreeSignature,
    /// TreeNonces and TreeNoncesAggregated come a second time, with other nonces of the operator.
    RepeatNonces,
    /// All event streams end at this phase.
    DropStreams(Phase),
    /// The batch fails at this phase.
    FailBatch(Phase),
    /// The batch does not go on from this phase until the knob is cleared.
    Stall(Phase),
    /// The indexer shows spent VTXOs as spendable.
    StaleSpent,
    /// The indexer does not show VTXOs made after this was set.
    StaleNew,
    /// The commitment transaction is announced but not broadcast.
    HoldCommitment,
    /// GetPendingTx answers the ark transaction with the operator's signatures alone.
    UnsignedPending,
    /// The checkpoint is not sent when a VTXO that is spent off chain comes on chain.
    NoCheckpoint,
    /// GetVirtualTxs shows signatures that do not verify.
    WrongVirtualSignatures,
    /// The forfeit is not sent when a settled VTXO comes on chain.
    NoForfeit,
    /// Neither expired batches nor checkpoints are taken back.
    NoSweep,
}

/// What the indexer claims of a VTXO, whatever the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Claim {
    /// It does not show it at all.
    pub hidden: bool,
    pub spent: Option<bool>,
    pub swept: Option<bool>,
    pub unrolled: Option<bool>,
    pub spent_by: Option<Txid>,
    pub ark_txid: Option<Txid>,
    pub settled_by: Option<Txid>,
    pub expires_at: Option<i64>,
}

#[derive(Default)]
struct Set {
    calls: Vec<(Call, Action, Option<u32>)>,
    knobs: Vec<(Knob, Option<u32>)>,
    claims: HashMap<OutPoint, Claim>,
    seen: HashMap<Call, u64>,
    submissions: Vec<wire::SubmitTxRequest>,
    proofs: Vec<Psbt>,
}

/// All faults of one operator.
#[derive(Default)]
pub struct Faults {
    set: Mutex<Set>,
    held: AtomicUsize,
}

/// Something is being held as a test asked for; until this is dropped.
pub(crate) struct Held<'a>(&'a AtomicUsize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Faults {
    /// The next call of this kind.
    pub fn once(&self, call: Call, action: Action) {
        self.times(call, action, 1);
    }

    /// The next `times` calls of this kind.
    pub fn times(&self, call: Call, action: Action, times: u32) {
        self.lock().calls.push((call, action, Some(times)));
    }

    /// All calls of this kind until [`Faults::clear`].
    pub fn always(&self, call: Call, action: Action) {
        self.lock().calls.push((call, action, None));
    }

    /// The knob holds the next time it matters.
    pub fn turn_once(&self, knob: Knob) {
        self.lock().knobs.push((knob, Some(1)));
    }

    /// The knob holds until [`Faults::clear`] or [`Faults::release`].
    pub fn turn(&self, knob: Knob) {
        self.lock().knobs.push((knob, None));
    }

    /// Turns a knob back.
    pub fn release(&self, knob: Knob) {
        self.lock().knobs.retain(|(k, _)| *k != knob);
    }

    /// The indexer claims this of the VTXO from now on.
    pub fn claim(&self, outpoint: OutPoint, claim: Claim) {
        self.lock().claims.insert(outpoint, claim);
    }

    /// All is well again.
    pub fn clear(&self) {
        let mut set = self.lock();
        set.calls.clear();
        set.knobs.clear();
        set.claims.clear();
    }

    /// How often a call has come in since the start.
    pub fn seen(&self, call: Call) -> u64 {
        self.lock().seen.get(&call).copied().unwrap_or(0)
    }

    /// How many calls hang and batches stall right now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        self.held.fetch_add(1, Ordering::SeqCst);
        Held(&self.held)
    }

    /// All that has come in as SubmitTx since the start, whatever was answered.
    pub fn submissions(&self) -> Vec<wire::SubmitTxRequest> {
        self.lock().submissions.clone()
    }

    /// The proofs of all intents that were registered since the start. The indexer shows them to whoever asks.
    pub fn proofs(&self) -> Vec<Psbt> {
        self.lock().proofs.clone()
    }

    pub(crate) fn note_proof(&self, proof: Psbt) {
        self.lock().proofs.push(proof);
    }

    pub(crate) fn note_submission(&self, request: wire::SubmitTxRequest) {
        self.lock().submissions.push(request);
    }

    pub(crate) fn take_call(&self, call: Call) -> Option<Action> {
        let mut set = self.lock();
        *set.seen.entry(call).or_default() += 1;
        let at = set.calls.iter().position(|(c, _, _)| *c == call)?;
        let action = set.calls[at].1.clone();
        if let Some(left) = &mut set.calls[at].2 {
            *left -= 1;
            if *left == 0 {
                set.calls.remove(at);
            }
        }
        Some(action)
    }

    /// Is the knob turned? A knob for once is turned back by the asking.
    pub(crate) fn take(&self, wanted: Knob) -> bool {
        self.take_like(|k| (*k == wanted).then_some(())).is_some()
    }

    pub(crate) fn take_like<T>(&self, wanted: impl Fn(&Knob) -> Option<T>) -> Option<T> {
        let mut set = self.lock();
        let (at, found) = set.knobs.iter().enumerate().find_map(|(i, (k, _))| Some((i, wanted(k)?)))?;
        if let Some(left) = &mut set.knobs[at].1 {
            *left -= 1;
            if *left == 0 {
                set.knobs.remove(at);
            }
        }
        Some(found)
    }

    /// Is the knob turned? Does not use it up.
    pub(crate) fn holds(&self, wanted: Knob) -> bool {
        self.lock().knobs.iter().any(|(k, _)| *k == wanted)
    }

    pub(crate) fn claimed(&self, outpoint: &OutPoint) -> Option<Claim> {
        self.lock().claims.get(outpoint).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(|e| e.into_inner())
    }
}
