//! Any bytes as DNS, over TCP and as one datagram: bounded, and the same however they are cut.
#![no_main]

mod talk;

use l7::{Buffer, Conversation, Limits, Protocol, Sink, Transaction};
use libfuzzer_sys::fuzz_target;
use streams::Toward;

/// Names are bounded, whatever they point to.
struct Names;

impl Sink for Names {
    fn transaction(&mut self, _: Toward, transaction: &Transaction) {
        for buffer in [Buffer::DnsQuery, Buffer::DnsAnswer] {
            assert!(transaction.all(buffer).all(|name| name.len() <= 1024));
            assert!(transaction.all(buffer).count() <= 64);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    talk::check(Some(Protocol::Dns), b"", input);
    let mut conversation = Conversation::new(Some(Protocol::Dns), false);
    for _ in 0..2 {
        conversation.datagram(&Limits::default(), Toward::Server, input, &mut Names);
    }
});
