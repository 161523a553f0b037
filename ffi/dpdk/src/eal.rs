//! DPDK's environment abstraction layer: memory, log, threads. Initialised once per process, on a thread of
//! its own and without devices, so that ports and workers can come and go later.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{DpdkError, EalError, LogLines, explain, last_errno};
use crate::{gate, mbuf};

mod arguments;
pub(crate) mod log;
#[cfg(test)]
mod tests;

/// How the environment is set up. [`EalOptions::default`] is the embedded setting: 512 MB of ordinary pages,
/// no NIC, any user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EalOptions {
    /// Packet memory in hugepages. `false`: ordinary pages, which any user has.
    pub hugepages: bool,
    /// Look for PCI devices. Nothing is taken over until [`Port::probe`](crate::Port::probe) asks for it.
    pub pci: bool,
    /// Packet memory, in MB. With ordinary pages it is reserved at the start and used as touched.
    pub memory_mb: u32,
    /// Distinguishes this process from others on the machine; its process id is added.
    pub file_prefix: String,
    /// Further EAL arguments, one word each, as DPDK's manual has them.
    pub extra: Vec<String>,
}

impl Default for EalOptions {
    fn default() -> Self {
        EalOptions {
            hugepages: false,
            pci: false,
            memory_mb: 512,
            file_prefix: "braid".into(),
            extra: Vec::new(),
        }
    }
}

/// Proof that the environment is up. Copies are free; it stays up until the process ends.
#[derive(Debug, Clone)]
pub struct Eal {
    /// Ordinary pages belong to no NUMA node, so none may be asked for.
    pub(crate) hugepages: bool,
}

impl Eal {
    /// Brings the environment up: takes 0.1 to 0.3 s. EAL's main thread is one of its own that sleeps for
    /// ever; the caller's affinity and name stay as they are.
    ///
    /// DPDK's log is captured from here on: forwarded to `tracing` (target `dpdk`, at most at info level), the last
    /// lines kept for error messages. DPDK says as much as the subscriber of now wants to hear.
    ///
    /// # Errors
    /// [`EalError::AlreadyInitialised`] from the second call on, even when the first one failed (EAL cannot
    /// be tried twice); [`EalError::BadOption`] before anything is touched; [`EalError::Failed`] with what
    /// DPDK said.
    pub fn init(options: &EalOptions) -> Result<Eal, EalError> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        let arguments = arguments::build(options)?;
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(EalError::AlreadyInitialised);
        }
        log::capture();
        tracing::debug!(?arguments, "starting DPDK");
        let (report, result) = std::sync::mpsc::sync_channel(1);
        let failed = |reason: String| EalError::Failed {
            advice: arguments::advice(options, &log::tail(usize::MAX)),
            reason,
            log: LogLines(log::tail(8)),
        };
        std::thread::Builder::new()
            .name("eal-main".into())
            .spawn(move || {
                let result = initialise(arguments);
                let up = result.is_ok();
                // The caller waits for exactly this message.
                let _ = report.send(result);
                if up {
                    loop {
                        std::thread::park();
                    }
                }
            })
            .map_err(|error| failed(format!("no thread for it: {error}")))?;
        match result.recv() {
            Ok(Ok(())) => Ok(Eal { hugepages: options.hugepages }),
            Ok(Err(reason)) => Err(failed(reason)),
            Err(_) => Err(failed("its thread ended".into())),
        }
    }

    /// Makes the calling thread one that DPDK knows: it gets a number, and with it a cache in every pool,
    /// which makes allocating and freeing mbufs several times faster. For threads that poll. The thread is
    /// DPDK's until the guard is dropped; its affinity stays as it is.
    ///
    /// # Errors
    /// When the thread is registered already, or all of DPDK's numbers (128 in Debian's build) are in use.
    pub fn register_thread(&self) -> Result<ThreadGuard, DpdkError> {
        if gate::is_registered() {
            return Err(DpdkError::InvalidArgument("this thread is registered with DPDK already".into()));
        }
        // SAFETY: EAL is up (`self`), and the thread is not registered.
        let result = unsafe { dpdk_sys::rte_thread_register() };
        if result != 0 {
            return Err(DpdkError::refused("registering a thread with DPDK", result, Vec::new()));
        }
        // SAFETY: reads the calling thread's number, which it has now.
        gate::register(unsafe { dpdk_sys::braid_lcore_id() } as usize);
        Ok(ThreadGuard { _not_send: PhantomData })
    }

    /// The version of the DPDK that runs, as "DPDK 22.11.11".
    #[must_use]
    pub fn version() -> String {
        // SAFETY: returns a static string.
        unsafe { CStr::from_ptr(dpdk_sys::rte_version()) }.to_string_lossy().into_owned()
    }

    /// The last lines that DPDK logged, oldest first, at most `count` (50 are kept).
    #[must_use]
    pub fn log_tail(&self, count: usize) -> Vec<String> {
        log::tail(count)
    }

    /// The NUMA node to ask DPDK for, in its terms.
    pub(crate) fn socket(&self, socket: Option<u32>) -> i32 {
        match socket {
            Some(socket) if self.hugepages => i32::try_from(socket).unwrap_or(dpdk_sys::BRAID_SOCKET_ANY),
            _ => dpdk_sys::BRAID_SOCKET_ANY,
        }
    }
}

/// The calling thread is registered with DPDK while this lives. It cannot be sent to another one.
#[derive(Debug)]
pub struct ThreadGuard {
    _not_send: PhantomData<*const ()>,
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        gate::unregister();
        // SAFETY: the guard is not Send, so this is the thread that was registered.
        unsafe { dpdk_sys::rte_thread_unregister() };
    }
}

/// Runs on EAL's main thread.
fn initialise(arguments: Vec<CString>) -> Result<(), String> {
    // EAL keeps pointers to its arguments and shifts the array about: both are given away for good.
    let mut argv: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    let argc = i32::try_from(argv.len()).map_err(|_| "too many arguments".to_owned())?;
    argv.push(std::ptr::null_mut());
    let argv = argv.leak();
    // SAFETY: argv is an array of argc writable C strings with a null behind them, all leaked. `Eal::init`
    // lets one thread come here, once.
    let result = unsafe { dpdk_sys::rte_eal_init(argc, argv.as_mut_ptr()) };
    let reason = explain(last_errno());
    remove_runtime_directory();
    if result < 0 {
        return Err(reason);
    }
    mbuf::meta::register().map_err(|error| error.to_string())
}

/// Without shared configuration EAL makes a folder for this process and puts nothing in it.
fn remove_runtime_directory() {
    // SAFETY: the string is static, and empty while there is no folder.
    let directory = unsafe { dpdk_sys::rte_eal_get_runtime_dir() };
    if !directory.is_null() {
        // SAFETY: a non-null result is a C string in EAL's static memory.
        let directory = unsafe { CStr::from_ptr(directory) };
        // Where something is in it after all (an extra option asked for it), it stays.
        let _ = std::fs::remove_dir(directory.to_string_lossy().as_ref());
    }
}
