//! Extension headers (RFC 8200 section 4), and the authentication header (RFC 4302).

use crate::headers::MAX_EXTENSIONS;
use crate::order::get_u16;
use crate::protocol::ip;

/// Next-header numbers that [`extensions`] walks over.
#[inline]
pub const fn is_extension(next: u8) -> bool {
    matches!(next, ip::HOP_BY_HOP | ip::ROUTING | ip::FRAGMENT | ip::DESTINATION_OPTIONS | ip::AH)
}

/// Bytes of an extension header with this number and second byte.
#[inline]
pub const fn extension_len(kind: u8, length: u8) -> usize {
    match kind {
        ip::FRAGMENT => 8,
        // RFC 4302 section 2.2: in words of 4 bytes, minus 2.
        ip::AH => (length as usize + 2) * 4,
        _ => (length as usize + 1) * 8,
    }
}

/// One extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Which one: its next-header number.
    pub kind: u8,
    /// The number of what follows.
    pub next: u8,
    /// Where it starts in the slice given to [`extensions`].
    pub offset: usize,
    /// Its bytes.
    pub len: usize,
}

/// Iterator over extension headers; ends after the last, before the first that is cut off, after the
/// fragment header of a non-first fragment, and after [`MAX_EXTENSIONS`].
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    bytes: &'a [u8],
    next: u8,
    offset: usize,
    left: usize,
}

/// The extension headers of the IPv6 packet that starts at `at` in `bytes`; none if it is cut off.
pub fn extensions(bytes: &[u8], at: usize) -> Extensions<'_> {
    let fixed = bytes.get(at..at.saturating_add(40));
    let next = fixed.map_or(ip::NO_NEXT_HEADER, |header| header[6]);
    let end = fixed.map_or(0, |header| at + 40 + usize::from(u16::from_be_bytes([header[4], header[5]])));
    let bytes = &bytes[..end.min(bytes.len())];
    Extensions { bytes, next, offset: at.saturating_add(40), left: MAX_EXTENSIONS }
}

impl Iterator for Extensions<'_> {
    type Item = Extension;

    fn next(&mut self) -> Option<Extension> {
        if !is_extension(self.next) || self.left == 0 {
            return None;
        }
        let fixed = self.bytes.get(self.offset..self.offset + 8)?;
        let len = extension_len(self.next, fixed[1]);
        if self.offset + len > self.bytes.len() {
            return None;
        }
        let extension = Extension { kind: self.next, next: fixed[0], offset: self.offset, len };
        self.left -= 1;
        self.offset += len;
        let later = extension.kind == ip::FRAGMENT && get_u16(fixed, 2)? & 0xfff8 != 0;
        self.next = if later { ip::NO_NEXT_HEADER } else { extension.next };
        Some(extension)
    }
}

/// Where the fragment header of the IPv6 packet at `at` starts, if it has one.
pub fn fragment_header_offset(bytes: &[u8], at: usize) -> Option<usize> {
    extensions(bytes, at).find(|extension| extension.kind == ip::FRAGMENT).map(|extension| extension.offset)
}
