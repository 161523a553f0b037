//! Changes of the configuration under traffic: this process is both neighbours of a running `braid`, over two
//! shared-memory ports; it numbers the packets of 256 flows and looks at every one that comes back.

mod rig;

use dpdk::{Eal, EalOptions, Mbufs, Pool, Port, PortConfig, RxQueue, TxQueue};
use rig::{Folder, Run, assert_balanced, call};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::builder::Builder;

const FLOWS: usize = 256;
const CHANGES: usize = 1000;
/// How often the number of workers changes.
const SCALES: usize = 60;
/// Where a frame's number is: behind Ethernet, IPv4 and UDP.
const NUMBER: usize = 42;
/// Where the UDP checksum is. It is 0, none (RFC 768), as the number changes.
const CHECKSUM: usize = 40;
/// Packets on the way at once while the most that goes is sought: half of what a device's ring holds, so none is lost.
const WINDOW: u64 = 8192;
/// Packets that are sent at once after a time without a core.
const CATCH_UP: u64 = 2048;
/// As a power of two, the descriptors of each ring of the devices: what comes in during a pause waits there.
const RING: u32 = 14;

/// One test at a time has the devices.
static DEVICES: Mutex<()> = Mutex::new(());

/// The neighbour on the left, which sends, and the one on the right, which receives.
struct Neighbours {
    pool: Pool,
    out: TxQueue,
    back: RxQueue,
    _idle: (TxQueue, RxQueue),
    ports: [Port; 2],
    frames: Vec<Vec<u8>>,
    /// By flow: the number of the next packet to send, and of the next one to come back.
    next: Vec<(u64, u64)>,
    turn: usize,
    sent: u64,
    returned: u64,
    faults: Vec<String>,
    burst: Mbufs,
}

impl Neighbours {
    fn new(folder: &Folder) -> Neighbours {
        let options = EalOptions { memory_mb: 256, ..EalOptions::default() };
        let eal = Eal::init(&options).expect("DPDK starts without hugepages");
        let pool = Pool::new(&eal, "neighbours", 32_768, 256, 512, None).expect("a pool");
        let open = |id: u32| {
            let device = device("server", id, folder);
            let port = Port::probe(&eal, &device).expect("a memif");
            let (rx, tx) =
                port.start(&PortConfig::default(), std::slice::from_ref(&pool)).expect("it starts");
            (port, rx.into_iter().next().expect("a queue"), tx.into_iter().next().expect("a queue"))
        };
        let (left, left_rx, out) = open(0);
        let (right, back, right_tx) = open(1);
        let frame = |flow: usize| {
            let mut frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
                .ipv4([10, 0, 0, flow as u8], [10, 9, 0, 1])
                .udp(1024 + flow as u16, 4000)
                .payload(&[0; 10])
                .pad_to(60)
                .build();
            frame[CHECKSUM..CHECKSUM + 2].fill(0);
            frame[NUMBER + 8..NUMBER + 10].copy_from_slice(&(flow as u16).to_be_bytes());
            frame
        };
        Neighbours {
            pool,
            out,
            back,
            _idle: (right_tx, left_rx),
            ports: [left, right],
            frames: (0..FLOWS).map(frame).collect(),
            next: vec![(0, 0); FLOWS],
            turn: 0,
            sent: 0,
            returned: 0,
            faults: Vec::new(),
            burst: Mbufs::new(),
        }
    }

