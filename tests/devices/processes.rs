//! Devices that lead to another process: memif, vhost, virtio_user; to a second `braid` and to `dpdk-testpmd`.

use crate::files::{finish_after, frames, mixed_lengths};
use crate::rig::{Folder, Run, call};
use serde_json::json;
use std::fs::File;
use std::process::{Child, Command, Stdio};

/// From the capture to the device, jumbo frames too.
fn sender(device: &str, capture: &str) -> String {
    format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n[ports.in]\ndevice = \"pcap:{capture}\"\n\
         [ports.link]\ndevice = \"{device}\"\nmtu = 9000\n[[chain]]\nname = \"all\"\nfrom = \"in\"\nto = \"link\"\n"
    )
}

/// From the device to the capture.
fn receiver(device: &str) -> String {
    format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n[ports.link]\ndevice = \"{device}\"\nmtu = 9000\n\
         [ports.out]\ndevice = \"pcap:out.pcap\"\n[[chain]]\nname = \"all\"\nfrom = \"link\"\nto = \"out\"\n"
    )
}

/// One `braid` sends frames of up to 9014 bytes, in several segments, to another, which was there first.
fn from_one_to_the_other(test: &str, near: &str, far: &str) {
    let here = Folder::new(&format!("devices-{test}-here"));
    let there = Folder::new(&format!("devices-{test}-there"));
    mixed_lengths(&here.path("in.pcap"));
    let link = there.path("link");
    let device = |device: &str| device.replace("LINK", &link.display().to_string());
    let receiving = Run::start(&there, &receiver(&device(far)));
    let mut events = receiving.client();
    call(&mut events, "events.subscribe", json!({}));
    // Captures are played at once, and end the run: what does not go out at once waits.
    let sending = Run::spawn(&here, &sender(&device(near), "in.pcap"), &[]).wait();
    assert_eq!(sending.code, Some(0), "{}", sending.err);
    let account = sending.account();
    assert_eq!(account.ports["link"].sent, 200, "{:?}", account.packets);
    finish_after(receiving, "out", 200);
    let (sent, arrived) = (frames(&here.path("in.pcap")), frames(&there.path("out.pcap")));
    assert!(sent == arrived, "the frames arrive whole and in order: {} of {}", arrived.len(), sent.len());
    let mut seen = Vec::new();
    while let Ok(event) = events.notification() {
        seen.push(event["params"]["name"].as_str().unwrap_or_default().to_owned());
    }
    assert!(seen.starts_with(&["link_up".to_owned()]), "the link comes up with the peer: {seen:?}");
}

#[test]
fn memif_between_two_braids_carries_jumbo_frames() {
    let socket = "id=0,socket=LINK,socket-abstract=no";
    from_one_to_the_other(
        "memif",
        &format!("net_memif0,role=client,{socket}"),
        &format!("net_memif0,role=server,{socket}"),
    );
}

#[test]
fn vhost_and_virtio_user_between_two_braids_carry_jumbo_frames() {
    from_one_to_the_other("vhost", "net_virtio_user0,path=LINK", "net_vhost0,iface=LINK");
}

#[test]
fn a_memif_client_without_a_server_is_told_so() {
    let folder = Folder::new("devices-alone");
    mixed_lengths(&folder.path("in.pcap"));
    let device =
        format!("net_memif0,role=client,socket={},socket-abstract=no", folder.path("link").display());
    let refused = Run::spawn(&folder, &sender(&device, "in.pcap"), &[]).wait();
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("Failed to connect socket"), "{}", refused.err);
}

#[test]
fn a_memif_server_that_nobody_connects_to_still_stops() {
    let folder = Folder::new("devices-lonely");
    mixed_lengths(&folder.path("in.pcap"));
    let device =
        format!("net_memif0,role=server,socket={},socket-abstract=no", folder.path("link").display());
    let ended = Run::spawn(&folder, &sender(&device, "in.pcap"), &[]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_eq!(account.packets.dropped.get("link.tx_full"), Some(&200), "{:?}", account.packets);
    assert!(account.packets.balanced());
}

/// `dpdk-testpmd` that sends back what it receives on one device; ended with the test.
struct Testpmd(Child);

impl Testpmd {
    fn start(folder: &Folder, device: &str) -> Option<Testpmd> {
        let prefix = format!("--file-prefix=braid-testpmd-{}", std::process::id());
        let vdev = format!("--vdev={device}");
        let eal =
            ["--no-huge", "-m", "256", "--no-shconf", "--no-telemetry", "--no-pci", "--single-file-segments"];
        let own = [
            "--forward-mode=macswap",
            "--port-topology=loop",
            "--no-mlockall",
            "--no-flush-rx",
            "--total-num-mbufs=4096",
        ];
        let log = || File::create(folder.path("testpmd")).expect("a file");
        let child = Command::new("dpdk-testpmd")
            .args(eal)
            .args([&prefix, &vdev])
            .args(["--", "--auto-start"])
            .args(own)
            // It ends when there is nothing more to read: an open pipe keeps it.
            .stdin(Stdio::piped())
            .stdout(log())
            .stderr(log())
            .spawn();
        match child {
            Ok(child) => Some(Testpmd(child)),
            Err(error) => {
                println!("skipped: dpdk-testpmd: {error}");
                None
            }
        }
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// testpmd swaps the addresses of what it gets and sends it back.
fn there_and_back(test: &str, near: &str, far: &str) {
    let folder = Folder::new(&format!("devices-{test}"));
    let source = crate::rig::example("dns.pcap");
    let link = folder.path("link");
    let device = |device: &str| device.replace("LINK", &link.display().to_string());
    let config = format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n[ports.in]\ndevice = \"net_pcap0,rx_pcap={}\"\n\
         [ports.link]\ndevice = \"{}\"\n[ports.out]\ndevice = \"pcap:out.pcap\"\n\
         [[chain]]\nname = \"there\"\nfrom = \"in\"\nto = \"link\"\n\
         [[chain]]\nname = \"back\"\nfrom = \"link\"\nto = \"out\"\n",
        source.display(),
        device(near)
    );
    let mut sent = frames(&source);
    // testpmd drops what finds the device's ring full; fewer than its 256 places never do.
    assert!(sent.len() < 256, "the capture has {} frames", sent.len());
    let braid = Run::start(&folder, &config);
    let Some(_testpmd) = Testpmd::start(&folder, &device(far)) else { return };
    finish_after(braid, "out", sent.len() as u64);
    for frame in &mut sent {
        let (destination, rest) = frame.split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
    }
    assert!(sent == frames(&folder.path("out.pcap")), "every frame comes back with its addresses swapped");
}

#[test]
fn memif_to_testpmd_and_back() {
    let socket = "id=0,socket=LINK,socket-abstract=no";
    there_and_back(
        "memif-testpmd",
        &format!("net_memif0,role=server,{socket}"),
        &format!("net_memif0,role=client,{socket}"),
    );
}

#[test]
fn vhost_to_testpmd_and_back() {
    there_and_back("vhost-testpmd", "net_vhost0,iface=LINK", "net_virtio_user0,path=LINK");
}
