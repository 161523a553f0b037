//! What a rule demands of bytes: tests in the order of the rule, grouped by the buffer that they look into.
//!
//! # How a group is evaluated
//!
//! A group matches a buffer if there is a way through its tests, in their order. `cursor` is the position after the
//! last match, 0 at the beginning. Positions are bytes from the start of the buffer; `n` is its length.
//!
//! - A [`Content`] is sought in a window `[from, to)`; the whole pattern lies in the window.
//!   - Absolute (neither `distance` nor `within`): `from = offset` (0 if not given),
//!     `to = min(n, offset + depth)` or `n`.
//!   - Relative (`distance`, `within` or both): `from = max(0, cursor + distance)`; `to = n`, and with `within`
//!     `to = min(n, cursor + distance + within)` (`distance` 0 if not given, as it is written also where it is
//!     negative).
//!   - `from > to`, or a window shorter than the pattern: not found.
//!   - With `endswith` only an occurrence that ends at `n` counts.
//!   - Negated: the test holds if nothing is found, and leaves `cursor` alone; there is nothing to try again.
//!   - Else the first occurrence is taken and `cursor` becomes its end. If the next test is
//!     [relative](Test::is_relative) and the rest of the group fails, the next occurrence (from one byte after the
//!     beginning of the last) is tried: the search backtracks. If the next test is not relative, the rest's failure
//!     is final for this occurrence.
//! - A [`Pcre`] is sought in the whole buffer, or from `cursor` if it is relative (`^` and `\A` then mean `cursor`).
//!   A match sets `cursor` to its end; it backtracks like a content: the next try begins one byte after the last
//!   match's beginning. Negated ones leave `cursor`.
//! - [`IsDataAt`], [`ByteTest`] and [`BufferSize`](Test::BufferSize) hold or fail and leave `cursor`.
//! - [`ByteJump`], [`ByteExtract`] and [`ByteMath`] read a number, failing if its bytes are not all inside the
//!   buffer, and set `cursor`.
//!
//! The work of one group on one buffer is bounded: Suricata gives up after 3 000 attempts, and so may the evaluation.

use std::sync::Arc;

use crate::{buffer::Buffer, number::Number};

/// All tests of a rule that look into one buffer.
///
/// A buffer named twice in a rule is one group with the tests of both places, except [`Buffer::DnsQuery`], of which
/// every mention makes a group of its own: each must match a (maybe different) name of the message.
#[derive(Clone, Debug, PartialEq)]
pub struct BufferTests {
    /// What they look into.
    pub buffer: Buffer,
    /// What is done to the bytes first, in order.
    pub transforms: Vec<Transform>,
    /// The tests, in the order of the rule. Empty (a sticky buffer without any test) demands only that the buffer is
    /// there.
    pub tests: Vec<Test>,
}

/// A change of a buffer's bytes before the tests look at them. The packet keeps its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    /// `to_lowercase`: ASCII letters become lower case.
    ToLowercase,
    /// `to_uppercase`: ASCII letters become upper case.
    ToUppercase,
    /// `strip_whitespace`: all of space, `\t`, `\n`, `\v`, `\f`, `\r` are left out.
    StripWhitespace,
    /// `compress_whitespace`: of every run of them only the first byte stays.
    CompressWhitespace,
    /// `dotprefix`: a dot is put before the buffer.
    DotPrefix,
    /// `url_decode`: `%XX` becomes its byte, `+` a space; what is no valid escape stays.
    UrlDecode,
    /// `xor:"<hex key>"`: each byte is combined with the key's, which repeats.
    Xor(Box<[u8]>),
}

/// One test of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `content`.
    Content(Content),
    /// `pcre`.
    Pcre(Pcre),
    /// `isdataat`.
    IsDataAt(IsDataAt),
    /// `bsize`, and `urilen` on [`Buffer::HttpUri`] or [`Buffer::HttpUriRaw`]: the buffer's length in bytes, after
    /// the transforms.
    BufferSize(Number),
    /// `absent`: the buffer is not there (then the group holds, whatever else it demands); alone it demands that,
    /// with `or_else` a buffer that is there goes through the other tests.
    Absent {
        /// `absent:or_else`.
        or_else: bool,
    },
    /// `byte_test`.
    ByteTest(ByteTest),
    /// `byte_jump`.
    ByteJump(ByteJump),
    /// `byte_extract`.
    ByteExtract(ByteExtract),
    /// `byte_math`.
    ByteMath(ByteMath),
}

impl Test {
    /// Whether it depends on `cursor`, and so whether the test before it has to be tried again elsewhere if it fails.
    pub fn is_relative(&self) -> bool {
        match self {
            Self::Content(test) => test.is_relative(),
            Self::Pcre(test) => test.relative,
            Self::IsDataAt(test) => test.relative,
            Self::BufferSize(_) | Self::Absent { .. } => false,
            Self::ByteTest(test) => test.relative,
            Self::ByteJump(test) => test.relative,
            Self::ByteExtract(test) => test.relative,
            Self::ByteMath(test) => test.relative,
        }
    }
}

