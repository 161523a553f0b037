//! DPDK's log: captured from a C stream, kept for error messages, forwarded to `tracing` as target `dpdk`.

use std::collections::VecDeque;
use std::ffi::c_char;
use std::sync::{Mutex, Once, PoisonError};

use dpdk_sys::{braid_log_stream, rte_log_cur_msg_loglevel, rte_log_set_global_level, rte_openlog_stream};
use tracing::Level;

/// How many lines are kept.
const KEPT: usize = 50;
/// A line that never ends is cut here.
const LONGEST: usize = 1024;
// DPDK's numbers for levels (rte_log.h).
/// Normal, but significant.
const NOTICE: u32 = 6;
const INFO: u32 = 7;
const DEBUG: u32 = 8;

/// The last lines, and the one that has no end yet.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    open: Vec<u8>,
    /// Lines ever written.
    written: u64,
}

static TAIL: Mutex<Tail> = Mutex::new(Tail { lines: VecDeque::new(), open: Vec::new(), written: 0 });

/// How much DPDK is to say: as much as somebody listens to, and enough for error messages.
fn wanted() -> u32 {
    if tracing::enabled!(target: "dpdk", Level::DEBUG) {
        DEBUG
    } else if tracing::enabled!(target: "dpdk", Level::INFO) {
        INFO
    } else {
        NOTICE
    }
}

/// What to tell EAL when that is more than DPDK's libraries and drivers say by themselves.
pub(crate) fn argument() -> Option<&'static str> {
    match wanted() {
        DEBUG => Some("--log-level=*:debug"),
        INFO => Some("--log-level=*:info"),
        _ => None,
    }
}

/// Directs DPDK's log here, for the rest of the process.
pub(crate) fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: `write` lives as long as the program. The stream is never closed, so DPDK may keep it.
        // Setting the stream and the level needs no EAL.
        unsafe {
            let stream = braid_log_stream(Some(write));
            if !stream.is_null() {
                rte_openlog_stream(stream);
            }
            rte_log_set_global_level(wanted());
        }
    });
}

/// The last lines, oldest first.
pub(crate) fn tail(count: usize) -> Vec<String> {
    let tail = TAIL.lock().unwrap_or_else(PoisonError::into_inner);
    tail.lines.iter().skip(tail.lines.len().saturating_sub(count)).cloned().collect()
}

/// A place in the log, to ask [`since`] for what came later.
pub(crate) fn mark() -> u64 {
    TAIL.lock().unwrap_or_else(PoisonError::into_inner).written
}

/// The lines after `mark`, at most the last 8.
pub(crate) fn since(mark: u64) -> Vec<String> {
    tail(usize::try_from(mark_distance(mark)).unwrap_or(KEPT).min(8))
}

fn mark_distance(mark: u64) -> u64 {
    TAIL.lock().unwrap_or_else(PoisonError::into_inner).written.saturating_sub(mark)
}

/// The stream's sink. A panic in it ends the process, as for every `extern "C"` function: it must not pass
/// through C.
unsafe extern "C" fn write(bytes: *const c_char, length: usize) -> isize {
    // SAFETY: the C library passes a buffer of `length` bytes, for the time of the call. The level is the calling
    // thread's, set by DPDK before it writes.
    let (bytes, level) =
        unsafe { (std::slice::from_raw_parts(bytes.cast::<u8>(), length), rte_log_cur_msg_loglevel()) };
    let level = u32::try_from(level).unwrap_or(0);
    let finished = TAIL.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, level <= NOTICE);
    // Outside the lock: a subscriber may log, too. What is an error is said by whoever made the call.
    for line in finished {
        if level <= INFO {
            tracing::info!(target: "dpdk", "{line}");
        } else {
            tracing::debug!(target: "dpdk", "{line}");
        }
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

impl Tail {
    /// Adds bytes; returns the lines that they finish. Those that matter are kept.
    fn take(&mut self, bytes: &[u8], matters: bool) -> Vec<String> {
        let mut finished = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.open.push(byte);
            }
            if (byte == b'\n' || self.open.len() >= LONGEST) && !self.open.is_empty() {
                let line = String::from_utf8_lossy(&self.open).trim_end().to_owned();
                self.open.clear();
                if matters {
                    if self.lines.len() == KEPT {
                        self.lines.pop_front();
                    }
                    self.lines.push_back(line.clone());
                    self.written += 1;
                }
                finished.push(line);
            }
        }
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces_and_the_last_fifty_are_kept() {
        let mut tail = Tail::default();
        assert!(tail.take(b"EAL: no ", true).is_empty());
        assert_eq!(tail.take(b"memory\nEAL: bye\n\n", true), ["EAL: no memory", "EAL: bye"]);
        for number in 0..60 {
            tail.take(format!("line {number}\n").as_bytes(), true);
        }
        assert_eq!(tail.take(b"a detail\n", false), ["a detail"]);
        assert_eq!(tail.lines.len(), KEPT);
        assert_eq!(tail.lines.back().map(String::as_str), Some("line 59"));
        assert_eq!(tail.written, 62);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut tail = Tail::default();
        let finished = tail.take(&[b'x'; 3 * LONGEST], true);
        assert_eq!(finished.len(), 3);
        assert!(tail.open.is_empty());
    }
}
