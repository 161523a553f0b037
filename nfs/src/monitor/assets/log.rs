//! The file of assets.

use super::Format;
use super::asset::{Asset, Finding, Host, How};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the assets. The file is complete or, with an error, as it was.
pub(in crate::monitor) fn write(file: &Path, format: Format, assets: &[(Host, Asset)]) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let written = File::create(&unfinished).and_then(|created| {
        let mut out = BufWriter::new(created);
        match format {
            Format::Json => {
                assets.iter().try_for_each(|(host, asset)| writeln!(out, "{}", show(*host, asset)))?
            }
            Format::Prads => prads(&mut out, assets)?,
        }
        out.flush()
    });
    written.and_then(|()| fs::rename(&unfinished, file)).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// An asset for a command or a line of JSON. Times are texts, as they have more digits than a number keeps.
pub(in crate::monitor) fn show(host: Host, asset: &Asset) -> Value {
    let findings = asset.findings.iter().map(|finding| {
        let mut shown = json!({
            "how": finding.how,
            "proto": finding.proto,
            "port": finding.port,
            "name": finding.name,
            "what": finding.what,
            "distance": finding.distance,
            "first": finding.first.to_string(),
            "last": finding.last.to_string(),
        });
        if let Some(traits) = &finding.print {
            shown["fingerprint"] = json!(traits.text);
            shown["link"] = json!(traits.link);
            shown["uptime_hours"] = json!(traits.uptime);
        }
        shown
    });
    json!({
        "address": host.address,
        "vlan": host.vlan,
        "mac": asset.mac.map(|mac| mac.to_string()),
        "first": asset.first.to_string(),
        "last": asset.last.to_string(),
        "findings": findings.collect::<Value>(),
    })
}

/// A header, and a line for each finding in the order in which they were made.
fn prads(out: &mut impl Write, assets: &[(Host, Asset)]) -> io::Result<()> {
    writeln!(out, "asset,vlan,port,proto,service,[service-info],distance,discovered")?;
    let mut lines: Vec<(Host, &Finding)> = assets
        .iter()
        .flat_map(|(host, asset)| asset.findings.iter().map(|finding| (*host, finding)))
        .collect();
    lines.sort_by_key(|(host, finding)| (finding.first, *host));
    lines.iter().try_for_each(|(host, finding)| writeln!(out, "{}", line(*host, finding)))
}

/// `address,vlan,port,protocol,how,[what],distance,second`.
pub(super) fn line(host: Host, finding: &Finding) -> String {
    let how = match finding.how {
        How::Syn => "SYN",
        How::SynAck => "SYNACK",
        How::Fin => "FIN",
        How::Rst => "RST",
        How::Server => "SERVER",
        How::Client => "CLIENT",
    };
    let mut what = format!("{}:{}", finding.name, finding.what);
    if let Some(traits) = &finding.print {
        what = format!("{}:{what}", traits.text);
        if let Some(link) = &traits.link {
            what = format!("{what}:link:{link}");
        }
        if let Some(hours) = traits.uptime {
            what = format!("{what}:uptime:{hours}hrs");
        }
    }
    let Host { address, vlan } = host;
    let Finding { port, proto, distance, .. } = finding;
    let second = finding.first.as_nanos() / 1_000_000_000;
    format!("{address},{vlan},{port},{proto},{how},[{what}],{distance},{second}")
}
