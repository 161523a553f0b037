use super::*;

const SERVERS: &str = "[server.s1]\ncpu = 2\nports = [\"lan\"]\ndelay = { s2 = 10 }\n[server.s2]\ncpu = 4\n\
     ports = [\"wan\", \"dmz\"]\n[server.s3]\ncpu = 8\n";

const CHAINS: &str = "[nf.a]\nkind = \"x\"\n[nf.b]\nkind = \"x\"\n[need.a]\nrate = 100\n";

fn assigned(chains: &str, together: bool) -> Result<Assignment, String> {
    let servers = crate::server::read(SERVERS).expect("servers");
    let wanted = Wanted::parse(&format!("{CHAINS}{chains}"))?;
    Assignment::new(&wanted, &servers, Narrowed { together, ..Narrowed::default() })
}

fn chain(path: &str, to: &str, more: &str) -> String {
    format!("[[chain]]\nname = \"c\"\nfrom = \"lan\"\npath = {path}\nto = {to}\nrate = 150\n{more}")
}

fn solved(assignment: &Assignment) -> (Placement, BTreeMap<String, String>) {
    let effort = Effort { time: std::time::Duration::from_secs(5), seed: 1 };
    let placement = assignment.solve(Solver::Exact, effort).expect("a placement");
    placement.check(&assignment.problem).expect("good");
    let places = assignment.places(&placement);
    (placement, places)
}

#[test]
fn ports_are_where_they_are_and_nfs_on_the_way() {
    let (placement, places) =
        solved(&assigned(&chain("[\"a\", \"b\"]", "\"wan\"", ""), false).expect("a problem"));
    assert!((placement.cost - 1500.0).abs() < 1e-3, "the chain crosses once: {}", placement.cost);
    assert_eq!((places["port lan"].as_str(), places["port wan"].as_str()), ("s1", "s2"));
    // On s1, of two cores, there is room for both instances of a.
    let (_, there) = solved(&assigned(&chain("[\"a\"]", "\"lan\"", ""), false).expect("a problem"));
    assert_eq!(there["a"], "s1", "there and back costs nothing");
    assert_eq!(
        there.keys().collect::<Vec<_>>(),
        ["a", "port lan"],
        "a port is one port, also on the way back"
    );
}

#[test]
fn instances_that_stay_together_are_as_one() {
    let assignment = assigned(&chain("[\"a\"]", "\"wan\"", ""), true).expect("a problem");
    let a = assignment.problem.nfs.iter().position(|nf| nf.name == "a").expect("a");
    assert_eq!((assignment.problem.instances(a), assignment.problem.nfs[a].cpu), (1, 2.0));
    assert_eq!(assigned(&chain("[\"a\"]", "\"wan\"", ""), false).expect("a problem").problem.instances(a), 2);
    // 1.1 / 0.1 is a little more than 11 in binary.
    let text = chain("[\"a\", \"b\"]", "\"wan\"", "[need.b]\nrate = 0.1\ncpu = 0.1\n").replace("150", "1.1");
    let assignment = assigned(&text, true).expect("a problem");
    let b = assignment.problem.nfs.iter().find(|nf| nf.name == "b").expect("b");
    assert!((b.cpu - 1.1).abs() < 1e-9, "{} cores for 11 instances of 0.1", b.cpu);
}

#[test]
fn who_chooses_among_ports_is_where_they_are() {
    let (_, places) =
        solved(&assigned(&chain("[\"a\"]", "[\"wan\", \"dmz\"]", ""), true).expect("a problem"));
    assert_eq!(places["a"], "s2");
    let pinned = format!("{}[need.b]\non = [\"s1\"]\n", chain("[\"b\"]", "[\"wan\", \"dmz\"]", ""));
    let error = assigned(&pinned, true).err().expect("nowhere");
    assert!(
        error.contains("b chooses among several ports, and may not run where port wan, dmz are"),
        "{error}"
    );
}

#[test]
fn branches_are_pairs() {
    let text = chain("[\"a\", \"b\"]", "\"wan\"", "pairs = []\n");
    let assignment = assigned(&text, true).expect("a problem");
    assert_eq!(assignment.problem.chains[0].pairs.len(), 4, "both from the first port, both to the last one");
    let error = assigned(&text.replace("[]", "[[\"b\", \"a\"]]"), true).err().expect("not in order");
    assert!(error.contains("'pairs' names NFs that are not in the path, in its order"), "{error}");
}

#[test]
fn names_that_lead_nowhere_are_said() {
    let error = assigned(&chain("[\"a\"]", "\"s1.wan\"", ""), true).err().expect("no such port");
    assert_eq!(error, "no server is there that has the port s1.wan");
    let elsewhere = format!("{}[need.b]\non = [\"s9\"]\n", chain("[\"b\"]", "\"wan\"", ""));
    let error = assigned(&elsewhere, true).err().expect("no such server");
    assert_eq!(error, "no server is there that NF b may run on (on: s9)");
    for (text, said) in [
        ("", "there is no chain"),
        (
            "[[chain]]\nname = \"hop-1\"\nfrom = \"lan\"\nto = \"wan\"\n",
            "names that begin with 'hop-' join servers",
        ),
        ("[[chain]]\nname = \"c\"\nfrom = \"lan\"\nto = []\n", "'to' is empty"),
        (
            "[need.c]\ncpu = 1\n[[chain]]\nname = \"c\"\nfrom = \"lan\"\nto = \"wan\"\n",
            "[need.c]: unknown NF",
        ),
    ] {
        let error = assigned(text, true).err().expect("not good");
        assert!(error.contains(said), "{error}");
    }
}
