//! The event stream of batches: who listens to which topics.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use tokio::sync::mpsc;

use super::wire::GetEventStreamResponse;
use super::wire::get_event_stream_response::Event;

/// Events a listener may lag behind before it is dropped.
const BACKLOG: usize = 512;

/// An event and who is told: no topics means everybody.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Any of these.
    pub topics: Vec<String>,
    /// The event.
    pub event: Event,
}

/// An event for everybody.
pub fn all(event: Event) -> Routed {
    Routed { topics: Vec::new(), event }
}

struct Listener {
    topics: BTreeSet<String>,
    sender: mpsc::Sender<GetEventStreamResponse>,
}

/// All listeners.
#[derive(Default)]
pub struct Events {
    listeners: Mutex<HashMap<String, Listener>>,
}

fn normal(topic: &str) -> String {
    topic.trim_matches(' ').to_lowercase()
}

impl Events {
    /// Starts to listen. The stream ends when the listener is too slow or is dropped.
    pub fn listen(&self, id: &str, topics: &[String]) -> mpsc::Receiver<GetEventStreamResponse> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let topics = topics.iter().map(|t| normal(t)).collect();
        self.lock().insert(id.into(), Listener { topics, sender });
        receiver
    }

    /// Sends to everybody whose topics match, in order.
    pub fn publish(&self, events: Vec<Routed>) {
        self.lock().retain(|_, listener| {
            events.iter().all(|routed| {
                let wanted =
                    routed.topics.is_empty() || routed.topics.iter().any(|t| listener.topics.contains(&normal(t)));
                !wanted
                    || listener.sender.try_send(GetEventStreamResponse { event: Some(routed.event.clone()) }).is_ok()
            })
        });
    }

    /// Changes a listener's topics; None when it does not exist. Returns all topics it has then.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut BTreeSet<String>)) -> Option<Vec<String>> {
        let mut listeners = self.lock();
        let listener = listeners.get_mut(id)?;
        change(&mut listener.topics);
        listener.topics = listener.topics.iter().map(|t| normal(t)).collect();
        Some(listener.topics.iter().cloned().collect())
    }

    /// Ends all streams.
    pub fn drop_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Listener>> {
        self.listeners.lock().unwrap_or_else(|e| e.into_inner())
    }
}