/// A variable of a rule: made by `byte_extract` or `byte_math`, used by later tests, also of later groups.
///
/// Variables are numbered from 0 in the order of their definition; [`Rule::variables`](crate::rule::Rule::variables)
/// has their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variable(pub u8);

/// A number written in the rule, or the value that a variable has at that point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// As written.
    Given(i64),
    /// As read from the packet. Used as an offset or length it is taken as a signed 32-bit number would be: a value
    /// over `i32::MAX` makes the test fail.
    Of(Variable),
}

/// `content:"..."` with its modifiers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// The bytes, 1 to 8192, escapes and hexadecimal resolved. With `nocase` as they were written.
    pub pattern: Box<[u8]>,
    /// `content:!"..."`.
    pub negated: bool,
    /// `nocase`: ASCII letters match either case.
    pub nocase: bool,
    /// `offset`. `startswith` is offset 0 with the pattern's length as depth, and is resolved to that.
    pub offset: Option<Value>,
    /// `depth`: bytes from `offset` (as given in rules; not from the beginning of the buffer).
    pub depth: Option<Value>,
    /// `distance`.
    pub distance: Option<Value>,
    /// `within`. Of a buffer's first test, `cursor` is 0.
    pub within: Option<Value>,
    /// `endswith`: the match ends at the buffer's end.
    pub endswith: bool,
    /// `fast_pattern` in one of its forms.
    pub fast_pattern: Option<FastPattern>,
}

impl Content {
    /// Whether its window depends on the match before it.
    pub fn is_relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
}

/// What `fast_pattern` says of the content that is to select the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FastPattern {
    /// `fast_pattern`: the whole content.
    Whole,
    /// `fast_pattern:only`: the whole content; its position is of no interest, so it needs no second search.
    Only,
    /// `fast_pattern:<offset>,<length>`: a part of it.
    Chop {
        /// First byte.
        offset: u16,
        /// Bytes.
        length: u16,
    },
}

/// `pcre:"/.../flags"`.
///
/// The buffer that a flag names (`U`, `I`, `H`, ...) has become the group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcre {
    /// The expression between the slashes, as in the rule (bytes beyond ASCII as `\xNN`).
    pub pattern: Arc<str>,
    /// The same in the syntax of the crates `regex` and `regex-automata` for bytes, to be compiled without Unicode
    /// (`utf8(false).unicode(false)`): with the flags `i`, `m`, `s`, `x`, `U` (PCRE's `G`), `A` and `E` inside it.
    /// It matches where PCRE does ([`crate::pcre`] says how exactly); it compiles within the bound of size.
    pub regex: Arc<str>,
    /// `pcre:!"..."`.
    pub negated: bool,
    /// `R`: the search begins at `cursor`.
    pub relative: bool,
    /// `i`, `m`, `s`, `x`, `A`, `E`, `G`: as given, for printing. `regex` has them already.
    pub flags: PcreFlags,
}

/// Flags of PCRE itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcreFlags {
    /// `i`: letters match either case.
    pub caseless: bool,
    /// `m`: `^` and `$` also match at line ends.
    pub multiline: bool,
    /// `s`: `.` matches line ends too.
    pub dotall: bool,
    /// `x`: white space and comments are left out.
    pub extended: bool,
    /// `A`: only at the beginning.
    pub anchored: bool,
    /// `E`: `$` only at the very end.
    pub dollar_end_only: bool,
    /// `G`: quantifiers are lazy unless `?` follows.
    pub ungreedy: bool,
}

/// `isdataat:[!]position[,relative]`.
///
/// Absolute: holds if `position < n`. Relative: holds if `cursor + position <= n` (Suricata's difference of one).
/// Negated: holds if that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IsDataAt {
    /// The position.
    pub position: Value,
    /// Counted from `cursor`.
    pub relative: bool,
    /// `!`.
    pub negated: bool,
}

/// How a number is read from a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Binary, most significant byte first: the default.
    Big,
    /// Binary, least significant byte first.
    Little,
    /// Digits as text. Leading blanks and a sign as C's `strtoul` takes them (`hex`: an optional `0x`); the number
    /// ends at the first byte that is no digit; no digit at all: the test fails.
    Text(Base),
}

/// The base of a number in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// `hex`.
    Hexadecimal,
    /// `dec`: the default of `string`.
    Decimal,
    /// `oct`.
    Octal,
}

/// `byte_test:<bytes>,[!]<operator>,<value>,<offset>[,relative][,<endian>][,string,<base>][,bitmask <mask>]`.
///
/// Reads at `offset` (from `cursor` if relative, which may be negative). The test fails if the bytes are not all in
/// the buffer, also when it is negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteTest {
    /// How many bytes are read: 1 to 8 binary, 1 to 23 text.
    pub bytes: Value,
    /// `!` before the operator.
    pub negated: bool,
    /// How it is compared: `read OPERATOR value`.
    pub operator: Operator,
    /// With what.
    pub value: Value,
    /// Where.
    pub offset: Value,
    /// From `cursor`.
    pub relative: bool,
    /// How it is read.
    pub encoding: Encoding,
    /// `bitmask`: applied to the number read; the result is moved right by the mask's trailing zeros. 32 bits.
    pub mask: Option<u32>,
}

