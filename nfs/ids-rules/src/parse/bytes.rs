//! Numbers in payloads: `byte_test`, `byte_jump`, `byte_extract`, `byte_math`.

use super::{Builder, Opt, Span};
use crate::{
    payload::{
        Base, ByteExtract, ByteJump, ByteMath, ByteTest, Encoding, JumpFrom, Operation, Operator, Test, Value,
    },
    refusal::{Kind, Refusal},
};

/// The furthest offset from where a number is read.
const FURTHEST: i64 = 65_535;

/// What follows the fixed arguments of `byte_test`, `byte_jump` and `byte_extract`.
#[derive(Default)]
struct Extras<'a> {
    relative: bool,
    endian: Option<Encoding>,
    string: bool,
    base: Option<Base>,
    align: Option<Option<Span<'a>>>,
    multiplier: Option<u16>,
    from: Option<JumpFrom>,
    post_offset: Option<Span<'a>>,
    mask: Option<u32>,
}

impl<'a> Extras<'a> {
    fn read(option: Opt<'a>, words: impl Iterator<Item = Span<'a>>) -> Result<Self, Refusal> {
        let mut extras = Self::default();
        let keyword = option.name;
        for word in words {
            let (name, argument) =
                match word.bytes.iter().position(|&byte| byte.is_ascii_whitespace() || byte == b'=') {
                    Some(at) => (word.take(at), Some(word.skip(at + 1).trim())),
                    None => (word, None),
                };
            let needed =
                || argument.ok_or_else(|| word.bad(keyword, format!("{} needs a value", name.text())));
            match name.text().to_ascii_lowercase().as_str() {
                "relative" => extras.relative = true,
                "big" => extras.endian = Some(Encoding::Big),
                "little" => extras.endian = Some(Encoding::Little),
                "string" => {
                    extras.string = true;
                    if let Some(argument) = argument {
                        extras.base = Some(base(argument, keyword)?);
                    }
                }
                "hex" | "dec" | "oct" => extras.base = Some(base(name, keyword)?),
                "align" => extras.align = Some(argument),
                "multiplier" => extras.multiplier = u16::try_from(needed()?.number(keyword, 65_535)?).ok(),
                "from_beginning" => extras.from = Some(JumpFrom::Beginning),
                "from_end" => extras.from = Some(JumpFrom::End),
                "post_offset" => extras.post_offset = Some(needed()?),
                "bitmask" => extras.mask = Some(mask(needed()?, keyword)?),
                "dce" => return Err(word.refuse(keyword, Kind::Unsupported, "dce is not in the subset")),
                _ => return Err(word.bad(keyword, format!("\"{}\" is no word of it", word.text()))),
            }
        }
        if extras.multiplier == Some(0) {
            return Err(option.bad("a multiplier is 1 to 65535"));
        }
        if extras.string && extras.endian.is_some() {
            // Text has no byte order: Suricata ignores the word.
            extras.endian = None;
        }
        if extras.base.is_some() && !extras.string {
            return Err(option.bad("hex, dec and oct go with string"));
        }
        Ok(extras)
    }

    fn encoding(&self) -> Encoding {
        match (self.string, self.endian) {
            (true, _) => Encoding::Text(self.base.unwrap_or(Base::Decimal)),
            (false, endian) => endian.unwrap_or(Encoding::Big),
        }
    }

    /// Refuses what the keyword does not have.
    fn only(&self, option: Opt<'_>, jump: bool, align: bool, multiplier: bool) -> Result<(), Refusal> {
        let extra = [
            (!jump && self.from.is_some(), "from_beginning and from_end"),
            (!jump && self.post_offset.is_some(), "post_offset"),
            (!align && self.align.is_some(), "align"),
            (!multiplier && self.multiplier.is_some(), "multiplier"),
        ];
        match extra.iter().find(|(there, _)| *there) {
            Some((_, what)) => Err(option.bad(format!("does not have {what}"))),
            None => Ok(()),
        }
    }
}

