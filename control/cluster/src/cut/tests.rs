use super::*;
use crate::server::Base;

fn base(number: u8, by: &str, ports: &str) -> Base {
    let text = format!(
        "[server]\ncpu = 2\n[server.link]\nport = \"core\"\naddress = \"10.0.0.{number}\"\n\
         mac = \"02:00:00:00:00:0{number}\"\nmtu = 1{number}00\nby = \"{by}\"\n\
         [ports.core]\ndevice = \"net_null0\"\n{ports}"
    );
    Base::parse(&text, "x".to_owned()).expect("a base")
}

const LAN: &str = "[ports.lan]\ndevice = \"net_null1\"\n";

const WANTED: &str = "[nf.a]\nkind = \"mac_swap\"\n[nf.b]\nkind = \"monitor\"\n[[chain]]\nname = \"out\"\nfrom = \"lan\"\n\
     match = \"ip\"\npath = [\"a\", \"b\"]\nto = \"s2.core\"\nrate = 5\n";

fn parts(by: &str, place: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    let wanted = Wanted::parse(WANTED).expect("good");
    let servers: BTreeMap<String, Server> =
        [("s1".to_owned(), base(1, by, LAN).server), ("s2".to_owned(), base(2, by, "").server)].into();
    let place = place.iter().map(|(nf, server)| ((*nf).to_owned(), (*server).to_owned())).collect();
    let cut = cut(&wanted, &servers, &place, &Hops::new())?;
    assert!(cut.hops.keys().all(|hop| hop.starts_with("out/")), "{:?}", cut.hops);
    Ok(cut.parts)
}

const APART: [(&str, &str); 4] = [("a", "s1"), ("b", "s2"), ("port lan", "s1"), ("port s2.core", "s2")];

#[test]
fn two_servers_are_joined_by_a_vxlan() {
    let parts = parts("vxlan", &APART).expect("parts");
    let s1: Table = toml::from_str(&parts["s1"]).expect("TOML");
    let chain = &s1["chain"][0];
    assert_eq!((chain["from"].as_str(), chain["match"].as_str()), (Some("lan"), Some("ip")));
    assert_eq!(chain["path"], Value::Array(vec!["a".into(), "hop-1-to-s2".into()]));
    assert_eq!(chain["to"], Value::Array(vec!["core".into()]));
    let encap = &s1["nf"]["hop-1-to-s2"]["encap"];
    assert_eq!((encap["remote"].as_str(), encap["mtu"].as_integer()), (Some("10.0.0.2"), Some(1100)));
    assert_eq!(encap["macs"]["destination"].as_str(), Some("02:00:00:00:00:02"));
    let s2: Table = toml::from_str(&parts["s2"]).expect("TOML");
    let chain = &s2["chain"][0];
    assert_eq!((chain["name"].as_str(), chain["from"].as_str()), (Some("hop-out-1"), Some("core")));
    assert_eq!(chain["match"].as_str(), Some("udp.dport == 24001 and ip.src == 10.0.0.1"));
    assert_eq!(chain["path"], Value::Array(vec!["hop-1-from-s1".into(), "b".into()]));
    assert_eq!(s2["nf"]["hop-1-from-s1"]["decap"]["vni"].as_integer(), Some(1));
}

/// Chains of a user have names of their own, whatever those of others are cut into.
#[test]
fn no_segment_is_called_as_a_chain() {
    let second = "[[chain]]\nname = \"out-1\"\nfrom = \"s2.core\"\npath = \"b\"\nto = \"s2.core\"\n";
    let wanted = Wanted::parse(&format!("{WANTED}{second}")).expect("good");
    let servers: BTreeMap<String, Server> =
        [("s1".to_owned(), base(1, "vxlan", LAN).server), ("s2".to_owned(), base(2, "vxlan", "").server)]
            .into();
    let place = APART.iter().map(|(nf, server)| ((*nf).to_owned(), (*server).to_owned())).collect();
    let cut = cut(&wanted, &servers, &place, &Hops::new()).expect("parts");
    let s2: Table = toml::from_str(&cut.parts["s2"]).expect("TOML");
    let names: Vec<_> =
        s2["chain"].as_array().expect("chains").iter().map(|chain| chain["name"].as_str()).collect();
    assert_eq!(names, [Some("hop-out-1"), Some("out-1")]);
}

