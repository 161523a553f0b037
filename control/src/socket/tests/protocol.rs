//! JSON-RPC: what every kind of line is answered with.

use super::*;

#[test]
fn every_kind_of_message_gets_the_answer_that_the_protocol_has_for_it() {
    let site = Site::new("protocol");
    let rows: [(&str, &[u8], i64); 16] = [
        ("garbage", b"hello\n", code::PARSE),
        ("half an object", b"{\"jsonrpc\": \"2.0\", \"id\"", code::PARSE),
        ("no UTF-8", b"\"\xff\xfe\"\n", code::PARSE),
        ("zeros", &[0; 4000], code::PARSE),
        ("a number", b"1\n", code::REQUEST),
        ("an empty batch", b"[]\n", code::REQUEST),
        ("an old version", b"{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"stats.get\"}\n", code::REQUEST),
        ("no method", b"{\"jsonrpc\": \"2.0\", \"id\": 1}\n", code::REQUEST),
        ("a strange id", b"{\"jsonrpc\": \"2.0\", \"id\": {}, \"method\": \"stats.get\"}\n", code::REQUEST),
        ("no such method", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.gte\"}\n", code::METHOD),
        ("positional", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.get\", \"params\": [1]}\n", code::PARAMS),
        ("unknown parameter", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"stats.get\", \"params\": {\"x\": 1}}\n", code::PARAMS),
        ("missing parameter", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.command\"}\n", code::PARAMS),
        ("bad cursor", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.state.export\", \"params\": {\"nf\": \"edge\", \"cursor\": \"x\"}}\n", code::PARAMS),
        ("no such worker", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.state.export\", \"params\": {\"nf\": \"edge\", \"cursor\": \"99:0\"}}\n", code::UNKNOWN),
        ("no such NF", b"{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"nf.command\", \"params\": {\"nf\": \"x\", \"command\": \"hits\"}}\n", code::UNKNOWN),
    ];
    for (what, bytes, expected) in rows {
        let answers = site.say(bytes);
        assert_eq!(answers.iter().map(code_of).collect::<Vec<_>>(), [expected], "{what}: {answers:?}");
    }
    let unknown = &site.say(rows[9].1)[0]["error"]["message"];
    assert!(unknown.as_str().is_some_and(|text| text.contains("did you mean 'stats.get'?")), "{unknown}");
}

#[test]
fn deep_nesting_is_an_error_like_any_other() {
    let site = Site::new("deep");
    for (open, n) in [("[", 500_000), ("{\"a\":", 150_000)] {
        let answers = site.say(format!("{}\n", open.repeat(n)).as_bytes());
        assert_eq!(answers.iter().map(code_of).collect::<Vec<_>>(), [code::PARSE]);
    }
    site.others_are_served("after deep nesting");
}

#[test]
fn a_batch_is_answered_in_one_line_without_its_notifications() {
    let site = Site::new("batch");
    let request = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "method": "config.get" });
    let notification = json!({ "jsonrpc": "2.0", "method": "stats.get" });
    let batch = json!([request(json!(1)), notification, request(json!("two")), 3]);
    let answers = site.say(format!("{batch}\n").as_bytes());
    let answers = answers[0].as_array().expect("one line, a list");
    assert_eq!(
        answers.iter().map(|a| a["id"].clone()).collect::<Vec<_>>(),
        [json!(1), json!("two"), Value::Null]
    );
    assert_eq!(code_of(&answers[2]), code::REQUEST);

    assert_eq!(site.say(format!("{notification}\n{}\n", json!([notification])).as_bytes()), [Value::Null; 0]);
    let long = Value::Array(vec![json!(1); 1001]);
    assert_eq!(code_of(&site.say(format!("{long}\n").as_bytes())[0]), code::REQUEST);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_answered_with_json_or_not_at_all(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let (_, controller) = controller();
        let mut session = Session::new(&Limits { requests_per_second: 1_000_000, ..Limits::default() });
        if let Some(answer) = handle(&controller, &mut session, &bytes) {
            proptest::prop_assert!(serde_json::from_slice::<Value>(&answer).is_ok());
        }
    }
}
