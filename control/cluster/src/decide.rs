//! What the planner does next: a function of all that is in etcd. It looks at how things stand and not at what has
//! happened, so a planner that takes over goes on where the last one stopped.

use crate::assign::{Assignment, Narrowed};
use crate::cut::{Cut, cut};
use crate::etcd::Change;
use crate::store::{self, Accepted, Event, Part, Plan, Snapshot};
use crate::wanted::Wanted;
use planning::pagination::Effort;
use planning::provision::Solver;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is to be written, and why.
#[derive(Debug, Default)]
pub struct Decision {
    /// Changes of parts, to be made first, one after the other or together: agents run none of them yet.
    pub parts: Vec<Change>,
    /// The others, to be made all at once: they put the parts in force.
    pub changes: Vec<Change>,
    /// Their reasons.
    pub events: Vec<Event>,
}

/// How long the integer program may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// NFs that run stay where they are unless that costs so much more than the best plan.
const MARGIN: f64 = 1.1;

/// Decides. `now` is nanoseconds since the Unix epoch.
pub fn decide(there: &Snapshot, now: u64) -> Decision {
    let mut next = Next { there, plan: there.plan.clone(), decision: Decision::default(), now };
    next.look_at_unreadable();
    if let Some((revision, text)) = &there.wanted {
        next.look_at_reports(*revision);
        next.plan_for(*revision, text);
    }
    next.finish()
}

struct Next<'a> {
    there: &'a Snapshot,
    plan: Plan,
    decision: Decision,
    now: u64,
}