fn base(span: Span<'_>, keyword: &str) -> Result<Base, Refusal> {
    Ok(match span.bytes {
        b"hex" => Base::Hexadecimal,
        b"dec" => Base::Decimal,
        b"oct" => Base::Octal,
        _ => return Err(span.bad(keyword, format!("\"{}\" is none of hex, dec and oct", span.text()))),
    })
}

/// A mask: hexadecimal, with or without `0x`.
fn mask(span: Span<'_>, keyword: &str) -> Result<u32, Refusal> {
    let text = span.text();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text);
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|&mask| mask > 0 && !digits.starts_with('+'))
        .ok_or_else(|| span.bad(keyword, format!("\"{text}\" is no mask: hexadecimal, up to 32 bits, not 0")))
}

impl Builder<'_> {
    /// Takes the option if it is about a number in the payload.
    pub(super) fn bytes(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        let test = match option.name {
            "byte_test" => Test::ByteTest(self.byte_test(option)?),
            "byte_jump" => Test::ByteJump(self.byte_jump(option)?),
            "byte_extract" => Test::ByteExtract(self.byte_extract(option)?),
            "byte_math" => Test::ByteMath(self.byte_math(option)?),
            _ => return Ok(false),
        };
        self.push(test);
        Ok(true)
    }

    fn byte_test(&self, option: Opt<'_>) -> Result<ByteTest, Refusal> {
        let mut words = option.need()?.list();
        let (Some(bytes), Some(operator), Some(value), Some(offset)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(option.bad("needs bytes, an operator, a value and an offset"));
        };
        let extras = Extras::read(option, words)?;
        extras.only(option, false, false, false)?;
        let encoding = extras.encoding();
        let (negation, symbol) = match operator.strip(b"!") {
            Some(rest) => (true, rest),
            None => (false, operator),
        };
        let operator = match symbol.bytes {
            b"<" => Operator::Less,
            b"<=" => Operator::AtMost,
            b">" => Operator::More,
            b">=" => Operator::AtLeast,
            b"=" | b"==" => Operator::Equal,
            b"&" => Operator::And,
            b"^" => Operator::Xor,
            // `!` alone is `!=`.
            b"" if negation => Operator::Equal,
            _ => return Err(operator.bad(option.name, format!("\"{}\" is no operator", operator.text()))),
        };
        Ok(ByteTest {
            bytes: self.width(option, bytes, encoding, 1)?,
            negated: negation,
            operator,
            value: self.operand(option, value)?,
            offset: self.value(option.name, offset, FURTHEST)?,
            relative: extras.relative,
            encoding,
            mask: extras.mask,
        })
    }

    fn byte_jump(&self, option: Opt<'_>) -> Result<ByteJump, Refusal> {
        let mut words = option.need()?.list();
        let (Some(bytes), Some(offset)) = (words.next(), words.next()) else {
            return Err(option.bad("needs bytes and an offset"));
        };
        let extras = Extras::read(option, words)?;
        extras.only(option, true, true, true)?;
        let align = match extras.align {
            None => false,
            Some(None) => true,
            Some(Some(argument)) => return Err(argument.bad(option.name, "align takes no value here")),
        };
        let encoding = extras.encoding();
        Ok(ByteJump {
            bytes: self.width(option, bytes, encoding, 0)?,
            offset: self.value(option.name, offset, FURTHEST)?,
            relative: extras.relative,
            multiplier: extras.multiplier.unwrap_or(1),
            encoding,
            align,
            from: extras.from.unwrap_or(JumpFrom::Here),
            post_offset: match extras.post_offset {
                Some(span) => self.value(option.name, span, FURTHEST)?,
                None => Value::Given(0),
            },
            mask: extras.mask,
        })
    }

    fn byte_extract(&mut self, option: Opt<'_>) -> Result<ByteExtract, Refusal> {
        let mut words = option.need()?.list();
        let (Some(bytes), Some(offset), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(option.bad("needs bytes, an offset and a name"));
        };
        let extras = Extras::read(option, words)?;
        extras.only(option, false, true, true)?;
        let align = match extras.align {
            None => None,
            Some(Some(argument)) if matches!(argument.bytes, b"2" | b"4") => Some(argument.bytes[0] - b'0'),
            Some(_) => return Err(option.bad("align is 2 or 4")),
        };
        let encoding = extras.encoding();
        let Value::Given(bytes) = self.width(option, bytes, encoding, 1)? else {
            return Err(option.bad("the number of bytes is a number"));
        };
        Ok(ByteExtract {
            bytes: bytes as u8,
            offset: offset.signed(option.name, FURTHEST)?,
            variable: self.define(option.name, name)?,
            relative: extras.relative,
            multiplier: extras.multiplier.unwrap_or(1),
            encoding,
            align,
            mask: extras.mask,
        })
    }

    fn byte_math(&mut self, option: Opt<'_>) -> Result<ByteMath, Refusal> {
        let keyword = option.name;
        let (mut bytes, mut offset, mut operation, mut operand, mut result) = (None, None, None, None, None);
        let (mut relative, mut endian, mut string, mut masked) = (false, None, None, None);
        for word in option.need()?.list() {
            let (name, argument) = match word.bytes.iter().position(u8::is_ascii_whitespace) {
                Some(at) => (word.take(at), word.skip(at).trim()),
                None => (word, word.skip(word.bytes.len())),
            };
            match name.bytes {
                b"bytes" => bytes = Some(argument),
                b"offset" => offset = Some(argument.signed(keyword, FURTHEST)?),
                b"oper" => {
                    operation = Some(match argument.bytes {
                        b"+" => Operation::Add,
                        b"-" => Operation::Subtract,
                        b"*" => Operation::Multiply,
                        b"/" => Operation::Divide,
                        b"<<" => Operation::ShiftLeft,
                        b">>" => Operation::ShiftRight,
                        _ => {
                            return Err(
                                argument.bad(keyword, format!("\"{}\" is no operator", argument.text()))
                            );
                        }
                    });
                }
                b"rvalue" => operand = Some(self.operand(option, argument)?),
                b"result" => result = Some(argument),
                b"relative" => relative = true,
                b"endian" => {
                    endian = Some(match argument.bytes {
                        b"big" => Encoding::Big,
                        b"little" => Encoding::Little,
                        _ => {
                            return Err(argument.refuse(
                                keyword,
                                Kind::Unsupported,
                                "endian is big or little",
                            ));
                        }
                    });
                }
                b"string" => string = Some(base(argument, keyword)?),
                b"bitmask" => masked = Some(mask(argument, keyword)?),
                _ => return Err(word.bad(keyword, format!("\"{}\" is no word of it", word.text()))),
            }
        }
        let encoding = match string {
            Some(base) => Encoding::Text(base),
            None => endian.unwrap_or(Encoding::Big),
        };
        let (Some(bytes), Some(offset), Some(operation), Some(operand), Some(result)) =
            (bytes, offset, operation, operand, result)
        else {
            return Err(option.bad("needs bytes, offset, oper, rvalue and result"));
        };
        let bytes = self.width(option, bytes, encoding, 1)?;
        let variable = self.define(keyword, result)?;
        Ok(ByteMath { bytes, offset, operation, operand, variable, relative, encoding, mask: masked })
    }

    /// How many bytes are read.
    fn width(
        &self,
        option: Opt<'_>,
        span: Span<'_>,
        encoding: Encoding,
        least: i64,
    ) -> Result<Value, Refusal> {
        let most = if matches!(encoding, Encoding::Text(_)) { 23 } else { 8 };
        let value = self.value(option.name, span, FURTHEST)?;
        match value {
            Value::Given(number) if number < least || number > most => {
                Err(span.bad(option.name, format!("{least} to {most} bytes can be read, not {number}")))
            }
            _ => Ok(value),
        }
    }

    /// What a number is compared or combined with.
    fn operand(&self, option: Opt<'_>, span: Span<'_>) -> Result<Value, Refusal> {
        match self.value(option.name, span, i64::MAX)? {
            Value::Given(number) if number < 0 => Err(span.bad(option.name, "must not be negative")),
            value => Ok(value),
        }
    }
}
