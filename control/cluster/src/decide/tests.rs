use super::*;
use crate::server::{By, Link, Server};
use crate::store::Report;

/// Plays etcd and the agents: what is decided is written, and what is to run runs, unless it names a word.
struct Cluster {
    there: Snapshot,
    /// A server that refuses parts with this word.
    refuses: Option<(&'static str, &'static str)>,
}

const WANTED: &str = r#"
[nf.edge]
kind = "mac_swap"
[nf.watch]
kind = "monitor"
[need.edge]
on = ["s1"]
[need.watch]
on = ["s2", "s3"]
[[chain]]
name = "out"
from = "lan"
path = ["edge", "watch"]
to = "wan"
rate = 1000
"#;

fn server(number: u8, ports: &[&str]) -> Server {
    Server {
        cpu: 2.0,
        memory: 1000.0,
        ports: ports.iter().map(|port| (*port).to_owned()).collect(),
        delay: [("s3".to_owned(), 80.0)].into(),
        link: Some(Link {
            port: "core".to_owned(),
            address: [10, 0, 0, number].into(),
            mac: format!("02:00:00:00:00:0{number}"),
            mtu: 1500,
            by: By::Vxlan,
        }),
        loops: Vec::new(),
        instance: format!("start-{number}"),
    }
}

impl Cluster {
    fn new() -> Cluster {
        let mut cluster = Cluster { there: Snapshot::default(), refuses: None };
        cluster.there.wanted = Some((5, WANTED.to_owned()));
        let servers = [("s1", 1, &["lan", "wan", "core"][..]), ("s2", 2, &["core"]), ("s3", 3, &["core"])];
        cluster.there.servers =
            servers.map(|(name, number, ports)| (name.to_owned(), server(number, ports))).into();
        cluster
    }

    /// One decision; returns its events as `name: detail`.
    fn decide(&mut self) -> Vec<String> {
        let decision = decide(&self.there, 7);
        for change in decision.parts.into_iter().chain(decision.changes) {
            match change {
                Change::Delete(key) => {
                    self.there.parts.remove(key.strip_prefix("/braid/parts/").expect("a part"));
                }
                Change::Put { key, value, lease } => {
                    assert_eq!(lease, 0);
                    if let Some(name) = key.strip_prefix("/braid/parts/") {
                        self.there
                            .parts
                            .insert(name.to_owned(), serde_json::from_str(&value).expect("a part"));
                    } else if key == store::PLAN {
                        self.there.plan = serde_json::from_str(&value).expect("a plan");
                    } else if key == store::CURRENT {
                        self.there.current = value.parse().expect("a number");
                    } else if key == store::ACCEPTED {
                        self.there.accepted = Some(serde_json::from_str(&value).expect("accepted"));
                    } else {
                        assert!(key.starts_with(store::EVENTS), "{key}");
                    }
                }
            }
        }
        decision.events.into_iter().map(|event| format!("{}: {}", event.name, event.detail)).collect()
    }

    fn agents(&mut self) {
        for (name, part) in self.there.parts.iter().filter(|(_, part)| part.revision <= self.there.current) {
            let bad = self.refuses.is_some_and(|(who, word)| who == name && part.config.contains(word));
            let error = bad.then(|| "no such file".to_owned());
            let report = Report { revision: part.revision, runs: !bad, error };
            self.there.reports.insert(name.clone(), report);
        }
    }

    /// Decides and runs until nothing is left to do.
    fn settle(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..20 {
            let before = self.there.clone();
            said.extend(self.decide());
            self.agents();
            if self.there == before {
                return said;
            }
        }
        panic!("it does not settle: {said:?}");
    }

    fn place(&self, nf: &str) -> &str {
        &self.there.plan.place[nf]
    }

    fn part(&self, server: &str) -> &str {
        &self.there.parts[server].config
    }

    fn want(&mut self, revision: i64, text: String) {
        self.there.wanted = Some((revision, text));
    }
}

