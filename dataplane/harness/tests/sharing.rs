//! The test stand: a shared packet is copied before it is written to.

mod odd;

use engine::{Fate, Packing, Registry, Site, Stand, StandPools, Time, WorkerSite};
use odd::Odd;
use toml::de::ValueDeserializer;

#[test]
fn a_writer_gets_a_copy_and_the_other_reader_keeps_its_bytes() {
    let options = dpdk::EalOptions {
        hugepages: false,
        pci: false,
        memory_mb: 64,
        file_prefix: format!("stand-{}", std::process::id()),
        extra: Vec::new(),
    };
    let eal = dpdk::Eal::init(&options).expect("EAL without hugepages starts for any user");
    let pools = StandPools::new(&eal, 256).expect("64 MB are enough");
    let registry = Registry::new().with::<Odd>();
    let entry = registry.get("odd").expect("it was registered");
    let config = ValueDeserializer::parse("{}").expect("an empty table");
    let prepared =
        entry.configure(config).expect("no key is needed").prepare(&Site::default()).expect("it prepares");
    let worker = WorkerSite { index: 0, count: 1, seed: 1 };

    let frame = harness::packet(
        "eth 02:00:00:00:00:01 > 02:00:00:00:00:02 / ipv4 10.0.0.1 > 10.0.0.2 ttl 9 / udp 1 > 2 / count 700",
    )
    .expect("a packet");
    for packing in [Packing::Contiguous, Packing::Segmented] {
        let mut stand = Stand::new(&pools, prepared.as_ref(), worker);
        let input = engine::Input { bytes: &frame, ingress: 2 };
        let round = stand.run_shared(&[input], packing, Time::ZERO).expect("there is memory");
        let mut lowered = frame.clone();
        lowered[14 + 8] = 8;
        assert_eq!(round.fates, [Fate::Forward(lowered)]);
        assert_eq!(round.shared, std::slice::from_ref(&frame));
        drop(stand);
        assert_eq!(pools.in_use(), 0, "every buffer is back");
    }
}
