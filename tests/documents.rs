//! The documents are true: links lead somewhere, configurations are good, commands work, the worked example builds.
//!
//! Conventions in Markdown files:
//! - A `toml` block is a configuration, or a part of one that is completed here with ports and a chain.
//! - The `console run` blocks of a file are one script, run at the root of the project with `braid` in the path.
//!   Lines that begin with `$ ` are commands (with the lines of a here-document behind them), the others are output,
//!   which is for the reader and not compared. Every command has to succeed.

#[path = "documents/measured.rs"]
mod measured;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BRAID: &str = env!("CARGO_BIN_EXE_braid");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the project whose name ends so, without what builds leave behind.
fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !path.is_symlink() {
                if !name.starts_with('.') && !name.starts_with("target") {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} anywhere");
    found
}

/// A Markdown file.
struct Page {
    path: PathBuf,
    blocks: Vec<Block>,
    /// What is not in blocks.
    prose: String,
}

/// A fenced block: what stands behind the fence, and its lines.
struct Block {
    info: String,
    line: usize,
    text: String,
}

impl Page {
    fn read(path: PathBuf) -> Page {
        let text = fs::read_to_string(&path).expect("readable");
        let (mut blocks, mut prose, mut open) = (Vec::new(), String::new(), None::<Block>);
        for (number, line) in text.lines().enumerate() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(info), None) => {
                    open =
                        Some(Block { info: info.trim().to_owned(), line: number + 1, text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => writeln!(block.text, "{line}").expect("strings take all"),
                (None, None) => writeln!(prose, "{line}").expect("strings take all"),
            }
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
        Page { path, blocks, prose }
    }

    /// Relative to the project.
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    /// The targets of its links.
    fn links(&self) -> Vec<&str> {
        let parts = self.prose.split("](").skip(1);
        parts.filter_map(|part| part.split_once(')')).map(|(target, _)| target).collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        headings
            .map(|line| {
                let title = line.trim_start_matches('#').trim().to_lowercase();
                let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                kept.map(|c| if c == ' ' { '-' } else { c }).collect()
            })
            .collect()
    }
}

fn pages() -> Vec<Page> {
    files(".md").into_iter().map(Page::read).collect()
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("braid-documents-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `None` when the configuration is good; else what is wrong with it. That this machine lacks the cores that it
/// names is no fault of the document.
fn check(program: &Path, file: &Path) -> Option<String> {
    let output = Command::new(program).arg("check").arg(file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut errors = said.lines().filter(|line| line.contains(": error: "));
    let good = output.status.success()
        || errors.clone().count() > 0 && errors.all(|line| line.contains("may not run on core"));
    (!good).then_some(said)
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut dead = String::new();
    for page in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = page.path.parent().expect("a file is in a folder");
            let place = if target.is_empty() { page.path.clone() } else { folder.join(target) };
            let Ok(place) = place.canonicalize() else {
                writeln!(dead, "{}: there is no {link}", page.name()).expect("strings take all");
                continue;
            };
            if !anchor.is_empty() {
                let known = pages.iter().any(|page| {
                    page.path.canonicalize().is_ok_and(|path| path == place)
                        && page.anchors().contains(anchor)
                });
                if !known {
                    writeln!(dead, "{}: there is no heading for {link}", page.name())
                        .expect("strings take all");
                }
            }
        }
    }
    assert!(dead.is_empty(), "{dead}");
}

#[test]
fn every_page_of_docs_can_be_reached_from_the_readme() {
    let start = root().join("README.md").canonicalize().expect("README.md");
    let (mut reached, mut left) = (BTreeSet::new(), vec![start]);
    while let Some(path) = left.pop() {
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = path.parent().expect("a file is in a folder").to_owned();
        let page = Page::read(path);
        let targets = page.links().into_iter().map(|link| link.split('#').next().unwrap_or_default());
        let pages = targets.filter(|target| target.ends_with(".md") && !target.contains("://"));
        left.extend(pages.filter_map(|target| folder.join(target).canonicalize().ok()));
    }
    for page in pages().iter().filter(|page| page.name().starts_with("docs/")) {
        let path = page.path.canonicalize().expect("it is there");
        assert!(reached.contains(&path), "no way leads to {}", page.name());
    }
}

#[test]
fn every_configuration_in_a_document_is_good() {
    let folder = Folder::new("toml");
    let capture = root().join("examples/captures/dns.pcap");
    symlink(capture, folder.0.join("in.pcap")).expect("link");
    fs::write(folder.0.join("edge.rules"), "allow ip\n").expect("write");
    symlink(root().join("examples/assets"), folder.0.join("assets")).expect("link");
    let rule = "alert udp any any -> any 53 (content:\"word\"; sid:1;)\n";
    fs::write(folder.0.join("local.rules"), rule).expect("write");
    let mut bad = String::new();
    let mut checked = 0;
    for page in pages() {
        // The documents of another binary's NFs are checked with that binary.
        if page.name().starts_with("examples/own-nf") {
            continue;
        }
        for block in page.blocks.iter().filter(|block| block.info == "toml") {
            let file = folder.0.join("document.toml");
            fs::write(&file, completed(&block.text)).expect("write");
            checked += 1;
            if let Some(said) = check(Path::new(BRAID), &file) {
                writeln!(bad, "{}, block at line {}:\n{said}", page.name(), block.line)
                    .expect("strings take all");
            }
        }
    }
    assert!(bad.is_empty(), "{bad}");
    assert!(checked >= 8, "only {checked} blocks: has the convention changed?");
}

/// A part of a configuration with what it lacks to be a whole one.
fn completed(text: &str) -> String {
    let mut whole = text.to_owned();
    if !whole.contains("[[chain]]") {
        let names = text.lines().filter_map(|line| line.strip_prefix("[nf.")?.strip_suffix(']'));
        // `[nf.edge.encap]` is a table of the NF `edge`.
        let names = names.filter(|name| !name.contains('.'));
        let path: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        let path = path.join(", ");
        write!(whole, "\n[[chain]]\nname = \"all\"\nfrom = \"lan\"\npath = [{path}]\nto = \"wan\"\n")
            .expect("strings take all");
    }
    if !whole.contains("[ports.") {
        // An NF behind ports names its own.
        let mut names = vec!["lan", "wan", "dmz"];
        let own = text.split(['{', ',', '\n']).filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            let name = value.trim().strip_prefix('"')?.split('"').next()?;
            ["out", "in"].contains(&key.trim()).then_some(name)
        });
        for name in own {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        for (number, name) in names.iter().enumerate() {
            write!(whole, "\n[ports.{name}]\ndevice = \"net_null{number}\"\n").expect("strings take all");
        }
    }
    whole
}

#[test]
fn every_example_is_good() {
    // Where the examples write to.
    fs::create_dir_all(root().join("target/demo")).expect("folder");
    let examples = fs::read_dir(root().join("examples")).expect("examples");
    let mut checked = 0;
    for entry in examples {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            assert_eq!(check(Path::new(BRAID), &path), None, "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked >= 5, "only {checked} examples");
}

#[test]
fn every_command_of_the_documents_works() {
    let bin = Path::new(BRAID).parent().expect("a program is in a folder");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    for page in pages() {
        let blocks = page.blocks.iter().filter(|block| block.info == "console run");
        let script: String = blocks.map(|block| commands(&block.text)).collect();
        if script.is_empty() {
            continue;
        }
        ran += 1;
        // What a page leaves running ends with it, also when a command fails.
        let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
        let output = Command::new("timeout")
            .args(["--kill-after=5", "100", "bash", "-c", &script])
            .current_dir(root())
            .env("PATH", &path)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{}: {}", page.name(), ending(&output));
    }
    assert!(ran >= 3, "only {ran} pages with commands: has the convention changed?");
}

/// The commands of a block, without their output.
fn commands(text: &str) -> String {
    let mut script = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        writeln!(script, "{command}").expect("strings take all");
        if command.contains("<<'EOF'") {
            for line in lines.by_ref() {
                writeln!(script, "{line}").expect("strings take all");
                if line == "EOF" {
                    break;
                }
            }
        }
    }
    script
}

/// The exit status and the last lines of what was said.
fn ending(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    format!("{}\n{}", output.status, lines[lines.len().saturating_sub(15)..].join("\n"))
}

#[test]
fn the_picture_in_the_readme_is_what_the_demo_prints() {
    fs::create_dir_all(root().join("target/demo")).expect("folder");
    let output = Command::new(BRAID)
        .args(["replay", "examples/demo.toml", "examples/captures/mixed.pcap", "target/demo/out.pcap"])
        .current_dir(root())
        .output()
        .expect("braid runs");
    assert!(output.status.success(), "{}", ending(&output));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let printed: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(words).collect();
    let readme = Page::read(root().join("README.md"));
    let picture =
        readme.blocks.iter().find(|block| block.text.starts_with("$ braid replay")).expect("a picture");
    for line in picture.text.lines().skip(1) {
        let line = words(line.trim_end_matches('…'));
        assert!(printed.iter().any(|printed| printed.contains(&line)), "not printed: {line}");
    }
}

/// A device, in a configuration that has nothing else.
fn with_device(device: &str) -> String {
    format!(
        "[engine]\nsocket = \"off\"\n[ports.a]\ndevice = \"{device}\"\n[ports.b]\ndevice = \"net_null0,copy=1\"\n\
         [[chain]]\nname = \"c\"\nfrom = \"a\"\nto = \"b\"\n"
    )
}

/// Makes mistakes, and looks each message up in the documents: users search for what they see.
#[test]
fn messages_are_in_the_documents_as_they_appear() {
    let folder = Folder::new("messages");
    let file = |name: &str, bytes: &[u8]| fs::write(folder.0.join(name), bytes).expect("write");
    // A pcap header with the link type of IEEE 802.11; a capture that breaks off; no capture at all.
    let mut wifi = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0];
    wifi.extend([105, 0, 0, 0]);
    file("wifi.pcap", &wifi);
    let dns = fs::read(root().join("examples/captures/dns.pcap")).expect("capture");
    file("cut.pcap", &dns[..5000]);
    file("text.pcap", b"hello, this is no capture");
    file("r.rules", b"allow tpc to any port 80\n");
    file("pci.toml", with_device("3b:00.0").as_bytes());
    file("clash.toml", with_device("net_null0").as_bytes());
    file("driver.toml", with_device("net_nosuch0").as_bytes());
    file("interface.toml", with_device("net_af_packet0,iface=nosuch0").as_bytes());
    let engine = |keys: &str| with_device("net_null1").replace("socket = \"off\"", keys);
    file("mem.toml", engine("memory = \"64M\"\nbuffers = { count = 100000 }").as_bytes());
    file("buf.toml", engine("buffers = { count = 1000 }").as_bytes());
    file(
        "a.toml",
        b"[engine]\nworkres = 2\n[ports.lan]\ndevice = \"in.pcap\"\n[ports.wan]\ndevice = \"net_null1\"\n[nf.edge]\n\
          kind = \"firewal\"\n[[chain]]\nname = \"egress\"\nfrom = \"lan\"\nmatch = \"ip.dst in 10.0.0.0/8 and tpc\"\n\
          path = [\"edge\"]\nto = \"wan\"\nparallel = \"on\"\n",
    );
    let demo = root().join("examples/demo.toml").display().to_string();
    fs::create_dir_all(root().join("target/demo")).expect("folder");
    let http = root().join("examples/captures/http.pcap").display().to_string();

    let documents: BTreeSet<String> = pages()
        .iter()
        .flat_map(|page| &page.blocks)
        .flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let rows: [&[&str]; 14] = [
        &["check", "a.toml"],
        &["check", "pci.toml"],
        &["check", "clash.toml"],
        &["check", "mem.toml"],
        &["check", "buf.toml"],
        &["rules", "r.rules"],
        &["run", "driver.toml", "--duration", "1s"],
        &["run", "interface.toml", "--duration", "1s"],
        &["replay", &demo, "wifi.pcap", "out.pcap"],
        &["replay", &demo, "cut.pcap", "out.pcap"],
        &["replay", &demo, "text.pcap", "out.pcap"],
        &["replay", &demo, "none.pcap", "out.pcap"],
        &["replay", &demo, &http, "/dev/full"],
        &["ctl", "stats.get", "--socket", "none.sock"],
    ];
    let mut missing = String::new();
    for row in rows {
        let output = Command::new(BRAID).args(row).current_dir(&folder.0).output().expect("braid runs");
        assert!(!output.status.success(), "braid {} works", row.join(" "));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // DPDK's own lines, which differ between versions, and the count of errors are left out.
        let own = said.lines().filter(|line| {
            let of_dpdk = line.contains("EAL") || line.contains("  DPDK:");
            let count = line.starts_with("braid:") && line.contains(" has ");
            !of_dpdk && !count
        });
        for line in own.filter(|line| !documents.contains(*line)) {
            writeln!(missing, "braid {}: {line}", row.join(" ")).expect("strings take all");
        }
    }
    assert!(missing.is_empty(), "not in the documents:\n{missing}");
}

/// Builds the crate of `docs/add-an-nf.md` as its author would, runs its tests, checks its configurations, and runs
/// its binary on a capture. It shares the folder of this build, so only Braid's own crates are built anew.
#[test]
fn the_worked_example_builds_and_runs() {
    let crate_folder = root().join("examples/own-nf");
    // .../target/debug/braid
    let profile = Path::new(BRAID).parent().expect("profile");
    let target = profile.parent().expect("target");
    // The binary is built with the tests.
    let output = Command::new(env!("CARGO"))
        .args(["test", "--quiet"])
        .current_dir(&crate_folder)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo test: {}", ending(&output));
    let program = target.join("debug/own-nf");

    let folder = Folder::new("own-nf");
    assert_eq!(check(&program, &crate_folder.join("guard.toml")), None);
    for page in pages().iter().filter(|page| page.name().starts_with("examples/own-nf")) {
        for block in page.blocks.iter().filter(|block| block.info == "toml") {
            let file = folder.0.join("document.toml");
            fs::write(&file, completed(&block.text)).expect("write");
            assert_eq!(check(&program, &file), None, "{}, line {}", page.name(), block.line);
        }
    }

    let output = Command::new(&program)
        .args(["replay", "guard.toml", "../captures/mixed.pcap", "--json"])
        .arg(folder.0.join("out.pcap"))
        .current_dir(&crate_folder)
        .output()
        .expect("own-nf runs");
    assert!(output.status.success(), "{}", ending(&output));
    let account: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packets = &account["packets"];
    let dropped = packets["dropped"]["near.low_ttl"].as_u64().unwrap_or(0);
    assert!(dropped > 0, "the capture has packets with a low TTL: {packets}");
    assert_eq!(packets["received"].as_u64().unwrap_or(0), packets["sent"].as_u64().unwrap_or(0) + dropped);
}

#[test]
fn the_worked_example_in_the_document_is_the_code_that_is_built() {
    let folder = root().join("examples/own-nf");
    let sources: String = ["src/ttl_guard.rs", "src/lib.rs", "src/main.rs", "tests/contract.rs"]
        .map(|file| fs::read_to_string(folder.join(file)).expect("readable"))
        .concat();
    // Comments and blank lines apart.
    let code = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
        lines.map(str::to_owned).collect()
    };
    let known: BTreeSet<String> = code(&sources).into_iter().collect();
    let page = Page::read(root().join("docs/add-an-nf.md"));
    for block in page.blocks.iter().filter(|block| block.info == "rust") {
        for line in code(&block.text) {
            assert!(
                known.contains(&line),
                "docs/add-an-nf.md, block at line {}: not in the code: {line}",
                block.line
            );
        }
    }
}

#[test]
fn documents_name_no_place_of_one_machine() {
    for page in pages() {
        let text = fs::read_to_string(&page.path).expect("readable");
        for word in ["/work/", "/home/", "/tmp/t-", "/root/", "issue #"] {
            assert!(!text.contains(word), "{} says {word}", page.name());
        }
    }
}
