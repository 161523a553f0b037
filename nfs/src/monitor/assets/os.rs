//! Operating systems by their fingerprints: signatures in the language of p0f 2.

use super::print::{LARGE, MOST_OPTIONS, Moment, Print, Quirks};
use std::collections::HashMap;
use wire::tcp::kind;

/// Routers that a packet has passed at the most, as networks are.
const FARTHEST: u8 = 40;
/// Bytes of a system's name with its details.
const LONGEST: usize = 200;
/// Signatures in one file.
const MOST: usize = 1 << 16;

/// What a number must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number {
    Any,
    Is(u16),
    MultipleOf(u16),
}

impl Number {
    fn parse(text: &str) -> Option<Number> {
        match text.strip_prefix('%') {
            _ if text == "*" => Some(Number::Any),
            Some(of) => of.parse().ok().filter(|of| *of > 0).map(Number::MultipleOf),
            None => text.parse().ok().map(Number::Is),
        }
    }

    fn admits(self, number: u16) -> bool {
        match self {
            Number::Any => true,
            Number::Is(wanted) => wanted == number,
            Number::MultipleOf(of) => number.is_multiple_of(of),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Window {
    Number(Number),
    /// So many times the maximum segment size, or the MTU.
    OfMss(u16),
    OfMtu(u16),
}

/// One line of a file of signatures.
#[derive(Debug)]
pub(in crate::monitor) struct Signature {
    window: Window,
    ttl: u8,
    mss: Number,
    scale: Number,
    /// The time stamp is not zero.
    has_stamp: bool,
    pub(super) os: Box<str>,
    pub(super) details: Box<str>,
}

/// What a signature and a fingerprint share exactly.
#[derive(PartialEq, Eq, Hash)]
struct Shape {
    dont_fragment: bool,
    /// 0: large.
    size: u16,
    quirks: Quirks,
    options: Kinds,
}

/// The kinds of the options in their order, and how many there are.
type Kinds = ([u8; MOST_OPTIONS], u8);

/// Those behind the last that are looked at do not matter.
fn kinds(options: impl Iterator<Item = u8>) -> Kinds {
    let mut kinds = Kinds::default();
    for (place, option) in kinds.0.iter_mut().zip(options) {
        *place = option;
        kinds.1 += 1;
    }
    kinds
}

/// The signatures for one kind of segment.
#[derive(Default)]
pub(in crate::monitor) struct Book {
    /// By shape; each list in the order of the file.
    signatures: HashMap<Shape, Vec<Signature>>,
    count: usize,
}

impl Book {
    /// Reads a file's text. Lines that are no signatures are told by number, with what is wrong.
    pub(in crate::monitor) fn parse(text: &str) -> (Book, Vec<(usize, &'static str)>) {
        let (mut book, mut wrong) = (Book::default(), Vec::new());
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim_end();
            if text.trim_start().is_empty() || text.starts_with('#') {
                continue;
            }
            match signature(text) {
                _ if book.count == MOST => {
                    wrong.push((line, "there are more signatures than 65536"));
                    break;
                }
                Ok((shape, signature)) => {
                    book.signatures.entry(shape).or_default().push(signature);
                    book.count += 1;
                }
                Err(what) => wrong.push((line, what)),
            }
        }
        (book, wrong)
    }

    /// How many signatures it has.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The first signature of the file that fits; for want of one as near as hosts are, one that is farther off. Where
    /// there is neither, a router between may have cleared the flag DF.
    pub(in crate::monitor) fn find(&self, print: &Print) -> Option<&Signature> {
        let options = kinds(print.options().iter().copied());
        let size = if print.size < LARGE { print.size } else { 0 };
        let with = |dont_fragment: bool| {
            let shape = Shape { dont_fragment, size, quirks: print.quirks, options };
            let list = self.signatures.get(&shape)?;
            let mut fitting = list.iter().filter(|signature| signature.fits(print));
            let first = fitting.clone().next()?;
            Some(fitting.find(|signature| signature.ttl - print.ttl <= FARTHEST).unwrap_or(first))
        };
        with(print.dont_fragment).or_else(|| if print.dont_fragment { None } else { with(true) })
    }
}

impl Signature {
    /// The system, and its details.
    pub(in crate::monitor) fn says(&self) -> (&str, &str) {
        (&self.os, &self.details)
    }

    fn fits(&self, print: &Print) -> bool {
        // A link between may have made the segment smaller, and left the window as it was for Ethernet.
        let window = match self.window {
            Window::Number(number) => number.admits(print.window),
            Window::OfMss(times) => [print.mss, 1460].map(|mss| print.windows_in(mss)).contains(&Some(times)),
            Window::OfMtu(times) => {
                [print.mtu().unwrap_or(0), 1500].map(|mtu| print.windows_in(mtu)).contains(&Some(times))
            }
        };
        window
            && self.ttl >= print.ttl
            && self.mss.admits(print.mss)
            && self.scale.admits(print.scale.into())
            && self.has_stamp == (print.stamp > 0)
    }
}

/// `window:ttl:df:size:options:quirks:os:details`.
fn signature(text: &str) -> Result<(Shape, Signature), &'static str> {
    let mut fields = text.splitn(8, ':');
    let mut next = || fields.next().ok_or("a signature has eight fields, separated by colons");
    let (window, ttl, fragment, size, options, quirks, os, details) =
        (next()?, next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    if os.len() + details.len() > LONGEST {
        return Err("the system and its details are longer than 200 bytes");
    }
    let window = window_of(window).ok_or("the window is a number, *, %n, Sn or Tn")?;
    let ttl = ttl.parse().map_err(|_| "the time to live is a number up to 255")?;
    let dont_fragment = match fragment {
        "0" => false,
        "1" => true,
        _ => return Err("the flag DF is 0 or 1"),
    };
    let size = match size {
        "*" => 0,
        _ => size
            .parse()
            .ok()
            .filter(|size| (1..LARGE).contains(size))
            .ok_or("the size is a number below 100, or *")?,
    };
    let quirks = Quirks::parse(quirks).ok_or("the quirks are letters of KQ0PZIUXATFD!NL, or a dot")?;
    // Marks of what is to be said of a match, and of programs with a TCP of their own.
    let os = os.trim_start_matches(['-', '*', '@']);
    let mut signature = Signature {
        window,
        ttl,
        mss: Number::Any,
        scale: Number::Any,
        has_stamp: false,
        os: os.into(),
        details: details.into(),
    };
    let options =
        signature.options(options).ok_or("the options are a list of N, E, S, T, T0, Mn, Wn and ?n")?;
    Ok((Shape { dont_fragment, size, quirks, options: kinds(options.into_iter()) }, signature))
}

fn window_of(text: &str) -> Option<Window> {
    match text.as_bytes().first()? {
        b'S' => text[1..].parse().ok().map(Window::OfMss),
        b'T' => text[1..].parse().ok().map(Window::OfMtu),
        _ => Number::parse(text).map(Window::Number),
    }
}

impl Signature {
    /// Reads the options: their kinds in order, and what their values must be.
    fn options(&mut self, text: &str) -> Option<Vec<u8>> {
        if text == "." {
            return Some(Vec::new());
        }
        // A comma at the end, or a blank, is in some files.
        let written = text.split([',', ' ']).filter(|option| !option.is_empty());
        written
            .map(|option| {
                let value = option.get(1..)?;
                Some(match option.as_bytes()[0] {
                    b'N' if value.is_empty() => kind::NOP,
                    b'E' if value.is_empty() => kind::END,
                    b'S' if value.is_empty() => kind::SACK_PERMITTED,
                    b'T' if value.is_empty() => {
                        self.has_stamp = true;
                        kind::TIMESTAMPS
                    }
                    b'T' if value == "0" => kind::TIMESTAMPS,
                    b'M' => {
                        self.mss = Number::parse(value)?;
                        kind::MSS
                    }
                    b'W' => {
                        self.scale = Number::parse(value)?;
                        kind::WINDOW_SCALE
                    }
                    b'?' => value.parse().ok()?,
                    _ => return None,
                })
            })
            .collect()
    }
}

/// One book for each kind of segment.
#[derive(Default)]
pub(super) struct Library {
    books: [Option<Book>; Moment::ALL.len()],
}

impl Library {
    pub(super) fn put(&mut self, moment: Moment, book: Book) {
        self.books[moment as usize] = Some(book);
    }

    /// The book for this kind, if segments of it are looked at.
    pub(super) fn book(&self, moment: Moment) -> Option<&Book> {
        self.books[moment as usize].as_ref()
    }
}
