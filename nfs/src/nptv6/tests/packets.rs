use super::*;

fn changed(plan: &Plan, source: &str, destination: &str) -> (Option<String>, Option<String>) {
    let change = plan.change(address(source), address(destination)).expect("a counterpart");
    let text = |address: Option<u128>| address.map(|address| Ipv6Addr::from(address).to_string());
    (text(change.source), text(change.destination))
}

#[test]
fn direction_follows_from_the_addresses() {
    let plan = plan(&format!("prefixes = {{ \"{INTERNAL}\" = \"{EXTERNAL}\" }}")).expect("good");
    const HOST: (&str, &str) = ("fd01:203:405:1::1234", "2001:db8:1:d550::1234");
    const OTHER: (&str, &str) = ("fd01:203:405:2::5", "2001:db8:1:d551::5");
    const REMOTE: &str = "2001:db8:ffff::1";
    let some = |text: &str| Some(text.to_owned());
    for (source, destination, to) in [
        (HOST.0, REMOTE, (some(HOST.1), None)),
        (REMOTE, HOST.1, (None, some(HOST.0))),
        (HOST.0, OTHER.1, (some(HOST.1), some(OTHER.0))),
        (HOST.0, OTHER.0, (None, None)),
        (REMOTE, HOST.0, (None, None)),
        (HOST.0, "ff02::1", (None, None)),
        (HOST.0, "ff0e::1", (None, None)),
        (HOST.0, "fe80::1", (None, None)),
        ("fe80::1", HOST.1, (None, None)),
        ("::", REMOTE, (None, None)),
    ] {
        assert_eq!(changed(&plan, source, destination), to, "{source} > {destination}");
    }
}