impl Next<'_> {
    fn tell(&mut self, name: &str, detail: String) {
        let event = Event { time: self.now, name: name.to_owned(), detail };
        let key = format!("{}{:03}", store::EVENTS, self.plan.events % store::MOST_EVENTS);
        self.plan.events += 1;
        // A transaction may set a key once: of more events than are kept the last ones are.
        self.decision
            .changes
            .retain(|change| !matches!(change, Change::Put { key: other, .. } if *other == key));
        self.put(key, store::text(&event));
        self.decision.events.push(event);
    }

    fn put(&mut self, key: String, value: String) {
        self.decision.changes.push(Change::Put { key, value, lease: 0 });
    }

    /// Said once, not every time that somebody looks.
    fn complain(&mut self, name: &str, detail: String) {
        if self.plan.complaint.as_ref() != Some(&detail) {
            self.plan.complaint = Some(detail.clone());
            self.tell(name, detail);
        }
    }

    /// Records that nobody can read: each is told once.
    fn look_at_unreadable(&mut self) {
        let there = self.there;
        for record in there.unreadable.difference(&there.plan.unreadable) {
            self.tell("unreadable", format!("{record}; it is left out"));
        }
        self.plan.unreadable.clone_from(&there.unreadable);
    }

    fn is_accepted(&self, wanted: i64) -> bool {
        self.there.accepted.as_ref().is_some_and(|accepted| accepted.revision == wanted)
    }

    /// A server that does not run its part: what is new is taken back everywhere; what has run before runs elsewhere.
    fn look_at_reports(&mut self, wanted: i64) {
        let there = self.there;
        if self.plan.wanted != wanted {
            self.plan.unfit.clear();
            self.plan.refused = false;
            return;
        }
        let starts: BTreeMap<&String, &String> =
            there.servers.iter().map(|(name, server)| (name, &server.instance)).collect();
        self.plan.unfit.retain(|name, start| starts.get(name) == Some(&&*start));
        let mut all_run = true;
        for (name, start) in starts {
            let (report, part) = (there.reports.get(name), there.parts.get(name));
            let current = report.filter(|report| part.is_some_and(|part| part.revision == report.revision));
            let Some(report) = current else {
                all_run = false;
                continue;
            };
            if report.runs {
                continue;
            }
            all_run = false;
            let error = report.error.clone().unwrap_or_default();
            if !self.plan.refused && !self.is_accepted(wanted) && there.accepted.is_some() {
                self.plan.refused = true;
                self.tell(
                    "taken_back",
                    format!("{name} refuses its part, so all go back to what ran before: {error}"),
                );
            } else if !self.plan.unfit.contains_key(name) {
                self.plan.unfit.insert(name.clone(), start.clone());
                self.tell(
                    "unfit",
                    format!("{name} refuses its part, and gets no NFs until it starts anew: {error}"),
                );
            }
        }
        let settled =
            all_run && !there.servers.is_empty() && !self.plan.refused && self.plan.complaint.is_none();
        if settled
            && !self.is_accepted(wanted)
            && let Some((revision, text)) = &there.wanted
        {
            let accepted = Accepted { revision: *revision, text: text.clone() };
            self.put(store::ACCEPTED.to_owned(), store::text(&accepted));
            self.tell("in_force", format!("all servers run plan {}", self.plan.revision));
        }
    }

    fn plan_for(&mut self, wanted: i64, text: &str) {
        let there = self.there;
        let text = match &there.accepted {
            Some(accepted) if self.plan.refused => &accepted.text,
            _ => text,
        };
        let starts: BTreeMap<String, String> =
            there.servers.iter().map(|(name, server)| (name.clone(), server.instance.clone())).collect();
        let same_problem = self.plan.wanted == wanted
            && self.plan.servers == starts
            && self.plan.unfit == there.plan.unfit
            && self.plan.refused == there.plan.refused;
        let why = self.why(wanted, &starts);
        let before = self.plan.clone();
        self.plan.wanted = wanted;
        self.plan.servers = starts;
        let read = Wanted::parse(text);
        let wanted = match read {
            Ok(wanted) => wanted,
            Err(error) => {
                return self.complain("not_understood", format!("what is wanted is no plan: {error}"));
            }
        };
        if same_problem && self.plan.complaint.is_some() {
            return;
        }
        let found = match same_problem {
            true => Ok(None),
            false => self.place(&wanted, &before.place).map(Some),
        };
        let joined = found.and_then(|found| {
            let place = found.as_ref().map_or(&before.place, |placed| &placed.place);
            let cut = cut(&wanted, &there.servers, place, &before.hops)?;
            Ok((found, cut))
        });
        let (found, Cut { parts, hops }) = match joined {
            Ok(joined) => joined,
            Err(error) => return self.complain("no_plan", format!("{why}: {error}; what runs goes on")),
        };
        if let Some(Placed { place, cost, lower_bound, note }) = found {
            (self.plan.place, self.plan.cost, self.plan.lower_bound) = (place, cost, lower_bound);
            self.plan.complaint = None;
            let moved = moved(&before.place, &self.plan.place);
            let stay = "all stay where they are".to_owned();
            let (name, what) = if moved.is_empty() { ("kept", stay) } else { ("planned", moved.join(", ")) };
            self.tell(name, format!("{why}: {what}; costs {cost:.0}{note}"));
        }
        self.plan.hops = hops;
        self.write_parts(parts);
    }

    /// What has changed since the last plan.
    fn why(&self, wanted: i64, starts: &BTreeMap<String, String>) -> String {
        let before = &self.plan.servers;
        let gone: Vec<&str> =
            before.keys().filter(|name| !starts.contains_key(*name)).map(String::as_str).collect();
        let come: Vec<&str> = starts
            .iter()
            .filter(|(name, start)| before.get(*name) != Some(start))
            .map(|(name, _)| name.as_str())
            .collect();
        let mut why = Vec::new();
        if self.plan.wanted != wanted {
            why.push("something else is wanted".to_owned());
        }
        if !gone.is_empty() {
            why.push(format!("gone: {}", gone.join(", ")));
        }
        if !come.is_empty() {
            why.push(format!("come: {}", come.join(", ")));
        }
        if self.plan.unfit != self.there.plan.unfit {
            why.push("servers are unfit".to_owned());
        }
        if self.plan.refused && !self.there.plan.refused {
            why.push("a part was refused".to_owned());
        }
        why.join("; ")
    }

    fn place(&self, wanted: &Wanted, before: &BTreeMap<String, String>) -> Result<Placed, String> {
        let unfit: BTreeSet<String> = self.plan.unfit.keys().cloned().collect();
        let solve = |kept: Option<&BTreeMap<String, String>>| {
            let narrowed = Narrowed { together: true, unfit: Some(&unfit), kept };
            let assignment = Assignment::new(wanted, &self.there.servers, narrowed)?;
            let placement = assignment.solve(Solver::Exact, Effort { time: PATIENCE, seed: 1 });
            let placement = placement.map_err(|error| error.to_string())?;
            Ok::<_, String>((assignment.places(&placement), placement))
        };
        let (places, best) = solve(None)?;
        let (place, found, note) = match solve(Some(before)) {
            Ok((kept, found)) if found.cost <= best.cost * MARGIN => (kept, found, String::new()),
            Ok((_, found)) => {
                let note = format!(", and {:.0} with as few moves as can be", found.cost);
                (places, best.clone(), note)
            }
            Err(_) => (places, best.clone(), String::new()),
        };
        let late =
            if best.out_of_time { format!(", at least {:.0}", best.lower_bound) } else { String::new() };
        Ok(Placed { place, cost: found.cost, lower_bound: best.lower_bound, note: note + &late })
    }

    /// Parts that are another, or of a plan that never came to be in force: whoever wrote those has gone before it had
    /// written all.
    fn write_parts(&mut self, parts: BTreeMap<String, String>) {
        let there = self.there;
        let revision = self.plan.revision + 1;
        let stays = |part: &Part, config: &str| part.config == config && part.revision < revision;
        for (name, config) in parts {
            if !there.parts.get(&name).is_some_and(|part| stays(part, &config)) {
                let (key, value) = (store::part(&name), store::text(&Part { revision, config }));
                self.decision.parts.push(Change::Put { key, value, lease: 0 });
                self.plan.revision = revision;
            }
        }
        for name in there.parts.keys().filter(|name| !there.servers.contains_key(*name)) {
            self.decision.parts.push(Change::Delete(store::part(name)));
        }
    }

    fn finish(mut self) -> Decision {
        if self.plan != self.there.plan {
            let plan = store::text(&self.plan);
            self.put(store::PLAN.to_owned(), plan);
        }
        if self.plan.revision != self.there.current {
            self.put(store::CURRENT.to_owned(), self.plan.revision.to_string());
        }
        self.decision
    }
}

struct Placed {
    place: BTreeMap<String, String>,
    cost: f64,
    lower_bound: f64,
    note: String,
}

/// Which NFs and ports go where.
fn moved(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let moved = after.iter().filter(|(name, server)| before.get(*name) != Some(server));
    moved
        .map(|(name, server)| match before.get(name) {
            Some(old) => format!("{name} from {old} to {server}"),
            None => format!("{name} on {server}"),
        })
        .collect()
}

#[cfg(test)]
mod tests;
