//! What can go wrong, in words that say what to do.

use std::ffi::CStr;
use std::fmt;

/// Why a pool, ring, port or thread could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DpdkError {
    /// An argument that DPDK could never accept.
    #[error("{0}")]
    InvalidArgument(String),
    /// DPDK refused.
    #[error("{doing}: {reason}{log}")]
    Refused {
        /// What was tried, as "starting port net_null0".
        doing: String,
        /// The error number, positive (`libc::E...`).
        errno: i32,
        /// What the number means.
        reason: String,
        /// What DPDK logged about it.
        log: LogLines,
    },
    /// Packet or ring memory cannot be had.
    #[error("no memory for {what}: {advice}")]
    OutOfMemory {
        /// What was to be made, with its size.
        what: String,
        /// What to change.
        advice: String,
    },
    /// A device cannot be used.
    #[error("device \"{device}\": {problem}{log}")]
    Device {
        /// The device string as given.
        device: String,
        /// What is wrong and what to do.
        problem: String,
        /// What DPDK logged about it.
        log: LogLines,
    },
    /// The port's queues of an earlier start are still held by someone, or another device drives it.
    #[error("port {device} is in use: {by}")]
    Busy {
        /// The device string of the port.
        device: String,
        /// Who uses it.
        by: String,
    },
}

/// Why the environment did not come up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EalError {
    /// EAL comes up once per process, and has (or is about to).
    #[error("DPDK is initialised once per process, and already was")]
    AlreadyInitialised,
    /// An option that cannot be passed on.
    #[error("DPDK option {option:?}: {problem}")]
    BadOption {
        /// The option.
        option: String,
        /// What is wrong with it.
        problem: String,
    },
    /// DPDK's own initialisation failed.
    #[error("DPDK did not start: {reason}; {advice}{log}")]
    Failed {
        /// What the error number means.
        reason: String,
        /// What to do.
        advice: String,
        /// DPDK's last lines.
        log: LogLines,
    },
}

/// DPDK's own log lines about an error, printed below it. May be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogLines(pub Vec<String>);

impl fmt::Display for LogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  DPDK: {line}"))
    }
}

impl DpdkError {
    /// A call returned `result`, negative: the error number with its sign turned, or -1 with the number
    /// in the thread's `rte_errno`.
    pub(crate) fn refused(doing: impl Into<String>, result: i32, log: Vec<String>) -> DpdkError {
        let errno = if result == -1 && last_errno() != 0 { last_errno() } else { result.saturating_neg() };
        DpdkError::Refused { doing: doing.into(), errno, reason: explain(errno), log: LogLines(log) }
    }
}

/// The calling thread's `rte_errno`.
pub(crate) fn last_errno() -> i32 {
    // SAFETY: reads a thread-local integer.
    unsafe { dpdk_sys::braid_errno() }
}

/// What an error number means.
pub(crate) fn explain(errno: i32) -> String {
    // SAFETY: returns a static or thread-local string for every number, known or not; copied at once.
    unsafe {
        let text = dpdk_sys::rte_strerror(errno);
        if text.is_null() {
            format!("error {errno}")
        } else {
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }
}
