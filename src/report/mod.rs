//! The summary of a run as tables, readable at 100 columns.

#[cfg(test)]
mod tests;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use engine::{Drops, Snapshot};

/// Width of the tables when the terminal's is not known, and the most that they use.
const WIDTH: u16 = 100;

/// All tables: ports, chains with their NFs, drops, and the account.
pub fn tables(snapshot: &Snapshot) -> String {
    let account = &snapshot.packets;
    let dropped: u64 = account.dropped.values().sum();
    let mut out = format!("{}\n\n{}", ports(snapshot), chains(snapshot));
    if dropped > 0 {
        out.push_str(&format!("\n\n{}", drops(&account.dropped)));
    }
    out.push_str(&format!(
        "\n\n{:.3} s: {} received + {} created = {} sent + {} dropped + {} absorbed + {} held",
        snapshot.seconds,
        grouped(account.received),
        grouped(account.created),
        grouped(account.sent),
        grouped(dropped),
        grouped(account.absorbed),
        grouped(account.held),
    ));
    if !account.balanced() {
        out.push_str("\nThe account does not balance: this is a defect of the engine.");
    }
    out
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

fn number(n: u64) -> Cell {
    Cell::new(grouped(n)).set_alignment(CellAlignment::Right)
}

fn decimal(n: Option<f64>) -> Cell {
    Cell::new(n.map_or("–".to_owned(), |n| format!("{n:.0}"))).set_alignment(CellAlignment::Right)
}

fn ports(snapshot: &Snapshot) -> Table {
    let mut table = table(&["port", "device", "received", "bytes", "sent", "bytes", "dropped", "missed"]);
    for (name, port) in &snapshot.ports {
        table.add_row([
            Cell::new(name),
            Cell::new(shortened(&port.device)),
            number(port.received),
            number(port.received_bytes),
            number(port.sent),
            number(port.sent_bytes),
            number(port.dropped.values().sum()),
            number(port.missed),
        ]);
    }
    table
}

/// A row per chain, and below it one per NF in the chain's order.
fn chains(snapshot: &Snapshot) -> Table {
    let mut table = table(&[
        "chain / NF",
        "packets",
        "bytes",
        "dropped",
        "cycles/pkt",
        "p50 ns",
        "p99 ns",
        "p99.9 ns",
        "max ns",
    ]);
    for (name, chain) in &snapshot.chains {
        let latency = chain.latency_ns;
        let nanos = |ns: Option<u64>| ns.map_or(Cell::new("–").set_alignment(CellAlignment::Right), number);
        let dropped: u64 = chain.nfs.values().flat_map(|nf| nf.dropped.values()).sum();
        table.add_row([
            Cell::new(name),
            number(chain.packets),
            number(chain.bytes),
            number(dropped),
            decimal(chain.cycles_per_packet),
            nanos(latency.map(|l| l.p50)),
            nanos(latency.map(|l| l.p99)),
            nanos(latency.map(|l| l.p999)),
            nanos(latency.map(|l| l.max)),
        ]);
        for name in &chain.path {
            let Some(nf) = chain.nfs.get(name) else { continue };
            let label =
                if nf.kind == *name { format!("· {name}") } else { format!("· {name} ({})", nf.kind) };
            let mut row = vec![Cell::new(label), number(nf.packets), Cell::new("")];
            row.extend([number(nf.dropped.values().sum()), decimal(nf.cycles_per_packet)]);
            row.resize_with(9, || Cell::new(""));
            table.add_row(row);
        }
    }
    table
}

fn drops(drops: &Drops) -> Table {
    let mut table = table(&["dropped by", "reason", "packets"]);
    for (name, &count) in drops {
        let (owner, reason) = name.rsplit_once('.').unwrap_or(("", name));
        table.add_row([Cell::new(owner), Cell::new(reason), number(count)]);
    }
    table
}

/// A device string that leaves room for the numbers: its beginning, or the file's name.
fn shortened(device: &str) -> String {
    const LONGEST: usize = 24;
    if device.chars().count() <= LONGEST {
        return device.to_owned();
    }
    let tail = device.strip_prefix("pcap:").and_then(|path| path.rsplit('/').next());
    let short = tail.map_or(device.to_owned(), |file| format!("pcap:{file}"));
    if short.chars().count() <= LONGEST {
        return short;
    }
    format!("{}…", short.chars().take(LONGEST - 1).collect::<String>())
}

/// `1234567` as `1 234 567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
