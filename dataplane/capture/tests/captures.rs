//! Real captures: each is read to its end or refused with a clear error, and as many packets come out as
//! Wireshark's tools count, with the same IP addresses and ports.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use capture::{CaptureError, Format, LinkType, Reader, Writer};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/captures");

/// All captures below the data's `dev` folders.
fn captures() -> Option<Vec<PathBuf>> {
    if !Path::new(DATA).is_dir() {
        println!("skipped: no captures at {DATA}");
        return None;
    }
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(DATA)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("dev"))
        .filter(|folder| folder.is_dir())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let name = name.strip_suffix(".gz").unwrap_or(name);
            if path.is_dir() {
                folders.push(path);
            } else if [".pcap", ".pcapng", ".cap"].iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Some(found)
}

/// Runs a tool of Wireshark's; none if it is not installed.
fn wireshark(tool: &str, arguments: &[&OsStr]) -> Option<Output> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: {tool}: {error} (Debian packages tshark and wireshark-common)");
            None
        }
    }
}

/// What capinfos counts; for a file that is cut short, the packets before the cut.
fn capinfos(path: &Path) -> Option<u64> {
    let output = wireshark(
        "capinfos",
        &["-c", "-M", "-T", "-r"].map(OsStr::new).into_iter().chain([path.as_os_str()]).collect::<Vec<_>>(),
    )?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(count) = text.lines().last().and_then(|line| line.rsplit('\t').next()?.trim().parse().ok()) {
        return Some(count);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let after = complaint.split("after reading ").nth(1).unwrap_or_else(|| panic!("{path:?}: {complaint}"));
    after.split(' ').next().unwrap().parse().ok()
}

/// Packets of the file, frames delivered, and how it ended.
fn read(path: &Path, mut deliver: impl FnMut(capture::Frame<'_>)) -> Result<u64, (u64, CaptureError)> {
    let mut reader = Reader::open(path).map_err(|error| (0, error))?;
    let mut delivered = 0;
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                delivered += 1;
                deliver(frame);
            }
            Ok(None) => {
                assert_eq!(delivered + reader.skipped().total(), reader.packets());
                return Ok(reader.packets());
            }
            Err(error) => return Err((reader.packets(), error)),
        }
    }
}

#[test]
fn every_capture_is_read_to_its_end_or_refused_by_name() {
    let Some(captures) = captures() else { return };
    let (mut whole, mut cut, mut refused) = (0, 0, 0);
    for path in &captures {
        let expected = match read(path, |_| {}) {
            Ok(packets) => {
                whole += 1;
                packets
            }
            Err((packets, error @ CaptureError::CutShort { .. })) => {
                println!("{error}");
                cut += 1;
                packets
            }
            Err((packets, error @ CaptureError::UnsupportedLink { .. })) => {
                println!("{error}");
                assert!(!error.to_string().contains("not in our list of names"), "{error}");
                assert_eq!(packets, 0);
                refused += 1;
                continue;
            }
            Err((packets, error @ CaptureError::NotACapture { .. })) => {
                println!("{error}");
                assert_eq!(packets, 0);
                refused += 1;
                continue;
            }
            Err((packets, error)) => panic!("after {packets} packets: {error}"),
        };
        let Some(counted) = capinfos(path) else { return };
        assert_eq!(expected, counted, "{}", path.display());
    }
    println!("{} captures: {whole} whole, {cut} cut short, {refused} refused", captures.len());
    assert!(whole > 9 * refused, "{whole} captures read, {refused} refused");
}

/// Addresses and ports of every IP packet, as tshark sees them, with the times.
fn conversation(path: &Path) -> Option<Vec<String>> {
    let fields =
        ["frame.time_epoch", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "udp.dstport"];
    let mut arguments = vec![OsStr::new("-n"), OsStr::new("-r"), path.as_os_str()];
    arguments.extend(["-Y", "ip or ipv6", "-T", "fields"].map(OsStr::new));
    arguments.extend(fields.iter().flat_map(|field| [OsStr::new("-e"), OsStr::new(field)]));
    let output = wireshark("tshark", &arguments)?;
    Some(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[test]
fn frames_made_of_other_link_types_hold_the_same_conversations() {
    let Some(captures) = captures() else { return };
    let mut link_types = Vec::new();
    for path in &captures {
        let Ok(reader) = Reader::open(path) else { continue };
        let output = std::env::temp_dir().join(format!("braid-frames-{}.pcap", std::process::id()));
        let format = Format::for_path(&output, reader.resolution());
        let mut writer = Writer::create(&output, format).unwrap();
        let mut foreign = None;
        let outcome = read(path, |frame| {
            writer.write(frame.timestamp_ns, frame.original_len, [frame.bytes]).unwrap();
            if frame.link != LinkType::Ethernet {
                foreign = Some(frame.link);
            }
        });
        writer.finish().unwrap();
        if let (Some(link), Ok(_)) = (foreign, outcome) {
            let (Some(ours), Some(theirs)) = (conversation(&output), conversation(path)) else { return };
            assert!(!theirs.is_empty() || link == LinkType::Ppp, "{}", path.display());
            assert_eq!(ours, theirs, "{}", path.display());
            link_types.push(link);
        }
        std::fs::remove_file(output).unwrap();
    }
    println!("{} captures of other link types: {link_types:?}", link_types.len());
    for wanted in [LinkType::LinuxSll, LinkType::Raw, LinkType::Null, LinkType::Ppp] {
        assert!(link_types.contains(&wanted), "no capture of {wanted:?} was compared");
    }
}

#[test]
fn what_is_read_and_written_again_is_the_same_file() {
    let output = std::env::temp_dir().join(format!("braid-again-{}.pcap", std::process::id()));
    for name in ["mixed", "dns", "http", "tls", "iperf3", "ping", "broken"] {
        let input = Path::new(EXAMPLES).join(name).with_extension("pcap");
        let resolution = Reader::open(&input).unwrap().resolution();
        let mut writer = Writer::create(&output, Format::for_path(&output, resolution)).unwrap();
        read(&input, |frame| writer.write(frame.timestamp_ns, frame.original_len, [frame.bytes]).unwrap())
            .unwrap();
        writer.finish().unwrap();
        // Bytes 16 to 20 of the file header are the snaplen, each tool's own.
        let (theirs, ours) = (std::fs::read(&input).unwrap(), std::fs::read(&output).unwrap());
        assert!(theirs[..16] == ours[..16] && theirs[20..] == ours[20..], "{name}");
    }
    std::fs::remove_file(output).unwrap();
}

#[test]
fn a_file_cut_anywhere_delivers_what_comes_before_the_cut() {
    let Some(captures) = captures() else { return };
    let cut_path = std::env::temp_dir().join(format!("braid-cut-{}", std::process::id()));
    let mut compared = 0;
    for path in captures.iter().filter(|path| path.extension() != Some(OsStr::new("gz"))).step_by(5) {
        let whole = std::fs::read(path).unwrap();
        std::fs::write(&cut_path, &whole[..whole.len() * 2 / 3]).unwrap();
        let ours = match read(&cut_path, |_| {}) {
            Ok(packets) | Err((packets, CaptureError::CutShort { .. })) => packets,
            Err((_, CaptureError::UnsupportedLink { .. })) => continue,
            Err((packets, error)) => panic!("{}: after {packets} packets: {error}", path.display()),
        };
        let Some(theirs) = capinfos(&cut_path) else { return };
        assert_eq!(ours, theirs, "{}", path.display());
        compared += 1;
    }
    std::fs::remove_file(cut_path).unwrap();
    println!("{compared} captures cut at two thirds");
    assert!(compared > 30);
}
