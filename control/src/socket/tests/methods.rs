//! What the methods do, and what they return.

use super::*;

#[test]
fn a_configuration_is_applied_as_a_whole_or_not_at_all() {
    let site = Site::new("apply");
    let mut client = site.client();
    let changed = CONFIG.replace("kind = \"filter\"", "kind = \"filter\"\nlimit = 5");

    let dry = client.call("config.apply", &json!({ "config": changed, "dry_run": true })).expect("dry run");
    assert_eq!((&dry["text"], &dry["applied"]), (&json!(["~ nf.edge.limit: 0 → 5"]), &json!(false)));
    assert_eq!(site.engine.applied.lock().expect("lock").len(), 0, "a dry run changes nothing");

    let bad = client.call("config.apply", &json!({ "config": CONFIG.replace("\"wan\"", "\"wann\"") }));
    let Err(ClientError::Refused(error)) = bad else { panic!("{bad:?}") };
    assert_eq!(error.code, code::CONFIG);
    let finding = &error.data.expect("data")["diagnostics"][0];
    assert_eq!((&finding["line"], &finding["column"]), (&json!(12), &json!(6)), "{finding}");

    let fixed = format!("[engine]\nhugepages = true\n{CONFIG}");
    let Err(ClientError::Refused(error)) = client.call("config.apply", &json!({ "config": fixed })) else {
        panic!("hugepages cannot change")
    };
    assert_eq!(error.code, code::RESTART);

    site.engine.refuse.store(true, std::sync::atomic::Ordering::Relaxed);
    let Err(ClientError::Refused(error)) = client.call("config.apply", &json!({ "config": changed })) else {
        panic!("the engine refuses")
    };
    assert_eq!(
        (error.code, error.message.as_str()),
        (code::ENGINE, "the engine keeps its old plan: not today")
    );
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], CONFIG);

    site.engine.refuse.store(false, std::sync::atomic::Ordering::Relaxed);
    let applied = client.call("config.apply", &json!({ "config": changed })).expect("apply");
    assert_eq!(
        (&applied["applied"], &applied["generation"], &applied["pause_us"]),
        (&json!(true), &json!(2), &json!(3.0))
    );
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], changed);
}

#[test]
fn an_unconfirmed_change_rolls_itself_back() {
    let site = Site::new("confirm");
    let mut client = site.client();
    let changed = CONFIG.replace("path = [\"edge\"]\n", "");
    let apply = |client: &mut Client, time: &str| {
        client.call("config.apply", &json!({ "config": changed, "confirm": time }))
    };
    let none = client.call("config.confirm", &json!({})).expect_err("nothing to confirm").to_string();
    assert!(none.contains("no change waits"), "{none}");

    apply(&mut client, "60s").expect("apply");
    let waiting = client.call("config.get", &json!({})).expect("get");
    assert!(waiting["unconfirmed_seconds"].as_f64().is_some_and(|left| left > 50.0), "{waiting}");
    let Err(ClientError::Refused(error)) = apply(&mut client, "60s") else { panic!("one change at a time") };
    assert_eq!(error.code, code::UNCONFIRMED);
    client.call("config.confirm", &json!({})).expect("confirm");
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], changed);

    client.call("config.apply", &json!({ "config": CONFIG })).expect("back");
    client.call("events.subscribe", &json!({ "sources": ["control"] })).expect("subscribe");
    apply(&mut client, "50ms").expect("apply");
    let names: Vec<Value> =
        (0..2).map(|_| client.notification().expect("event")["params"]["name"].clone()).collect();
    assert_eq!(names, ["config_applied", "config_rolled_back"]);
    assert_eq!(client.call("config.get", &json!({})).expect("get")["config"], CONFIG);
    assert_eq!(*site.engine.applied.lock().expect("lock"), [0, 1, 0, 1], "the plan from before is back");
    assert!(client.call("config.apply", &json!({ "config": CONFIG, "confirm": "soon" })).is_err());
}

