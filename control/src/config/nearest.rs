//! What was probably meant by a name that nobody knows.

/// Advice on an unknown name: the nearest known one if there is one near, and the known ones.
pub(crate) fn advice<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(name.chars().count()) / 2)
        .min_by_key(|(distance, _)| *distance);
    match (nearest, known.is_empty()) {
        (_, true) => "there is none yet".to_owned(),
        (Some((_, nearest)), _) if known.len() == 1 => format!("did you mean '{nearest}'?"),
        (Some((_, nearest)), _) => format!("did you mean '{nearest}'? known: {}", known.join(", ")),
        (None, _) => format!("known: {}", known.join(", ")),
    }
}

/// Edits (insert, delete, replace, swap neighbours) from one name to the other, letter case aside.
/// Names longer than 64 characters are far from everything, which bounds the work.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
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
    fn a_strange_name_only_lists_what_is_known() {
        assert_eq!(advice("zzzzzz", ["lan", "wan"]), "known: lan, wan");
        assert_eq!(advice("x", []), "there is none yet");
    }
}
