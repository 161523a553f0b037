//! Real captures: nothing is lost by a change of instances half way.

use super::*;
use std::path::{Path, PathBuf};

const PLAN: &str = "pool = [\"203.0.113.0/29\"]\nfiltering = \"address_dependent\"\nuntranslated = \"pass\"\ncapacity = 4096";

fn bench() -> Bench {
    let config = format!("inside = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\"]\n{PLAN}");
    let plan = Plan::new(&toml::from_str(&config).expect("a configuration"), &Site::default()).expect("good");
    let nat = Nat::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 7 });
    Bench { nat, now: Time::ZERO }
}

fn frames(path: &Path) -> Vec<(Time, Vec<u8>)> {
    let Ok(mut reader) = capture::Reader::open(path) else { return Vec::new() };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next() {
        frames.push((Time::from_nanos(frame.timestamp_ns), frame.bytes.to_vec()));
    }
    frames
}

fn play(nat: &mut Bench, frames: &[(Time, Vec<u8>)]) -> Vec<Result<Vec<u8>, &'static str>> {
    let play = |(at, frame): &(Time, Vec<u8>)| {
        nat.now = *at;
        nat.nat.translator.expire(*at, PER_TICK);
        let headers = wire::parse(frame);
        if !headers.is_ipv4() || headers.malformed().is_some() {
            return Err("not ours");
        }
        nat.send_unchecked(frame)
    };
    frames.iter().map(play).collect()
}

#[test]
fn real_captures_go_on_as_if_nothing_had_happened() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev"));
    let Ok(all) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let (mut captures, mut translated) = (0, 0);
    for path in all.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        let mut frames = frames(&path);
        frames.truncate(4000);
        frames.sort_by_key(|(at, _)| *at);
        let (first, second) = frames.split_at(frames.len() / 2);
        let mut whole = bench();
        let mut expected = play(&mut whole, first);
        expected.extend(play(&mut whole, second));
        let (mut old, mut new) = (bench(), bench());
        let mut got = play(&mut old, first);
        new.nat.import(&records(&old.nat)).expect("its own records");
        got.extend(play(&mut new, second));
        assert!(got == expected, "{}", path.display());
        assert_eq!(records(&new.nat), records(&whole.nat), "{}", path.display());
        captures += 1;
        translated += got.iter().filter(|out| out.is_ok()).count();
    }
    assert!(captures > 50 && translated > 10_000, "{captures} captures, {translated} packets");
}
