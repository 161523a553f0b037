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

struct Translator<'a> {
    span: Span<'a>,
    at: usize,
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

    fn bad(&self, at: usize, what: &str) -> Refusal {
        self.span.skip(at).bad("pcre", what)
    }

    fn peek(&self) -> Option<u8> {
        self.span.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
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
            Some(&byte)
                if byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'=' | b'/') =>
            {
                format!("[{}]", literal(byte))
            }
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
            b'g' | b'k' | b'1'..=b'9' => return Err(self.refuse(at, "a back-reference")),
            b'Q' => {
                self.at += 1;
                let end = self.rest().windows(2).position(|pair| pair == b"\\E");
                let length = end.unwrap_or(self.rest().len());
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
    fn class_escape(&mut self, at: usize) -> Result<Piece, Refusal> {
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

    /// A class in brackets, whose `[` is at `at`.
    fn class(&mut self, at: usize) -> Result<String, Refusal> {
        self.at = at + 1;
        let mut out = String::from("[");
        if self.peek() == Some(b'^') {
            out.push('^');
            self.at += 1;
        }
        let first = self.at;
        // A range waits for its end: its beginning, and whether the hyphen has come.
        let mut begin: Option<(u8, bool)> = None;
        loop {
            let place = self.at;
            let Some(byte) = self.peek() else { return Err(self.bad(at, "a [ is not closed")) };
            self.at += 1;
            let piece = match byte {
                b']' if place > first => break,
                b'[' if matches!(self.peek(), Some(b':')) && self.posix_end().is_some() => {
                    let end = self.posix_end().unwrap_or(0);
                    let name = String::from_utf8_lossy(&self.rest()[1..end]).into_owned();
                    self.at += end + 2;
                    Piece::Set(
                        posix(&name).ok_or_else(|| self.bad(place, "no class of that name"))?.to_owned(),
                    )
                }
                b'\\' => match self.peek() {
                    Some(b'b') => {
                        self.at += 1;
                        Piece::Byte(8)
                    }
                    Some(b'E') => {
                        self.at += 1;
                        continue;
                    }
                    Some(b'B' | b'N' | b'R' | b'X' | b'p' | b'P' | b'Q') => {
                        return Err(self.bad(place, "an escape that classes do not have here"));
                    }
                    Some(b'k' | b'g') => {
                        return Err(self.bad(place, "an escape that classes do not have here"));
                    }
                    _ => self.class_escape(place)?,
                },
                byte => Piece::Byte(byte),
            };
            match (begin.take(), piece) {
                (None, Piece::Byte(byte)) => begin = Some((byte, false)),
                (Some((low, false)), Piece::Byte(b'-')) if byte == b'-' => begin = Some((low, true)),
                (Some((low, false)), Piece::Byte(next)) => {
                    out.push_str(&literal(low));
                    begin = Some((next, false));
                }
                (Some((low, true)), Piece::Byte(high)) => {
                    if low > high {
                        return Err(self.bad(place, "a range that ends before it begins"));
                    }
                    out.push_str(&format!("{}-{}", literal(low), literal(high)));
                }
                (low, Piece::Set(set)) => {
                    low.into_iter().for_each(|low| push_pending(&mut out, low));
                    out.push_str(&set);
                }
            }
        }
        begin.into_iter().for_each(|low| push_pending(&mut out, low));
        out.push(']');
        Ok(out)
    }

    /// Where the name of a POSIX class ends, from the colon on: at `:]`.
    fn posix_end(&self) -> Option<usize> {
        let end = self.rest().windows(2).skip(1).position(|pair| pair == b":]")? + 1;
        self.rest()[1..end].iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'^').then_some(end)
    }
}

/// One piece of a class: a byte, or a set that cannot begin or end a range.
enum Piece {
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

/// A byte that began no range after all, and the hyphen behind it if there was one.
fn push_pending(out: &mut String, (byte, hyphen): (u8, bool)) {
    out.push_str(&literal(byte));
    if hyphen {
        out.push_str("\\-");
    }
}

/// Whether a group's name makes it a variable of Suricata's: `(?P<flow_x>`.
fn rest_name_is_capture(group: &[u8]) -> bool {
    let name =
        group.iter().position(|byte| matches!(byte, b'<' | b'\'')).map_or(group, |at| &group[at + 1..]);
    name.starts_with(b"flow_") || name.starts_with(b"pkt_")
}

/// A byte that stands for itself.
fn literal(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("\\x{byte:02x}") }
}

/// A POSIX class in the engine's syntax.
fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => "[:alnum:]",
        "alpha" => "[:alpha:]",
        "ascii" => "[:ascii:]",
        "blank" => "[:blank:]",
        "cntrl" => "[:cntrl:]",
        "digit" => "[:digit:]",
        "graph" => "[:graph:]",
        "lower" => "[:lower:]",
        "print" => "[:print:]",
        "punct" => "[:punct:]",
        "space" => "[:space:]",
        "upper" => "[:upper:]",
        "word" => "[:word:]",
        "xdigit" => "[:xdigit:]",
        "^digit" => "[:^digit:]",
        "^space" => "[:^space:]",
        "^alpha" => "[:^alpha:]",
        "^alnum" => "[:^alnum:]",
        _ => return None,
    })
}
