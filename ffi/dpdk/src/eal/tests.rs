use super::*;

#[test]
fn a_bad_option_is_refused_before_anything_is_touched() {
    let bad = EalOptions { extra: vec!["--help".into()], ..EalOptions::default() };
    let error = Eal::init(&bad).unwrap_err();
    assert!(matches!(error, EalError::BadOption { .. }), "{error}");
    assert_eq!(Eal::init(&bad).unwrap_err(), error, "the one chance to initialise is not spent");
}

#[test]
fn the_version_is_one_that_is_supported() {
    let version = Eal::version();
    let year: u32 =
        version.trim_start_matches("DPDK ").split('.').next().and_then(|year| year.parse().ok()).unwrap_or(0);
    assert!(year >= 22, "{version}");
}

#[test]
fn only_hugepages_belong_to_a_node() {
    assert_eq!(Eal { hugepages: true }.socket(Some(1)), 1);
    assert_eq!(Eal { hugepages: true }.socket(None), dpdk_sys::BRAID_SOCKET_ANY);
    assert_eq!(Eal { hugepages: false }.socket(Some(1)), dpdk_sys::BRAID_SOCKET_ANY);
}
