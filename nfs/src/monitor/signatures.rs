//! Files of signatures by themselves, for programs that check them.

use super::assets::{Banners, Book, Print};

/// Lines that are no signatures: their numbers, and what is wrong.
pub type Wrong = Vec<(usize, String)>;

/// Fingerprints of systems, in the language of p0f 2: a file as `assets.syn` and its like name one.
pub struct Systems(Book);

impl Systems {
    /// Reads a file's text.
    pub fn parse(text: &str) -> (Systems, Wrong) {
        let (book, wrong) = Book::parse(text);
        (Systems(book), wrong.into_iter().map(|(line, what)| (line, what.to_owned())).collect())
    }

    /// The fingerprint of an Ethernet frame with a TCP segment whose headers are whole, and the system and its details that
    /// the first signature names which fits.
    pub fn find(&self, frame: &[u8]) -> Option<(String, Option<(&str, &str)>)> {
        let print = Print::of(&wire::parse(frame), frame)?;
        let found = self.0.find(&print).map(|signature| signature.says());
        Some((print.to_string(), found))
    }
}

/// What services say, in the language of PRADS: a file as `assets.servers` and its like name one.
pub struct Services(Option<Banners>);

impl Services {
    /// Reads a file's text.
    pub fn parse(text: &str) -> (Services, Wrong) {
        let (banners, wrong) = Banners::parse(text);
        (Services(banners), wrong)
    }

    /// The service and what is known of it, by the first signature that matches a payload.
    pub fn find(&self, payload: &[u8]) -> Option<(String, String)> {
        let banners = self.0.as_ref()?;
        banners.find(&mut banners.scratch(), payload).map(|said| (said.service, said.what))
    }
}
