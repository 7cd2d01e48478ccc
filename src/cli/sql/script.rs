//! Text → statements and commands, line by line, with where each begins.
//!
//! A statement ends at a `;` that is no part of a text, a name or a comment; this agrees with the tokenizer that reads the
//! statement afterwards. A line that begins with `\` where a statement would begin is a command. Nothing is parsed here.

/// What stands in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement, without its `;`.
    Statement(Text),
    /// A command, with its `\`.
    Command(Text),
}

/// Text of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Where it begins in its line in characters, from 1.
    pub(super) column: usize,
}

/// Inside of what the text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inside {
    Statement,
    /// `'…'`; with backslashes that take the meaning of the next character away, in `E'…'`.
    Quotes {
        backslashes: bool,
    },
    /// `"…"`.
    Name(char),
    /// `q'[…]'`, up to this character and a quote.
    Delimited(char),
    /// `$tag$…$tag$`, with the dollars.
    Dollars(String),
    /// `/* … */`, this deep.
    Comment(usize),
}

/// What stands in a comment that begins so is read as SQL.
const HINT: [char; 3] = ['/', '*', '!'];

/// Takes lines, gives pieces.
pub(super) struct Splitter {
    inside: Inside,
    begun: Text,
    line: usize,
}

impl Splitter {
    pub(super) fn new() -> Splitter {
        Splitter { inside: Inside::Statement, begun: Text::default(), line: 0 }
    }

    /// All pieces of a text; what no `;` ended comes too, and last.
    pub(super) fn all(text: &str) -> Vec<Piece> {
        let mut splitter = Splitter::new();
        let mut pieces: Vec<Piece> = text.split_inclusive('\n').flat_map(|line| splitter.feed(line)).collect();
        pieces.extend(splitter.rest());
        pieces
    }

