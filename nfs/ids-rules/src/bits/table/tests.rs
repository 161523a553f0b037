use super::*;
use crate::{classes::Classes, parse, vars::Vars};

fn rules(options: &[&str]) -> Vec<Rule> {
    let read = |options: &&str| {
        let text = format!("alert ip any any -> any any ({options} sid:1;)");
        parse::rule(text.as_bytes(), &Vars::default(), &Classes::default()).unwrap()
    };
    options.iter().map(read).collect()
}

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

#[test]
fn bits_of_flows_are_set_asked_and_turned() {
    let rules =
        rules(&["flowbits:set,b;", "flowbits:isset,a|b;", "flowbits:isnotset,a|b;", "flowbits:toggle,b;"]);
    let names = Names::of(&rules);
    let tests: Vec<Resolved> = rules.iter().map(|rule| names.resolve(&rule.bits[0]).unwrap()).collect();
    let mut flow = FlowBits::default();
    assert!(!tests[1].holds(|bit| flow.is_set(bit)) && tests[2].holds(|bit| flow.is_set(bit)));
    flow.change(&tests[0]);
    assert!(tests[1].holds(|bit| flow.is_set(bit)), "one of them is set");
    assert!(tests[2].holds(|bit| flow.is_set(bit)), "one of them is not set");
    assert_eq!(flow.names(&names).collect::<Vec<_>>(), ["b"]);
    flow.change(&tests[3]);
    assert!(flow.is_empty());
}

#[test]
fn bits_of_flows_survive_other_numbers() {
    let old = Names::of(&rules(&["flowbits:set,b;", "flowbits:set,c;"]));
    let new = Names::of(&rules(&["flowbits:set,a;", "flowbits:set,c;"]));
    let set: Vec<&str> = vec!["b", "c"];
    let flow = FlowBits::from_names(set.iter().copied(), &old);
    let moved = FlowBits::from_names(flow.names(&old), &new);
    assert_eq!(moved.names(&new).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn bits_of_hosts_end_and_belong_to_whom_they_should() {
    let rules = rules(&[
        "hostbits:set,x,dst,5;",
        "xbits:isset,x,track ip_src;",
        "xbits:set,y,track ip_pair,expire 10;",
        "hostbits:toggle,x,dst,5;",
    ]);
    let names = Names::of(&rules);
    let tests: Vec<Resolved> = rules.iter().map(|rule| names.resolve(&rule.bits[0]).unwrap()).collect();
    let (x, y) = (names.id(BitOwner::Source, "x").unwrap(), names.id(BitOwner::Source, "y").unwrap());
    let mut hosts = HostBits::new(8);
    let destination = HostBits::host(tests[0].owner, A, B).unwrap();
    hosts.change(destination, &tests[0], 0);
    let source = HostBits::host(tests[1].owner, B, A).unwrap();
    assert!(
        hosts.is_set(source, x, 4_999_999_999),
        "the destination of one packet is the source of the other"
    );
    assert!(!hosts.is_set(source, x, 5_000_000_000));
    assert!(!hosts.is_set(Host::One(A), x, 0));
    hosts.change(HostBits::host(tests[2].owner, B, A).unwrap(), &tests[2], 0);
    assert!(hosts.is_set(HostBits::host(BitOwner::Pair, A, B).unwrap(), y, 9), "pairs have no direction");
    hosts.change(destination, &tests[3], 1);
    assert!(!hosts.is_set(source, x, 2));

    let text = serde_json::to_string(&hosts.records(&names).collect::<Vec<_>>()).unwrap();
    let mut restored = HostBits::new(8);
    for record in serde_json::from_str::<Vec<HostBit>>(&text).unwrap() {
        restored.restore(&record, &names);
    }
    assert!(restored.is_set(Host::Pair(A, B), y, 9));
}

#[test]
fn a_flood_of_hosts_stays_within_bounds() {
    let rules = rules(&["hostbits:set,x;"]);
    let names = Names::of(&rules);
    let test = names.resolve(&rules[0].bits[0]).unwrap();
    let mut hosts = HostBits::new(50);
    for address in 0..5_000_u32 {
        hosts.change(Host::One(std::net::Ipv4Addr::from_bits(address).into()), &test, u64::from(address));
    }
    assert_eq!((hosts.len(), hosts.evicted()), (50, 4_950));
}
