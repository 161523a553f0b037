//! Messages out of a stream: lines of bounded length, in bounded time.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

/// What came.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    /// A line, without its end.
    Line(Vec<u8>),
    /// A line grew over the bound. What follows is not read.
    TooLong,
    /// A line was begun and not ended in time.
    TooSlow,
    /// Nothing for the moment.
    Nothing,
    /// The stream has ended.
    End,
}

/// Takes lines from a stream whose reads time out.
pub(super) struct Lines<R> {
    stream: R,
    longest: usize,
    time: Duration,
    buffer: Vec<u8>,
    /// So much of the buffer has no line end in it.
    searched: usize,
    begun: Option<Instant>,
    ended: bool,
}

const CHUNK: usize = 16 << 10;

impl<R: Read> Lines<R> {
    pub fn new(stream: R, longest: usize, time: Duration) -> Self {
        Lines { stream, longest, time, buffer: Vec::new(), searched: 0, begun: None, ended: false }
    }

    /// The next line; reads at most once.
    pub fn next(&mut self) -> Incoming {
        if let Some(line) = self.take_line() {
            return line;
        }
        if self.ended {
            return Incoming::End;
        }
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => {
                self.ended = true;
                // A last line may lack its end.
                self.searched = 0;
                let rest = std::mem::take(&mut self.buffer);
                return if rest.is_empty() { Incoming::End } else { Incoming::Line(rest) };
            }
            Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => {
                self.ended = true;
                return Incoming::End;
            }
        }
        if let Some(line) = self.take_line() {
            return line;
        }
        if self.buffer.is_empty() {
            return Incoming::Nothing;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if begun.elapsed() > self.time { Incoming::TooSlow } else { Incoming::Nothing }
    }

    fn take_line(&mut self) -> Option<Incoming> {
        match self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
            Some(at) if self.searched + at <= self.longest => {
                let rest = self.buffer.split_off(self.searched + at + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                self.searched = 0;
                self.begun = None;
                Some(Incoming::Line(line))
            }
            Some(_) => Some(Incoming::TooLong),
            None => {
                self.searched = self.buffer.len();
                (self.buffer.len() > self.longest).then_some(Incoming::TooLong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8], longest: usize) -> Vec<Incoming> {
        let mut lines = Lines::new(bytes, longest, Duration::from_secs(1));
        let mut out = Vec::new();
        loop {
            match lines.next() {
                Incoming::Nothing => {}
                last @ (Incoming::End | Incoming::TooLong | Incoming::TooSlow) => {
                    out.push(last);
                    return out;
                }
                line => out.push(line),
            }
        }
    }

    #[test]
    fn lines_come_one_by_one_and_the_last_may_lack_its_end() {
        let line = |text: &str| Incoming::Line(text.as_bytes().to_vec());
        assert_eq!(lines(b"a\n\nbc", 8), [line("a"), line(""), line("bc"), Incoming::End]);
        assert_eq!(lines(b"", 8), [Incoming::End]);
    }

    #[test]
    fn a_long_line_ends_it_after_the_bound_and_no_later() {
        assert_eq!(lines(&[b'x'; 1000], 8), [Incoming::TooLong]);
        assert_eq!(
            lines(b"12345678\n123456789\n", 8),
            [Incoming::Line(b"12345678".to_vec()), Incoming::TooLong]
        );
        let mut endless = Lines::new(std::io::repeat(b'x'), 1 << 20, Duration::from_secs(60));
        while endless.next() == Incoming::Nothing {}
        assert!(endless.buffer.len() <= (1 << 20) + CHUNK);
    }

    #[test]
    fn half_a_line_is_given_up_in_time() {
        let half = b"half".chain(Slow);
        let mut lines = Lines::new(half, 100, Duration::from_millis(5));
        let begun = Instant::now();
        while lines.next() == Incoming::Nothing {
            assert!(begun.elapsed() < Duration::from_secs(5), "it never gave up");
        }
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }

    /// Never has anything to read.
    struct Slow;

    impl Read for Slow {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            std::thread::sleep(Duration::from_millis(1));
            Err(ErrorKind::WouldBlock.into())
        }
    }
}
