use super::*;
use engine::Time;
use wire::FlowKey4;

fn flow(n: u16) -> (FlowKey, Flow) {
    let key = FlowKey::V4(FlowKey4 { src: 1, dst: 2, sport: n, dport: 53, proto: 17 });
    (key.canonical().0, Flow::new(&super::super::flow::Sample::default(), Time::from_nanos(1)))
}

#[test]
fn without_a_writer_every_flow_counts_as_lost() {
    let report = std::env::temp_dir().join(format!("unwritten-{}.jsonl", std::process::id()));
    let spool = Arc::new(Spool::beside(&report));
    let mut outlet = spool.outlet_to(|_, _| Err(io::ErrorKind::WouldBlock.into()));
    for n in 0..3 {
        let (key, flow) = flow(n);
        outlet.ended(key, &flow);
    }
    assert_eq!(outlet.lost, 3);
    // The next worker tries again, and its flows arrive.
    let mut outlet = spool.outlet();
    let (key, flow) = flow(7);
    outlet.ended(key, &flow);
    assert_eq!(outlet.lost, 0);
    drop(outlet);
    assert_eq!(spool.collect().expect("written").len(), 1);
}
