//! A server's agent: says in etcd what the server has, runs its part of the plan, and says what it runs. Without etcd
//! the last part runs on.

use crate::Tell;
use crate::etcd::{Change, Entry, Etcd, EtcdError, If};
use crate::planner::{BackOff, slice};
use crate::server::Base;
use crate::store::{self, Part, Report};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What runs configurations: all of one or nothing.
pub trait Runner: Sync {
    /// Goes over to a configuration; on an error the one before runs on.
    ///
    /// # Errors
    /// Why it does not run, in words.
    fn run(&self, config: &str) -> Result<(), String>;
}

/// One agent.
pub struct Agent<'a> {
    /// etcd.
    pub etcd: &'a Etcd,
    /// The server's name.
    pub name: String,
    /// Its own configuration.
    pub base: Base,
    /// How long it may be silent before it counts as gone, in seconds.
    pub ttl: u64,
    /// What runs its part.
    pub runner: &'a dyn Runner,
    /// Where its part is kept, to begin with when it starts anew without etcd.
    pub keep: Option<PathBuf>,
    /// Who is told.
    pub tell: &'a Tell<'a>,
}

/// The part that was kept, if any.
pub fn kept(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok()
}

/// What an agent knows from one connection to the next.
struct State {
    /// The part that runs.
    runs: Option<String>,
    /// The part that was tried and does not run, and why.
    refused: Option<(String, String)>,
    away: bool,
}

impl Agent<'_> {
    /// Follows the plan until `over`. `runs` is the part that runs already.
    pub fn run(&self, runs: Option<String>, over: &(dyn Fn() -> bool + Sync)) {
        let mut state = State { runs, refused: None, away: false };
        let mut back_off = BackOff::default();
        while !over() {
            let mut connected = false;
            if let Err(error) = self.follow(&mut state, &mut connected, over) {
                if !state.away {
                    state.away = true;
                    (self.tell)("agent", "etcd_away", &format!("{error}; what runs goes on"));
                }
                if connected {
                    back_off = BackOff::default();
                }
                back_off.wait(over);
            }
        }
    }

    fn follow(
        &self,
        state: &mut State,
        connected: &mut bool,
        over: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), EtcdError> {
        let slice = slice(self.ttl);
        let key = store::server(&self.name);
        let lease = self.etcd.grant(self.ttl)?;
        let mut kept = Instant::now();
        self.register(&key, lease)?;
        (self.tell)("agent", "registered", &format!("{} is known to etcd", self.name));
        (*connected, state.away) = (true, false);
        let mut reported: Option<Report> = None;
        while !over() {
            // In this order: a part of a plan that is in force by then is written.
            let (revision, current) = self.etcd.get(store::CURRENT)?;
            let current = current.iter().find(|entry| entry.key == store::CURRENT);
            let current = current.map_or(Ok(0), store::parse)?;
            let (_, parts) = self.etcd.get(&store::part(&self.name))?;
            if let Some(part) = parts.iter().find(|entry| entry.key == store::part(&self.name))
                && let Some(report) = self.take(part, current, state)
                && reported.as_ref() != Some(&report)
            {
                let put = Change::Put { key: store::report(&self.name), value: store::text(&report), lease };
                self.etcd.transact(&[], &[put])?;
                reported = Some(report);
            }
            while !over() {
                if kept.elapsed() >= slice {
                    self.etcd.keep_alive(lease)?;
                    kept = Instant::now();
                }
                if self.etcd.watch(store::CURRENT, revision + 1, slice)? {
                    break;
                }
            }
        }
        // The planner need not wait for the lease to end.
        let _ = self.etcd.revoke(lease);
        Ok(())
    }

    /// Two agents of one name would take turns at its part. This one's own key of before may be taken over.
    fn register(&self, key: &str, lease: i64) -> Result<(), EtcdError> {
        let value = store::text(&self.base.server);
        let put = Change::Put { key: key.to_owned(), value, lease };
        let (_, there) = self.etcd.get(key)?;
        let there: Option<Entry> = there.into_iter().find(|entry| entry.key == key);
        let condition = match &there {
            None => If::Absent(key),
            Some(entry) => {
                let server: crate::server::Server = store::parse(entry)?;
                if server.instance != self.base.server.instance {
                    let _ = self.etcd.revoke(lease);
                    let name = &self.name;
                    return Err(EtcdError::Refused(format!(
                        "another agent is called {name}, or was until a moment ago"
                    )));
                }
                If::Created(key, entry.created)
            }
        };
        if self.etcd.transact(&[condition], &[put])? { Ok(()) } else { Err(EtcdError::LeaseEnded) }
    }

    /// Runs a part, unless it runs already, and says what came of it. `None`: it is of a plan of which parts may be
    /// missing yet.
    fn take(&self, entry: &Entry, current: u64, state: &mut State) -> Option<Report> {
        match store::parse::<Part>(entry) {
            Ok(part) => (part.revision <= current).then(|| self.go_over(part, state)),
            Err(error) => Some(Report { revision: 0, runs: false, error: Some(error.to_string()) }),
        }
    }

    fn go_over(&self, part: Part, state: &mut State) -> Report {
        let revision = part.revision;
        let refused = |error: String| Report { revision, runs: false, error: Some(error) };
        if state.runs.as_ref() == Some(&part.config) {
            return Report { revision, runs: true, error: None };
        }
        if let Some((config, error)) = &state.refused
            && *config == part.config
        {
            return refused(error.clone());
        }
        match self.base.with(&part.config).and_then(|config| self.runner.run(&config)) {
            Ok(()) => {
                (self.tell)("agent", "runs", &format!("part {revision}"));
                self.keep(&part.config);
                (state.runs, state.refused) = (Some(part.config), None);
                Report { revision, runs: true, error: None }
            }
            Err(error) => {
                (self.tell)(
                    "agent",
                    "refuses",
                    &format!("part {revision}: {error}; what ran before goes on"),
                );
                state.refused = Some((part.config, error.clone()));
                refused(error)
            }
        }
    }

    /// Keeps a part; whole or not at all.
    fn keep(&self, part: &str) {
        let Some(file) = &self.keep else { return };
        let next = file.with_extension("next");
        let write = || {
            let mut out = fs::File::create(&next)?;
            out.write_all(part.as_bytes())?;
            out.sync_all()?;
            fs::rename(&next, file)
        };
        if let Err(error) = write() {
            (self.tell)("agent", "not_kept", &format!("{}: {error}", file.display()));
        }
    }
}
