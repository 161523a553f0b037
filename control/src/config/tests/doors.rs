//! NFs that live behind ports.

use crate::config::Config;
use crate::fakes::registry;
use engine::{Burst, ConfigError, Cx, Door, Doorway, Effects, Kind, Nf, Site, WorkerSite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Lives behind two ports.
struct Remote;

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RemoteConfig {
    out: String,
    #[serde(rename = "in")]
    back: String,
}

impl Nf for Remote {
    fn process(&mut self, _: &mut Burst, _: &mut Cx<'_>) {}
}

impl Kind for Remote {
    const NAME: &'static str = "remote";
    const SUMMARY: &'static str = "lives elsewhere";
    type Config = RemoteConfig;
    type Plan = ();

    fn prepare(_: &RemoteConfig, _: &Site) -> Result<(), ConfigError> {
        Ok(())
    }

    fn effects(_: &()) -> Effects {
        Effects::NONE
    }

    fn doors(config: &RemoteConfig) -> Vec<Door> {
        let door = |key: &str, port: &str, way| Door { key: key.to_owned(), port: port.to_owned(), way };
        vec![door("out", &config.out, Doorway::Out), door("in", &config.back, Doorway::Back)]
    }

    fn instance(_: &Arc<()>, _: &WorkerSite) -> Self {
        Remote
    }
}

const GOOD: &str = r#"
[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[ports.there]
device = "net_null2"
[ports.back]
device = "net_null3"

[nf.far]
kind = "remote"
out = "there"
in = "back"

[[chain]]
name = "egress"
from = "lan"
path = ["far"]
to = "wan"
"#;

/// All messages about a text, those of its plan too.
fn messages(text: &str) -> Vec<String> {
    let registry = registry().with::<Remote>();
    match Config::parse(text, "test.toml", Path::new("/nowhere"), &registry) {
        Err(errors) => errors.diagnostics.into_iter().map(|d| d.message).collect(),
        Ok(config) => config.warnings().iter().map(|d| d.message.clone()).collect(),
    }
}

#[test]
fn what_comes_back_by_a_port_goes_to_the_nf_behind_it() {
    let registry = registry().with::<Remote>();
    let config = Config::parse(GOOD, "test.toml", Path::new("/nowhere"), &registry).expect("good");
    assert_eq!(config.warnings(), [], "its ports are in use");
    let (plan, _) = config.plan().expect("a plan");
    let chains: Vec<_> =
        plan.chains.iter().map(|c| (c.name.as_str(), c.from, c.path.as_slice(), c.to.as_slice())).collect();
    assert_eq!(chains, [("egress", 0, &[0][..], &[1][..]), ("far back by back", 3, &[0], &[1])]);
    let replay = config.replay(None, Path::new("in.pcap"), Path::new("out.pcap"));
    let Err(errors) = replay else { panic!("nobody is behind the ports of a replay") };
    assert!(
        errors.diagnostics[0].message.contains("lives behind ports"),
        "{}",
        errors.diagnostics[0].message
    );
}

#[test]
fn ports_that_do_not_lead_there_are_refused() {
    let far = "[nf.far]\nkind = \"remote\"\nout = \"there\"\nin = \"back\"\n";
    let another = format!("{far}\n[nf.other]\nkind = \"remote\"\nout = \"there\"\nin = \"back\"\n");
    for (text, message) in [
        (GOOD.replace("in = \"back\"", "in = \"bach\""), "unknown port 'bach'"),
        (
            GOOD.replace("from = \"lan\"", "from = \"back\""),
            "chain 'egress' begins at 'back', by which packets come back to 'far'",
        ),
        (GOOD.replace(far, &another), "packets that come back by port 'back' are for 'far' already"),
    ] {
        let found = messages(&text);
        assert!(found.iter().any(|found| found == message), "{message}: {found:?}");
    }
}
