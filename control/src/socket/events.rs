//! Events on their way to subscribers: every subscriber has a bounded queue, and is told what it lost.

use crate::handle::Notice;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Events that wait for one subscriber; more are counted as lost.
const QUEUE: usize = 1024;

/// Tells every event to every subscriber. It never waits for one.
#[derive(Default)]
pub struct Hub {
    subscribers: Mutex<Vec<Subscriber>>,
}

struct Subscriber {
    sources: Vec<String>,
    queue: Sender<Notice>,
    lost: Arc<AtomicU64>,
}

/// One subscriber's end.
pub struct Subscription {
    /// What comes.
    pub queue: Receiver<Notice>,
    lost: Arc<AtomicU64>,
}

impl Subscription {
    /// How many events found no room since this was last asked.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl Hub {
    /// Subscribes to events whose source is one of `sources` or lies below it (`nf` has `nf.edge` below it);
    /// none: to all. It ends when the [`Subscription`] is dropped.
    pub fn subscribe(&self, sources: Vec<String>) -> Subscription {
        let (sender, queue) = bounded(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let subscriber = Subscriber { sources, queue: sender, lost: Arc::clone(&lost) };
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
        Subscription { queue, lost }
    }

    /// Tells an event.
    pub fn publish(&self, notice: &Notice) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| {
            // The subscription holds the other reference.
            if Arc::strong_count(&subscriber.lost) == 1 {
                return false;
            }
            if !subscriber.wants(&notice.source) {
                return true;
            }
            match subscriber.queue.try_send(notice.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    subscriber.lost.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
    }
}

impl Subscriber {
    fn wants(&self, source: &str) -> bool {
        let below = |wanted: &String| {
            source.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.sources.is_empty() || self.sources.iter().any(below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(source: &str, value: u64) -> Notice {
        Notice { time: 0, source: source.to_owned(), name: "x".to_owned(), value, detail: None }
    }

    #[test]
    fn a_subscriber_gets_what_it_asked_for() {
        let hub = Hub::default();
        let all = hub.subscribe(Vec::new());
        let edge = hub.subscribe(vec!["nf.edge".to_owned()]);
        for source in ["nf.edge", "nf.edges", "port.lan"] {
            hub.publish(&notice(source, 0));
        }
        assert_eq!(all.queue.try_iter().count(), 3);
        assert_eq!(edge.queue.try_iter().count(), 1);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_oldest_stay() {
        let hub = Hub::default();
        let slow = hub.subscribe(Vec::new());
        for i in 0..QUEUE as u64 + 7 {
            hub.publish(&notice("engine", i));
        }
        assert_eq!(slow.take_lost(), 7);
        assert_eq!(slow.take_lost(), 0);
        assert_eq!(
            slow.queue.try_iter().map(|n| n.value).collect::<Vec<_>>(),
            (0..QUEUE as u64).collect::<Vec<_>>()
        );
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let hub = Hub::default();
        drop(hub.subscribe(vec!["port".to_owned()]));
        hub.publish(&notice("engine", 0));
        assert!(hub.subscribers.lock().expect("lock").is_empty());
    }
}