#[test]
fn a_source_that_no_event_comes_from_is_refused() {
    let site = Site::new("sources");
    let error = site.client().call("events.subscribe", &json!({ "sources": ["nf", "ports.lan"] }));
    let error = error.expect_err("it is 'port'").to_string();
    assert_eq!(error, "no event comes from 'ports.lan'; sources are control, worker.N, port.NAME, nf.NAME");
}

#[test]
fn state_is_paged_over_all_workers_and_commands_reach_their_nf() {
    let site = Site::new("state");
    let mut client = site.client();
    let mut keys = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = client.call("nf.state.export", &json!({ "nf": "edge", "cursor": cursor })).expect("page");
        keys.push(page["records"][0]["key"].clone());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(keys, [json!([0, 0]), json!([0, 1]), json!([0, 2]), json!([1, 0])]);
    let page = client.call("nf.state.export", &json!({ "nf": "edge" })).expect("page");
    let imported = client.call("nf.state.import", &json!({ "nf": "edge", "records": page["records"] }));
    assert_eq!(imported.expect("import"), json!({ "imported": 1 }));

    let hits = json!({ "nf": "edge", "command": "hits", "arguments": { "rule": 1 } });
    assert_eq!(client.call("nf.command", &hits).expect("hits"), json!({ "workers": [{ "rule": 1 }, 2] }));
    let Err(ClientError::Refused(error)) =
        client.call("nf.command", &json!({ "nf": "edge", "command": "hist" }))
    else {
        panic!("no such command")
    };
    assert_eq!(error.code, code::UNSUPPORTED);
    assert_eq!(error.message, "NF 'edge': unknown command 'hist': did you mean 'hits'?");
    let list = client.call("nf.list", &json!({})).expect("list");
    assert_eq!(
        (&list[0]["name"], &list[0]["affinity"], &list[0]["chains"]),
        (&json!("edge"), &json!("flow"), &json!(["egress"]))
    );
}

#[test]
fn discovery_describes_every_method_and_what_it_really_returns() {
    let site = Site::new("discover");
    let mut client = site.client();
    let discovered = client.call("rpc.discover", &json!({})).expect("discover");
    let names: Vec<&str> = discovered["methods"]
        .as_array()
        .expect("methods")
        .iter()
        .filter_map(|m| m["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "rpc.discover",
            "stats.get",
            "config.get",
            "config.apply",
            "config.confirm",
            "chain.list",
            "nf.list",
            "nf.command",
            "nf.state.export",
            "nf.state.import",
            "events.subscribe",
            "engine.scale",
            "engine.stop"
        ]
    );
    assert!(!discovered.to_string().contains("$ref"), "schemas stand alone");
    let schema = |name: &str| {
        let method = discovered["methods"].as_array().and_then(|all| all.iter().find(|m| m["name"] == name));
        method.expect(name)["result"]["schema"].clone()
    };
    for (method, params) in [
        ("stats.get", json!({})),
        ("nf.list", json!({})),
        ("chain.list", json!({})),
        ("engine.scale", json!({ "workers": 2 })),
        ("config.get", json!({})),
        ("nf.state.export", json!({ "nf": "edge" })),
        ("config.apply", json!({ "config": CONFIG, "dry_run": true })),
    ] {
        let result = client.call(method, &params).expect(method);
        fits(&result, &schema(method), method);
    }
}

/// A value has exactly the properties that its schema has, all the way down.
fn fits(value: &Value, schema: &Value, path: &str) {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let known = schema["properties"].get(key).or(schema.get("additionalProperties"));
                let below = known.unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
                fits(value, below, &format!("{path}.{key}"));
            }
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(table.contains_key(key), "{path}.{key} is required and not there");
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| fits(item, &schema["items"], &format!("{path}[]")));
        }
        _ => {}
    }
}
