use super::*;
use serde_json::json;

const KEY: &str = "00112233445566778899aabbccddeeff";

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::new(KEY);
    for shown in [format!("{secret}"), format!("{secret:?}"), serde_json::to_string(&secret).expect("JSON")] {
        assert!(!shown.contains("0011") && !shown.contains("ddee"), "{shown}");
    }
    for wrong in [json!(1234), json!([KEY]), json!({ "a": KEY }), json!(null)] {
        let error = serde_json::from_value::<Secret>(wrong).expect_err("refused").to_string();
        assert!(!error.contains("1234") && !error.contains("0011"), "{error}");
    }
}

#[test]
fn other_secrets_show_otherwise() {
    assert_ne!(Secret::new(KEY).to_string(), Secret::new(KEY.replace("ff", "fe")).to_string());
    assert_eq!(Secret::new(KEY).to_string(), Secret::new(format!(" {KEY}\n")).to_string());
}

#[test]
fn secrets_are_read_as_they_are_written() {
    assert_eq!(Secret::new("00fF").hex().expect("digits").as_slice(), [0, 255]);
    assert!(Secret::new("00f").hex().is_none() && Secret::new("0g").hex().is_none());
    let zeros = format!("{}=", "A".repeat(43));
    assert_eq!(*Secret::new(zeros).base64().expect("32 bytes"), [0; 32]);
    assert!(Secret::new("AAAA").base64().is_none() && Secret::new(KEY).base64().is_none());
    let missing = Secret::read(&Site::default(), "/nowhere/key").expect_err("no file");
    assert!(missing.starts_with("/nowhere/key: "), "{missing}");
    let endless = Secret::read(&Site::default(), "/dev/zero").expect_err("without an end");
    assert_eq!(endless, "/dev/zero is too long for a secret");
    for key in [KEY.to_owned(), format!("{KEY}00112233"), format!("{}=", "A".repeat(43))] {
        let told = Secret::read(&Site::default(), &key).expect_err("a key");
        assert!(!told.contains(&key[..8]), "{told}");
    }
}
