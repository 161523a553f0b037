//! The target of a request, as a server understands it.

/// The value of two hexadecimal digits.
fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = *digits else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    Some(digit(high)? << 4 | digit(low)?)
}

/// Percent-decoding, once. What is no escape stays.
fn decode(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        match hex_pair(after).filter(|_| byte == b'%') {
            Some(value) => {
                out.push(value);
                rest = &after[2..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
}

/// Where scheme and authority of an absolute target end: `http://host` of `http://host/path`.
pub(super) fn authority(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let scheme = target.iter().position(|&byte| byte == b':')?;
    let named = scheme > 0 && target[..scheme].iter().all(u8::is_ascii_alphanumeric);
    let rest = target.get(scheme..)?.strip_prefix(b"://").filter(|_| named)?;
    let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

/// Path and query, normalised: without scheme, authority and fragment, percent-decoded once, `//` and `.` and `..`
/// segments of the path resolved (RFC 3986 section 6.2.2, and what servers do besides).
pub(super) fn normalise(target: &[u8], out: &mut Vec<u8>) {
    let target = authority(target).map_or(target, |(_, rest)| if rest.is_empty() { b"/" } else { rest });
    let target = target.split(|&byte| byte == b'#').next().unwrap_or_default();
    let query = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let start = out.len();
    decode(&target[..query], out);
    resolve(out, start);
    decode(&target[query..], out);
}

/// Resolves the segments of the path that begins at `start` of `out`.
fn resolve(out: &mut Vec<u8>, start: usize) {
    if out.get(start) != Some(&b'/') {
        return;
    }
    let (mut read, mut write, end) = (start, start, out.len());
    while read < end {
        // At a slash: what follows up to the next one is a segment.
        let from = read + 1;
        let to = out[from..end].iter().position(|&byte| byte == b'/').map_or(end, |len| from + len);
        let last = to == end;
        match &out[from..to] {
            b"." | b"" if !last => {}
            b".." => {
                write =
                    out[start..write].iter().rposition(|&byte| byte == b'/').map_or(start, |at| start + at);
                if last {
                    out[write] = b'/';
                    write += 1;
                }
            }
            segment => {
                let len = if segment == b"." { 0 } else { to - from };
                out[write] = b'/';
                out.copy_within(from..from + len, write + 1);
                write += 1 + len;
            }
        }
        read = to;
    }
    out.truncate(write);
}

/// A host in small letters, without port and user.
pub(super) fn host(raw: &[u8], out: &mut Vec<u8>) {
    let raw = raw.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
    let bracketed = raw.starts_with(b"[").then(|| raw.iter().position(|&byte| byte == b']')).flatten();
    let name = match bracketed {
        Some(end) => &raw[..=end],
        None => raw.split(|&byte| byte == b':').next().unwrap_or_default(),
    };
    out.extend(name.iter().map(u8::to_ascii_lowercase));
}
