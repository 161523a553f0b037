//! The environment: once per process, threads that register, where it says what is wrong.

mod setup;

use dpdk::{Eal, EalError, EalOptions, Pool, tsc_hz};

#[test]
fn eal_comes_up_once() {
    let before = tsc_hz();
    let eal = setup::eal();
    assert_eq!(Eal::init(&EalOptions::default()).unwrap_err(), EalError::AlreadyInitialised);
    assert!(tsc_hz().abs_diff(before) < before / 20, "EAL's clock rate is the measured one");
    assert!(eal.log_tail(50).len() <= 50);
}

#[test]
fn the_callers_affinity_stays() {
    let cores = || std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let allowed =
        |status: String| status.lines().find(|line| line.starts_with("Cpus_allowed:")).map(str::to_owned);
    let before = allowed(cores());
    let eal = setup::eal();
    let _guard = eal.register_thread().unwrap();
    assert_eq!(allowed(cores()), before);
}

#[test]
fn a_failure_says_what_dpdk_said_and_what_to_do() {
    let options = EalOptions { extra: vec!["--no-such-option".into()], ..EalOptions::default() };
    let error = Eal::init(&options).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EalError::Failed { .. }), "{text}");
    assert!(text.contains("--no-such-option"), "{text}");
}

#[test]
fn hugepages_that_are_not_there_are_named() {
    let free: u64 = std::fs::read_to_string("/proc/sys/vm/nr_hugepages")
        .ok()
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0);
    if free > 0 {
        println!("skipped: this machine has hugepages");
        return;
    }
    let error = Eal::init(&EalOptions { hugepages: true, ..EalOptions::default() }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("nr_hugepages"), "{text}");
}

#[test]
fn a_thread_registers_once_at_a_time_and_gets_a_cache() {
    let eal = setup::eal();
    let pool = Pool::new(&eal, "cached", 255, 64, 512, None).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..3 {
                let guard = eal.register_thread().unwrap();
                assert!(eal.register_thread().is_err(), "registered already");
                drop(pool.alloc().unwrap());
                drop(guard);
            }
        });
    });
    assert_eq!(pool.available(), 255, "what a thread's cache keeps is free");
}
