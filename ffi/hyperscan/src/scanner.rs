//! Looking for the patterns of databases in blocks of bytes.

use crate::database::{Database, SUCCESS};
use crate::error::Error;
use crate::raw;
use std::any::Any;
use std::ffi::{c_int, c_uint, c_ulonglong, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// A pattern was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match {
    /// The pattern's.
    pub id: u32,
    /// Where it ends: the first byte after it.
    pub end: usize,
}

/// Scans by a list of databases, for one thread at a time.
pub struct Scanner {
    databases: Arc<[Database]>,
    /// Null while there is no database.
    scratch: *mut raw::hs_scratch_t,
}

// SAFETY: scratch memory is bound to no thread; a scan borrows the scanner mutably, so that one thread uses it.
unsafe impl Send for Scanner {}

/// What C gives back to us for each match.
struct Callback<'a> {
    found: &'a mut dyn FnMut(Match) -> ControlFlow<()>,
    panic: Option<Box<dyn Any + Send>>,
}

impl Scanner {
    /// With memory that is enough for each of the databases.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn new(databases: Arc<[Database]>) -> Result<Scanner, Error> {
        let mut scanner = Scanner { databases: Arc::clone(&databases), scratch: ptr::null_mut() };
        for database in databases.iter() {
            // SAFETY: the database lives; the scratch is null or Hyperscan's own, and is made larger if need be.
            let result = unsafe { raw::hs_alloc_scratch(database.as_ptr(), &mut scanner.scratch) };
            if result != SUCCESS {
                return Err(Error::of(result));
            }
        }
        Ok(scanner)
    }

    /// The databases.
    pub fn databases(&self) -> &Arc<[Database]> {
        &self.databases
    }

    /// Bytes of memory that scanning takes, without the databases.
    pub fn size(&self) -> usize {
        let mut size = 0;
        let Some(scratch) = NonNull::new(self.scratch) else { return 0 };
        // SAFETY: a scratch that lives, and a place to write a number to.
        let result = unsafe { raw::hs_scratch_size(scratch.as_ptr(), &mut size) };
        if result == SUCCESS { size } else { 0 }
    }

    /// Looks for the patterns of one database, in the order of where they end. `found` may end the scan. There is
    /// nothing to be found where there is no such database.
    ///
    /// # Errors
    /// More than 4 GiB to scan.
    #[inline]
    pub fn scan(
        &mut self,
        database: usize,
        bytes: &[u8],
        mut found: impl FnMut(Match) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let Some(database) = self.databases.get(database) else { return Ok(()) };
        let length = c_uint::try_from(bytes.len()).map_err(|_| Error::TooLong)?;
        let mut callback = Callback { found: &mut found, panic: None };
        // SAFETY: the scratch was made for this database among others, and is used by nobody else, as the scanner is
        // borrowed mutably; the callback outlives the scan and is what `matched` takes it for; the bytes are as many.
        let result = unsafe {
            raw::hs_scan(
                database.as_ptr(),
                bytes.as_ptr().cast(),
                length,
                0,
                self.scratch,
                Some(matched),
                ptr::from_mut(&mut callback).cast(),
            )
        };
        if let Some(panic) = callback.panic {
            resume_unwind(panic);
        }
        match result {
            SUCCESS | TERMINATED => Ok(()),
            other => Err(Error::of(other)),
        }
    }
}

/// `HS_SCAN_TERMINATED`: a callback ended the scan.
const TERMINATED: c_int = -3;

impl Drop for Scanner {
    fn drop(&mut self) {
        // SAFETY: Hyperscan's own or null, and nobody uses it any more.
        unsafe { raw::hs_free_scratch(self.scratch) };
    }
}

/// Called by Hyperscan for every match; what is not 0 ends the scan.
extern "C" fn matched(
    id: c_uint,
    _from: c_ulonglong,
    to: c_ulonglong,
    _flags: c_uint,
    context: *mut c_void,
) -> c_int {
    // SAFETY: the callback that `scan` gave to this very scan, which lives until it returns, and which nobody else
    // uses meanwhile.
    let callback = unsafe { &mut *context.cast::<Callback<'_>>() };
    let end = usize::try_from(to).unwrap_or(usize::MAX);
    match catch_unwind(AssertUnwindSafe(|| (callback.found)(Match { id, end }))) {
        Ok(flow) => c_int::from(flow.is_break()),
        Err(panic) => {
            callback.panic = Some(panic);
            1
        }
    }
}
