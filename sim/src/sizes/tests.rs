use super::*;
use crate::random::Stream;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Sizes, String> {
    Sizes::parse(text, 1, Path::new("sizes")).map_err(|error| error.to_string())
}

#[test]
fn three_ways_to_write_it_say_the_same() {
    let csv = parse("1000,0\n2000,0.5\n4000,1\n");
    let percent = parse("# bytes, percent\n1000 0\n2000 50\n4000 100\n");
    let homa = parse("2250.0\n1000 0\n2000 0.5\n4000 1.0\n");
    assert_eq!(csv, percent);
    assert_eq!(csv, homa);
    assert_eq!(csv.map(|sizes| sizes.mean()), Ok(2250.0));
}

#[test]
fn sizes_may_be_packets() {
    let packets = Sizes::parse("2.5\n1 0.25\n2 0.5\n4 1\n", 1460, Path::new("p")).expect("a distribution");
    assert_eq!(packets.longest(), 4 * 1460);
    // A quarter has one packet, a quarter one to two, half two to four.
    assert_eq!(packets.mean(), 1460.0 * (0.25 + 0.25 * 1.5 + 0.5 * 3.0));
}

#[test]
fn a_bad_line_is_named() {
    for (text, says) in [
        ("1000,0\n2000,0.5,7\n", "sizes:2: a size and a cumulative share are two numbers"),
        ("1000,0\n2000,half\n", "sizes:2: not all of it is numbers"),
        ("1000,0\n2000,-1\n", "sizes:2: not all of it is numbers"),
        ("1000,0\n2000,NaN\n", "sizes:2: not all of it is numbers"),
        ("1000,0\n500,1\n", "sizes:2: a cumulative distribution never falls"),
        ("1000,0\n2000,1.5\n", "sizes:2: a cumulative share above all"),
        ("1000 0\n2000 101\n", "sizes:2: a cumulative share above all"),
        ("1000 0.5\n2000 1\n", "sizes:1: a file in percent starts with 0"),
        ("12\n13\n", "sizes:2: a size and a cumulative share are two numbers"),
        ("185.0\n1 0.1\n15 0.47\n", "sizes: its last cumulative share is not 1"),
        ("# nothing\n\n", "sizes: no size is in it"),
        ("0,0\n0,1\n", "sizes: its flows have no bytes"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.starts_with(says), "{text:?}: {error}");
    }
    let error = Sizes::read(Path::new("no/such"), 1).expect_err("no file").to_string();
    assert!(error.starts_with("cannot read no/such: "), "{error}");
}

#[test]
fn drawn_flows_have_the_mean_that_is_said() {
    let sizes = parse("0 0\n4000 20\n8000 70\n64000 95\n2000000 100\n").expect("a distribution");
    for sizes in [sizes.clone(), sizes.at_most(30_000)] {
        let mut random = Random::new(3, Stream::Flows);
        let n = 200_000;
        let drawn = (0..n).map(|_| sizes.draw(&mut random) as f64).sum::<f64>() / f64::from(n);
        assert!((drawn / sizes.mean() - 1.0).abs() < 0.03, "{drawn} {}", sizes.mean());
    }
}

#[test]
fn the_public_files_are_read() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/flowsizes/dev"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: the folder of distributions is not here");
        return;
    };
    let mut read = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.ends_with(".md") {
            continue;
        }
        match Sizes::read(&path, 1) {
            Ok(sizes) => {
                assert!(sizes.mean() > 1.0 && sizes.mean() < sizes.longest() as f64, "{name}");
                read += 1;
            }
            // Its authors end it at 0.47 and go on with a formula.
            Err(error) => assert!(name == "homa_FacebookKeyValueMsgSizeDist.txt", "{error}"),
        }
    }
    assert!(read >= 10, "only {read} files");
    // Homa states the mean of each: the Hadoop one's is that of even spreading.
    let hadoop = Sizes::read(&folder.join("homa_Facebook_HadoopDist_All.txt"), 1).expect("readable");
    assert!((hadoop.mean() / 127_796.6 - 1.0).abs() < 0.15, "{}", hadoop.mean());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[0-9., \\n#a-z-]{0,80}") {
        if let Ok(sizes) = parse(&text) {
            let mut random = Random::new(1, Stream::Flows);
            for _ in 0..20 {
                let size = sizes.draw(&mut random);
                prop_assert!((1..=sizes.longest()).contains(&size));
            }
        }
    }
}
