//! IPv4 options (RFC 791 section 3.1).

use crate::headers::Malformed;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpOption<'a> {
    /// Copied flag, class and number: 7 record route, 68 timestamp, 131 and 137 source routes, 148 alert.
    pub kind: u8,
    /// What follows kind and length.
    pub data: &'a [u8],
}

impl IpOption<'_> {
    /// To be copied into every fragment.
    pub fn is_copied(&self) -> bool {
        self.kind & 0x80 != 0
    }

    /// Loose or strict source route: what routers do best to drop (RFC 7126).
    pub fn is_source_route(&self) -> bool {
        matches!(self.kind, 131 | 137)
    }
}

/// Iterator over options, without padding; after an error it ends.
#[derive(Clone, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// The options in these bytes.
    pub fn new(bytes: &'a [u8]) -> Options<'a> {
        Options(bytes)
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<IpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match *self.0 {
                [] | [0, ..] => return None,
                [1, ref rest @ ..] => self.0 = rest,
                [kind, len, ..] if len >= 2 && usize::from(len) <= self.0.len() => {
                    let (option, rest) = self.0.split_at(usize::from(len));
                    self.0 = rest;
                    return Some(Ok(IpOption { kind, data: &option[2..] }));
                }
                _ => {
                    self.0 = &[];
                    return Some(Err(Malformed::Ipv4BadOption));
                }
            }
        }
    }
}
