//! Any routes, put in and taken out: the compiled table finds what a search from the longest length finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tables::lpm::{Address, Routes};

fn check<A: Address>(edits: &[(bool, A, u8, u16)], flips: &[u8], flip: impl Fn(A, u8) -> A) {
    let mut routes = Routes::new();
    for &(insert, network, length, value) in edits {
        let length = length % (A::BITS + 1);
        if insert {
            routes.insert(network, length, value.into()).expect("a good route");
        } else {
            routes.remove(network, length);
        }
    }
    let fib = routes.compile();
    for edit in edits {
        for &bit in flips.iter().chain(&[0]) {
            let address = flip(edit.1, bit % A::BITS);
            assert_eq!(fib.lookup(address), routes.lookup(address), "{address:?}");
        }
        assert_eq!(fib.lookup(edit.1), routes.lookup(edit.1));
    }
}

fuzz_target!(|input: (Vec<(bool, u32, u8, u16)>, Vec<(bool, u128, u8, u16)>, Vec<u8>)| {
    let (v4, v6, mut flips) = input;
    flips.truncate(8);
    check(&v4, &flips, |address, bit| address ^ 1 << bit);
    check(&v6, &flips, |address, bit| address ^ 1 << bit);
});
