use super::*;
use std::thread::sleep;

/// Takes numbers up to one that it does not like.
struct Picky {
    taken: Vec<u32>,
    bad: u32,
}

impl Picky {
    fn about(bad: u32) -> Arc<Writer<Picky>> {
        Writer::new("picky", 64, Picky { taken: Vec::new(), bad })
    }
}

impl Sink for Picky {
    type Record = u32;

    fn take(&mut self, number: u32) -> io::Result<()> {
        if number == self.bad {
            return Err(io::Error::other("no room on the disk"));
        }
        self.taken.push(number);
        Ok(())
    }
}

fn until(done: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if done() {
            return;
        }
        sleep(POLL);
    }
    panic!("it never came");
}

#[test]
fn what_several_workers_send_is_there_at_the_end() {
    let writer = Picky::about(u32::MAX);
    let (mut one, mut other) = (writer.outlet(), writer.outlet());
    (0..40).for_each(|number| one.send(number));
    (40..80).for_each(|number| other.send(number));
    let mut taken = writer.close(|sink| Ok(sink.taken.clone())).expect("written");
    taken.sort_unstable();
    assert_eq!(taken, (0..80).collect::<Vec<_>>());
    assert_eq!((one.lost(), other.lost()), (0, 0));
}

#[test]
fn without_a_thread_everything_counts_as_lost_until_there_is_one() {
    let writer = Picky::about(u32::MAX);
    let mut outlet = writer.outlet_by(|_| Err(io::ErrorKind::WouldBlock.into()));
    (0..3).for_each(|number| outlet.send(number));
    assert_eq!(outlet.lost(), 3);
    let mut next = writer.outlet();
    next.succeed(&outlet);
    next.send(7);
    assert_eq!(next.lost(), 3);
    assert_eq!(writer.close(|sink| Ok(sink.taken.clone())).expect("written"), [7]);
}

#[test]
fn what_finds_the_ring_full_is_lost_and_counted() {
    let writer = Picky::about(u32::MAX);
    let mut outlet = writer.outlet();
    let sink = locked(&writer.shared.sink);
    (0..200).for_each(|number| outlet.send(number));
    drop(sink);
    let taken = writer.close(|sink| Ok(sink.taken.len() as u64)).expect("written");
    assert!(taken >= 64, "{taken}");
    assert_eq!(taken + outlet.lost(), 200);
}

#[test]
fn a_sink_that_fails_says_so_once_and_what_it_did_not_take_is_counted() {
    let writer = Picky::about(3);
    let (mut one, other) = (writer.outlet(), writer.outlet());
    (0..6).for_each(|number| one.send(number));
    until(|| one.lost() == 3);
    assert!(other.tells_failure());
    assert!(!other.tells_failure() && !one.tells_failure());
    one.send(9);
    assert_eq!(one.lost(), 4);
    let error = writer.close(|_| Ok(())).expect_err("it has failed");
    assert_eq!(error.to_string(), "no room on the disk");
}

#[test]
fn the_thread_ends_with_the_last_outlet_and_the_next_begins_another() {
    let writer = Picky::about(u32::MAX);
    drop(writer.outlet());
    until(|| writer.is_spent());
    let mut outlet = writer.outlet();
    outlet.send(1);
    drop(outlet);
    until(|| !locked(&writer.shared.rings).served);
    assert!(!writer.is_spent());
    assert_eq!(writer.close(|sink| Ok(sink.taken.clone())).expect("written"), [1]);
}

#[test]
fn an_outlet_to_nowhere_takes_everything_and_loses_nothing() {
    let mut outlet = Outlet::nowhere();
    outlet.send(1);
    assert!(!outlet.tells_failure());
    assert_eq!(outlet.lost(), 0);
}
