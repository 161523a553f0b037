//! Recursive descent over the tokens, of bounded depth.
use std::fmt::Debug;
use std::ops::Range;

use wire::{Mac, ParsePrefixError, Prefix};

use super::compare::{Comparison, Interval, Values};
use super::field::{FIELDS, Field, PREDICATES, PROTOCOLS, TCP_FLAGS};
use super::lexer::{Lexeme, Symbol, Token, tokens};
use super::{MAX_DEPTH, MAX_LENGTH, Node, ParseError, advice};

type Parsed<T> = Result<T, ParseError>;

pub(super) fn parse(text: &str) -> Parsed<Node> {
    if text.len() > MAX_LENGTH {
        let message = format!("the expression is longer than {MAX_LENGTH} bytes");
        return Err(ParseError { span: 0..text.len(), message, help: None });
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    let node = parser.sum()?;
    match parser.peek() {
        Token::End => Ok(node),
        Token::Symbol(Symbol::Close) => Err(parser.error("this `)` closes nothing", None)),
        _ => Err(parser.expected("`and`, `or` or the end", parser.advice_behind())),
    }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Lexeme<'t>>,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.tokens.get(self.at).map_or(Token::End, |lexeme| lexeme.token)
    }

    fn span(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |lexeme| lexeme.span.clone())
    }

    /// Passes the token when it is this symbol or this word.
    fn take(&mut self, symbol: Option<Symbol>, word: &str) -> bool {
        let found = match self.peek() {
            Token::Word(found) => found == word,
            Token::Symbol(found) => Some(found) == symbol,
            Token::End => false,
        };
        self.at += usize::from(found);
        found
    }

    /// What to do about something behind a complete test.
    fn advice_behind(&self) -> Option<String> {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at))?;
        let Token::Word(word) = before.token else { return None };
        match self.peek() {
            // `tcp udp`, `tcp port 80`
            Token::Word(next) if next.starts_with(|c: char| c.is_ascii_alphabetic()) && next != "in" => {
                Some("join tests by `and`: `tcp and dport == 80`".to_owned())
            }
            _ => advice::behind_predicate(word),
        }
    }

    fn symbol(&mut self, symbol: Symbol) -> bool {
        self.take(Some(symbol), "")
    }

    fn error(&self, message: impl Into<String>, help: Option<String>) -> ParseError {
        ParseError { span: self.span(), message: message.into(), help }
    }

    fn expected(&self, what: &str, help: Option<String>) -> ParseError {
        let span = self.span();
        let message = match self.peek() {
            Token::End => format!("expected {what}, but the expression ends"),
            _ => format!("expected {what}, found `{}`", &self.text[span]),
        };
        self.error(message, help)
    }

    fn sum(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.product()?];
        while self.take(Some(Symbol::Or), "or") {
            nodes.push(self.product()?);
        }
        Ok(Node::join(nodes, false))
    }

    fn product(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.factor()?];
        while self.take(Some(Symbol::And), "and") {
            nodes.push(self.factor()?);
        }
        Ok(Node::join(nodes, true))
    }

    fn factor(&mut self) -> Parsed<Node> {
        let opening = self.span();
        let negated = self.take(Some(Symbol::Not), "not");
        if !negated && !self.symbol(Symbol::Open) {
            return self.test();
        }
        if self.depth == MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} parentheses or negations inside each other");
            return Err(ParseError { span: opening, message, help: None });
        }
        self.depth += 1;
        let node = if negated {
            self.factor()?.not()
        } else {
            let node = self.sum()?;
            if !self.symbol(Symbol::Close) {
                let help = format!("the `(` at byte {} is not closed", opening.start);
                return Err(self.expected("`)`, `and` or `or`", Some(help)));
            }
            node
        };
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Parsed<Node> {
        let Token::Word(name) = self.peek() else {
            return Err(
                self.expected("a predicate or a field", Some("for example `tcp` or `dport == 53`".into()))
            );
        };
        if name == "all" || name == "any" {
            self.at += 1;
            return Ok(Node::Constant(true));
        }
        if let Some(&(_, predicate)) = PREDICATES.iter().find(|known| known.0 == name) {
            self.at += 1;
            return Ok(Node::Is(predicate));
        }
        let Some(&(_, field)) = FIELDS.iter().find(|known| known.0 == name) else {
            let help = advice::on_unknown(name);
            return Err(self.error(format!("`{name}` is no predicate and no field"), Some(help)));
        };
        self.at += 1;
        self.comparison(field).map(Node::Compare)
    }

    fn comparison(&mut self, field: Field) -> Parsed<Comparison> {
        let span = self.span();
        if field == Field::TcpFlags && self.take(None, "has") {
            let flags = self.list(|parser, word| parser.named(word, &TCP_FLAGS, "a TCP flag"))?;
            let values = Values::Flags(flags.into_iter().fold(0, |all, flag| all | flag));
            return Ok(Comparison { field, negated: false, values });
        }
        let negated_in = self.take(None, "not");
        if self.take(None, "in") {
            return self.members(field, negated_in);
        }
        let Token::Symbol(
            operator @ (Symbol::Equal
            | Symbol::NotEqual
            | Symbol::Less
            | Symbol::LessOrEqual
            | Symbol::Greater
            | Symbol::GreaterOrEqual),
        ) = self.peek()
        else {
            let name = field.name();
            let (what, help) = if negated_in {
                ("`in`", format!("write `{name} not in …`, or `not {name} == …`"))
            } else if field == Field::TcpFlags {
                ("`has` or a comparison", format!("for example `{name} has syn`"))
            } else {
                ("a comparison or `in`", format!("for example `{name} == …` or `{name} in {{…}}`"))
            };
            return Err(self.expected(what, Some(help)));
        };
        if negated_in {
            return Err(self.expected("`in`", Some(format!("write `{} not in …`", field.name()))));
        }
        self.at += 1;
        if matches!(operator, Symbol::Equal | Symbol::NotEqual) {
            let negated = operator == Symbol::NotEqual;
            if self.peek() == Token::Symbol(Symbol::OpenSet) {
                let word = if negated { "not in" } else { "in" };
                return Err(self.error("a set is not one value", Some(format!("use `{word}`"))));
            }
            return self.members(field, negated);
        }
        if matches!(field, Field::Address(_) | Field::Mac(_)) {
            let message = format!("`{}` has no order", field.name());
            let help = Some("use `==`, `!=` or `in`".into());
            return Err(ParseError { span, message, help });
        }
        let value_span = self.span();
        let word = self.word("a number")?;
        let value = self.number(field, word)?;
        self.at += 1;
        let max = field.max();
        let (first, last) = match operator {
            Symbol::Less => (0, value.checked_sub(1)),
            Symbol::LessOrEqual => (0, Some(value)),
            Symbol::Greater => (value.saturating_add(1), (value < max).then_some(max)),
            _ => (value, Some(max)),
        };
        let Some(last) = last else {
            let message = format!("no value of `{}` is so", field.name());
            return Err(ParseError { span: span.start..value_span.end, message, help: None });
        };
        Ok(Comparison { field, negated: false, values: Values::Numbers(vec![(first, last)]) })
    }

    /// What follows `in`, `==` or `!=`.
    fn members(&mut self, field: Field, negated: bool) -> Parsed<Comparison> {
        let values = match field {
            Field::Address(_) => {
                let (mut v4, mut v6) = (vec![], vec![]);
                for member in self.list(|parser, word| parser.addresses(word))? {
                    match member {
                        Addresses::V4(interval) => v4.push(interval),
                        Addresses::V6(interval) => v6.push(interval),
                    }
                }
                Values::Addresses { v4, v6 }
            }
            Field::Mac(_) => Values::Macs(self.list(|parser, word| {
                let example = Some("for example 02:00:00:00:00:01".into());
                let one = |text: &str| {
                    let mac: Option<Mac> = text.parse().ok();
                    let mac = mac.ok_or_else(|| parser.expected("a MAC address", example.clone()))?;
                    Ok(mac.0.iter().fold(0, |mac, &byte| mac << 8 | u64::from(byte)))
                };
                match word.split_once("..") {
                    Some((first, last)) => parser.ordered(one(first)?, one(last)?),
                    None => one(word).map(|mac| (mac, mac)),
                }
            })?),
            field => Values::Numbers(self.list(|parser, word| {
                match word.split_once("..").or_else(|| word.split_once('-')) {
                    Some((first, last)) => {
                        let (first, last) = (parser.number(field, first)?, parser.number(field, last)?);
                        parser.ordered(first, last)
                    }
                    None => parser.number(field, word).map(|number| (number, number)),
                }
            })?),
        };
        Ok(Comparison { field, negated, values })
    }

    /// One value, or several in braces.
    fn list<T>(&mut self, value: impl Fn(&Self, &'t str) -> Parsed<T>) -> Parsed<Vec<T>> {
        let set = self.symbol(Symbol::OpenSet);
        let mut values = vec![];
        loop {
            let word = self.word("a value")?;
            values.push(value(self, word)?);
            self.at += 1;
            if !set || self.symbol(Symbol::CloseSet) {
                return Ok(values);
            }
            if !self.symbol(Symbol::Comma) {
                return Err(self.expected("`,` or `}`", None));
            }
        }
    }

    fn word(&self, what: &str) -> Parsed<&'t str> {
        match self.peek() {
            Token::Word(word) => Ok(word),
            _ => Err(self.expected(what, None)),
        }
    }

    fn ordered<T: PartialOrd + Debug>(&self, first: T, last: T) -> Parsed<Interval<T>> {
        if first > last {
            return Err(
                self.error("the range ends before it begins", Some("the smaller value comes first".into()))
            );
        }
        Ok((first, last))
    }

    fn number(&self, field: Field, text: &str) -> Parsed<u32> {
        let names: &[(&str, u8)] = match field {
            Field::Protocol => &PROTOCOLS,
            Field::TcpFlags => &TCP_FLAGS,
            _ => &[],
        };
        if !names.is_empty() && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.named(text, names, "a number or a name").map(u32::from);
        }
        let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
        // `from_str_radix` would take a sign.
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            let help = Some(format!("`{}` is a number from 0 to {}", field.name(), field.max()));
            return Err(self.expected("a number", help));
        }
        let number = u32::from_str_radix(digits, radix).ok().filter(|&number| number <= field.max());
        number.ok_or_else(|| {
            let help = Some(format!("`{}` is at most {}", field.name(), field.max()));
            self.error(format!("{text} is too large"), help)
        })
    }

    fn named(&self, word: &str, names: &[(&str, u8)], what: &str) -> Parsed<u8> {
        let known = names.iter().find(|known| known.0 == word).map(|known| known.1);
        known.ok_or_else(|| {
            let all: Vec<&str> = names.iter().map(|known| known.0).collect();
            let help = match advice::near(word, all.iter().copied()) {
                Some((_, name)) => format!("did you mean `{name}`?"),
                None => format!("one of {}", all.join(", ")),
            };
            self.expected(what, Some(help))
        })
    }

    fn addresses(&self, word: &str) -> Parsed<Addresses> {
        let prefix = |text: &str| -> Parsed<Prefix> {
            text.parse().map_err(|error| match error {
                ParsePrefixError::HostBits => {
                    let message = format!("`{text}` has bits set after its prefix length");
                    let help =
                        Some("a network ends in zeros; an address alone is written without `/`".into());
                    self.error(message, help)
                }
                ParsePrefixError::Length => {
                    let help = Some("a prefix length is 0 to 32 for IPv4, 0 to 128 for IPv6".into());
                    self.error(format!("`{text}` has no good prefix length"), help)
                }
                ParsePrefixError::Address => {
                    let help = Some("for example 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32".into());
                    self.expected("an address or a prefix", help)
                }
            })
        };
        let Some((first, last)) = word.split_once('-').or_else(|| word.split_once("..")) else {
            return prefix(word).map(Addresses::of);
        };
        match (Addresses::of(prefix(first)?), Addresses::of(prefix(last)?)) {
            (Addresses::V4((first, _)), Addresses::V4((_, last))) => {
                self.ordered(first, last).map(Addresses::V4)
            }
            (Addresses::V6((first, _)), Addresses::V6((_, last))) => {
                self.ordered(first, last).map(Addresses::V6)
            }
            _ => Err(self.error("the range mixes IPv4 and IPv6", None)),
        }
    }
}

enum Addresses {
    V4(Interval<u32>),
    V6(Interval<u128>),
}

impl Addresses {
    fn of(prefix: Prefix) -> Self {
        match prefix {
            Prefix::V4(prefix) => Self::V4((prefix.address(), prefix.last())),
            Prefix::V6(prefix) => Self::V6((prefix.address(), prefix.last())),
        }
    }
}
