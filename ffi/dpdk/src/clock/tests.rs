use super::*;

#[test]
fn the_counter_advances_at_the_stated_rate() {
    let hz = tsc_hz();
    let (start, ticks) = (Instant::now(), tsc());
    std::thread::sleep(Duration::from_millis(50));
    let seconds = (tsc() - ticks) as f64 / hz as f64;
    let really = start.elapsed().as_secs_f64();
    assert!((seconds / really - 1.0).abs() < 0.05, "{seconds} s counted in {really} s");
}

#[test]
fn a_thread_is_on_a_node_that_the_kernel_lists() {
    let node = thread_socket().expect("Linux tells the node");
    let listed = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_else(|_| "0".into());
    let highest: u32 = listed.trim().rsplit([',', '-']).next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(node <= highest, "node {node}, the kernel lists {listed}");
}
