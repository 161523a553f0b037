//! A fixed buffer that slides over the input.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

use crate::error::Fault;

/// More than twice the longest record with its options, so that the bytes kept back are moved rarely.
const CAPACITY: usize = 1 << 20;

/// The input, seen through a buffer of fixed size.
pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    /// The bytes read and not yet consumed.
    filled: Range<usize>,
    /// Where `filled.start` is in the input.
    offset: u64,
}

impl Window {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, buffer: vec![0; CAPACITY].into(), filled: 0..0, offset: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `wanted` bytes are there or the input ends; what is there, of at most `wanted` bytes.
    pub(crate) fn peek(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let wanted = wanted.min(CAPACITY);
        if self.filled.start + wanted > CAPACITY {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        while self.filled.len() < wanted {
            match self.source.read(&mut self.buffer[self.filled.end..]) {
                Ok(0) => break,
                Ok(n) => self.filled.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let available = wanted.min(self.filled.len());
        Ok(&self.buffer[self.filled.start..self.filled.start + available])
    }

    /// `wanted` bytes, or a fault that says that `what` is cut short.
    pub(crate) fn need(&mut self, wanted: usize, what: &'static str) -> Result<&[u8], Fault> {
        let bytes = self.peek(wanted)?;
        if bytes.len() < wanted {
            return Err(Fault::CutShort { what, wanted: wanted as u64, got: bytes.len() as u64 });
        }
        Ok(bytes)
    }

    /// Consumes bytes that were peeked at; [`Self::slice`] shows them until the next peek.
    pub(crate) fn consume(&mut self, length: usize) -> Range<usize> {
        let taken = self.filled.start..(self.filled.start + length).min(self.filled.end);
        self.filled.start = taken.end;
        self.offset += taken.len() as u64;
        taken
    }

    /// Passes over bytes, more than fit into the buffer if need be.
    pub(crate) fn skip(&mut self, length: u64, what: &'static str) -> Result<(), Fault> {
        let mut left = length;
        while left > 0 {
            let step = self.peek(left.min(CAPACITY as u64) as usize)?.len();
            if step == 0 {
                return Err(Fault::CutShort { what, wanted: length, got: length - left });
            }
            self.consume(step);
            left -= step as u64;
        }
        Ok(())
    }

    /// The bytes of a range that [`Self::consume`] gave.
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }
}

/// Integers of a file whose byte order its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    /// The 16-bit integer at `at`; the caller has checked the length.
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let field = [bytes[at], bytes[at + 1]];
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    /// The 32-bit integer at `at`; the caller has checked the length.
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }
}
