//! Text into words and symbols.
use std::ops::Range;

use super::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Open,
    Close,
    OpenSet,
    CloseSet,
    Comma,
    And,
    Or,
    Not,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Those that begin with another come before it.
const SYMBOLS: [(&str, Symbol); 14] = [
    ("&&", Symbol::And),
    ("||", Symbol::Or),
    ("==", Symbol::Equal),
    ("!=", Symbol::NotEqual),
    ("<=", Symbol::LessOrEqual),
    (">=", Symbol::GreaterOrEqual),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
    ("!", Symbol::Not),
    ("(", Symbol::Open),
    (")", Symbol::Close),
    ("{", Symbol::OpenSet),
    ("}", Symbol::CloseSet),
    (",", Symbol::Comma),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A keyword, a name, or a value: letters, digits and `_ . : / -`.
    Word(&'t str),
    Symbol(Symbol),
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lexeme<'t> {
    pub(super) token: Token<'t>,
    pub(super) span: Range<usize>,
}

/// The tokens of a text, the last being `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Lexeme<'_>>, ParseError> {
    let mut tokens = vec![];
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next.is_whitespace() {
            at += next.len_utf8();
            continue;
        }
        let rest = &text[at..];
        let (token, length) = if let Some(&(name, symbol)) = SYMBOLS.iter().find(|s| rest.starts_with(s.0)) {
            (Token::Symbol(symbol), name.len())
        } else {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if length == 0 {
                return Err(unexpected(next, at));
            }
            (Token::Word(&rest[..length]), length)
        };
        tokens.push(Lexeme { token, span: at..at + length });
        at += length;
    }
    tokens.push(Lexeme { token: Token::End, span: text.len()..text.len() });
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-')
}

fn unexpected(found: char, at: usize) -> ParseError {
    let help = match found {
        '=' => Some("compare with `==`".into()),
        '&' => Some("write `and` or `&&`".into()),
        '|' => Some("write `or` or `||`".into()),
        '[' | ']' => Some("sets are written `{80, 443}`, ranges `1024..65535`".into()),
        '"' | '\'' => Some("values are written without quotes".into()),
        _ => None,
    };
    ParseError { span: at..at + found.len_utf8(), message: format!("`{found}` means nothing here"), help }
}
