//! Buffers and their tests as text.

use std::fmt::{self, Formatter, Write};

use super::not;
use crate::{
    payload::{
        Base, BufferTests, Content, Encoding, FastPattern, JumpFrom, Operation, Operator, Pcre, Test,
        Transform, Value,
    },
    rule::Rule,
};

/// The transforms and tests of one buffer.
pub(super) fn write_group(f: &mut Formatter<'_>, group: &BufferTests, rule: &Rule) -> fmt::Result {
    for transform in &group.transforms {
        match transform {
            Transform::ToLowercase => f.write_str("to_lowercase; ")?,
            Transform::ToUppercase => f.write_str("to_uppercase; ")?,
            Transform::StripWhitespace => f.write_str("strip_whitespace; ")?,
            Transform::CompressWhitespace => f.write_str("compress_whitespace; ")?,
            Transform::DotPrefix => f.write_str("dotprefix; ")?,
            Transform::UrlDecode => f.write_str("url_decode; ")?,
            Transform::Xor(key) => {
                f.write_str("xor:\"")?;
                key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("\"; ")?;
            }
        }
    }
    group.tests.iter().try_for_each(|test| write_test(f, test, rule))
}

fn write_test(f: &mut Formatter<'_>, test: &Test, rule: &Rule) -> fmt::Result {
    let of = |value: Value| match value {
        Value::Given(number) => number.to_string(),
        Value::Of(variable) => name_of(rule, variable.0),
    };
    match test {
        Test::Content(content) => return write_content(f, content, of),
        Test::Pcre(pcre) => return write_pcre(f, pcre),
        Test::IsDataAt(test) => {
            write!(f, "isdataat:{}{}{}", not(test.negated), of(test.position), relative(test.relative))?;
        }
        Test::BufferSize(n) => write!(f, "bsize:{n}")?,
        Test::Absent { or_else } => write!(f, "absent{}", if *or_else { ":or_else" } else { "" })?,
        Test::ByteTest(test) => {
            let operator = match test.operator {
                Operator::Less => "<",
                Operator::AtMost => "<=",
                Operator::More => ">",
                Operator::AtLeast => ">=",
                Operator::Equal => "=",
                Operator::And => "&",
                Operator::Xor => "^",
            };
            let (sign, value) = (not(test.negated), of(test.value));
            write!(f, "byte_test:{},{sign}{operator},{value},{}", of(test.bytes), of(test.offset))?;
            write!(f, "{}{}{}", relative(test.relative), encoding(test.encoding), mask(test.mask))?;
        }
        Test::ByteJump(jump) => {
            write!(f, "byte_jump:{},{}{}", of(jump.bytes), of(jump.offset), relative(jump.relative))?;
            write!(f, ",multiplier {}{}", jump.multiplier, encoding(jump.encoding))?;
            f.write_str(if jump.align { ",align" } else { "" })?;
            f.write_str(match jump.from {
                JumpFrom::Here => "",
                JumpFrom::Beginning => ",from_beginning",
                JumpFrom::End => ",from_end",
            })?;
            write!(f, ",post_offset {}{}", of(jump.post_offset), mask(jump.mask))?;
        }
        Test::ByteExtract(test) => {
            write!(f, "byte_extract:{},{},{}", test.bytes, test.offset, name_of(rule, test.variable.0))?;
            write!(
                f,
                "{},multiplier {}{}",
                relative(test.relative),
                test.multiplier,
                encoding(test.encoding)
            )?;
            if let Some(align) = test.align {
                write!(f, ",align {align}")?;
            }
            write!(f, "{}", mask(test.mask))?;
        }
        Test::ByteMath(test) => {
            let operation = match test.operation {
                Operation::Add => "+",
                Operation::Subtract => "-",
                Operation::Multiply => "*",
                Operation::Divide => "/",
                Operation::ShiftLeft => "<<",
                Operation::ShiftRight => ">>",
            };
            write!(f, "byte_math:bytes {},offset {},oper {operation},", of(test.bytes), test.offset)?;
            write!(f, "rvalue {},result {}", of(test.operand), name_of(rule, test.variable.0))?;
            let read = match test.encoding {
                Encoding::Big => "",
                Encoding::Little => ",endian little",
                Encoding::Text(Base::Hexadecimal) => ",string hex",
                Encoding::Text(Base::Decimal) => ",string dec",
                Encoding::Text(Base::Octal) => ",string oct",
            };
            write!(f, "{}{read}{}", relative(test.relative), mask(test.mask))?;
        }
    }
    f.write_str("; ")
}

fn name_of(rule: &Rule, variable: u8) -> String {
    rule.variables.get(usize::from(variable)).map_or_else(String::new, |name| name.to_string())
}

fn relative(relative: bool) -> &'static str {
    if relative { ",relative" } else { "" }
}

fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Big => "",
        Encoding::Little => ",little",
        Encoding::Text(Base::Hexadecimal) => ",string,hex",
        Encoding::Text(Base::Decimal) => ",string,dec",
        Encoding::Text(Base::Octal) => ",string,oct",
    }
}

fn mask(mask: Option<u32>) -> String {
    mask.map_or_else(String::new, |mask| format!(",bitmask {mask:#x}"))
}

fn write_content(f: &mut Formatter<'_>, content: &Content, of: impl Fn(Value) -> String) -> fmt::Result {
    write!(f, "content:{}\"", not(content.negated))?;
    let mut hexadecimal = false;
    for &byte in &content.pattern {
        let plain =
            byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b'/' | b'-' | b'_' | b'=' | b'%');
        if plain == hexadecimal {
            f.write_char('|')?;
            hexadecimal = !plain;
        }
        if plain { f.write_char(char::from(byte))? } else { write!(f, "{byte:02x}")? }
    }
    f.write_str(if hexadecimal { "|\"; " } else { "\"; " })?;
    if content.nocase {
        f.write_str("nocase; ")?;
    }
    let positions = [
        ("offset", content.offset),
        ("depth", content.depth),
        ("distance", content.distance),
        ("within", content.within),
    ];
    for (name, value) in positions {
        if let Some(value) = value {
            write!(f, "{name}:{}; ", of(value))?;
        }
    }
    if content.endswith {
        f.write_str("endswith; ")?;
    }
    match content.fast_pattern {
        None => Ok(()),
        Some(FastPattern::Whole) => f.write_str("fast_pattern; "),
        Some(FastPattern::Only) => f.write_str("fast_pattern:only; "),
        Some(FastPattern::Chop { offset, length }) => write!(f, "fast_pattern:{offset},{length}; "),
    }
}

fn write_pcre(f: &mut Formatter<'_>, pcre: &Pcre) -> fmt::Result {
    let flags = pcre.flags;
    let letters = [
        (pcre.relative, 'R'),
        (flags.caseless, 'i'),
        (flags.multiline, 'm'),
        (flags.dotall, 's'),
        (flags.extended, 'x'),
        (flags.anchored, 'A'),
        (flags.dollar_end_only, 'E'),
        (flags.ungreedy, 'G'),
    ];
    let letters: String = letters.iter().filter(|(set, _)| *set).map(|&(_, letter)| letter).collect();
    write!(f, "pcre:{}\"/{}/{letters}\"; ", not(pcre.negated), pcre.pattern)
}
