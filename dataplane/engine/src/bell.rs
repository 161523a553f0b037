//! Wakes a worker that sleeps.

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use smallvec::SmallVec;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, fence};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// One worker's bell. The worker listens some time before it sleeps, and looks at everything again before it does;
/// whoever has something for it rings after putting it there.
///
/// To ring for a worker that does not listen costs one relaxed load: there is no fence between the packets and that
/// load. A sender's CPU may so miss a worker that begins to listen at the very same time; but what it has put there is
/// visible within the time of a few rounds, and the worker makes far more of them, looking at its rings, between
/// listening and sleeping. Whoever does not count nanoseconds rings after a fence and needs no such argument.
#[derive(Default)]
pub(crate) struct Bell {
    listening: AtomicBool,
    /// An eventfd; without one the worker never listens.
    event: OnceLock<OwnedFd>,
}

/// Why a worker woke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The time was over.
    Time,
    /// Somebody rang.
    Bell,
    /// A file is readable, or in error.
    File,
}

impl Bell {
    /// Gives it what a worker can sleep on. Before the worker's first round, once.
    pub(crate) fn install(&self) -> io::Result<()> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // A second one would be dropped, and the first one stay.
        let _ = self.event.set(event);
        Ok(())
    }

    /// Wakes the worker if it listens. For other workers, after something was put on a ring for it.
    #[inline]
    pub(crate) fn ring(&self) {
        if self.listening.load(Relaxed) {
            self.strike();
        }
    }

    /// Wakes the worker if it listens, whenever it began to. For control.
    pub(crate) fn ring_after_fence(&self) {
        fence(SeqCst);
        self.ring();
    }

    #[cold]
    fn strike(&self) {
        // The first one to come wakes it for all.
        if self.listening.swap(false, AcqRel)
            && let Some(event) = self.event.get()
        {
            // An event that is full, at 2^64 - 2, wakes as well.
            let _ = rustix::io::write(event, &1u64.to_ne_bytes());
        }
    }

    /// From now on the worker is told. Every look at mail and rings after this finds what was put there before.
    pub(crate) fn listen(&self) {
        self.listening.store(true, Release);
        fence(SeqCst);
    }

    /// The worker is busy: nobody needs to wake it.
    pub(crate) fn ignore(&self) {
        self.listening.store(false, Release);
    }

    /// Whether somebody would wake it.
    #[cfg(test)]
    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Relaxed)
    }

    /// Sleeps until somebody has rung since the worker listened, one of the files is readable, or the time is over.
    pub(crate) fn wait<'a>(&self, files: impl Iterator<Item = BorrowedFd<'a>>, time: Duration) -> Woken {
        let Some(event) = self.event.get() else { return Woken::Time };
        let mut waited: SmallVec<[PollFd<'_>; 8]> = SmallVec::new();
        waited.push(PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN));
        waited.extend(files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)));
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        // A signal ends the sleep early, as the time does.
        if !poll(&mut waited, Some(&time)).is_ok_and(|ready| ready > 0) {
            return Woken::Time;
        }
        if !waited[0].revents().is_empty() {
            let _ = rustix::io::read(event, &mut [0; 8]);
            return Woken::Bell;
        }
        for file in waited.iter().filter(|file| file.revents().contains(PollFlags::ERR)) {
            // An interface that went down leaves its socket in error until somebody asks.
            let _ = rustix::net::sockopt::socket_error(file);
        }
        Woken::File
    }
}