#[test]
fn or_by_tags_on_a_cable() {
    let parts = parts("vlan", &APART).expect("parts");
    assert!(
        parts["s1"].contains("kind = \"vlan\"") && parts["s2"].contains("match = \"vlan.id == 1\""),
        "{parts:?}"
    );
}

#[test]
fn within_a_server_nothing_is_joined() {
    let together = [("a", "s2"), ("b", "s2"), ("port lan", "s1"), ("port s2.core", "s2")];
    let parts = parts("vxlan", &together).expect("parts");
    assert_eq!(parts["s2"].matches("vxlan").count(), 1, "one way in: {}", parts["s2"]);
    let lost = parts_without("b");
    assert!(lost.contains("b has no place"), "{lost}");
}

fn parts_without(nf: &str) -> String {
    let place: Vec<(&str, &str)> = APART.into_iter().filter(|(name, _)| *name != nf).collect();
    parts("vxlan", &place).expect_err("not placed")
}

#[test]
fn a_part_is_added_to_the_servers_own_configuration() {
    let base = base(1, "vxlan", &format!("{LAN}[nf.own]\nkind = \"monitor\"\n"));
    assert_eq!(base.server.ports, ["core", "lan"]);
    let idle = base.with("").expect("a configuration");
    assert!(idle.contains("match = \"tcp and udp\"") && !idle.contains("[server]"), "{idle}");
    let whole = base.with(&parts("vxlan", &APART).expect("parts")["s1"]).expect("a configuration");
    for said in ["[nf.own]", "[nf.a]", "[nf.hop-1-to-s2", "[ports.lan]", "name = \"out\""] {
        assert!(whole.contains(said), "{said}: {whole}");
    }
    assert!(!whole.contains("hop-idle"), "{whole}");
    let error = base.with("[nf.own]\nkind = \"mac_swap\"\n").expect_err("twice");
    assert_eq!(error, "this server has an NF 'own' of its own");
    for (text, said) in [
        ("[ports.a]\ndevice = \"net_null0\"", "there is no [server]"),
        ("[server]\ncpu = 1", "there is no port"),
        ("[server]\ncpus = 1\n[ports.a]\ndevice = \"x\"", "unknown field `cpus`"),
    ] {
        let error = Base::parse(text, String::new()).expect_err("not good");
        assert!(error.contains(said), "{error}");
    }
}

const BESIDE: &str = "beside = [{ nfs = [\"a\", \"b\"], writes = [\"ip.dscp\"] }]\n";

/// Two servers with loops, of which s1 has two.
fn with_loops() -> BTreeMap<String, Server> {
    let names = ["x", "y", "v", "w"];
    let ports = |names: &[&str]| -> String {
        let port = |(i, name)| format!("[ports.{name}]\ndevice = \"net_null{}\"\n", i + 2);
        names.iter().enumerate().map(port).collect()
    };
    let server = |number: u8, end: &str, names: &[&str]| {
        let mut server = base(number, "vxlan", &format!("{end}{}", ports(names))).server;
        server.loops = names.chunks(2).map(|pair| [pair[0].to_owned(), pair[1].to_owned()]).collect();
        server
    };
    [("s1".to_owned(), server(1, LAN, &names)), ("s2".to_owned(), server(2, "", &names[..2]))].into()
}

fn tables(wanted: &str, place: &[(&str, &str)]) -> [Table; 2] {
    let wanted = Wanted::parse(wanted).expect("good");
    let place = place.iter().map(|(nf, server)| ((*nf).to_owned(), (*server).to_owned())).collect();
    let Cut { parts, hops } = cut(&wanted, &with_loops(), &place, &Hops::new()).expect("parts");
    assert_eq!(hops.len(), 2, "{hops:?}");
    ["s1", "s2"].map(|server| toml::from_str(&parts[server]).expect("TOML"))
}

#[test]
fn nfs_side_by_side_on_two_servers_have_a_mirror_and_a_merge() {
    let [s1, s2] = tables(&format!("{WANTED}{BESIDE}"), &APART);
    let ways = ["y: hop-2-to-s2: core", "lan: hop-out-a-mirror a hop-1-to-s2: core"];
    assert_eq!(paths(&s1), ways);
    assert_eq!(s1["nf"]["hop-out-a-mirror"]["out"].as_str(), Some("x"));
    assert_eq!(s1["chain"][0]["match"].as_str(), Some("vlan"), "numbered copies, and nothing else");
    let ways = ["core: hop-2-from-s1 b: x", "core: hop-1-from-s1 hop-out-b-merge: core"];
    assert_eq!(paths(&s2), ways);
    let merge = &s2["nf"]["hop-out-b-merge"];
    assert_eq!((merge["role"].as_str(), merge["in"].as_str()), (Some("merge"), Some("y")));
    assert_eq!(merge["writes"], Value::Array(vec!["ip.dscp".into()]));
    assert_eq!(merge["creates"].as_bool(), Some(false));
}

