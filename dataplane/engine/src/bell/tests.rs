use super::*;
use std::iter;
use std::net::UdpSocket;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Acquire;

/// Longer than any test may take: who sleeps it out has missed a wake-up.
const FOREVER: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(1);

fn bell() -> Bell {
    let bell = Bell::default();
    bell.install().expect("an eventfd");
    bell
}

#[test]
fn who_does_not_listen_is_not_woken() {
    let bell = bell();
    bell.ring();
    bell.ring_after_fence();
    assert_eq!(bell.wait(iter::empty(), SHORT), Woken::Time);
}

#[test]
fn a_ring_between_the_last_look_and_the_sleep_ends_the_sleep() {
    for ring in [Bell::ring, Bell::ring_after_fence] {
        let bell = bell();
        bell.listen();
        ring(&bell);
        assert_eq!(bell.wait(iter::empty(), FOREVER), Woken::Bell);
    }
}

#[test]
fn several_who_ring_wake_it_once_and_end_the_listening() {
    let bell = bell();
    bell.listen();
    (0..3).for_each(|_| bell.ring());
    assert_eq!(bell.wait(iter::empty(), FOREVER), Woken::Bell);
    bell.ring();
    assert_eq!(bell.wait(iter::empty(), SHORT), Woken::Time);
    bell.listen();
    bell.ring();
    assert_eq!(bell.wait(iter::empty(), FOREVER), Woken::Bell);
}

#[test]
fn the_listening_outlasts_a_sleep_that_timers_end() {
    let bell = bell();
    bell.listen();
    assert_eq!(bell.wait(iter::empty(), SHORT), Woken::Time);
    bell.ring();
    assert_eq!(bell.wait(iter::empty(), FOREVER), Woken::Bell);
}

#[test]
fn who_became_busy_is_left_alone() {
    let bell = bell();
    bell.listen();
    bell.ignore();
    bell.ring();
    assert_eq!(bell.wait(iter::empty(), SHORT), Woken::Time);
}

#[test]
fn a_readable_file_ends_the_sleep_and_stays_readable() {
    let bell = bell();
    let (quiet, readable) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let files = || [quiet.as_fd(), readable.as_fd()].into_iter();
    assert_eq!(bell.wait(files(), SHORT), Woken::Time);
    quiet.send_to(b"packet", readable.local_addr().unwrap()).unwrap();
    assert_eq!(bell.wait(files(), FOREVER), Woken::File);
    assert_eq!(bell.wait(files(), FOREVER), Woken::File);
    bell.listen();
    bell.ring();
    assert_eq!(bell.wait(files(), FOREVER), Woken::Bell, "the bell goes before files");
    assert_eq!(readable.recv(&mut [0; 8]).unwrap(), 6);
    assert_eq!(bell.wait(files(), SHORT), Woken::Time);
}

#[test]
fn a_socket_in_error_wakes_it_once() {
    let bell = bell();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    socket.connect(nobody).unwrap();
    // The kernel's answer, port unreachable, comes within the call.
    socket.send(b"packet").unwrap();
    assert_eq!(bell.wait(iter::once(socket.as_fd()), FOREVER), Woken::File);
    assert_eq!(bell.wait(iter::once(socket.as_fd()), SHORT), Woken::Time);
}

/// A sender and a worker that sleeps whenever it has everything, as fast as they can.
fn nothing_is_slept_through(looks: u32, ring: fn(&Bell)) {
    const PACKETS: u64 = 20_000;
    let (bell, ready, taken) = (bell(), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for packet in 1..=PACKETS {
                ready.store(packet, Release);
                ring(&bell);
                // Each packet meets a worker that is about to sleep, or sleeps.
                while taken.load(Acquire) < packet {
                    std::thread::yield_now();
                }
            }
        });
        let (mut had, mut empty, mut listening) = (0, 0, false);
        while had < PACKETS {
            let now = ready.load(Acquire);
            if now > had {
                (had, empty, listening) = (now, 0, false);
                bell.ignore();
                taken.store(had, Release);
            } else if !listening {
                listening = true;
                bell.listen();
            } else if empty < looks {
                empty += 1;
            } else {
                assert_eq!(bell.wait(iter::empty(), FOREVER), Woken::Bell, "slept through packet {had}");
                (empty, listening) = (0, false);
            }
        }
    });
}

#[test]
fn nothing_from_another_worker_is_slept_through() {
    nothing_is_slept_through(128, Bell::ring);
}

#[test]
fn nothing_from_control_is_slept_through() {
    nothing_is_slept_through(1, Bell::ring_after_fence);
}
