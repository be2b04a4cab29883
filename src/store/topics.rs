//! The listeners of this process, by topic.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::broadcast;

/// Hints a slow listener may be behind; one that falls further behind is told so, which is a hint as well.
const BACKLOG: usize = 16;

/// Topics are few and fixed by the program, so none is ever removed.
#[derive(Debug, Default)]
pub(super) struct Topics(Mutex<HashMap<String, broadcast::Sender<()>>>);

impl Topics {
    pub(super) fn listen(&self, topic: &str) -> broadcast::Receiver<()> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe()
    }

    pub(super) fn wake(&self, topic: &str) {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listeners) = topics.get(topic) {
            // Nobody listening is fine.
            let _ = listeners.send(());
        }
    }

    pub(super) fn wake_all(&self) {
        let topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for listeners in topics.values() {
            let _ = listeners.send(());
        }
    }
}
