use std::sync::mpsc;

use super::*;

// The counters are the process's: one test, so that threads of another do not disturb it.
#[test]
fn grace_waits_for_open_passages_and_for_no_later_ones() {
    assert!(grace(), "nobody is inside");

    let outsider = enter();
    assert!(!grace(), "an outsider is inside");
    drop(outsider);
    assert!(grace());

    let (to_lcore, orders) = mpsc::channel::<()>();
    let (reports, from_lcore) = mpsc::channel::<()>();
    let lcore = std::thread::spawn(move || {
        register(7);
        assert!(is_registered());
        let passage = enter();
        drop(enter());
        reports.send(()).unwrap();
        orders.recv().unwrap();
        drop(passage);
        reports.send(()).unwrap();
        orders.recv().unwrap();
        unregister();
        assert!(!is_registered());
    });
    from_lcore.recv().unwrap();
    assert!(!grace(), "the lcore is inside, though a nested passage has ended");
    to_lcore.send(()).unwrap();
    from_lcore.recv().unwrap();
    assert!(grace(), "the lcore is outside");
    to_lcore.send(()).unwrap();
    lcore.join().unwrap();
}
