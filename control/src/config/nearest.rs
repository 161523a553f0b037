//! What was probably meant by a name that nobody knows.

/// Advice on an unknown name: the nearest known one if there is one near, and the known ones.
pub(crate) fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match (nearest(name, known.iter().copied()), known.is_empty()) {
        (_, true) => "there is none yet".to_owned(),
        (Some(nearest), _) if known.len() == 1 => format!("did you mean '{nearest}'?"),
        (Some(nearest), _) => format!("did you mean '{nearest}'? known: {}", known.join(", ")),
        (None, _) => format!("known: {}", known.join(", ")),
    }
}

/// The nearest known name, if one is near: one that begins like it, or is a few slips away.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let rank = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let begins = name.len() >= 2 && candidate.starts_with(&name)
            || candidate.len() >= 3 && name.starts_with(&candidate);
        let distance = distance(&name, &candidate);
        let near = distance <= candidate.chars().count().max(name.chars().count()) / 2;
        // Half of a short name may be anything: a beginning says more than slips.
        if begins { Some((0, distance)) } else { near.then_some((distance, 0)) }
    };
    known
        .into_iter()
        .filter_map(|candidate| Some((rank(candidate)?, candidate)))
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap neighbours) from one name to the other.
/// Names longer than 64 characters are far from everything, which bounds the work.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_what_was_meant() {
        for (slip, meant) in
            [("workres", "workers"), ("Firewall", "firewall"), ("chian", "chain"), ("mtuu", "mtu")]
        {
            let advice = advice(slip, ["workers", "firewall", "chain", "mtu"]);
            assert!(advice.starts_with(&format!("did you mean '{meant}'?")), "{slip}: {advice}");
        }
    }

    #[test]
    fn a_beginning_finds_the_whole_and_a_whole_with_more_the_beginning() {
        let kinds = ["lb", "l2fwd", "firewall", "nat", "vlan", "conntrack"];
        for (name, meant) in
            [("l2", "l2fwd"), ("fire", "firewall"), ("conn", "conntrack"), ("nat44", "nat"), ("snat", "nat")]
        {
            assert_eq!(nearest(name, kinds), Some(meant), "{name}");
        }
        assert_eq!(nearest("x", kinds), None);
    }

    #[test]
    fn a_strange_name_only_lists_what_is_known() {
        assert_eq!(advice("zzzzzz", ["lan", "wan"]), "known: lan, wan");
        assert_eq!(advice("x", []), "there is none yet");
    }
}
