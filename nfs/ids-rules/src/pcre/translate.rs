//! From PCRE's syntax to that of `regex-syntax`, for bytes.

use crate::{
    parse::Span,
    payload::PcreFlags,
    refusal::{Kind, Refusal},
};

/// How deep groups may be nested.
const DEEPEST: usize = 64;

/// What the flags within an expression change of its reading. The engine keeps those that only it needs.
#[derive(Clone, Copy)]
struct Local {
    multiline: bool,
    extended: bool,
    dollar_end_only: bool,
}

/// A translation under way.
pub(super) struct Translator<'a> {
    pub(super) span: Span<'a>,
    pub(super) at: usize,
    out: String,
    local: Local,
    /// What holds again behind each open group.
    open: Vec<Local>,
    /// Nothing has been matched yet on this way through the top level: a look-behind can be turned round.
    beginning: bool,
    /// Something that a quantifier can repeat is before it.
    repeatable: bool,
}

/// An expression in the engine's syntax.
pub(super) fn translate(span: Span<'_>, flags: PcreFlags) -> Result<String, Refusal> {
    let mut out = String::with_capacity(span.bytes.len() + 16);
    if flags.anchored {
        out.push_str("\\A");
    }
    for (flag, letter) in [(flags.caseless, 'i'), (flags.dotall, 's'), (flags.ungreedy, 'U')] {
        if flag {
            out.push_str(&format!("(?{letter})"));
        }
    }
    out.push_str("(?:");
    let local = Local {
        multiline: flags.multiline,
        extended: flags.extended,
        dollar_end_only: flags.dollar_end_only,
    };
    let mut translator = Translator {
        span,
        at: 0,
        out,
        local,
        open: Vec::new(),
        beginning: !flags.anchored,
        repeatable: false,
    };
    translator.run()?;
    translator.out.push(')');
    Ok(translator.out)
}