    /// Whether something was begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !self.begun.text.is_empty() || self.inside != Inside::Statement
    }

    /// Whether what comes next is the inside of a text, a name or a comment.
    pub(super) fn is_in_words(&self) -> bool {
        self.inside != Inside::Statement
    }

    /// What was begun and not ended: without a `;` the end of the script ends it.
    pub(super) fn rest(self) -> Option<Piece> {
        (!self.begun.text.trim().is_empty()).then_some(Piece::Statement(self.begun))
    }

    /// The pieces that end with this line, which has its line break.
    pub(super) fn feed(&mut self, line: &str) -> Vec<Piece> {
        self.line += 1;
        let chars: Vec<char> = line.chars().collect();
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < chars.len() {
            if !self.is_open() && chars[at] == '\\' {
                let text: String = chars[at..].iter().collect();
                pieces.push(Piece::Command(Text { text: text.trim_end().into(), line: self.line, column: at + 1 }));
                break;
            }
            let (taken, ended) = self.step(&chars[at..]);
            if ended {
                let statement = std::mem::take(&mut self.begun);
                if !statement.text.is_empty() {
                    pieces.push(Piece::Statement(statement));
                }
            } else {
                self.keep(&chars[at..at + taken], at);
            }
            at += taken;
        }
        pieces
    }

    /// Adds to the statement; it begins with the first character that is no space and in no comment.
    fn keep(&mut self, taken: &[char], at: usize) {
        if self.begun.text.is_empty() {
            let nothing = taken.iter().all(|c| c.is_whitespace());
            let comment = taken.starts_with(&['-', '-']) || matches!(self.inside, Inside::Comment(_)) && taken != HINT;
            if nothing || comment {
                return;
            }
            (self.begun.line, self.begun.column) = (self.line, at + 1);
        }
        self.begun.text.extend(taken);
    }

    /// How many of the characters ahead belong together, at least one, and whether they end a statement.
    fn step(&mut self, ahead: &[char]) -> (usize, bool) {
        let next = ahead.get(1).copied();
        match &mut self.inside {
            Inside::Statement => return self.plain(ahead),
            Inside::Quotes { backslashes: true } if ahead[0] == '\\' => return (ahead.len().min(2), false),
            Inside::Quotes { .. } => self.end_if(ahead[0] == '\''),
            Inside::Name(quote) => {
                let ends = ahead[0] == *quote;
                self.end_if(ends);
            }
            Inside::Delimited(end) => {
                if ahead[0] == *end && next == Some('\'') {
                    self.inside = Inside::Statement;
                    return (2, false);
                }
            }
            Inside::Dollars(tag) => {
                let tag: Vec<char> = tag.chars().collect();
                if ahead.starts_with(&tag) {
                    self.inside = Inside::Statement;
                    return (tag.len(), false);
                }
            }
            Inside::Comment(depth) => match (ahead[0], next) {
                ('/', Some('*')) => {
                    *depth += 1;
                    return (2, false);
                }
                ('*', Some('/')) => {
                    *depth -= 1;
                    let ends = *depth == 0;
                    // The end of a comment before a statement is no part of it.
                    if ends && self.begun.text.is_empty() {
                        self.inside = Inside::Statement;
                        return (2, true);
                    }
                    self.end_if(ends);
                    return (2, false);
                }
                _ => {}
            },
        }
        (1, false)
    }

    fn end_if(&mut self, ends: bool) {
        if ends {
            self.inside = Inside::Statement;
        }
    }

    fn plain(&mut self, ahead: &[char]) -> (usize, bool) {
        match (ahead[0], ahead.get(1).copied()) {
            (';', _) => return (1, true),
            ('-', Some('-')) => return (ahead.len(), false),
            ('/', Some('*')) => {
                self.inside = Inside::Comment(1);
                return (if ahead.starts_with(&HINT) { HINT.len() } else { 2 }, false);
            }
            // An operator, whose second half begins no comment.
            ('/', Some('/')) => return (2, false),
            ('\'', _) => self.inside = Inside::Quotes { backslashes: false },
            (quote @ ('"' | '`'), _) => self.inside = Inside::Name(quote),
            ('$', _) => {
                let tag = ahead[1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                if ahead.get(tag + 1) == Some(&'$') {
                    self.inside = Inside::Dollars(ahead[..tag + 2].iter().collect());
                    return (tag + 2, false);
                }
                return (tag + 1, false);
            }
            ('0'..='9' | '.', _) => return (number(ahead), false),
            (first, _) if begins_a_word(first) => return (self.word(ahead), false),
            _ => {}
        }
        (1, false)
    }

    /// A word, with the quote that it gives a meaning to.
    fn word(&mut self, ahead: &[char]) -> usize {
        let length = ahead.iter().take_while(|c| goes_on_in_a_word(**c)).count();
        let word: String = ahead[..length].iter().collect::<String>().to_ascii_lowercase();
        if ahead.get(length) != Some(&'\'') {
            return length;
        }
        match word.as_str() {
            "e" | "x" => self.inside = Inside::Quotes { backslashes: true },
            "q" | "nq" => {
                let Some(open) = ahead.get(length + 1) else { return length };
                let close = match open {
                    '[' => ']',
                    '{' => '}',
                    '<' => '>',
                    '(' => ')',
                    other => *other,
                };
                self.inside = Inside::Delimited(close);
                return length + 2;
            }
            _ => self.inside = Inside::Quotes { backslashes: false },
        }
        length + 1
    }
}

/// How long the number at the front is; its exponent is no word, so that `1e5n'…'` is a number and a text.
fn number(ahead: &[char]) -> usize {
    let digits = |from: usize| ahead[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = digits(0);
    if ahead[..end] == ['0'] && ahead.get(end) == Some(&'x') {
        return end + 1 + ahead[end + 1..].iter().take_while(|c| c.is_ascii_hexdigit()).count();
    }
    if ahead.get(end) == Some(&'.') {
        end += 1 + digits(end + 1);
    }
    if end > 1 || ahead[0] != '.' {
        let sign = usize::from(matches!(ahead.get(end + 1), Some('+' | '-')));
        let exponent = ahead.get(end + 1 + sign).filter(|_| matches!(ahead.get(end), Some('e' | 'E')));
        if exponent.is_some_and(char::is_ascii_digit) {
            end += 1 + sign + digits(end + 1 + sign);
        }
    }
    end
}

fn begins_a_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '#' | '@')
}