    fn wait_for_links(&mut self) {
        let begun = Instant::now();
        while !self.ports.iter().all(|port| port.link().up) {
            assert!(begun.elapsed() < Duration::from_secs(20), "braid's ports do not connect");
            std::thread::sleep(Duration::from_millis(5));
        }
        // The other side gives its ring room when it first looks at it.
        while self.send(1) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "braid does not receive");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.settle();
    }

    /// Sends the next `count` packets, at most a burst, flow after flow. Returns how many the device had no room
    /// for; these are not sent.
    fn send(&mut self, count: usize) -> usize {
        let count = count.min(dpdk::BURST);
        assert!(self.pool.alloc_bulk(&mut self.burst, count), "packets never came back to the pool");
        for (i, mbuf) in self.burst.iter_mut().enumerate() {
            let flow = (self.turn + i) % FLOWS;
            let frame = &mut self.frames[flow];
            frame[NUMBER..NUMBER + 8].copy_from_slice(&self.next[flow].0.to_be_bytes());
            assert!(mbuf.fill(frame), "a frame fits into a buffer");
        }
        let taken = self.out.send(&mut self.burst);
        self.burst.clear();
        for _ in 0..taken {
            self.next[self.turn].0 += 1;
            self.turn = (self.turn + 1) % FLOWS;
        }
        self.sent += taken as u64;
        count - taken
    }

    /// Looks at everything that has come back. Returns how many there were.
    fn receive(&mut self) -> usize {
        let mut received = 0;
        loop {
            if self.back.receive(&mut self.burst) == 0 {
                return received;
            }
            for i in 0..self.burst.len() {
                let numbers = self.burst.get(i).and_then(|mbuf| numbers(mbuf.data()));
                let Some((flow, number)) = numbers else {
                    self.note("a frame that was never sent".to_owned());
                    continue;
                };
                let expected = self.next[flow].1;
                if number != expected {
                    self.note(format!("flow {flow}: packet {number} came in place of {expected}"));
                }
                self.next[flow].1 = self.next[flow].1.max(number + 1);
            }
            received += self.burst.len();
            self.returned += self.burst.len() as u64;
            self.burst.clear();
        }
    }

    fn note(&mut self, fault: String) {
        if self.faults.len() < 10 {
            self.faults.push(fault);
        }
    }

    /// As fast as it goes without loss, for a while: packets per second.
    fn saturate(&mut self, time: Duration) -> f64 {
        let (begun, before) = (Instant::now(), self.returned);
        while begun.elapsed() < time {
            let room = WINDOW.saturating_sub(self.sent - self.returned);
            if room > 0 && self.send(room as usize) > 0 {
                self.note("no room within the window".to_owned());
            }
            if self.receive() == 0 && room == 0 {
                // The other side may share this core.
                std::thread::yield_now();
            }
        }
        (self.returned - before) as f64 / begun.elapsed().as_secs_f64()
    }

    /// At `rate` packets per second until `over` is set. When this thread itself had no core for long, it lets
    /// go what it should have sent meanwhile, rather than to send faster than a wire. Returns the rate that was.
    fn stream(&mut self, rate: f64, over: &AtomicBool) -> f64 {
        let (begun, before) = (Instant::now(), self.sent);
        let mut planned = 0;
        while !over.load(Ordering::Acquire) {
            let due = (begun.elapsed().as_secs_f64() * rate) as u64;
            let mut late = (due - planned).min(CATCH_UP) as usize;
            planned = due;
            while late > 0 {
                let refused = self.send(late);
                if refused > 0 {
                    // On a wire these would be lost.
                    self.note(format!("the device had no room for {refused} of a burst"));
                }
                late = late.saturating_sub(dpdk::BURST);
                self.receive();
            }
            self.receive();
            std::thread::sleep(Duration::from_micros(50));
        }
        (self.sent - before) as f64 / begun.elapsed().as_secs_f64()
    }

    /// What goes without loss by the least of these: workers share the cores there are with this process, so more of them
    /// may be slower.
    fn least_saturation<T>(&mut self, steps: &[T], mut change: impl FnMut(&T)) -> f64 {
        let saturation = |step| {
            change(step);
            let saturation = self.saturate(Duration::from_millis(500));
            self.settle();
            saturation
        };
        let saturations: Vec<f64> = steps.iter().map(saturation).collect();
        assert_eq!(self.faults, [""; 0], "as fast as it goes");
        println!("saturation {saturations:.0?} packets/s");
        saturations.into_iter().fold(f64::INFINITY, f64::min)
    }

    /// Streams while `changes` happen. Returns what they did, and the rate that was.
    fn stream_during<T: Send>(&mut self, rate: f64, changes: impl FnOnce() -> T + Send) -> (T, f64) {
        let over = AtomicBool::new(false);
        let done = std::thread::scope(|scope| {
            let changes = scope.spawn(|| {
                let _over = Over(&over);
                changes()
            });
            let rate = self.stream(rate, &over);
            (changes.join().expect("all changes are applied"), rate)
        });
        self.settle();
        done
    }

    /// Ends the run: every packet came back once and in order, and each of these files of a monitor has the flows of all
    /// packets from the first one on.
    fn check(&self, run: Run<'_>, folder: &Folder, files: &[&str]) -> engine::Snapshot {
        let ended = run.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let account = ended.account();
        assert_balanced(&account);
        assert!(account.packets.dropped.is_empty(), "{:?}, faults {:?}", account.packets, self.faults);
        assert_eq!(self.faults, [""; 0], "{:?}", account.packets);
        assert_eq!(
            (self.returned, account.packets.sent),
            (self.sent, self.sent),
            "every packet came back once"
        );
        for file in files {
            let flows: Vec<Value> = folder
                .read(file)
                .lines()
                .map(|line| serde_json::from_str(line).expect("a flow a line"))
                .collect();
            assert_eq!(flows.len(), FLOWS, "{file}");
            let counted: u64 = flows.iter().map(|flow| flow["packets"].as_u64().expect("packets")).sum();
            assert_eq!(counted, self.sent, "the flows of {file}");
        }
        account
    }

    /// Waits for what is still on its way.
    fn settle(&mut self) {
        let mut last = Instant::now();
        while self.returned < self.sent && last.elapsed() < Duration::from_secs(2) {
            if self.receive() > 0 {
                last = Instant::now();
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Flow and number of a frame, if it is one of ours.
fn numbers(frame: &[u8]) -> Option<(usize, u64)> {
    let number = u64::from_be_bytes(frame.get(NUMBER..NUMBER + 8)?.try_into().ok()?);
    let flow = u16::from_be_bytes(frame.get(NUMBER + 8..NUMBER + 10)?.try_into().ok()?);
    (usize::from(flow) < FLOWS).then_some((usize::from(flow), number))
}

fn device(role: &str, id: u32, folder: &Folder) -> String {
    let socket = folder.path(&format!("memif{id}.sock"));
    format!(
        "net_memif{id},role={role},id={id},socket={},socket-abstract=no,rsize={RING},bsize=512",
        socket.display()
    )
}

/// The configuration after `step` changes: rules, workers, ports, chains and tables come and go in turn.
fn config(step: usize, folder: &Folder) -> String {
    let workers = [1, 2, 3, 2][step % 4];
    let denied = 9000 + step % 97;
    let capacity = if step % 10 < 5 { 4096 } else { 8192 };
    let chain = if step % 14 < 7 { "outward" } else { "egress" };
    let side = if step % 3 == 1 {
        let number = 10 + step % 5;
        format!(
            "[ports.side{number}]\ndevice = \"net_null{number},no-rx=1\"\n\
             [[chain]]\nname = \"side\"\nfrom = \"lan\"\nmatch = \"tcp\"\npath = [\"edge\"]\nto = \"side{number}\"\n"
        )
    } else {
        String::new()
    };
    let (lan, wan) = (device("client", 0, folder), device("client", 1, folder));
    format!(
        r#"[engine]
workers = {workers}
idle = "adaptive"
buffers = {{ count = 65536, size = 1600 }}
socket = "braid.sock"
[ports.lan]
device = "{lan}"
[ports.wan]
device = "{wan}"
[nf.edge]
kind = "firewall"
rules = ["deny udp to any port {denied}", "allow udp from 10.0.0.0/8"]
[nf.watch]
kind = "monitor"
capacity = {capacity}
flows = "flows.jsonl"
{side}[[chain]]
name = "{chain}"
from = "lan"
match = "ip"
path = ["edge", "watch"]
to = "wan"
"#
    )
}

/// The value below which `share` of the sorted ones are.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

#[test]
fn a_thousand_changes_under_traffic_lose_and_reorder_nothing() {
    let _turn = alone();
    let folder = Folder::new("hitless");
    let mut neighbours = Neighbours::new(&folder);
    let run = Run::start(&folder, &config(0, &folder));
    neighbours.wait_for_links();

    let mut client = run.client();
    let mut change = |step| {
        let applied = call(&mut client, "config.apply", json!({ "config": config(step, &folder) }));
        assert_eq!(applied["generation"], json!(step + 1), "{applied}");
        applied["pause_us"].as_f64().expect("a pause")
    };
    // With 2, 3, 2 and 1 workers.
    let saturation = neighbours.least_saturation(&[1, 2, 3, 4], |step| {
        change(*step);
    });
    let begun = Instant::now();
    let changes = || (5..5 + CHANGES).map(change).collect::<Vec<f64>>();
    let (pauses, rate) = neighbours.stream_during(saturation / 2.0, changes);
    tell(pauses, rate, begun.elapsed(), neighbours.sent);
    assert!(rate > saturation * 0.4, "{rate} packets/s is not about half of {saturation}");
    neighbours.check(run, &folder, &["flows.jsonl"]);
}

/// Two monitors that look at each packet at the same time, with these settings of the engine.
fn side_by_side(settings: &str, folder: &Folder) -> String {
    let (lan, wan) = (device("client", 0, folder), device("client", 1, folder));
    format!(
        r#"[engine]
{settings}
helpers = 1
idle = "adaptive"
buffers = {{ count = 65536, size = 1600 }}
socket = "braid.sock"
[ports.lan]
device = "{lan}"
[ports.wan]
device = "{wan}"
[nf.watch]
kind = "monitor"
flows = "watch.jsonl"
[nf.count]
kind = "monitor"
flows = "count.jsonl"
[[chain]]
name = "all"
from = "lan"
match = "ip"
path = ["watch", "count"]
to = "wan"
parallel = "max"
branch_timeout = "30s"
"#
    )
}

#[test]
fn workers_with_helpers_come_and_go_under_traffic_and_nothing_is_lost_or_reordered() {
    let _turn = alone();
    let folder = Folder::new("scaling");
    let mut neighbours = Neighbours::new(&folder);
    let run = Run::start(&folder, &side_by_side("workers = 1", &folder));
    neighbours.wait_for_links();
    let mut client = run.client();
    let mut scale = |workers: usize| {
        let scaled = call(&mut client, "engine.scale", json!({ "workers": workers }));
        assert_eq!(scaled["workers"], json!(workers), "{scaled}");
        scaled["pause_us"].as_f64().unwrap_or(0.0)
    };
    let saturation = neighbours.least_saturation(&[1, 2, 3], |workers| {
        scale(*workers);
    });
    let begun = Instant::now();
    let mut change = |step: usize| {
        // Six threads and two neighbours may share two cores: between changes they have to catch up.
        std::thread::sleep(Duration::from_millis(20));
        scale([1, 3, 2, 1, 2, 3][step % 6])
    };
    let changes = || (0..SCALES).map(&mut change).collect::<Vec<f64>>();
    let (pauses, rate) = neighbours.stream_during(saturation / 6.0, changes);
    tell(pauses, rate, begun.elapsed(), neighbours.sent);

    let mut client = run.client();
    let chains = call(&mut client, "chain.list", json!({}));
    assert_eq!(
        (&chains[0]["segment"], &chains[0]["helpers"]),
        (&json!("watch | count"), &json!(1)),
        "{chains}"
    );
    let config = call(&mut client, "config.get", json!({}));
    assert!(config["config"].as_str().is_some_and(|text| text.contains("workers = 3")), "{config}");
    let account = neighbours.check(run, &folder, &["watch.jsonl", "count.jsonl"]);
    assert!(account.chains["all"].fork.is_some_and(|fork| fork.forks > 0), "{:?}", account.chains["all"]);
}

#[test]
fn a_worker_comes_with_the_load_and_goes_with_it() {
    let _turn = alone();
    let folder = Folder::new("load");
    let mut neighbours = Neighbours::new(&folder);
    let scale = "scale = { min = 1, max = 2, up = 0.2, down = 0.1, every = \"200ms\" }";
    let run = Run::start(&folder, &side_by_side(scale, &folder));
    neighbours.wait_for_links();
    let mut client = run.client();
    for _ in 0..2 {
        for workers in [2, 1] {
            let begun = Instant::now();
            while rig::stats(&mut client).workers.len() != workers {
                assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", rig::stats(&mut client).workers);
                if workers == 2 {
                    neighbours.saturate(Duration::from_millis(300));
                } else {
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            neighbours.settle();
        }
    }
    neighbours.check(run, &folder, &["watch.jsonl", "count.jsonl"]);
}

/// The devices, and the machine as far as that can be had.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    // What else runs on the machine is not what is tested; without the right to it, it has to be quiet.
    if let Err(error) = rustix::process::nice(-10) {
        println!("at the ordinary priority: {error}");
    }
    DEVICES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(mut pauses: Vec<f64>, rate: f64, took: Duration, sent: u64) {
    pauses.sort_by(f64::total_cmp);
    println!(
        "sent at {rate:.0} packets/s; {} changes in {:.1} s; pauses p50 {:.0} µs, p99 {:.0} µs, max {:.0} µs; {sent} packets",
        pauses.len(),
        took.as_secs_f64(),
        percentile(&pauses, 0.5),
        percentile(&pauses, 0.99),
        percentile(&pauses, 1.0),
    );
}

/// Tells the neighbours when the changes are over, also when one failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
