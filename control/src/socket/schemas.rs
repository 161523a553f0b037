//! JSON schemas of what the engine's own types look like on the socket, and the OpenRPC document.

use super::methods::METHODS;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// The OpenRPC document: every method with its schemas.
pub(super) fn discovery() -> Value {
    let mut generator = generator();
    let methods: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let params = (method.params)(&mut generator);
            let required = params.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            let properties = params.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
            let params: Vec<Value> = properties
                .into_iter()
                .map(|(name, schema)| json!({ "required": required.contains(&json!(name)), "name": name, "schema": schema }))
                .collect();
            json!({
                "name": method.name,
                "summary": method.summary,
                "paramStructure": "by-name",
                "params": params,
                "result": { "name": "result", "schema": (method.result)(&mut generator) },
            })
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": { "title": "braid", "version": env!("CARGO_PKG_VERSION") },
        "methods": methods,
    })
}

/// Makes schemas that stand alone, without references.
pub(super) fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.into_generator()
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).unwrap_or_default()
}

fn object(properties: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&String> = properties.keys().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn count(meaning: &str) -> Value {
    json!({ "type": "integer", "minimum": 0, "description": meaning })
}

fn map_of(schema: Value, meaning: &str) -> Value {
    json!({ "type": "object", "additionalProperties": schema, "description": meaning })
}

/// Of [`engine::Snapshot`].
pub(super) fn snapshot(_: &mut SchemaGenerator) -> Schema {
    let drops = |meaning| map_of(count("packets"), meaning);
    let cycles = json!({ "type": ["number", "null"], "description": "TSC cycles per packet, sampled" });
    let packets = object(&[
        ("received", count("taken from ports")),
        ("created", count("made by NFs")),
        ("sent", count("given to ports")),
        ("dropped", drops("ended, by <nf or port>.<reason>")),
        ("absorbed", count("consumed by NFs")),
        ("held", count("in NFs, or between workers, now")),
    ]);
    let port = object(&[
        ("device", json!({ "type": "string" })),
        ("link", json!({ "type": "boolean", "description": "whether the link is up" })),
        ("received", count("packets")),
        ("received_bytes", count("bytes")),
        ("sent", count("packets")),
        ("sent_bytes", count("bytes")),
        ("dropped", drops("ended at the port, by reason")),
        ("missed", count("lost by the device, not in the engine's account")),
    ]);
    let nf = object(&[
        ("kind", json!({ "type": "string" })),
        ("packets", count("given to it")),
        ("dropped", drops("by reason")),
        ("absorbed", count("consumed")),
        ("created", count("created")),
        ("held", count("held now")),
        ("cycles_per_packet", cycles.clone()),
        (
            "measured",
            object(&[("cycles", count("TSC cycles")), ("packets", count("that they were measured on"))]),
        ),
        ("counters", map_of(count("its own"), "by name")),
        ("panics", count("that were caught")),
    ]);
    let latency =
        object(&[("p50", count("ns")), ("p99", count("ns")), ("p999", count("ns")), ("max", count("ns"))]);
    let fork = object(&[
        ("forks", count("bursts that were mirrored and merged, and measured")),
        ("packets", count("in them")),
        ("copies", count("times that one of these was given to a branch beyond the first")),
        ("mirror", count("TSC cycles to give the branches the packets")),
        ("handoff", count("TSC cycles of the ways to other cores and back")),
        ("wait", count("TSC cycles from the end of the worker's own branch until all others were back")),
        ("merge", count("TSC cycles to bring the results together")),
    ]);
    let mut chain = object(&[
        ("packets", count("that took it")),
        ("bytes", count("on entry")),
        ("cycles_per_packet", cycles),
        ("latency_ns", json!({ "anyOf": [latency, { "type": "null" }] })),
        ("nfs", map_of(nf, "by NF name")),
        ("path", json!({ "type": "array", "items": { "type": "string" } })),
    ]);
    // Absent where nothing ran side by side.
    chain["properties"]["fork"] = fork;
    let worker = object(&[
        ("core", count("that it is pinned to")),
        ("polls", count("rounds of its loop")),
        ("busy_polls", count("rounds with something to do")),
        ("busy_ns", count("time of these rounds")),
        ("cpu_ns", count("CPU time of its thread")),
        ("stalled", json!({ "type": "boolean", "description": "has not come round in time" })),
    ]);
    schema(object(&[
        ("seconds", json!({ "type": "number", "description": "since the start" })),
        ("packets", packets),
        ("ports", map_of(port, "by port name")),
        ("chains", map_of(chain, "by chain name")),
        ("workers", json!({ "type": "array", "items": worker })),
    ]))
}

/// Of a list of [`engine::Record`].
pub(super) fn records(_: &mut SchemaGenerator) -> Schema {
    let record = object(&[
        ("kind", json!({ "type": "string", "description": "flow, mac, …" })),
        ("version", count("of the value's shape")),
        ("role", json!({ "enum": ["configuring", "supporting", "reporting"] })),
        ("scope", json!({ "enum": ["flow", "shared"] })),
        ("key", json!({ "description": "what identifies it among the records of its kind" })),
        ("value", json!({ "description": "the state itself" })),
    ]);
    schema(json!({ "type": "array", "items": record }))
}

/// Of an optional [`engine::Selector`].
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    schema(json!({
        "type": ["object", "null"],
        "description": "every part that is given must hold",
        "properties": {
            "kind": { "type": ["string", "null"], "description": "only records of this kind" },
            "address": { "type": ["string", "null"], "description": "an address or prefix on either side" },
            "port": { "type": ["integer", "null"], "minimum": 0, "maximum": 65535, "description": "on either side" },
            "protocol": { "type": ["integer", "null"], "minimum": 0, "maximum": 255 },
            "since": { "type": ["integer", "null"], "minimum": 0, "description": "changed at or after, ns since the epoch" },
        },
        "additionalProperties": false,
    }))
}