fn goes_on_in_a_word(c: char) -> bool {
    c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '_' | '#' | '@' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

    fn texts(script: &str) -> Vec<String> {
        Splitter::all(script)
            .into_iter()
            .map(|piece| match piece {
                Piece::Statement(text) => text.text,
                Piece::Command(text) => text.text,
            })
            .collect()
    }

    #[test]
    fn a_semicolon_in_a_text_a_name_or_a_comment_ends_nothing() {
        let script = "SELECT ';', E'\\';', \"a;b\", $$ ; $$, $x$ ; $ $x$ -- ;\n /* ; /* ; */ */ ; SELECT 2";
        let pieces = texts(script);
        assert_eq!(pieces.len(), 2, "{pieces:?}");
        assert_eq!(pieces[1], "SELECT 2");
        assert!(texts("-- a\n/* b; */ ;;\n ; ").is_empty());
        assert_eq!(texts("/*! SELECT 1 */; /* c */ SELECT 2"), ["/*! SELECT 1 */", "SELECT 2"]);
    }

    #[test]
    fn commands_stand_where_statements_begin_and_pieces_know_where_they_are() {
        let pieces = Splitter::all("-- first\n\\timing on\nSELECT 1;  SELECT\n '\\d'\n;\\q");
        let at = |text: &str, line, column| Text { text: text.into(), line, column };
        assert_eq!(
            pieces,
            [
                Piece::Command(at("\\timing on", 2, 1)),
                Piece::Statement(at("SELECT 1", 3, 1)),
                Piece::Statement(at("SELECT\n '\\d'\n", 3, 12)),
                Piece::Command(at("\\q", 5, 2)),
            ]
        );
    }

    /// The tokenizer's own opinion of where statements end.
    fn by_the_tokenizer(script: &str) -> Option<Vec<Vec<Token>>> {
        let tokens = Tokenizer::new(&GenericDialect {}, script).tokenize().ok()?;
        let statements = tokens.split(|t| *t == Token::SemiColon).map(|s| s.iter().filter(|t| matters(t)).cloned());
        Some(statements.map(Iterator::collect::<Vec<_>>).filter(|s| !s.is_empty()).collect())
    }

    fn matters(token: &Token) -> bool {
        !matches!(token, Token::Whitespace(_))
    }

    #[test]
    fn texts_of_odd_parts_are_split_where_the_tokenizer_splits_them() {
        let parts = [
            "'", "\"", "`", ";", "--", "\n", "/*", "*/", "$$", "$a$", "$1", "e'", "E'", "x", "q'[", "]'", "nq'!", "!'",
            "r'", "b'", "n'", "u&'", " ", "SELECT", "1", "e5", "a$b", "\\", "''", "-", "/", "*", "$", "é", "@v", "0x",
            ".", "1e", "+", "e-", "0", "\r\n", "\t",
        ];
        let mut state = 7u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut compared = 0;
        for _ in 0..60_000 {
            let script: String = (0..1 + random(12)).map(|_| parts[random(parts.len())]).collect();
            // Commands are ours alone, and a hint's semicolons end statements that are then refused as one.
            let ours = script.contains('\\') || script.contains("/*!");
            let (Some(wanted), false) = (by_the_tokenizer(&script), ours) else { continue };
            let pieces = texts(&script);
            let got: Vec<Vec<Token>> = pieces.iter().filter_map(|p| by_the_tokenizer(p)?.into_iter().next()).collect();
            assert_eq!(got, wanted, "{script:?} → {pieces:?}");
            compared += 1;
        }
        assert!(compared > 10_000, "{compared}");
    }
}