/// How `byte_test` compares, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    More,
    /// `>=`.
    AtLeast,
    /// `=`; also `!=` with [`ByteTest::negated`].
    Equal,
    /// `&`: the conjunction is not zero.
    And,
    /// `^`: the exclusive disjunction is not zero.
    Xor,
}

impl Operator {
    /// Whether `read` compares so with `value`.
    pub fn holds(self, read: u64, value: u64) -> bool {
        match self {
            Self::Less => read < value,
            Self::AtMost => read <= value,
            Self::More => read > value,
            Self::AtLeast => read >= value,
            Self::Equal => read == value,
            Self::And => read & value != 0,
            Self::Xor => read ^ value != 0,
        }
    }
}

/// `byte_jump:<bytes>,<offset>[,relative][,multiplier <n>][,<endian>][,string,<base>][,align][,from_beginning]
/// [,from_end][,post_offset <n>][,bitmask <mask>]`.
///
/// Reads a number at `offset` (from `cursor` if relative); masks it, multiplies it, rounds it up to a multiple of
/// four if `align`; the new `cursor` is that many bytes after the last byte read, or after the beginning or from
/// the end of the buffer, plus `post_offset`. A target before the beginning or after the end (`cursor > n`) fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteJump {
    /// How many bytes are read: 0 to 8 binary, 0 to 23 text. Zero reads nothing: the number is 0.
    pub bytes: Value,
    /// Where.
    pub offset: Value,
    /// From `cursor`.
    pub relative: bool,
    /// `multiplier`, 1 if not given.
    pub multiplier: u16,
    /// How it is read.
    pub encoding: Encoding,
    /// `align`: rounded up to a multiple of four.
    pub align: bool,
    /// From where the jump goes.
    pub from: JumpFrom,
    /// `post_offset`: added at the end; 0 if not given.
    pub post_offset: Value,
    /// `bitmask`, as of [`ByteTest::mask`].
    pub mask: Option<u32>,
}

/// From where a `byte_jump` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JumpFrom {
    /// From the first byte after the number.
    Here,
    /// `from_beginning`: from the beginning of the buffer.
    Beginning,
    /// `from_end`: from the end of the buffer, forwards: only a negative `post_offset` comes back into it.
    End,
}

/// `byte_extract:<bytes>,<offset>,<name>[,relative][,multiplier <n>][,<endian>][,string,<base>][,align <n>]
/// [,bitmask <mask>]`.
///
/// Reads a number into a variable; `cursor` becomes the position after the last byte read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteExtract {
    /// How many bytes are read: 1 to 8 binary, 1 to 23 text.
    pub bytes: u8,
    /// Where.
    pub offset: i64,
    /// Where it goes.
    pub variable: Variable,
    /// From `cursor`.
    pub relative: bool,
    /// `multiplier`, 1 if not given.
    pub multiplier: u16,
    /// How it is read.
    pub encoding: Encoding,
    /// `align 2` or `align 4`: rounded up to a multiple of it, after the multiplication.
    pub align: Option<u8>,
    /// `bitmask`, as of [`ByteTest::mask`].
    pub mask: Option<u32>,
}

/// `byte_math:bytes <n>, offset <n>, oper <o>, rvalue <n>, result <name>[, relative][, endian <e>]
/// [, string <base>][, bitmask <mask>]`.
///
/// Reads a number, masks it, computes `read OPER rvalue` (wrapping at 64 bits; a division by 0 fails, shifts by 64
/// and more give 0) into a variable; `cursor` becomes the position after the last byte read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteMath {
    /// How many bytes are read: 1 to 8 binary, 1 to 10 text.
    pub bytes: Value,
    /// Where.
    pub offset: i64,
    /// What is computed.
    pub operation: Operation,
    /// The right operand.
    pub operand: Value,
    /// Where the result goes.
    pub variable: Variable,
    /// From `cursor`.
    pub relative: bool,
    /// How it is read.
    pub encoding: Encoding,
    /// `bitmask`, as of [`ByteTest::mask`].
    pub mask: Option<u32>,
}

/// What `byte_math` computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `<<`.
    ShiftLeft,
    /// `>>`.
    ShiftRight,
}

impl Operation {
    /// `left OPER right`, or nothing for a division by zero.
    pub fn apply(self, left: u64, right: u64) -> Option<u64> {
        let shift = u32::try_from(right).unwrap_or(u32::MAX);
        Some(match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::Multiply => left.wrapping_mul(right),
            Self::Divide => left.checked_div(right)?,
            Self::ShiftLeft => left.checked_shl(shift).unwrap_or(0),
            Self::ShiftRight => left.checked_shr(shift).unwrap_or(0),
        })
    }
}

/// `value` under a keyword's `bitmask`: the conjunction, moved right by the mask's trailing zeros.
pub fn masked(value: u64, mask: Option<u32>) -> u64 {
    match mask {
        None => value,
        Some(0) => 0,
        Some(mask) => (value & u64::from(mask)) >> mask.trailing_zeros(),
    }
}
