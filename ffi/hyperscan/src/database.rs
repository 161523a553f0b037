//! Patterns, compiled for scanning blocks.

use crate::error::Error;
use crate::raw;
use std::ffi::{CStr, CString, c_char, c_uint};
use std::ptr::{self, NonNull};

/// Whether small and capital ASCII letters differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Case {
    /// They do.
    #[default]
    Matters,
    /// They do not.
    Ignored,
}

/// Bytes that are looked for as they stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Literal<'a> {
    /// At least one.
    pub bytes: &'a [u8],
    /// Of the letters among them.
    pub case: Case,
    /// What a match is reported by; several literals may have the same.
    pub id: u32,
    /// Report it once per scan at the most.
    pub once: bool,
}

/// A regular expression in the language of PCRE, as far as an automaton can do it: no back-references, no look-around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expression<'a> {
    /// The expression, without delimiters.
    pub text: &'a str,
    /// Of its letters.
    pub case: Case,
    /// `.` is any byte, a line feed too (PCRE's `s`).
    pub dot_all: bool,
    /// `^` and `$` also stand at lines (PCRE's `m`).
    pub multi_line: bool,
    /// What a match is reported by.
    pub id: u32,
    /// Report it once per scan at the most.
    pub once: bool,
}

/// Compiled patterns. Read-only: any number of scanners may use it at once.
pub struct Database {
    raw: NonNull<raw::hs_database_t>,
}

// SAFETY: a database is never written to after it was compiled; Hyperscan's manual has it used from many threads.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

impl Database {
    /// Compiles literals.
    ///
    /// # Errors
    /// No literal at all, an empty one, more than Hyperscan can take, a processor without SSSE3.
    pub fn of_literals(literals: &[Literal<'_>]) -> Result<Database, Error> {
        let count = counted(literals.len())?;
        if let Some(place) = literals.iter().position(|literal| literal.bytes.is_empty()) {
            return Err(Error::Pattern { place: Some(place), message: "an empty literal".into() });
        }
        let bytes: Vec<*const c_char> =
            literals.iter().map(|literal| literal.bytes.as_ptr().cast()).collect();
        let lengths: Vec<usize> = literals.iter().map(|literal| literal.bytes.len()).collect();
        let flags: Vec<c_uint> = literals.iter().map(|literal| flags(literal.case, literal.once)).collect();
        let ids: Vec<c_uint> = literals.iter().map(|literal| literal.id).collect();
        Database::compiled(|database, error| {
            // SAFETY: four arrays of `count` items that live through the call, of pointers to as many bytes as
            // `lengths` says; Hyperscan copies what it needs. Both results are places to write a pointer to.
            unsafe {
                raw::hs_compile_lit_multi(
                    bytes.as_ptr(),
                    flags.as_ptr(),
                    ids.as_ptr(),
                    lengths.as_ptr(),
                    count,
                    raw::HS_MODE_BLOCK,
                    ptr::null(),
                    database,
                    error,
                )
            }
        })
    }

    /// Compiles expressions.
    ///
    /// # Errors
    /// No expression at all, one that Hyperscan does not take, a processor without SSSE3.
    pub fn of_expressions(expressions: &[Expression<'_>]) -> Result<Database, Error> {
        let count = counted(expressions.len())?;
        let mut texts = Vec::with_capacity(expressions.len());
        for (place, expression) in expressions.iter().enumerate() {
            let text = CString::new(expression.text).map_err(|_| Error::Pattern {
                place: Some(place),
                message: "a zero byte in an expression; write \\x00".into(),
            })?;
            texts.push(text);
        }
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let flags: Vec<c_uint> = expressions
            .iter()
            .map(|expression| {
                let dot = if expression.dot_all { raw::HS_FLAG_DOTALL } else { 0 };
                let lines = if expression.multi_line { raw::HS_FLAG_MULTILINE } else { 0 };
                flags(expression.case, expression.once) | dot | lines | raw::HS_FLAG_ALLOWEMPTY
            })
            .collect();
        let ids: Vec<c_uint> = expressions.iter().map(|expression| expression.id).collect();
        Database::compiled(|database, error| {
            // SAFETY: three arrays of `count` items that live through the call, the first of C strings; no extended
            // parameters. Both results are places to write a pointer to.
            unsafe {
                raw::hs_compile_ext_multi(
                    pointers.as_ptr(),
                    flags.as_ptr(),
                    ids.as_ptr(),
                    ptr::null(),
                    count,
                    raw::HS_MODE_BLOCK,
                    ptr::null(),
                    database,
                    error,
                )
            }
        })
    }

    fn compiled(
        compile: impl FnOnce(*mut *mut raw::hs_database_t, *mut *mut raw::hs_compile_error_t) -> raw::hs_error_t,
    ) -> Result<Database, Error> {
        // SAFETY: asks the processor, and has no other effect.
        if unsafe { raw::hs_valid_platform() } != SUCCESS {
            return Err(Error::Processor);
        }
        let (mut database, mut error) = (ptr::null_mut(), ptr::null_mut());
        let result = compile(&mut database, &mut error);
        if let Some(error) = NonNull::new(error) {
            return Err(refusal(error));
        }
        match NonNull::new(database) {
            Some(raw) if result == SUCCESS => Ok(Database { raw }),
            _ => Err(Error::of(result)),
        }
    }

    /// Bytes of memory that it takes.
    pub fn size(&self) -> usize {
        let mut size = 0;
        // SAFETY: a database that lives, and a place to write a number to.
        let result = unsafe { raw::hs_database_size(self.as_ptr(), &mut size) };
        if result == SUCCESS { size } else { 0 }
    }

    pub(crate) fn as_ptr(&self) -> *const raw::hs_database_t {
        self.raw.as_ptr()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: compiled by Hyperscan, and nobody has it any more.
        unsafe { raw::hs_free_database(self.raw.as_ptr()) };
    }
}

/// `HS_SUCCESS`, in the type that functions return.
pub(crate) const SUCCESS: raw::hs_error_t = raw::HS_SUCCESS as raw::hs_error_t;

fn counted(count: usize) -> Result<c_uint, Error> {
    match c_uint::try_from(count) {
        Ok(count @ 1..) => Ok(count),
        _ => Err(Error::Pattern { place: None, message: format!("{count} patterns make no database") }),
    }
}

fn flags(case: Case, once: bool) -> c_uint {
    let case = if case == Case::Ignored { raw::HS_FLAG_CASELESS } else { 0 };
    let once = if once { raw::HS_FLAG_SINGLEMATCH } else { 0 };
    case | once
}

/// What Hyperscan says of a pattern that it does not take. Frees it.
fn refusal(error: NonNull<raw::hs_compile_error_t>) -> Error {
    // SAFETY: a failed compilation leaves an error with a C string as its message, valid until it is freed.
    let (message, place) = unsafe {
        let error = error.as_ref();
        (CStr::from_ptr(error.message).to_string_lossy().into_owned(), error.expression)
    };
    // SAFETY: Hyperscan's own, not yet freed, and not used after.
    unsafe { raw::hs_free_compile_error(error.as_ptr()) };
    Error::Pattern { place: usize::try_from(place).ok(), message }
}
