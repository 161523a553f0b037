//! Outside ports: which of each address are in use.

use super::tuple::Endpoint;
use wire::protocol::ip;

/// Protocols whose ports (or identifiers) are shared out, each on its own.
const PROTOCOLS: [u8; 3] = [ip::TCP, ip::UDP, ip::ICMP];

/// Ports of one word of the map.
const WORD: usize = 64;
/// Words of all ports of one protocol at one address.
const WORDS: usize = 65_536 / WORD;
/// Even ports in a word.
const EVEN: u64 = 0x5555_5555_5555_5555;

/// The ports of all pool addresses. All memory is taken when it is made: 24 KiB for each address.
pub(crate) struct Ports {
    /// By address and protocol; a bit that is set is a port in use.
    used: Box<[u64]>,
    counts: Box<[u32]>,
}

fn row(address: usize, protocol: u8) -> Option<usize> {
    PROTOCOLS.iter().position(|&known| known == protocol).map(|place| address * PROTOCOLS.len() + place)
}

/// The bits of word `word` that are ports from `first` to `last`.
fn within(word: usize, first: u16, last: u16) -> u64 {
    let (from, to) = (usize::from(first), usize::from(last));
    let begin = word * WORD;
    if to < begin || from >= begin + WORD {
        return 0;
    }
    let low = u64::MAX << from.saturating_sub(begin);
    let high = u64::MAX >> (WORD - 1 - (to - begin).min(WORD - 1));
    low & high
}

impl Ports {
    /// For so many addresses.
    pub(crate) fn new(addresses: usize) -> Ports {
        let rows = addresses * PROTOCOLS.len();
        Ports { used: vec![0; rows * WORDS].into(), counts: vec![0; rows].into() }
    }

    /// A free port of a protocol at the address of that number, from `first` to `last`: the next from `start` on, round
    /// that range. It is even or odd as `start` is, unless no such port is left (RFC 4787 REQ-4).
    pub(crate) fn find(
        &self,
        address: usize,
        protocol: u8,
        start: u16,
        (first, last): (u16, u16),
    ) -> Option<u16> {
        let row = row(address, protocol)?;
        let used = self.used.get(row * WORDS..(row + 1) * WORDS)?;
        let parity = if start.is_multiple_of(2) { EVEN } else { !EVEN };
        let (low, high) = (usize::from(first) / WORD, usize::from(last) / WORD);
        let words = high + 1 - low;
        let start = if (first..=last).contains(&start) { start } else { first };
        let begin = usize::from(start) / WORD - low;
        let before = (1u64 << (usize::from(start) % WORD)) - 1;
        for wanted in [parity, u64::MAX] {
            for step in 0..=words {
                let word = low + (begin + step) % words;
                // The first word is looked at twice: from the start on, and at the end up to it.
                let mask = match step {
                    0 => !before,
                    step if step == words => before,
                    _ => u64::MAX,
                };
                let free = !used[word] & within(word, first, last) & wanted & mask;
                if free != 0 {
                    return u16::try_from(word * WORD + free.trailing_zeros() as usize).ok();
                }
            }
        }
        None
    }

    /// Takes a port; `false` when it was taken.
    pub(crate) fn take(&mut self, address: usize, endpoint: Endpoint) -> bool {
        self.set(address, endpoint, true)
    }

    /// Gives a port back.
    pub(crate) fn give_back(&mut self, address: usize, endpoint: Endpoint) {
        self.set(address, endpoint, false);
    }

    /// Whether it was otherwise before.
    fn set(&mut self, address: usize, endpoint: Endpoint, taken: bool) -> bool {
        let Some(row) = row(address, endpoint.protocol) else { return false };
        let place = row * WORDS + usize::from(endpoint.port) / WORD;
        let bit = 1u64 << (usize::from(endpoint.port) % WORD);
        let (Some(word), Some(count)) = (self.used.get_mut(place), self.counts.get_mut(row)) else {
            return false;
        };
        if (*word & bit != 0) == taken {
            return false;
        }
        *word ^= bit;
        *count = if taken { *count + 1 } else { count.saturating_sub(1) };
        true
    }

    /// Ports in use at the address of that number: of TCP, UDP and ICMP.
    pub(crate) fn in_use(&self, address: usize) -> [u32; 3] {
        let from = address * PROTOCOLS.len();
        [0, 1, 2].map(|place| self.counts.get(from + place).copied().unwrap_or(0))
    }
}
