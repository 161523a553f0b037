use proptest::prelude::*;

use super::{Address, MAX_VALUE, RouteError, Routes};

#[test]
fn the_longest_prefix_wins() {
    let mut routes = Routes::<u32>::new();
    for (network, length, value) in
        [(0, 0, 0), (0x0a00_0000, 8, 8), (0x0a01_0000, 16, 16), (0x0a01_0200, 24, 24), (0x0a01_0203, 32, 32)]
    {
        assert_eq!(routes.insert(network, length, value), Ok(None));
    }
    let fib = routes.compile();
    for (address, value) in
        [(0x0b00_0000, 0), (0x0aff_0000, 8), (0x0a01_ff00, 16), (0x0a01_0202, 24), (0x0a01_0203, 32)]
    {
        assert_eq!(fib.lookup(address), Some(value), "{address:08x}");
    }
}

#[test]
fn a_removed_route_uncovers_the_shorter_one() {
    let mut routes = Routes::new();
    routes.insert(0x2001_0db8u128 << 96, 32, 1).unwrap();
    routes.insert(0x2001_0db8_0000_0001u128 << 64, 64, 2).unwrap();
    let inside = (0x2001_0db8_0000_0001u128 << 64) + 7;
    assert_eq!(routes.compile().lookup(inside), Some(2));
    assert_eq!(routes.remove(inside, 64), Some(2));
    assert_eq!(routes.compile().lookup(inside), Some(1));
    assert_eq!(routes.remove(inside, 64), None);
    assert_eq!(routes.remove(inside, 32), Some(1));
    assert_eq!(routes.compile().lookup(inside), None);
    assert!(routes.is_empty());
}

#[test]
fn routes_that_cannot_be_are_refused() {
    let mut routes = Routes::<u32>::new();
    assert_eq!(routes.insert(0, 33, 1), Err(RouteError::TooLong { length: 33, bits: 32 }));
    assert_eq!(routes.insert(0, 32, MAX_VALUE + 1), Err(RouteError::ValueTooLarge(MAX_VALUE + 1)));
    assert_eq!(routes.insert(0, 32, MAX_VALUE), Ok(None));
    assert_eq!(routes.compile().lookup(0), Some(MAX_VALUE));
    assert_eq!(Routes::<u128>::new().insert(0, 129, 1), Err(RouteError::TooLong { length: 129, bits: 128 }));
}

#[test]
fn bulk_looks_up_each() {
    let mut routes = Routes::new();
    routes.insert(0xc000_0200u32, 24, 5).unwrap();
    let fib = routes.compile();
    let addresses = [0xc000_0201, 0xc000_0301, 0xc000_02ff];
    let mut out = [None; 3];
    fib.lookup_bulk(&addresses, &mut out);
    assert_eq!(out, [Some(5), None, Some(5)]);
    let mut out = [0; 3];
    fib.lookup_bulk_or(&addresses, 99, &mut out);
    assert_eq!(out, [5, 99, 5]);
}

/// Removals and insertions of prefixes that nest: few different bits, all lengths.
fn edits(bits: u8) -> impl Strategy<Value = Vec<(u128, u8, Option<u32>)>> {
    let network = prop_oneof![any::<u128>(), prop::sample::select(vec![0u128, !0, 0x0a0a << 112, 1 << 127])];
    let value = prop_oneof![3 => (0..9u32).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((network, 0..=bits, value), 0..if cfg!(miri) { 12 } else { 60 })
}

fn against_model<A: Address>(
    edits: Vec<(u128, u8, Option<u32>)>,
    probes: Vec<u128>,
    of: impl Fn(u128) -> A,
) -> Result<(), TestCaseError> {
    let mut routes = Routes::new();
    let mut list: Vec<(A, u8, u32)> = vec![];
    for &(network, length, value) in &edits {
        let prefix = of(network).prefix(length);
        list.retain(|route| (route.0, route.1) != (prefix, length));
        match value {
            Some(value) => {
                routes.insert(of(network), length, value).unwrap();
                list.push((prefix, length, value));
            }
            None => _ = routes.remove(of(network), length),
        }
    }
    list.sort();
    prop_assert_eq!(routes.iter().collect::<Vec<_>>(), list.clone());
    let fib = routes.compile();
    // Addresses at random and at the edges of the prefixes.
    let edges =
        edits.iter().flat_map(|edit| [edit.0, !edit.0, edit.0 ^ 1, edit.0 ^ (1 << (127 - edit.1.min(127)))]);
    let addresses: Vec<A> = probes.iter().copied().chain(edges).map(of).collect();
    let (mut bulk, mut bulk_or) = (vec![None; addresses.len()], vec![0; addresses.len()]);
    fib.lookup_bulk(&addresses, &mut bulk);
    fib.lookup_bulk_or(&addresses, 77, &mut bulk_or);
    for ((&address, bulk), bulk_or) in addresses.iter().zip(bulk).zip(bulk_or) {
        let longest =
            list.iter().filter(|route| address.prefix(route.1) == route.0).max_by_key(|route| route.1);
        let expected = longest.map(|route| route.2);
        prop_assert_eq!(fib.lookup(address), expected, "{:?} in {:?}", address, list);
        prop_assert_eq!(routes.lookup(address), expected);
        prop_assert_eq!((bulk, bulk_or), (expected, expected.unwrap_or(77)));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 }))]

    #[test]
    fn ipv4_as_a_list(edits in edits(32), probes in prop::collection::vec(any::<u128>(), if cfg!(miri) { 4 } else { 20 })) {
        against_model(edits, probes, |bits| (bits >> 96) as u32)?;
    }

    #[test]
    fn ipv6_as_a_list(edits in edits(128), probes in prop::collection::vec(any::<u128>(), if cfg!(miri) { 4 } else { 20 })) {
        against_model(edits, probes, |bits| bits)?;
    }
}

#[test]
fn a_flat_table_finds_the_same_and_stays_within_its_memory() {
    let mut routes = Routes::<u32>::new();
    let mut random = 88_172_645_463_325_252u64;
    let count = if cfg!(miri) { 5 } else { 500 };
    let mut addresses = vec![0, u32::MAX];
    for value in 0..count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Few networks, so that prefixes contain each other.
        let (network, length) = (random as u32 & 0x0fff_ffff, (random >> 40) as u8 % 33);
        routes.insert(network, length, value).unwrap();
        addresses.extend([network, network ^ 1, network.wrapping_add(1 << (32 - length.max(1)))]);
    }
    let flat = routes.flatten(usize::MAX).unwrap();
    let fib = routes.compile();
    let mut bulk = vec![0; addresses.len()];
    flat.lookup_bulk_or(&addresses, 777, &mut bulk);
    for (&address, found) in addresses.iter().zip(bulk) {
        assert_eq!(flat.lookup(address), fib.lookup(address), "{address:#x}");
        assert_eq!(found, fib.lookup(address).unwrap_or(777));
    }
    assert!(routes.flatten(flat.bytes()).is_some());
    assert!(routes.flatten(flat.bytes() - 1).is_none());
}

#[test]
fn flat_routes_of_many_values_keep_their_limit() {
    let mut routes = Routes::<u32>::new();
    for value in 0..2000 {
        routes.insert(value << 16, 16, value).unwrap();
    }
    let bytes = routes.flatten(usize::MAX).unwrap().bytes();
    assert!(bytes > 2000 << 10);
    assert!(routes.flatten(bytes).is_some());
    assert!(routes.flatten(bytes - 1).is_none() && routes.flatten(512 << 10).is_none());
}
