//! Secrets of configurations and commands: nobody gets to see them again.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::Site;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use zeroize::Zeroizing;

/// Longest file that a secret is read from.
const MOST: u64 = 4096;
/// Bytes of the shortest key.
const LEAST_KEY: usize = 16;

/// A secret as it was written. It is shown and serialised as its fingerprint, and its memory is cleared in the end.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A secret of that text.
    pub fn new(text: impl Into<String>) -> Secret {
        let text = Zeroizing::new(text.into());
        Secret(Zeroizing::new(text.trim().to_owned()))
    }

    /// Reads a secret from a file, whose name is as in a configuration.
    ///
    /// # Errors
    /// Why the file cannot be read, without what is in it. Where a key stands in place of a name, it is not told.
    pub fn read(site: &Site, name: &str) -> Result<Secret, String> {
        let written = Secret::new(name);
        if written.base64().is_some() || written.hex().is_some_and(|bytes| bytes.len() >= LEAST_KEY) {
            return Err("this is a key, and not the name of a file with one".to_owned());
        }
        let path = &site.path(name);
        let fail = |error: io::Error| format!("{}: {error}", path.display());
        // What grows is copied: with all its room from the start, it leaves nothing behind.
        let mut text = Zeroizing::new(String::with_capacity(MOST as usize + 1));
        // A device or a pipe does not say how long it is.
        File::open(path).map_err(fail)?.take(MOST + 1).read_to_string(&mut text).map_err(fail)?;
        if text.len() as u64 > MOST {
            return Err(format!("{} is too long for a secret", path.display()));
        }
        Ok(Secret(Zeroizing::new(text.trim().to_owned())))
    }

    /// The bytes that it is in hexadecimal digits; `None` if it is not.
    pub(crate) fn hex(&self) -> Option<Zeroizing<Vec<u8>>> {
        hex::decode(self.0.as_bytes()).ok().map(Zeroizing::new)
    }

    /// The 32 bytes that it is in base64; `None` if it is not.
    pub(crate) fn base64(&self) -> Option<Zeroizing<[u8; 32]>> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(self.0.as_bytes()).ok()?);
        bytes.as_slice().try_into().ok().map(Zeroizing::new)
    }
}

/// What two secrets are told apart by, of which nothing follows about them: the start of a hash.
pub(crate) fn fingerprint(secret: &[u8]) -> [u8; 8] {
    let named = Zeroizing::new([b"braid: fingerprint of a secret\0", secret].concat());
    let mut start = [0; 8];
    start.copy_from_slice(&digest(&SHA256, &named).as_ref()[..8]);
    start
}

/// As configurations are compared by what they serialise to, other secrets show otherwise.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {}", hex::encode(fingerprint(self.0.as_bytes())))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// The message about what is no text does not show it.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Else(IgnoredAny),
        }
        match Written::deserialize(from) {
            Ok(Written::Text(text)) => Ok(Secret::new(text)),
            Ok(Written::Else(_)) | Err(_) => Err(serde::de::Error::custom("a secret is written in quotes")),
        }
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}
