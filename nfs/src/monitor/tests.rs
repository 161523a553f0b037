mod accounting;
mod adopting;
mod tshark;

use super::accounts::Accounts;
use super::record::Ended;
use engine::Time;

/// Feeds frames, each as a burst of its own, into accounts with room for `capacity` flows.
fn account<'a>(
    capacity: usize,
    frames: impl IntoIterator<Item = (u64, &'a [u8], usize)>,
) -> (Accounts, Vec<Ended>) {
    let mut accounts = Accounts::new(capacity, None, 1);
    let mut ended = Vec::new();
    for (nanos, frame, len) in frames {
        let now = Time::from_nanos(nanos);
        accounts.stage(&wire::parse_with_len(frame, len), frame, now);
        accounts.settle(now, &mut ended);
    }
    (accounts, ended)
}

/// All flows, ended and not.
fn flows(accounts: &Accounts, ended: &[Ended]) -> Vec<Ended> {
    let open = accounts.all().into_iter().map(|(key, flow)| Ended { key, flow });
    open.chain(ended.iter().copied()).collect()
}
