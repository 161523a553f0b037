//! The file of flows: one line of JSON for each.

use super::flow::Seen;
use super::record::Ended;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes the flows in the order of their first packets, and where that is the same, of their keys. The file is
/// complete or, with an error, as it was.
pub(super) fn write(file: &Path, flows: &[Ended]) -> io::Result<()> {
    let mut seen: Vec<Seen> = flows.iter().map(|ended| Seen::new(ended.key, &ended.flow)).collect();
    seen.sort_by_key(|seen| (seen.first, seen.key, seen.last));
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let written = File::create(&unfinished).and_then(|created| {
        let mut out = BufWriter::new(created);
        seen.iter().try_for_each(|seen| line(seen, &mut out))?;
        out.flush()
    });
    written.and_then(|()| fs::rename(&unfinished, file)).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// Written by hand, as the times have more digits than a floating-point number keeps. Nothing needs escaping.
fn line(seen: &Seen, out: &mut impl Write) -> io::Result<()> {
    let Seen { key, packets, bytes, first, last, .. } = seen;
    writeln!(
        out,
        "{{\"src\":\"{}\",\"sport\":{},\"dst\":\"{}\",\"dport\":{},\"proto\":{},\"packets\":{},\"bytes\":{},\
         \"packets_back\":{},\"bytes_back\":{},\"first\":{first},\"last\":{last}}}",
        key.source(),
        key.source_port(),
        key.destination(),
        key.destination_port(),
        key.protocol(),
        packets[0],
        bytes[0],
        packets[1],
        bytes[1],
    )
}
