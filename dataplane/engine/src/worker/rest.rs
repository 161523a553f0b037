//! What a worker does when there is nothing to do.
//!
//! With `idle = "adaptive"` it polls on for a while, then sleeps until there is something: until a file of a device is
//! readable, another worker or control rings its bell, or timers are due. Where only polling tells whether packets
//! have come, it naps.

use super::{TICK, Worker};
use crate::bell::{Bell, Woken};
use crate::graph::Graph;
use crate::plan::Idle;
use crate::source::Source;
use dpdk::Arrival;
use rustix::fd::AsFd;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// After this many empty rounds a worker listens to its bell.
const LISTENS: u32 = 128;
/// After this many it sleeps. The rounds in between see what came from those who could not yet know that it listens.
const SLEEPS: u32 = 256;
/// The length of a nap, which is how long a packet may wait that nothing announces.
const NAP: Duration = Duration::from_micros(150);

/// How long a worker has had nothing to do, and what it does about it.
pub(super) struct Rest {
    idle: Idle,
    empty_rounds: u32,
    listening: bool,
    /// A file woke it, and no packet has been found since.
    startled: bool,
}

/// What to do between two rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// The next round.
    Poll,
    /// The next round, after telling the others that sleep is near.
    Listen,
    /// Sleep until something comes.
    Sleep,
    /// A nap without regard to files: one has been readable all the time without a packet, or is in error.
    Nap,
}

impl Rest {
    pub(super) fn new(idle: Idle) -> Rest {
        Rest { idle, empty_rounds: 0, listening: false, startled: false }
    }

    /// There was work.
    #[inline]
    pub(super) fn worked(&mut self, bell: &Bell) {
        self.empty_rounds = 0;
        if self.listening {
            self.listening = false;
            bell.ignore();
        }
        self.startled = false;
    }

    /// After a round without work.
    fn step(&mut self) -> Step {
        self.empty_rounds = self.empty_rounds.saturating_add(1);
        if self.empty_rounds == LISTENS && !self.listening {
            self.listening = true;
            Step::Listen
        } else if self.empty_rounds < SLEEPS {
            Step::Poll
        } else if self.startled {
            Step::Nap
        } else {
            Step::Sleep
        }
    }

    /// After a sleep.
    fn woken(&mut self, woken: Woken) {
        self.startled = woken == Woken::File;
        match woken {
            Woken::Time => {}
            // Whoever rang has also ended the listening.
            Woken::Bell => (self.empty_rounds, self.listening) = (0, false),
            // Its packets may need a few rounds: net_tap learns of them by a signal to another thread.
            Woken::File => self.empty_rounds = LISTENS,
        }
    }
}

impl Worker {
    /// After a round without work.
    #[inline]
    pub(super) fn rest(&mut self, graph: &Graph, bell: &Bell) {
        if self.rest.idle == Idle::Spin {
            std::hint::spin_loop();
            return;
        }
        match self.rest.step() {
            Step::Poll => std::hint::spin_loop(),
            Step::Listen => bell.listen(),
            Step::Sleep => {
                let files = graph.rx.iter().filter_map(|rx| match &rx.source {
                    Source::Queue(queue) => match queue.arrival() {
                        Arrival::Readable(file) => Some(file.as_fd()),
                        Arrival::Internal | Arrival::Unannounced => None,
                    },
                    Source::Capture(_) => None,
                });
                let woken = bell.wait(files, self.bedtime(graph));
                self.rest.woken(woken);
            }
            Step::Nap => {
                let woken = bell.wait(std::iter::empty(), NAP);
                self.rest.woken(woken);
            }
        }
    }

    /// How long the worker can sleep if nobody wakes it.
    fn bedtime(&self, graph: &Graph) -> Duration {
        let unannounced = graph.rx.iter().any(|rx| match &rx.source {
            Source::Queue(queue) => matches!(queue.arrival(), Arrival::Unannounced),
            Source::Capture(_) => false,
        });
        // Nobody tells when a device or a ring has room again, or when a replay may go on.
        let held_up = self.waiting || !self.receiving || graph.layout.replay || !self.may_receive(graph);
        let timers = (graph.ticked + TICK).since(self.now);
        if unannounced || held_up { NAP } else { timers }
    }
}
