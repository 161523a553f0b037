//! Events on their way to subscribers: every subscriber has a bounded queue, and is told what it lost.

use crate::handle::Notice;
use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Events that wait for one subscriber; more are counted as lost.
const QUEUE: usize = 1024;

/// An event as a subscriber gets it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub notice: Notice,
    /// How many events found no room between the one before and this one.
    pub lost: u64,
}

/// Tells every event to every subscriber. It never waits for one.
#[derive(Default)]
pub struct Hub {
    subscribers: Mutex<Vec<Subscriber>>,
}

struct Subscriber {
    sources: Vec<String>,
    queue: Sender<Event>,
    /// Events that found no room since the last one that did.
    lost: u64,
    subscription: Weak<()>,
}

/// One subscriber's end.
pub struct Subscription {
    /// What comes.
    pub queue: Receiver<Event>,
    _alive: Arc<()>,
}

impl Hub {
    /// Subscribes to events whose source is one of `sources` or lies below it (`nf` has `nf.edge` below it);
    /// none: to all. It ends when the [`Subscription`] is dropped.
    pub fn subscribe(&self, sources: Vec<String>) -> Subscription {
        let (sender, queue) = bounded(QUEUE);
        let alive = Arc::new(());
        let subscriber = Subscriber { sources, queue: sender, lost: 0, subscription: Arc::downgrade(&alive) };
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(subscriber);
        Subscription { queue, _alive: alive }
    }

    /// Tells an event.
    pub fn publish(&self, notice: &Notice) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain_mut(|subscriber| {
            if subscriber.subscription.strong_count() == 0 {
                return false;
            }
            if !subscriber.wants(&notice.source) {
                return true;
            }
            match subscriber.queue.try_send(Event { notice: notice.clone(), lost: subscriber.lost }) {
                Ok(()) => {
                    subscriber.lost = 0;
                    true
                }
                Err(TrySendError::Full(_)) => {
                    subscriber.lost += 1;
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
    fn what_finds_no_room_is_counted_with_the_next_event_that_does() {
        let hub = Hub::default();
        let slow = hub.subscribe(Vec::new());
        let full = QUEUE as u64;
        for i in 0..full + 7 {
            hub.publish(&notice("engine", i));
        }
        let first = slow.queue.recv().expect("an event");
        assert_eq!((first.notice.value, first.lost), (0, 0), "nothing was lost before the first");
        for i in [full + 7, full + 8] {
            hub.publish(&notice("engine", i));
        }
        let rest: Vec<(u64, u64)> =
            slow.queue.try_iter().map(|event| (event.notice.value, event.lost)).collect();
        let mut expected: Vec<(u64, u64)> = (1..full).map(|i| (i, 0)).collect();
        expected.push((full + 7, 7));
        assert_eq!(rest, expected);
        hub.publish(&notice("engine", full + 9));
        assert_eq!(slow.queue.recv().expect("an event").lost, 1, "the one after the queue was full again");
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let hub = Hub::default();
        drop(hub.subscribe(vec!["port".to_owned()]));
        hub.publish(&notice("engine", 0));
        assert!(hub.subscribers.lock().expect("lock").is_empty());
    }
}
