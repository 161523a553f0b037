//! What the targets of application parsers have in common: bytes in both directions, whole and in pieces.

use l7::{Conversation, Event, Limits, Progress, Protocol, Sink, Transaction};
use streams::Toward;

/// Small, so that inputs reach them.
const LIMITS: Limits = Limits { head: 300, body: 60, transactions: 3, message: 400 };

/// What came out: each transaction as it was at last.
#[derive(Default, PartialEq, Debug)]
pub struct Seen {
    transactions: Vec<Transaction>,
    events: usize,
    /// Whether the flow was found to be the other way round, as its directions are from then on.
    turned: bool,
}

impl Sink for Seen {
    fn protocol(&mut self, _: Protocol, turned: bool) {
        self.turned = turned;
    }

    fn transaction(&mut self, toward: Toward, transaction: &Transaction) {
        assert_ne!(transaction.progress(toward), Progress::Nothing);
        for (_, bytes) in transaction.parts() {
            assert!(bytes.len() <= 8 * LIMITS.head + LIMITS.message);
        }
        match self.transactions.iter_mut().find(|known| known.id() == transaction.id()) {
            Some(known) => *known = transaction.clone(),
            None => self.transactions.push(transaction.clone()),
        }
    }

    fn event(&mut self, _: Toward, _: Event) {
        self.events += 1;
    }
}

/// Parts of the input, each with a direction, a way to cut it and whether something is missing before it.
fn said(mut input: &[u8]) -> Vec<(Toward, u8, &[u8])> {
    let mut parts = Vec::new();
    while let Some((&[how, len], rest)) = input.split_first_chunk::<2>() {
        let (part, rest) = rest.split_at(rest.len().min(usize::from(len)));
        let toward = if how & 1 == 0 { Toward::Server } else { Toward::Client };
        parts.push((toward, how >> 1, part));
        input = rest;
    }
    parts
}

/// The direction as it is since the flow was found to be the other way round, if it was.
fn now(toward: Toward, seen: &Seen) -> Toward {
    if seen.turned { toward.other() } else { toward }
}

fn talk(hint: Option<Protocol>, before: &[u8], input: &[u8], whole: bool) -> Seen {
    let (mut conversation, mut seen) = (Conversation::new(hint, input.len() % 2 == 0), Seen::default());
    conversation.data(&LIMITS, Toward::Server, before, &mut seen);
    for (toward, how, part) in said(input) {
        if how >= 120 {
            conversation.gap(&LIMITS, now(toward, &seen), u64::from(how - 119), &mut seen);
        }
        let size = if whole { usize::MAX } else { usize::from(how % 5) + 1 };
        for piece in part.chunks(size) {
            conversation.data(&LIMITS, now(toward, &seen), piece, &mut seen);
        }
        assert!(conversation.held() < 64 << 10, "{} bytes held", conversation.held());
        if !whole {
            let text = serde_json::to_string(&conversation).unwrap();
            conversation = serde_json::from_str(&text).unwrap();
        }
    }
    for toward in [Toward::Server, Toward::Client] {
        conversation.end(&LIMITS, now(toward, &seen), &mut seen);
    }
    seen
}

/// However the bytes are cut, and whether or not the conversation moves in between, the same comes of them.
pub fn check(hint: Option<Protocol>, before: &[u8], input: &[u8]) {
    assert_eq!(talk(hint, before, input, true), talk(hint, before, input, false));
}
