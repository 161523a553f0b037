//! As much of DER (X.690) and X.509 (RFC 5280) as names and serial numbers of a certificate need.

/// Levels of a name that are looked at.
const ATTRIBUTES: usize = 32;

/// Tag, contents and what follows of the first element.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 3))?;
            (digits.iter().fold(0, |len, &digit| len << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((tag, contents, rest))
}

/// The contents of the first element if it has this tag, and what follows.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    element(bytes).filter(|found| found.0 == tag).map(|(_, contents, rest)| (contents, rest))
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;

/// What rules look at in a certificate, in DER.
pub(super) struct Certificate<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub fn new(der: &'a [u8]) -> Option<Certificate<'a>> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (fields, _) = expect(certificate, SEQUENCE)?;
        let fields = expect(fields, VERSION).map_or(fields, |(_, rest)| rest);
        let (serial, fields) = expect(fields, INTEGER)?;
        let (_algorithm, fields) = expect(fields, SEQUENCE)?;
        let (issuer, fields) = expect(fields, SEQUENCE)?;
        let (_validity, fields) = expect(fields, SEQUENCE)?;
        let (subject, _) = expect(fields, SEQUENCE)?;
        Some(Certificate { serial, issuer, subject })
    }

    /// `0A:1B:2C`.
    pub fn serial(&self) -> String {
        let bytes: Vec<String> = self.serial.iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// `C=…, O=…, CN=…`, in the order of the certificate.
    pub fn issuer(&self) -> Vec<u8> {
        name(self.issuer)
    }

    /// The same of whom it is for.
    pub fn subject(&self) -> Vec<u8> {
        name(self.subject)
    }
}

/// A name's attributes as text. What is malformed ends it.
fn name(mut sets: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..ATTRIBUTES {
        let Some((set, rest)) = expect(sets, SET) else { break };
        sets = rest;
        let Some((attribute, _)) = expect(set, SEQUENCE) else { break };
        let Some((identifier, value)) = expect(attribute, OBJECT_IDENTIFIER) else { break };
        let Some((tag, value, _)) = element(value) else { break };
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(label(identifier).as_bytes());
        text.push(b'=');
        match tag {
            // Two bytes for each character, of which those of ASCII have a zero first.
            BMP_STRING => {
                text.extend(value.chunks_exact(2).map(|pair| if pair[0] == 0 { pair[1] } else { b'?' }))
            }
            _ => text.extend_from_slice(value),
        }
    }
    text
}

/// The usual short name of an attribute (RFC 4519, RFC 2985).
fn label(identifier: &[u8]) -> &'static str {
    match identifier {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 4] => "SN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "street",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x55, 4, 12] => "title",
        [0x55, 4, 17] => "postalCode",
        [0x55, 4, 42] => "GN",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        _ => "other",
    }
}