#[test]
fn a_chain_is_cut_over_the_nearest_servers_and_accepted_when_it_runs() {
    let mut cluster = Cluster::new();
    let said = cluster.settle();
    assert_eq!(
        said,
        [
            "planned: something else is wanted; come: s1, s2, s3: edge on s1, port lan on s1, port wan on s1, watch on \
             s2; costs 100000",
            "in_force: all servers run plan 1"
        ]
    );
    assert_eq!(cluster.there.accepted.as_ref().map(|accepted| accepted.revision), Some(5));
    assert!(cluster.part("s2").contains("[nf.watch]") && cluster.part("s3").is_empty());
    assert!(cluster.decide().is_empty(), "nothing has changed");
}

#[test]
fn a_server_that_goes_is_planned_around_and_what_runs_elsewhere_stays() {
    let mut cluster = Cluster::new();
    cluster.settle();
    cluster.there.servers.remove("s2");
    cluster.there.reports.remove("s2");
    assert_eq!(cluster.settle(), ["planned: gone: s2: watch from s2 to s3; costs 160000"]);
    assert!(cluster.part("s3").contains("[nf.watch]") && !cluster.there.parts.contains_key("s2"));
    let hops: Vec<u16> = cluster.there.plan.hops.values().copied().collect();
    assert_eq!(hops, [3, 4], "numbers of hops that were are not used again at once");

    // Back, it is worth the move: 100 instead of 160.
    cluster.there.servers.insert("s2".to_owned(), server(2, &["core"]));
    let said = cluster.settle();
    assert!(
        said[0].starts_with("planned: come: s2: watch from s3 to s2; costs 100000, and 160000 with"),
        "{said:?}"
    );

    // Without any server for it, what runs goes on.
    let before = cluster.there.parts["s1"].clone();
    cluster.there.servers.remove("s2");
    cluster.there.servers.remove("s3");
    let said = cluster.settle();
    assert_eq!(
        said,
        [
            "no_plan: gone: s2, s3: no server is there that NF watch may run on (on: s2, s3); what runs goes on"
        ]
    );
    assert_eq!(cluster.there.parts["s1"], before);
    assert!(cluster.decide().is_empty(), "it is said once");
}

#[test]
fn a_gain_that_is_small_moves_nothing() {
    let mut cluster = Cluster::new();
    cluster.there.servers.remove("s2");
    cluster.settle();
    let mut near = server(2, &["core"]);
    near.delay = [("s1".to_owned(), 78.0)].into();
    cluster.there.servers.insert("s2".to_owned(), near);
    assert_eq!(cluster.settle(), ["kept: come: s2: all stay where they are; costs 160000"]);
    assert_eq!(cluster.place("watch"), "s3");
}

#[test]
fn what_one_server_refuses_is_taken_back_everywhere() {
    let mut cluster = Cluster::new();
    cluster.settle();
    let (s1, s2) = (cluster.part("s1").to_owned(), cluster.part("s2").to_owned());
    cluster.refuses = Some(("s2", "missing.toml"));
    let bad =
        WANTED.replace("\"monitor\"", "\"monitor\"\nfile = \"missing.toml\"").replace("mac_swap", "l2fwd");
    cluster.want(9, bad);
    let said = cluster.settle();
    assert!(
        said.iter().any(|event| event
            == "taken_back: s2 refuses its part, so all go back to what ran before: no such file"),
        "{said:?}"
    );
    assert_eq!((cluster.part("s1"), cluster.part("s2")), (s1.as_str(), s2.as_str()));
    assert_eq!(cluster.there.accepted.as_ref().map(|accepted| accepted.revision), Some(5));
    assert!(cluster.decide().is_empty(), "and it is not tried again");

    cluster.want(12, WANTED.replace("mac_swap", "l2fwd"));
    cluster.settle();
    assert!(cluster.part("s1").contains("l2fwd"));
    assert_eq!(cluster.there.accepted.as_ref().map(|accepted| accepted.revision), Some(12));
}

