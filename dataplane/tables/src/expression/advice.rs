//! What was probably meant by a word that the language does not have.
use super::field::{FIELDS, PREDICATES, PROTOCOLS, TCP_FLAGS};

/// Advice on a word that is neither a predicate nor a field.
pub(super) fn on_unknown(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let last = end(&lower);
    if TCP_FLAGS.iter().any(|(flag, _)| *flag == last) {
        return format!("write `tcp.flags has {last}`");
    }
    let predicates = || PREDICATES.iter().map(|(name, _)| *name);
    let fields = || FIELDS.iter().map(|(name, _)| *name);
    if PROTOCOLS.iter().any(|(name, _)| *name == lower) && !predicates().any(|name| name == lower) {
        return format!("write `ip.proto == {lower}`");
    }
    let part = fields().filter_map(|name| Some((likeness(&lower, name)?, name))).min().map(|(_, name)| name);
    let slip = near(word, predicates().chain(fields()).chain(["all", "not"]));
    let meant = match (slip, part) {
        // One slip in a whole name is nearer than a part of another one, unless the word is the beginning of it.
        (Some((1, name)), Some(part)) if !end(part).starts_with(last) => Some(name),
        (_, Some(part)) => Some(part),
        (slip, None) => slip.map(|(_, name)| name),
    };
    meant.map_or_else(
        || {
            let (predicates, fields): (Vec<_>, Vec<_>) = (predicates().collect(), fields().collect());
            format!("predicates: {}; fields: {}", predicates.join(", "), fields.join(", "))
        },
        |name| format!("did you mean `{name}`?"),
    )
}

/// What stands behind the last dot of a name.
fn end(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How like a field a word is whose end is that of the field (`src`, `ip6.src`), or where one end is the beginning of
/// the other (`prot`, `protocol`): less is more.
fn likeness(word: &str, field: &str) -> Option<(usize, usize)> {
    let (last, of_field) = (end(word), end(field));
    let begins =
        last.len() >= 3 && of_field.starts_with(last) || of_field.len() >= 3 && last.starts_with(of_field);
    let rank = if field == last {
        0
    } else if of_field == last {
        1
    } else if begins {
        2
    } else {
        return None;
    };
    Some((rank, distance(word.as_bytes(), field.as_bytes())))
}

/// Advice on what follows a predicate, which stands alone.
pub(super) fn behind_predicate(predicate: &str) -> Option<String> {
    let start = format!("{}.", predicate.trim_end_matches(['4', '6']));
    let fields: Vec<String> = FIELDS
        .iter()
        .filter(|(name, _)| name.starts_with(&start))
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let compared = PREDICATES.iter().any(|(name, _)| *name == predicate) && !fields.is_empty();
    compared
        .then(|| format!("`{predicate}` is compared with nothing; it has the fields {}", fields.join(", ")))
}

/// The name most like a word, with the slips from one to the other.
pub(super) fn near<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<(usize, &'n str)> {
    let word: Vec<u8> = word.bytes().take(16).map(|byte| byte.to_ascii_lowercase()).collect();
    let closest = names.map(|name| (distance(&word, name.as_bytes()), name)).min()?;
    // Not so many that any short name would do.
    (closest.0 <= (word.len() / 3).max(1)).then_some(closest)
}

/// Insertions, deletions and changes of a letter, and swaps of two, that make one word of the other (the restricted
/// edit distance of Damerau and Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let one_more = rows[i - 1][j].min(rows[i][j - 1]) + 1;
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let swap = if swapped { rows[i - 2][j - 2] + 1 } else { usize::MAX };
                change.min(one_more).min(swap)
            };
        }
    }
    rows[a.len()][b.len()]
}
