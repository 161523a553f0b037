//! Ports on virtual devices that any user has.

mod setup;

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use dpdk::{Arrival, DpdkError, Eal, Mbufs, Port, PortConfig};
use setup::{eal, numbered, pool};

#[test]
fn a_null_port_receives_and_sends_bursts() {
    let eal = eal();
    let pool = pool(&eal, 1023);
    let port = Port::probe(&eal, "net_null0,size=60").unwrap();
    let info = port.info().unwrap();
    assert_eq!((info.driver.as_str(), info.rss_symmetric, info.socket), ("net_null", false, None));
    let (mut rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    assert!(port.link().up);
    let mut burst = Mbufs::new();
    assert_eq!(rx[0].receive(&mut burst), 32);
    assert_eq!(rx[0].receive(&mut burst), 0, "there is no room");
    assert!(burst.iter().all(|mbuf| mbuf.len() == 60 && mbuf.port() == port.id()));
    assert_eq!(tx[0].send(&mut burst), 32);
    assert!(burst.is_empty());
    let stats = port.stats();
    assert_eq!((stats.rx_packets, stats.tx_packets), (32, 32));
    drop((rx, tx));
    drop(port);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_port_starts_anew_when_its_queues_are_gone() {
    let eal = eal();
    let pools: Vec<_> = (0..4).map(|_| pool(&eal, 511)).collect();
    let port = Port::probe(&eal, "net_null0").unwrap();
    for queues in [1, 4, 2] {
        let config = PortConfig { rx_queues: queues, tx_queues: queues, ..PortConfig::default() };
        let (mut rx, tx) = port.start(&config, &pools[..usize::from(queues)]).unwrap();
        assert_eq!((rx.len(), tx.len()), (usize::from(queues), usize::from(queues)));
        assert!(matches!(port.start(&config, &pools[..usize::from(queues)]), Err(DpdkError::Busy { .. })));
        drop(tx);
        let mut last = rx.pop().unwrap();
        drop(rx);
        assert_eq!(last.receive(&mut Mbufs::new()), 32, "one queue is enough to keep it running");
    }
}

#[test]
fn ports_come_and_go() {
    let eal = eal();
    let pool = pool(&eal, 511);
    for round in 0..20 {
        let port = Port::probe(&eal, "net_null7").unwrap_or_else(|error| panic!("{round}: {error}"));
        assert!(matches!(Port::probe(&eal, "net_null7"), Err(DpdkError::Busy { .. })));
        let (rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
        drop((rx, port));
        assert_eq!(tx[0].send(&mut numbered(&pool, 3)), 3, "the queue keeps the port");
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn what_a_device_cannot_do_is_said_before_it_starts() {
    let eal = eal();
    let pool = pool(&eal, 511);
    let port = Port::probe(&eal, "net_null0").unwrap();
    let one = std::slice::from_ref(&pool);
    let two = [pool.clone(), pool.clone()];
    let config = PortConfig::default;
    for (config, pools, part) in [
        (PortConfig { rx_queues: 60_000, ..config() }, one, "60000 receive"),
        (config(), &two[..], "pools"),
        (PortConfig { mtu: Some(1), ..config() }, one, "MTU"),
        (PortConfig { rx_queues: 2, rss: true, ..config() }, &two[..], "hash"),
        (PortConfig { rx_checksum: true, ..config() }, one, "checksums"),
        (PortConfig { tx_checksum: true, ..config() }, one, "checksums"),
    ] {
        let error = port.start(&config, pools).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(port.start(&config(), one).is_ok());
}

/// How packets arrive in each queue of a device.
fn arrivals(eal: &Eal, port: &Port, queues: u16) -> Vec<&'static str> {
    let pool = pool(eal, 2047);
    let config = PortConfig { rx_queues: queues, tx_queues: queues, ..PortConfig::default() };
    let (rx, _tx) = port.start(&config, &vec![pool; usize::from(queues)]).unwrap();
    let mut files = BTreeSet::new();
    let said = rx.iter().map(|queue| match queue.arrival() {
        Arrival::Readable(file) => {
            assert!(files.insert(file.as_raw_fd()), "each has its own");
            "readable"
        }
        Arrival::Internal => "internal",
        Arrival::Unannounced => "unannounced",
    });
    said.collect()
}

#[test]
fn nothing_comes_by_itself_into_devices_without_a_world_behind_them() {
    let eal = eal();
    for device in ["net_null0", "net_ring0"] {
        assert_eq!(arrivals(&eal, &Port::probe(&eal, device).unwrap(), 2), ["internal"; 2], "{device}");
    }
}

#[test]
fn a_driver_that_tells_nothing_has_to_be_polled() {
    let eal = eal();
    let _member = Port::probe(&eal, "net_null0").unwrap();
    assert_eq!(arrivals(&eal, &bond(&eal), 1), ["unannounced"]);
}

#[test]
fn devices_on_kernel_interfaces_have_a_file_for_each_queue() {
    let eal = eal();
    let tap = match Port::probe(&eal, "net_tap0,iface=braid-arrivals") {
        Ok(tap) => tap,
        Err(error) => return println!("skipped: {error}"),
    };
    assert_eq!(arrivals(&eal, &tap, 2), ["readable"; 2]);
    let socket = Port::probe(&eal, "net_af_packet0,iface=braid-arrivals,qpairs=2").unwrap();
    assert_eq!(arrivals(&eal, &socket, 2), ["readable"; 2]);
}

#[test]
fn devices_that_are_not_there_are_explained() {
    let eal = eal();
    for (device, part) in [
        ("net_nosuch0", "no driver"),
        ("net_pcap0,rx_pcap=/nowhere/in.pcap", "/nowhere/in.pcap"),
        ("net_af_packet0,iface=nosuch0", "nosuch0"),
        ("0000:ff:1f.7", "PCI"),
        ("", "names no device"),
        ("net_null0,nonsense=1", "no argument nonsense"),
        ("net_bonding0,mode=1,slave=net_null5", "probe it first"),
    ] {
        let error = Port::probe(&eal, device).unwrap_err().to_string();
        assert!(error.contains(part), "{device}: {error}");
    }
    assert!(Port::probe(&eal, "net_null0").is_ok(), "a failed probe leaves nothing behind");
}

#[test]
fn a_queue_sends_on_another_thread_than_the_one_that_receives() {
    let eal = eal();
    let pool = pool(&eal, 1023);
    let port = Port::probe(&eal, "net_null0").unwrap();
    let (mut rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    let (to_sender, from_receiver) = std::sync::mpsc::channel::<Mbufs>();
    std::thread::scope(|scope| {
        let eal = &eal;
        scope.spawn(move || {
            let _guard = eal.register_thread().unwrap();
            for mut burst in from_receiver {
                while !burst.is_empty() {
                    tx[0].send(&mut burst);
                }
            }
        });
        let _guard = eal.register_thread().unwrap();
        for _ in 0..20 {
            let mut burst = Mbufs::new();
            while rx[0].receive(&mut burst) == 0 {}
            to_sender.send(burst).unwrap();
        }
        drop(to_sender);
    });
    assert_eq!(port.stats().tx_packets, 640);
}

#[test]
fn packets_that_cannot_be_sent_are_dropped_and_counted() {
    let eal = eal();
    let pool = pool(&eal, 127);
    let port = Port::probe(&eal, "net_null0,no-rx=1").unwrap();
    let (_rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    let mut burst = numbered(&pool, 3);
    burst.get_mut(1).unwrap().truncate(13);
    assert_eq!(tx[0].send(&mut burst), 3);
    assert_eq!((tx[0].refused(), port.stats().tx_packets), (1, 2));
    let mut burst = numbered(&pool, 2);
    let twin = burst.get_mut(0).unwrap().share();
    assert_eq!(tx[0].send(&mut burst), 2, "a shared packet is sent as a copy");
    assert!(twin.is_exclusive());
    assert_eq!(tx[0].refused(), 1);
}

/// A bond of net_null0, which has been probed.
fn bond(eal: &Eal) -> Port {
    let key = if Eal::version().contains(" 22.") { "slave" } else { "member" };
    Port::probe(eal, &format!("net_bonding0,mode=0,{key}=net_null0")).unwrap()
}

#[test]
fn a_bond_drives_its_members_and_lets_them_go() {
    let eal = eal();
    let pool = pool(&eal, 2047);
    let member = Port::probe(&eal, "net_null0").unwrap();
    let bond = bond(&eal);
    let one = std::slice::from_ref(&pool);
    assert!(matches!(member.start(&PortConfig::default(), one), Err(DpdkError::Busy { .. })));
    let (mut rx, mut tx) = bond.start(&PortConfig::default(), one).unwrap();
    drop(member);
    let mut burst = Mbufs::new();
    // A bond looks at its members' links by a timer before it uses them.
    let deadline = Instant::now() + Duration::from_secs(5);
    while rx[0].receive(&mut burst) == 0 {
        assert!(Instant::now() < deadline, "the bond receives nothing");
    }
    assert!(tx[0].send(&mut burst) > 0);
    drop((rx, tx, bond));
    let member = Port::probe(&eal, "net_null0").unwrap();
    assert!(member.start(&PortConfig::default(), one).is_ok());
}
