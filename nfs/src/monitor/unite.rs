//! One flow where several workers have parts of it.
//!
//! An ICMP error goes to the worker of the flow that it is about, and a later fragment whose first was not seen to that
//! of its datagram. So what two hosts exchange without ports may be counted by several workers.

use super::flow::Flow;
use super::record::Ended;
use super::state::{parse, record};
use engine::Record;
use wire::FlowKey;
use wire::protocol::ip;

/// Whether several workers may have parts of the flow.
fn may_be_parted(key: &FlowKey) -> bool {
    key.source_port() == 0 && key.destination_port() == 0 && key.protocol() != ip::TCP
}

/// Joins parts of flows that are under way.
pub(super) fn records(flows: &mut Vec<Record>) {
    let mut parts = Vec::new();
    flows.retain(|record| match parse(record) {
        Ok(part) if may_be_parted(&part.key) => {
            parts.push(part);
            false
        }
        _ => true,
    });
    join(&mut parts, None);
    flows.extend(parts.iter().map(|Ended { key, flow }| record(*key, flow)));
}

/// Joins parts of flows, ended or not, into those that one worker would have seen: a silence of more than `idle_nanos`
/// ends a flow.
pub(super) fn flows(flows: &mut Vec<Ended>, idle_nanos: Option<u64>) {
    let mut parts: Vec<Ended> = flows.extract_if(.., |ended| may_be_parted(&ended.key)).collect();
    join(&mut parts, idle_nanos);
    flows.append(&mut parts);
}

fn join(parts: &mut Vec<Ended>, idle_nanos: Option<u64>) {
    parts.sort_by_key(|part| (part.key, part.flow.first));
    let goes_on = |flow: &Flow, next: &Flow| {
        idle_nanos.is_none_or(|idle| next.first.as_nanos().saturating_sub(flow.last.as_nanos()) <= idle)
    };
    parts.dedup_by(|next, part| {
        let same = part.key == next.key && goes_on(&part.flow, &next.flow);
        if same {
            part.flow.merge(&next.flow);
        }
        same
    });
}
