use super::*;
use crate::fakes::registry;
use engine::Device;

/// Two null ports, a filter, a chain: what works.
const GOOD: &str = r#"[engine]
workers = 1

[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"

[nf.edge]
kind = "filter"
limit = 3

[[chain]]
name = "egress"
from = "lan"
path = ["edge"]
to = "wan"
"#;

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::parse(text, "test.toml", Path::new("/nowhere"), &registry())
}

fn good() -> Config {
    parse(GOOD).expect("the good configuration is good")
}

/// Errors and warnings of reading and planning, as lines without advice.
fn findings(text: &str) -> Vec<String> {
    let line = |d: &Diagnostic| d.line("test.toml", text).lines().next().unwrap_or_default().to_owned();
    match parse(text) {
        Err(errors) => errors.diagnostics.iter().map(line).collect(),
        Ok(config) => match config.plan() {
            Err(errors) => errors.diagnostics.iter().map(line).collect(),
            Ok((_, more)) => config.warnings().iter().chain(&more).map(line).collect(),
        },
    }
}

#[test]
fn a_good_configuration_becomes_a_plan() {
    let config = good();
    assert_eq!(config.warnings(), []);
    let (plan, warnings) = config.plan().expect("plan");
    assert_eq!(warnings, []);
    assert_eq!(plan.cores.len(), 1);
    assert_eq!(plan.ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["lan", "wan"]);
    assert_eq!(plan.ports[0].device, Device::Dpdk("net_null0".to_owned()));
    assert_eq!(plan.nfs.iter().map(|nf| nf.prepared.kind()).collect::<Vec<_>>(), ["filter"]);
    let chain = &plan.chains[0];
    assert_eq!((chain.from, chain.path.as_slice(), chain.to.as_slice()), (0, &[0][..], &[1][..]));
}