#[test]
fn a_server_that_refuses_what_ran_elsewhere_gets_no_nfs() {
    let mut cluster = Cluster::new();
    cluster.settle();
    cluster.refuses = Some(("s3", "nf.watch"));
    let s2 = cluster.there.servers.remove("s2").expect("a server");
    let said = cluster.settle();
    assert!(
        said[1].starts_with("unfit: s3 refuses its part, and gets no NFs until it starts anew"),
        "{said:?}"
    );
    cluster.there.servers.insert("s2".to_owned(), s2);
    cluster.settle();
    assert_eq!(cluster.place("watch"), "s2");
    assert!(cluster.there.plan.complaint.is_none());
}

#[test]
fn what_is_no_plan_is_said() {
    let mut cluster = Cluster::new();
    cluster.settle();
    cluster.want(6, WANTED.replace("\"watch\"]", "\"wotch\"]"));
    assert_eq!(
        cluster.settle(),
        ["not_understood: what is wanted is no plan: chain 'out': unknown NF 'wotch'"]
    );
    cluster.want(7, WANTED.replace("\"wan\"", "\"dmz\""));
    let said = cluster.settle();
    assert!(said[0].ends_with("no server is there that has the port dmz; what runs goes on"), "{said:?}");
    assert!(cluster.part("s2").contains("[nf.watch]"));
    cluster.there.servers.get_mut("s2").expect("s2").link = None;
    cluster.there.servers.get_mut("s2").expect("s2").instance = "again".to_owned();
    cluster.want(8, WANTED.to_owned());
    let said = cluster.settle();
    assert!(said[0].starts_with("no_plan") && said[0].contains("server s2 has no [server.link]"), "{said:?}");
}

/// The planner after one that went while it wrote parts.
#[test]
fn parts_of_half_a_plan_are_written_anew() {
    let mut cluster = Cluster::new();
    cluster.settle();
    cluster.want(6, WANTED.replace("mac_swap", "l2fwd"));
    // It wrote one part.
    let half = decide(&cluster.there, 7).parts.swap_remove(0);
    let Change::Put { key, value, .. } = half else { panic!("{half:?}") };
    assert_eq!(key, store::part("s1"));
    cluster.there.parts.insert("s1".to_owned(), serde_json::from_str(&value).expect("a part"));
    // What is wanted is the old again.
    cluster.want(7, WANTED.to_owned());
    cluster.settle();
    assert!(cluster.part("s1").contains("mac_swap"));
    assert_eq!((cluster.there.current, cluster.there.parts["s1"].revision), (2, 2));
    assert_eq!(cluster.there.accepted.as_ref().map(|accepted| accepted.revision), Some(7));
}

/// The same is wanted still, and a part of it is there already.
#[test]
fn a_part_that_is_there_already_comes_to_be_in_force() {
    let mut cluster = Cluster::new();
    let Change::Put { value, .. } = decide(&cluster.there, 7).parts.swap_remove(0) else { panic!("no part") };
    cluster.there.parts.insert("s1".to_owned(), serde_json::from_str(&value).expect("a part"));
    assert!(cluster.settle().iter().any(|said| said == "in_force: all servers run plan 1"));
}

#[test]
fn a_record_that_nobody_can_read_is_left_out_and_said_once() {
    let mut cluster = Cluster::new();
    cluster.there.servers.remove("s3");
    cluster.there.unreadable.insert("/braid/servers/s3: unknown field `gpu`".to_owned());
    let said = cluster.settle();
    assert_eq!(said[0], "unreadable: /braid/servers/s3: unknown field `gpu`; it is left out");
    assert!(said[1].starts_with("planned: something else is wanted; come: s1, s2:"), "{said:?}");
    assert!(cluster.decide().is_empty(), "it is said once");
}

/// A transaction may set a key once.
#[test]
fn more_events_than_are_kept_are_no_fault() {
    let mut cluster = Cluster::new();
    cluster.there.unreadable = (0..150).map(|n| format!("/braid/reports/x{n:03}: none")).collect();
    let changes = decide(&cluster.there, 7).changes;
    let keys: BTreeSet<&str> = changes
        .iter()
        .map(|change| match change {
            Change::Put { key, .. } | Change::Delete(key) => key.as_str(),
        })
        .collect();
    assert_eq!(keys.len(), changes.len());
    assert!(keys.len() <= 128, "{}", keys.len());
}