#[test]
fn where_the_chain_goes_on_at_the_first_server_the_merge_is_there_too() {
    let back = WANTED.replace("s2.core", "s1.core");
    let place = [("a", "s1"), ("b", "s2"), ("port lan", "s1"), ("port s1.core", "s1")];
    let [s1, s2] = tables(&format!("{back}{BESIDE}"), &place);
    let ways =
        ["y: hop-1-to-s2: core", "core: hop-2-from-s2: v", "lan: hop-out-a-mirror a hop-out-b-merge: core"];
    assert_eq!(paths(&s1), ways);
    assert_eq!(s1["nf"]["hop-out-b-merge"]["in"].as_str(), Some("w"));
    assert_eq!(paths(&s2), ["core: hop-1-from-s1 b hop-2-to-s1: core"]);

    // Or where it is said to be.
    let first = BESIDE.replace(" }]", ", merge = \"first\" }]");
    let place = APART.map(|(nf, server)| (nf.to_owned(), server.to_owned())).into();
    let wanted = Wanted::parse(&format!("{WANTED}{first}")).expect("good");
    let Cut { parts, .. } = cut(&wanted, &with_loops(), &place, &Hops::new()).expect("parts");
    let s1: Table = toml::from_str(&parts["s1"]).expect("TOML");
    assert_eq!(paths(&s1)[2], "lan: hop-out-a-mirror a hop-out-b-merge hop-3-to-s2: core");
    let second = BESIDE.replace(" }]", ", merge = \"second\" }]");
    let wanted = Wanted::parse(&format!("{back}{second}")).expect("good");
    let place = [("a", "s1"), ("b", "s2"), ("port lan", "s1"), ("port s1.core", "s1")];
    let place = place.map(|(nf, server)| (nf.to_owned(), server.to_owned())).into();
    let Cut { parts, .. } = cut(&wanted, &with_loops(), &place, &Hops::new()).expect("parts");
    assert!(parts["s2"].contains("[nf.hop-out-b-merge]"), "{}", parts["s2"]);
}

#[test]
fn what_cannot_run_side_by_side_on_two_servers_is_refused() {
    let mut servers = with_loops();
    servers.get_mut("s2").expect("s2").loops.clear();
    let wanted = Wanted::parse(&format!("{WANTED}{BESIDE}")).expect("good");
    let place = APART.map(|(nf, server)| (nf.to_owned(), server.to_owned())).into();
    let error = cut(&wanted, &servers, &place, &Hops::new()).err().expect("no loop");
    assert!(error.contains("server s2 has no loop left"), "{error}");
    let ports = WANTED.replace("\"s2.core\"", "[\"x\", \"y\"]");
    let three = format!("[nf.c]\nkind = \"mac_swap\"\n{}", WANTED.replace("\"b\"]", "\"b\", \"c\"]"));
    let twice = BESIDE.replace("[{", "[{ nfs = [\"b\", \"c\"], writes = [] }, {");
    for (text, said) in [
        (
            format!("{WANTED}{}", BESIDE.replace("[\"a\", \"b\"]", "[\"b\", \"a\"]")),
            "'beside' names b and a, which do not follow each other",
        ),
        (format!("{ports}{BESIDE}"), "'b' chooses among several ports"),
        (format!("{three}{twice}"), "NF 'b' is in 'beside' twice"),
    ] {
        let error = Wanted::parse(&text).expect_err("refused");
        assert!(error.contains(said), "{error}");
    }
}

/// The chains of a part, as `from: path: to`.
fn paths(part: &Table) -> Vec<String> {
    let names = |value: &Value| -> String {
        let names = value.as_array().expect("names").iter();
        names.map(|name| name.as_str().expect("a name")).collect::<Vec<_>>().join(" ")
    };
    let way = |chain: &Value| {
        let from = chain["from"].as_str().expect("a port");
        format!("{from}: {}: {}", names(&chain["path"]), names(&chain["to"]))
    };
    part["chain"].as_array().expect("chains").iter().map(way).collect()
}