#[test]
fn every_mistake_is_reported_at_its_place() {
    // What is wrong, the text that GOOD has, what stands there instead, and the one line that comes of it.
    #[rustfmt::skip]
    let rows = [
        ("unknown table", "[engine]", "[engin]", "1:2: error: unknown key 'engin' in the configuration"),
        ("unknown engine key", "workers = 1", "workres = 1", "2:1: error: unknown key 'workres' in [engine]"),
        ("workers as text", "workers = 1", "workers = \"1\"", "2:11: error: 'workers' is a string"),
        ("no workers", "workers = 1", "workers = 0", "2:11: error: 'workers' is 0"),
        ("workers and cores", "workers = 1", "workers = 1\ncores = [0]", "2:11: error: both 'workers' and 'cores' are given"),
        ("core out of reach", "workers = 1", "cores = [1023]", "2:10: error: this process may not run on core 1023"),
        ("no cores", "workers = 1", "cores = []", "2:9: error: 'cores' is empty"),
        ("a core as text", "workers = 1", "cores = [\"a\"]", "2:10: error: 'cores' is a string"),
        ("bad idle", "workers = 1", "idle = \"adaptiv\"", "2:8: error: unknown value 'adaptiv' of 'idle'"),
        ("bad memory", "workers = 1", "memory = \"lots\"", "2:10: error: 'lots' is no amount of memory"),
        ("little memory", "workers = 1", "memory = \"64M\"\nbuffers = { count = 262144 }", "2:1: error: 64 MB are less than the 592 MB that the packet buffers take"),
        ("little memory, spoken of before", "[engine]\nworkers = 1", "# memory\n[engine]\nseed = 1 # memory\nmemory = \"64M\"\nbuffers = { count = 262144 }", "4:1: error: 64 MB are less than the 592 MB that the packet buffers take"),
        ("few buffers, spoken of before", "[engine]\nworkers = 1", "# buffers\n[engine]\nsocket = \"/usr/buffers\"\nbuffers.count = 256", "4:1: error: 256 buffers are fewer than the NEEDED that can be in flight"),
        ("unknown buffers key", "workers = 1", "buffers = { cuont = 65536 }", "2:13: error: unknown key 'cuont' in 'buffers'"),
        ("buffers as a number", "workers = 1", "buffers = 512", "2:11: error: 'buffers' is an integer"),
        ("hugepages as a word", "workers = 1", "hugepages = \"no\"", "2:13: error: 'hugepages' is a string"),
        ("no device", "device = \"net_null1\"", "mtu = 1500", "6:8: error: [ports.wan] has no 'device'"),
        ("not a device", "device = \"net_null1\"", "device = \"eth0\"", "7:10: error: 'eth0' is no device that DPDK knows"),
        ("half a PCI address", "\"net_null1\"", "\"3b:00.0\"", "7:10: error: '3b:00.0' is half a PCI address"),
        ("a file without pcap:", "\"net_null1\"", "\"out.pcap\"", "7:10: error: 'out.pcap' is no device"),
        ("the same device twice", "\"net_null1\"", "\"net_null0,copy=1\"", "7:10: error: port 'wan' has the same device as port 'lan'"),
        ("no capture file", "\"net_null0\"", "\"pcap:in.pcap\"", "5:10: error: there is no capture file /nowhere/in.pcap"),
        ("no file for net_pcap", "\"net_null0\"", "\"net_pcap0,rx_pcap=in.pcap\"", "5:10: error: there is no capture file /nowhere/in.pcap"),
        ("no folder for the sink", "\"net_null1\"", "\"pcap:out.pcap\"", "7:10: error: there is no folder /nowhere to write /nowhere/out.pcap to"),
        ("a file both ways", "from = \"lan\"\npath = [\"edge\"]\nto = \"wan\"", "from = \"lan\"\npath = [\"edge\"]\nto = \"f\"\n[ports.f]\ndevice=\"pcap:f.pcap\"\n[[chain]]\nname=\"b\"\nfrom=\"f\"\nto=\"wan\"", "17:6: error: capture file 'f' is read as 'from' and written as 'to'"),
        ("mtu too small", "device = \"net_null1\"", "device = \"net_null1\"\nmtu = 20", "8:7: error: 'mtu' is 20"),
        ("a bad name", "[ports.wan]", "[ports.\"w n\"]\ndevice = \"net_null3\"\n[ports.wan]", "6:8: error: 'w n' is no name for a port"),
        ("no kind", "kind = \"filter\"\n", "", "9:5: error: [nf.edge] has no 'kind'"),
        ("unknown kind", "\"filter\"", "\"filtre\"", "10:8: error: unknown kind 'filtre' of NF"),
        ("unknown NF key", "limit = 3", "limits = 3", "11:1: error: unknown key 'limits' in [nf.edge]"),
        ("a bad NF value", "limit = 3", "limit = \"x\"", "11:9: error: invalid type: string \"x\", expected u32 in [nf.edge]"),
        ("a missing NF file", "limit = 3", "rules = \"edge.rules\"", "11:9: error: there is no file edge.rules"),
        ("bad policy", "limit = 3", "on_panic = \"pass\"", "11:12: error: unknown value 'pass' of 'on_panic'"),
        ("bad period", "limit = 3", "snapshot = \"10\"", "11:12: error: no unit in '10': write a number and a unit, as in \"500ms\", \"10s\", \"2m\""),
        ("short period", "limit = 3", "snapshot = \"1ms\"", "11:12: error: 'snapshot' is shorter than 100ms"),
        ("an NF named as a port", "[nf.edge]", "[nf.lan]\nkind = \"filter\"\n[nf.edge]", "9:5: error: 'lan' is the name of a port too"),
        ("chain without brackets", "[[chain]]", "[chain]", "13:1: error: 'chain' is not a list of chains"),
        ("nameless port", "[ports.lan]", "[ports]", "5:1: error: 'device' stands in [ports] itself"),
        ("a list of ports", "[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\ndevice = \"net_null1\"\n", "[[ports]]\ndevice = \"net_null0\"\n", "4:1: error: 'ports' is an array, not a table"),
        ("an incomplete device", "\"net_null0\"", "\"net_af_packet0\"", "5:10: error: device \"net_af_packet0\": it has no iface=: write it like \"net_af_packet0,iface=eth0\""),
        ("a folder to read", "\"net_null0\"", "\"pcap:/usr\"", "5:10: error: /usr is a folder, not a capture file"),
        ("a folder to write", "\"net_null1\"", "\"pcap:/usr\"", "7:10: error: /usr is a folder, not a file"),
        ("a folder for net_pcap", "\"net_null0\"", "\"net_pcap0,rx_pcap=/usr\"", "5:10: error: /usr is a folder, not a capture file"),
        ("no folder for the socket", "workers = 1", "socket = \"s/braid.sock\"", "2:1: error: there is no folder /nowhere/s for the control socket"),
        ("a folder as the socket", "workers = 1", "socket = \"/usr\"", "2:1: error: /usr is there already, and is no socket"),
        ("a number for names", "to = \"wan\"", "to = 3", "17:6: error: 'to' is an integer"),
        ("no name", "name = \"egress\"\n", "", "13:1: error: [[chain]] has no 'name'"),
        ("no from", "from = \"lan\"\n", "", "13:1: error: [[chain]] has no 'from'"),
        ("no to", "to = \"wan\"\n", "", "13:1: error: [[chain]] has no 'to'"),
        ("unknown from", "from = \"lan\"", "from = \"lna\"", "15:8: error: unknown port 'lna'"),
        ("unknown to", "to = \"wan\"", "to = \"wam\"", "17:6: error: unknown port 'wam'"),
        ("unknown NF", "[\"edge\"]", "[\"egde\"]", "16:9: error: unknown NF 'egde'"),
        ("an NF twice", "[\"edge\"]", "[\"edge\", \"edge\"]", "16:17: error: NF 'edge' is in the path twice"),
        ("two ports, one gate", "to = \"wan\"", "to = [\"wan\", \"lan\"]", "17:14: error: 'edge' has one gate, so nothing ever goes to the second port"),
        ("two ports, no NF", "path = [\"edge\"]\nto = \"wan\"", "to = [\"wan\", \"lan\"]", "16:14: error: a chain without NFs leads to one port"),
        ("nowhere to go", "to = \"wan\"", "to = []", "17:6: error: 'to' is empty"),
        ("a port twice", "to = \"wan\"", "to = [\"wan\", \"wan\"]", "17:14: error: port 'wan' is named twice in 'to'"),
        ("unknown parallel", "to = \"wan\"", "to = \"wan\"\nparallel = \"on\"", "18:12: error: unknown value 'on' of 'parallel'"),
        ("a duplicate chain", "to = \"wan\"", "to = \"wan\"\n[[chain]]\nname = \"egress\"\nfrom = \"wan\"\nto = \"lan\"", "19:8: error: two chains are called 'egress'"),
        ("a chain in the shadow", "to = \"wan\"", "to = \"wan\"\n[[chain]]\nname = \"late\"\nfrom = \"lan\"\nto = \"wan\"", "19:8: warning: chain 'late' never gets a packet: 'egress' takes all from 'lan'"),
        ("an unused NF", "path = [\"edge\"]\n", "", "9:5: warning: NF 'edge' is in no chain and does nothing"),
        ("an unused port", "[nf.edge]", "[ports.x]\ndevice = \"net_null2\"\n[nf.edge]", "9:8: warning: port 'x' is in no chain and stays closed"),
        ("not TOML", "workers = 1", "workers = ", "2:11: error: not TOML: string values must be quoted, expected literal string"),
    ];
    let needed = good().plan().expect("plan").0.buffers_needed().to_string();
    let mut wrong = Vec::new();
    for (what, there, instead, expected) in rows {
        assert!(GOOD.contains(there), "{what}: the good configuration has no {there}");
        let expected = expected.replace("NEEDED", &needed);
        let found = findings(&GOOD.replacen(there, instead, 1));
        if found != [format!("test.toml:{expected}")] {
            wrong.push(format!("{what}\n    wanted {expected}\n    found {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn too_few_buffers_are_an_error_that_says_how_many_it_takes() {
    let needed = good().plan().expect("plan").0.buffers_needed();
    let with =
        |count: u32| GOOD.replace("workers = 1", &format!("workers = 1\nbuffers = {{ count = {count} }}"));
    assert_eq!(
        findings(&with(needed - 1)),
        [format!(
            "test.toml:3:1: error: {} buffers are fewer than the {needed} that can be in flight",
            needed - 1
        )]
    );
    assert_eq!(findings(&with(needed)), [""; 0]);
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
        fs::create_dir_all(path.join("sub")).expect("a folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_capture_file_is_one_port_however_it_is_written() {
    let folder = Folder::new("captures");
    let at = |name: &str| folder.0.join(name);
    fs::write(at("in.pcap"), "packets").expect("a file");
    std::os::unix::fs::symlink("in.pcap", at("link.pcap")).expect("a link");
    std::os::unix::fs::symlink(&folder.0, at("sub/up")).expect("a link");
    fs::hard_link(at("in.pcap"), at("hard.pcap")).expect("a link");
    let found = |from: &str, to: &str| {
        let text = GOOD.replace("net_null0", from).replace("net_null1", to);
        match Config::parse(&text, "test.toml", &folder.0, &registry()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.diagnostics.into_iter().map(|finding| finding.message).collect(),
        }
    };
    let same = ["port 'wan' has the same capture file as port 'lan'"];
    let absolute = format!("pcap:{}", at("in.pcap").display());
    for sink in ["pcap:in.pcap", "pcap:./in.pcap", "pcap:sub/../in.pcap", "pcap:link.pcap", "pcap:hard.pcap"]
    {
        assert_eq!(found("pcap:in.pcap", sink), same, "{sink}");
    }
    assert_eq!(found("pcap:./in.pcap", &absolute), same);
    assert_eq!(found("pcap:in.pcap", "pcap:out.pcap"), [""; 0]);

    // Two sinks that nobody has made yet.
    let sinks = |second: &str| {
        let text =
            format!("{}\n[ports.tap]\ndevice = \"{second}\"\n", GOOD.replace("net_null1", "pcap:out.pcap"));
        Config::parse(&text, "test.toml", &folder.0, &registry()).err().map(|errors| errors.to_string())
    };
    for second in ["pcap:./out.pcap", "pcap:sub/up/out.pcap"] {
        let error = sinks(second).unwrap_or_default();
        assert!(error.contains("port 'tap' has the same capture file as port 'wan'"), "{second}: {error}");
    }
    assert_eq!(sinks("pcap:sub/out.pcap"), None);
}

/// A switch at the end of two chains, and captures on both sides.
const SWITCHED: &str = r#"
[ports.a]
device = "net_null0"
[ports.b]
device = "net_null1"
[ports.c]
device = "net_null2"
[nf.edge]
kind = "filter"
[nf.switch]
kind = "switch"
uplink = "c"
[[chain]]
name = "one"
from = "a"
path = ["edge", "switch"]
to = ["b", "c"]
[[chain]]
name = "two"
from = "b"
path = ["switch"]
to = ["b", "c"]
"#;

#[test]
fn an_nf_that_chooses_ports_stands_last_and_always_before_the_same_ports() {
    assert_eq!(findings(SWITCHED), [""; 0]);
    assert_eq!(
        findings(&SWITCHED.replace(r#"["edge", "switch"]"#, r#"["switch", "edge"]"#)),
        [
            "test.toml:16:9: error: 'switch' chooses the port a packet leaves by, so it stands last in the path",
            "test.toml:17:12: error: 'edge' has one gate, so nothing ever goes to the second port",
        ]
    );
    let other = SWITCHED.replacen(r#"to = ["b", "c"]"#, r#"to = ["c"]"#, 1);
    assert_eq!(
        findings(&other),
        ["test.toml:21:9: error: 'switch' ends chain 'one' too, which leads to other ports: c"]
    );
}

#[test]
fn what_one_device_writes_no_other_touches() {
    let folder = Folder::new("written");
    fs::write(folder.0.join("in.pcap"), "packets").expect("a file");
    let found = |lan: &str, wan: &str| -> Vec<String> {
        let text = GOOD.replace("net_null0", lan).replace("net_null1", wan);
        match Config::parse(&text, "test.toml", &folder.0, &registry()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.diagnostics.into_iter().map(|finding| finding.message).collect(),
        }
    };
    let shown = |name: &str| folder.0.join(name).display().to_string();
    let both = format!("port 'wan' writes {}, which port 'lan' writes", shown("out.pcap"));
    assert_eq!(
        found("net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap", "pcap:out.pcap"),
        std::slice::from_ref(&both)
    );
    assert_eq!(found("net_pcap0,tx_pcap=out.pcap", "net_pcap1,tx_pcap=out.pcap"), [both]);
    let read = format!("port 'lan' writes {0}, which port 'lan' reads", shown("in.pcap"));
    assert_eq!(found("net_pcap0,rx_pcap=in.pcap,tx_pcap=in.pcap", "net_null1"), [read]);
    assert_eq!(found("net_pcap0,rx_pcap=in.pcap", "net_pcap1,rx_pcap=in.pcap"), [""; 0]);
}

#[test]
fn all_mistakes_are_reported_at_once_with_advice() {
    let text = GOOD
        .replace("workers", "workres")
        .replace("net_null1", "eth0")
        .replace("limit = 3", "rules = \"edge.rules\"")
        .replace("from = \"lan\"", "from = \"lna\"");
    let errors = parse(&text).err().expect("four mistakes").to_string();
    let expected = "\
test.toml:2:1: error: unknown key 'workres' in [engine]
  help: did you mean 'workers'? known: workers, cores, scale, idle, helpers, delays, replan, replan_margin, hugepages, memory, buffers, seed, socket
test.toml:7:10: error: 'eth0' is no device that DPDK knows
  help: write a PCI address (\"0000:3b:00.0\"), a DPDK virtual device (\"net_af_packet0,iface=eth0\"), or a capture \
         file (\"pcap:in.pcap\")
test.toml:11:9: error: there is no file edge.rules
  help: write a rule file
test.toml:15:8: error: unknown port 'lna'
  help: did you mean 'lan'? known: lan, wan";
    assert_eq!(errors, expected);
}

#[test]
fn only_a_regular_file_of_bounded_length_is_read() {
    let folder = Folder::new("read");
    let at = |name: &str| folder.0.join(name);
    let read = |path: &Path| {
        let errors = Config::read(path, &registry()).err().expect("no configuration");
        errors.diagnostics[0].message.clone()
    };
    let pipe = at("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    for path in [Path::new("/dev/zero"), &pipe, &at("sub")] {
        assert_eq!(read(path), "cannot read the configuration: it is no regular file", "{}", path.display());
    }
    // Sparse: it takes no room.
    let long = fs::File::create(at("long.toml")).expect("a file");
    long.set_len(MAX_TEXT as u64 + 1).expect("length");
    assert_eq!(read(&at("long.toml")), "cannot read the configuration: it is longer than 16 MiB");
    // The length that a file of /proc claims is 0.
    assert!(read(Path::new("/proc/self/status")).starts_with("not TOML: "));
    fs::write(at("good.toml"), GOOD).expect("a file");
    assert!(Config::read(&at("good.toml"), &registry()).is_ok());
}

#[test]
fn columns_count_characters() {
    assert_eq!(line_column("a\nöb", 4), (2, 2));
    assert_eq!(line_column("a\nöb", 3), (2, 1), "inside a character is at its start");
    assert_eq!(line_column("", 9), (1, 1));
}

#[test]
fn a_replay_puts_captures_at_both_ends_of_one_chain() {
    let config = parse(SWITCHED).expect("config");
    let replay = config.replay(None, Path::new("in.pcap"), Path::new("out.pcap")).expect("replay");
    assert_eq!((replay.chain.as_str(), replay.source.as_str(), replay.sink.as_str()), ("one", "a", "b"));
    let devices: Vec<&Device> = replay.plan.ports.iter().map(|port| &port.device).collect();
    assert_eq!(devices, [&Device::CaptureSource("in.pcap".into()), &Device::CaptureSink("out.pcap".into())]);
    assert_eq!(replay.plan.chains[0].to, [1, 1], "every gate leads to the sink");
    assert_eq!(replay.plan.nfs.len(), 2);

    let replay = config.replay(Some("two"), Path::new("in.pcap"), Path::new("out.pcap")).expect("replay");
    assert_eq!((replay.source.as_str(), replay.sink.as_str()), ("b", "c"), "the source is never the sink");
    assert_eq!(replay.plan.nfs.len(), 1, "only the NFs of the chain");

    let error = config.replay(Some("tow"), Path::new("i"), Path::new("o")).err().expect("no such chain");
    assert_eq!(error.diagnostics[0].help.as_deref(), Some("did you mean 'two'? known: one, two"));
}

#[test]
fn the_diff_names_every_change_by_its_keys() {
    let rows: [(&str, &str, &str, &[&str]); 9] = [
        ("nothing", "limit = 3", "limit = 3", &[]),
        ("comments", "[engine]", "# a comment\n[engine]", &[]),
        ("a value", "limit = 3", "limit = 4", &["~ nf.edge.limit: 3 → 4"]),
        ("a key", "limit = 3", "limit = 3\non_panic = \"bypass\"", &["+ nf.edge.on_panic: \"bypass\""]),
        ("a default", "limit = 3", "limit = 0", &["~ nf.edge.limit: 3 → 0"]),
        (
            "a restart",
            "[engine]",
            "[engine]\nhugepages = true",
            &["~ engine.hugepages: false → true (needs a restart)"],
        ),
        (
            "a port",
            "[nf.edge]",
            "[ports.x]\ndevice = \"net_null2\"\n[nf.edge]",
            &["+ ports.x: {\"checksum_offload\":false,\"device\":\"net_null2\"}"],
        ),
        ("a device", "net_null1", "net_null2", &["~ ports.wan.device: \"net_null1\" → \"net_null2\""]),
        (
            "a chain's name",
            "\"egress\"",
            "\"out\"",
            &[
                "- chain.egress: {\"from\":\"lan\",\"path\":[\"edge\"],\"to\":[\"wan\"]}",
                "+ chain.out: {\"from\":\"lan\",\"path\":[\"edge\"],\"to\":[\"wan\"]}",
            ],
        ),
    ];
    for (what, there, instead, expected) in rows {
        let new = parse(&GOOD.replacen(there, instead, 1)).expect(what);
        let changes: Vec<String> = diff(&good(), &new).iter().map(Change::to_string).collect();
        assert_eq!(changes, expected, "{what}");
    }
}

#[test]
fn the_order_of_chains_is_a_change_of_its_own() {
    let two = |first: &str, second: &str| {
        let chain = |name: &str| {
            format!("[[chain]]\nname = \"{name}\"\nfrom = \"lan\"\nmatch = \"tcp\"\nto = \"wan\"\n")
        };
        let ports = "[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\ndevice = \"net_null1\"\n";
        parse(&format!("{ports}{}{}", chain(first), chain(second))).expect("two chains")
    };
    let changes = diff(&two("a", "b"), &two("b", "a"));
    assert_eq!(
        changes.iter().map(Change::to_string).collect::<Vec<_>>(),
        ["~ chain order: [\"a\",\"b\"] → [\"b\",\"a\"]"]
    );
}

/// What a key asks for that the engine does elsewhere only is said.
#[test]
fn a_branch_that_may_drop_has_no_packets_passed_on_for_it() {
    let side_by_side = |nfs: &str, more: &str| {
        let path = format!("path = [{nfs}]\nparallel = \"max\"\n{more}");
        let second = "[nf.watch]\nkind = \"switch\"\n[nf.look]\nkind = \"switch\"\n\n[[chain]]";
        GOOD.replace("[[chain]]", second).replace("path = [\"edge\"]", &path)
    };
    let pass = "on_branch_timeout = \"pass\"";
    let said = findings(&side_by_side("\"edge\", \"watch\"", pass));
    assert_eq!(
        said.iter().filter(|line| line.contains("pass")).collect::<Vec<_>>(),
        [
            "test.toml:23:21: warning: 'pass' means \"drop\" in chain 'egress': 'edge' runs side by side with others, and may drop \
             or write"
        ]
    );
    for (nfs, more) in [("\"watch\", \"look\"", pass), ("\"edge\", \"watch\"", ""), ("\"edge\"", pass)] {
        let said = findings(&side_by_side(nfs, more));
        assert!(!said.iter().any(|line| line.contains("pass")), "{nfs} {more}: {said:?}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_configuration_or_a_list_of_errors(noise in ".{0,200}", at in 0usize..400) {
        let at = (0..=at.min(GOOD.len())).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
        let text = format!("{}{noise}{}", &GOOD[..at], &GOOD[at..]);
        if let Err(errors) = parse(&text) {
            proptest::prop_assert!(errors.errors() > 0);
            proptest::prop_assert!(!errors.to_string().is_empty());
        }
    }
}

mod doors;