impl Translator<'_> {
    fn refuse(&self, at: usize, what: &str) -> Refusal {
        self.span.skip(at).refuse(
            "pcre",
            Kind::Unsupported,
            format!("{what}: no engine of linear time has it"),
        )
    }

    pub(super) fn bad(&self, at: usize, what: &str) -> Refusal {
        self.span.skip(at).bad("pcre", what)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.span.bytes.get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.span.bytes.get(self.at..).unwrap_or_default()
    }

    /// Puts out something that matches bytes, or an assertion that is the engine's own.
    fn atom(&mut self, text: &str) {
        self.out.push_str(text);
        self.beginning = false;
        self.repeatable = true;
    }

    fn run(&mut self) -> Result<(), Refusal> {
        while let Some(byte) = self.peek() {
            let at = self.at;
            self.at += 1;
            match byte {
                b'\\' => self.escape(at)?,
                b'[' => {
                    let class = self.class(at)?;
                    self.atom(&class);
                }
                b'(' => self.open(at)?,
                b')' => {
                    self.local = self.open.pop().ok_or_else(|| self.bad(at, "a ) without ("))?;
                    self.out.push(')');
                    self.repeatable = true;
                }
                b'|' => {
                    self.out.push('|');
                    self.beginning = self.open.is_empty();
                    self.repeatable = false;
                }
                b'.' => self.atom("."),
                b'^' if self.local.multiline => self.atom("(?m:^)"),
                b'^' => self.atom("\\A"),
                b'$' if self.local.multiline => self.atom("(?m:$)"),
                b'$' if self.local.dollar_end_only => self.atom("\\z"),
                b'$' => self.atom("(?:\\n?\\z)"),
                b'*' | b'+' | b'?' => self.quantifier(at, &char::from(byte).to_string())?,
                b'{' => match self.counted() {
                    Some(text) => self.quantifier(at, &text)?,
                    None => self.atom("\\{"),
                },
                b'#' if self.local.extended => {
                    let line = self.rest().iter().position(|&byte| byte == b'\n');
                    self.at += line.map_or(self.rest().len(), |line| line + 1);
                }
                byte if self.local.extended && byte.is_ascii_whitespace() => {}
                byte => self.atom(&literal(byte)),
            }
        }
        if self.open.is_empty() { Ok(()) } else { Err(self.bad(self.at, "a ( is not closed")) }
    }

    /// A quantifier, with what follows it.
    fn quantifier(&mut self, at: usize, text: &str) -> Result<(), Refusal> {
        if !self.repeatable {
            return Err(self.bad(at, "a quantifier has nothing before it"));
        }
        self.out.push_str(text);
        match self.peek() {
            Some(b'?') => {
                self.at += 1;
                self.out.push('?');
            }
            Some(b'+') => return Err(self.refuse(self.at, "a possessive quantifier")),
            _ => {}
        }
        self.repeatable = false;
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,5}` as a quantifier; anything else is text in PCRE.
    fn counted(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = rest.iter().position(|&byte| byte == b'}')?;
        let inner = std::str::from_utf8(&rest[..end]).ok()?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (low, high) = inner.split_once(',').unwrap_or((inner, ""));
        if low.is_empty() || !number(low) || !number(high) {
            return None;
        }
        let text = format!("{{{inner}}}");
        self.at += end + 1;
        Some(text)
    }

    /// What a `(` opens.
    fn open(&mut self, at: usize) -> Result<(), Refusal> {
        if self.open.len() >= DEEPEST {
            return Err(self.bad(at, "groups are nested too deep"));
        }
        if self.peek() == Some(b'*') {
            return Err(self.refuse(at, "a verb"));
        }
        let was = self.local;
        if self.peek() == Some(b'?') {
            self.at += 1;
            let rest = self.rest();
            match rest {
                [b'#', ..] => {
                    let end = rest
                        .iter()
                        .position(|&byte| byte == b')')
                        .ok_or_else(|| self.bad(at, "a comment is not closed"))?;
                    self.at += end + 1;
                    return Ok(());
                }
                [b':', ..] => {
                    self.at += 1;
                    self.out.push_str("(?:");
                }
                [b'=' | b'!', ..] => return Err(self.refuse(at, "a look-ahead")),
                [b'<', sign @ (b'=' | b'!'), ..] => {
                    let negated = *sign == b'!';
                    self.at += 2;
                    return self.look_behind(at, negated);
                }
                [b'>', ..] => return Err(self.refuse(at, "an atomic group")),
                [b'|', ..] => return Err(self.refuse(at, "a branch reset")),
                [b'P', b'=', ..] => return Err(self.refuse(at, "a back-reference")),
                [b'P', b'>', ..] | [b'R' | b'&' | b'+' | b'0'..=b'9', ..] => {
                    return Err(self.refuse(at, "a recursion"));
                }
                [b'(', ..] => return Err(self.refuse(at, "a condition")),
                [b'P', b'<', ..] | [b'<' | b'\'', ..] => {
                    let end = rest.iter().skip(2).position(|&byte| matches!(byte, b'>' | b'\''));
                    self.at += end.ok_or_else(|| self.bad(at, "a name is not closed"))? + 3;
                    if rest_name_is_capture(&self.span.bytes[at..self.at]) {
                        return Err(self.span.skip(at).refuse(
                            "pcre",
                            Kind::Unsupported,
                            "variables of captures are not in the subset",
                        ));
                    }
                    self.out.push_str("(?:");
                }
                _ => return self.inline_flags(at, was),
            }
        } else {
            self.out.push_str("(?:");
        }
        self.open.push(was);
        // Within a group a look-behind could be repeated: it is turned round at the top level only.
        self.beginning = false;
        self.repeatable = false;
        Ok(())
    }

    /// `(?i)`, `(?s-i:`.
    fn inline_flags(&mut self, at: usize, was: Local) -> Result<(), Refusal> {
        let (mut on, mut set, mut clear) = (true, String::new(), String::new());
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'-' if on => on = false,
                b'i' | b's' | b'U' => if on { &mut set } else { &mut clear }.push(char::from(byte)),
                b'm' => self.local.multiline = on,
                b'x' => self.local.extended = on,
                b')' | b':' => {
                    let minus = if clear.is_empty() { "" } else { "-" };
                    let flags = format!("{set}{minus}{clear}");
                    if byte == b')' {
                        if !flags.is_empty() {
                            self.out.push_str(&format!("(?{flags})"));
                        }
                    } else {
                        self.out.push_str(&format!("(?{flags}:"));
                        self.open.push(was);
                        self.beginning = false;
                        self.repeatable = false;
                    }
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(self.bad(at, "no group that there is"))
    }

    /// `(?<!x)` and `(?<=x)` of one byte at the beginning, turned round.
    fn look_behind(&mut self, at: usize, negated: bool) -> Result<(), Refusal> {
        if !self.beginning {
            return Err(self.refuse(at, "a look-behind"));
        }
        let inside = self.at;
        self.at += 1;
        let class = match self.span.bytes.get(inside) {
            Some(b'[') => self.class(inside)?,
            Some(b'\\') => self.class_escape(inside)?.into_class(),
            Some(&byte) if !b".^$*+?()|{}".contains(&byte) => format!("[{}]", literal(byte)),
            _ => return Err(self.refuse(at, "a look-behind of more than one byte")),
        };
        if self.peek() != Some(b')') {
            return Err(self.refuse(at, "a look-behind of more than one byte"));
        }
        self.at += 1;
        // A class in brackets negates as a whole: [^[...]].
        self.atom(&if negated { format!("(?:\\A|[^{class}])") } else { class });
        self.repeatable = false;
        Ok(())
    }

    /// What follows a backslash outside of classes.
    fn escape(&mut self, at: usize) -> Result<(), Refusal> {
        let Some(byte) = self.peek() else { return Err(self.bad(at, "a backslash at the end")) };
        match byte {
            b'b' | b'B' | b'A' | b'z' => {
                self.at += 1;
                self.atom(&format!("\\{}", char::from(byte)));
            }
            b'Z' => {
                self.at += 1;
                self.atom("(?:\\n?\\z)");
            }
            b'R' => {
                self.at += 1;
                self.atom("(?:\\r\\n|[\\n\\x0b\\f\\r\\x85])");
            }
            b'N' => {
                self.at += 1;
                self.atom("[^\\n]");
            }
            b'G' => return Err(self.refuse(at, "\\G")),
            b'K' => return Err(self.refuse(at, "\\K")),
            b'X' | b'C' | b'p' | b'P' => return Err(self.refuse(at, "a property of Unicode")),
            // Three octal digits are a byte: nobody has a hundred groups.
            b'1'..=b'3'
                if self
                    .rest()
                    .get(1..3)
                    .is_some_and(|more| more.iter().all(|b| matches!(b, b'0'..=b'7'))) =>
            {
                let byte = self.digits(8, 3);
                self.atom(&literal(byte));
            }
            b'g' | b'k' | b'1'..=b'9' => return Err(self.refuse(at, "a back-reference")),
            b'Q' => {
                self.at += 1;
                let end = self.rest().windows(2).position(|pair| pair == b"\\E");
                let length = end.unwrap_or(self.rest().len());
                if !self.rest()[..length].is_ascii() {
                    return Err(self.bad(at, "between \\Q and \\E are bytes of ASCII only"));
                }
                for offset in 0..length {
                    let text = literal(self.span.bytes[self.at + offset]);
                    self.atom(&text);
                }
                self.at += length + end.map_or(0, |_| 2);
            }
            b'E' => self.at += 1,
            _ => {
                let text = self.class_escape(at)?.into_atom();
                self.atom(&text);
            }
        }
        Ok(())
    }

    /// What follows the backslash at `at`, where it means the same in and out of classes; `self.at` is behind the
    /// backslash before, and behind the escape after.
    pub(super) fn class_escape(&mut self, at: usize) -> Result<Piece, Refusal> {
        self.at = at + 1;
        let Some(byte) = self.peek() else { return Err(self.bad(at, "a backslash at the end")) };
        self.at += 1;
        Ok(match byte {
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => Piece::Set(format!("\\{}", char::from(byte))),
            b'h' => Piece::Set("[\\t\\x20\\xa0]".to_owned()),
            b'H' => Piece::Set("[^\\t\\x20\\xa0]".to_owned()),
            b'v' => Piece::Set("[\\n\\x0b\\f\\r\\x85]".to_owned()),
            b'V' => Piece::Set("[^\\n\\x0b\\f\\r\\x85]".to_owned()),
            b'a' => Piece::Byte(7),
            b'e' => Piece::Byte(27),
            b'f' => Piece::Byte(12),
            b'n' => Piece::Byte(10),
            b'r' => Piece::Byte(13),
            b't' => Piece::Byte(9),
            b'c' => {
                let control =
                    self.peek().filter(u8::is_ascii).ok_or_else(|| self.bad(at, "\\c needs a character"))?;
                self.at += 1;
                Piece::Byte(control.to_ascii_uppercase() ^ 0x40)
            }
            b'x' if self.peek() == Some(b'{') => {
                let rest = self.rest();
                let end = rest
                    .iter()
                    .position(|&byte| byte == b'}')
                    .ok_or_else(|| self.bad(at, "\\x{ is not closed"))?;
                let digits = std::str::from_utf8(&rest[1..end]).unwrap_or_default();
                let value = u8::from_str_radix(digits, 16).map_err(|_| self.bad(at, "\\x{} is 0 to ff"))?;
                self.at += end + 1;
                Piece::Byte(value)
            }
            b'x' => Piece::Byte(self.digits(16, 2)),
            b'o' => return Err(self.bad(at, "\\o is not read: write \\x")),
            b'0' => Piece::Byte(self.digits(8, 2)),
            b'1'..=b'7' => {
                self.at -= 1;
                Piece::Byte(self.digits(8, 3))
            }
            b'8' | b'9' => return Err(self.bad(at, "no octal number")),
            byte if byte.is_ascii_alphabetic() => {
                return Err(self.bad(at, "an escape that PCRE does not have"));
            }
            byte => Piece::Byte(byte),
        })
    }

    /// Up to `most` digits, 0 if there is none; as PCRE, the lowest eight bits.
    fn digits(&mut self, base: u32, most: usize) -> u8 {
        let mut value = 0_u32;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(base)) else { break };
            value = value * base + digit;
            self.at += 1;
        }
        (value & 0xff) as u8
    }
}

/// One piece of a class: a byte, or a set that cannot begin or end a range.
pub(super) enum Piece {
    Byte(u8),
    Set(String),
}

impl Piece {
    fn into_atom(self) -> String {
        match self {
            Self::Byte(byte) => literal(byte),
            Self::Set(set) => set,
        }
    }

    fn into_class(self) -> String {
        match self {
            Self::Byte(byte) => format!("[{}]", literal(byte)),
            Self::Set(set) => format!("[{set}]"),
        }
    }
}

/// Whether a group's name makes it a variable of Suricata's: `(?P<flow_x>`.
fn rest_name_is_capture(group: &[u8]) -> bool {
    let name =
        group.iter().position(|byte| matches!(byte, b'<' | b'\'')).map_or(group, |at| &group[at + 1..]);
    name.starts_with(b"flow_") || name.starts_with(b"pkt_")
}

/// A byte that stands for itself.
pub(super) fn literal(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}
