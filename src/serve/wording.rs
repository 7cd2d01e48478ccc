//! A statement before it is parsed: cut from what was sent, bounded, and given the shape that logs may show.
//!
//! Everything here goes through the tokens once and never in depth, so that no text is too crooked for it. A shape holds no
//! literal and no comment; where a statement did not get as far as a plan, it holds no name either.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};
use sha2::{Digest, Sha256};

use super::fault::{Answer, Fault, state};
use super::roles::RoleLimits;

/// Statements of one message.
const MAX_STATEMENTS: usize = 100;
/// Set operations of one statement.
const MAX_SET_OPERATIONS: usize = 200;
/// Tables that one statement joins, or thereabouts.
const MAX_JOINS: usize = 100;
/// Brackets within each other that the parser may read more than once each.
const MAX_READ_AGAIN: usize = 8;
/// Longest shape that is written to a log.
const MAX_SHAPE_BYTES: usize = 4 << 10;

/// One statement as it was written.
#[derive(Debug, Clone)]
pub(super) struct Wording {
    pub sql: String,
    /// Characters of the message before it.
    pub before: usize,
    /// Brackets that lie within each other.
    pub nested: Nested,
    tokens: Vec<Token>,
}

/// The statements of a message, each within the bounds of a role.
///
/// # Errors
/// What is too long, too deep or not even made of tokens.
pub(super) fn statements(message: &str, limits: &RoleLimits) -> Answer<Vec<Wording>> {
    if message.len() > limits.statement_bytes {
        return Err(too_long(message.len(), limits.statement_bytes));
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, message).tokenize_with_location().map_err(|e| {
        let mut fault =
            Fault::new(state::SYNTAX, "syntax error: a literal, name or comment is not closed or not allowed");
        fault.position = Some(chars_before(message, e.location) + 1);
        fault
    })?;
    let meant = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
    let mut found: Vec<Wording> = Vec::new();
    let mut group: Vec<&TokenWithSpan> = Vec::new();
    for token in meant {
        match token.token {
            Token::SemiColon => close(message, &mut group, limits, &mut found)?,
            _ => group.push(token),
        }
    }
    close(message, &mut group, limits, &mut found)?;
    Ok(found)
}

pub(super) fn too_long(is: usize, most: usize) -> Fault {
    Fault::new(state::LIMIT_EXCEEDED, format!("the statement has {is} bytes, at most {most} are allowed"))
        .hint("Send long lists as parameters, or in several statements.")
}

fn close(message: &str, group: &mut Vec<&TokenWithSpan>, limits: &RoleLimits, found: &mut Vec<Wording>) -> Answer<()> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
    if found.len() == MAX_STATEMENTS {
        let fault = format!("a message holds at most {MAX_STATEMENTS} statements");
        return Err(Fault::new(state::LIMIT_EXCEEDED, fault));
    }
    let before = chars_before(message, first.span.start);
    let (start, end) = (byte_at(message, before), byte_at(message, chars_before(message, last.span.end)));
    let sql = message.get(start..end).unwrap_or_default().to_owned();
    let tokens: Vec<Token> = group.drain(..).map(|token| token.token.clone()).collect();
    let nested = bound(&tokens, limits)?;
    found.push(Wording { sql, before, nested, tokens });
    Ok(())
}

/// Characters before a place of a text.
pub(super) fn chars_before(text: &str, place: Location) -> usize {
    let (mut line, mut column) = (1, 1);
    for (at, c) in text.chars().enumerate() {
        if (line, column) >= (place.line, place.column) {
            return at;
        }
        if c == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    text.chars().count()
}

fn byte_at(text: &str, chars: usize) -> usize {
    text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at)
}

/// Refuses what would be too deep for whoever walks the tree that is made of it, whichever way it is deep: brackets, chains
/// of operators, set operations; and lists that are too long. Gives the brackets that lie within each other.
fn bound(tokens: &[Token], limits: &RoleLimits) -> Answer<Nested> {
    let (mut levels, mut deep, mut nested) = (vec![Level::default()], 0usize, Nested::default());
    let (mut sets, mut joins) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                deep += 1;
                let again = read_again(tokens[..at].last(), token);
                levels.push(Level { again, ..Level::default() });
                nested.brackets = nested.brackets.max(levels.len() - 1);
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                // A CASE without its END ends with the bracket around it.
                while levels.last().is_some_and(|level| level.case) {
                    deep -= levels.pop().map_or(0, |level| level.chain) + 1;
                }
                if levels.len() > 1 {
                    deep -= levels.pop().map_or(0, |level| level.chain) + 1;
                }
                // What stands in brackets can itself be a link: a[1][2](3).
                deep += link(&mut levels);
            }
            Token::Comma => {
                if let Some(level) = levels.last_mut() {
                    level.terms += 1;
                    deep -= std::mem::take(&mut level.chain);
                    if level.terms >= limits.list_terms {
                        let most = limits.list_terms;
                        let fault = Fault::new(state::TOO_COMPLEX, format!("a list has more than {most} terms"));
                        return Err(
                            fault.hint("Join with VALUES in several statements, or send an array as parameter.")
                        );
                    }
                }
            }
            Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                Keyword::CASE => {
                    deep += 1;
                    levels.push(Level { case: true, ..Level::default() });
                    nested.brackets = nested.brackets.max(levels.len() - 1);
                }
                Keyword::END if levels.last().is_some_and(|level| level.case) => {
                    deep -= levels.pop().map_or(0, |level| level.chain) + 1;
                    deep += link(&mut levels);
                }
                Keyword::INTERVAL => {
                    if let Some(level) = levels.last_mut() {
                        level.again = true;
                    }
                }
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => sets += 1,
                Keyword::JOIN => joins += 1,
                keyword if links(keyword) => deep += link(&mut levels),
                keyword if begins_anew(keyword) => {
                    if let Some(level) = levels.last_mut() {
                        deep -= std::mem::take(&mut level.chain);
                    }
                }
                _ => {}
            },
            Token::Word(_) | Token::Number(..) | Token::Period | Token::Placeholder(_) => {}
            literal if is_literal(literal) => {}
            _ => deep += link(&mut levels),
        }
        if nested.brackets > limits.brackets {
            let fault = format!("more than {} brackets lie within each other", limits.brackets);
            return Err(Fault::new(state::TOO_COMPLEX, fault).hint("Name what lies within in a subquery or WITH."));
        }
        nested.again = nested.again.max(levels.iter().filter(|level| level.again).count());
        if nested.again > MAX_READ_AGAIN {
            let fault = format!(
                "more than {MAX_READ_AGAIN} of CAST, EXTRACT, SUBSTRING, INTERVAL and their like lie within each other"
            );
            return Err(Fault::new(state::TOO_COMPLEX, fault).hint("Name what lies within in a subquery or WITH."));
        }
        if deep > limits.depth || sets > MAX_SET_OPERATIONS || joins > MAX_JOINS {
            return Err(Fault::new(state::TOO_COMPLEX, "the statement is nested too deeply or chains too much")
                .hint("Use IN for many alternatives, and WITH for what is nested."));
        }
    }
    Ok(nested)
}

/// Whether the parser reads what stands in a bracket again, as that of a plain call, when it does not read as it should: a
/// mistake within several of these is read many times.
fn read_again(before: Option<&Token>, bracket: &Token) -> bool {
    use Keyword as K;
    match (before, bracket) {
        (Some(Token::LBracket), Token::LBracket) => true,
        (Some(Token::Word(word)), _) if word.quote_style.is_none() => matches!(
            word.keyword,
            K::ARRAY
                | K::CASE
                | K::CAST
                | K::CEIL
                | K::CONVERT
                | K::CURRENT_DATE
                | K::CURRENT_TIME
                | K::CURRENT_TIMESTAMP
                | K::CURRENT_USER
                | K::CURRENT_ROLE
                | K::CURRENT_CATALOG
                | K::EXISTS
                | K::EXTRACT
                | K::FLOOR
                | K::INTERVAL
                | K::LOCALTIME
                | K::LOCALTIMESTAMP
                | K::MAP
                | K::MATCH
                | K::NOT
                | K::OVERLAY
                | K::POSITION
                | K::PRIOR
                | K::SAFE_CAST
                | K::SESSION_USER
                | K::STRUCT
                | K::SUBSTR
                | K::SUBSTRING
                | K::TRIM
                | K::TRY_CAST
                | K::USER
                | K::VALUES
        ),
        _ => false,
    }
}

/// How deep a statement is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nested {
    /// Brackets within each other, CASE and END counted as such.
    pub brackets: usize,
    /// Of these, those that the parser may read again.
    pub again: usize,
}

#[derive(Default)]
struct Level {
    /// Of CASE and END.
    case: bool,
    again: bool,
    /// Operators in a row, each of which may lie one deeper than the one before.
    chain: usize,
    terms: usize,
}

fn link(levels: &mut [Level]) -> usize {
    levels.last_mut().map_or(0, |level| {
        level.chain += 1;
        1
    })
}

fn links(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::AND
            | K::OR
            | K::NOT
            | K::IS
            | K::LIKE
            | K::ILIKE
            | K::SIMILAR
            | K::BETWEEN
            | K::IN
            | K::COLLATE
            | K::AT
            | K::XOR
            | K::OVERLAPS
    )
}

fn begins_anew(keyword: Keyword) -> bool {
    use Keyword as K;
    matches!(
        keyword,
        K::SELECT
            | K::FROM
            | K::WHERE
            | K::GROUP
            | K::HAVING
            | K::ORDER
            | K::LIMIT
            | K::OFFSET
            | K::ON
            | K::USING
            | K::VALUES
            | K::WITH
            | K::WINDOW
            | K::QUALIFY
    )
}

impl Wording {
    /// What a log may show of it, and the digest of that. `names` are kept where the statement became a plan.
    pub fn shape(&self, names: bool) -> (String, String) {
        let mut shape = Shape { text: String::new(), literals: 0, names, run: Run::No, call: false };
        for token in &self.tokens {
            shape.add(token);
        }
        let digest = Sha256::digest(shape.text.as_bytes());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        if shape.text.len() > MAX_SHAPE_BYTES {
            let end = (0..=MAX_SHAPE_BYTES).rev().find(|at| shape.text.is_char_boundary(*at)).unwrap_or(0);
            shape.text.truncate(end);
            shape.text.push('…');
        }
        (shape.text, digest)
    }
}

/// How far a list of nothing but literals has come: its later ones are left out.
#[derive(PartialEq)]
enum Run {
    No,
    Literal,
    Comma,
}

struct Shape {
    text: String,
    literals: usize,
    names: bool,
    run: Run,
    /// Whether a bracket now would be that of a call.
    call: bool,
}

impl Shape {
    fn add(&mut self, token: &Token) {
        match token {
            Token::Comma if self.run == Run::Literal => {
                self.run = Run::Comma;
                return;
            }
            token if is_literal(token) || matches!(token, Token::Number(..) | Token::Placeholder(_)) => {
                if self.run == Run::Comma {
                    self.run = Run::Literal;
                    if !self.text.ends_with('…') {
                        self.text.push_str(", …");
                    }
                    return;
                }
                self.literals += 1;
                let literal = format!("${}", self.literals);
                self.push(&literal);
                self.run = Run::Literal;
                return;
            }
            _ => {}
        }
        if self.run == Run::Comma {
            self.text.push(',');
        }
        self.run = Run::No;
        match token {
            Token::Word(word) => {
                let text = self.word(word);
                self.push(&text);
                self.call = word.quote_style.is_some() || !is_grammar(word.keyword);
            }
            token => self.push(&token.to_string()),
        }
    }

    /// Names of more than letters, digits and `_` may be a description in the wrong quotes.
    fn word(&self, word: &Word) -> String {
        let plain = word.value.len() <= 63 && word.value.chars().all(|c| c.is_alphanumeric() || c == '_');
        match word.quote_style {
            None if is_grammar(word.keyword) => word.value.to_uppercase(),
            _ if !self.names => "_".into(),
            None if plain => word.value.to_lowercase(),
            Some(_) if plain => format!("\"{}\"", word.value),
            _ => "\"…\"".into(),
        }
    }

    fn push(&mut self, text: &str) {
        let call = std::mem::take(&mut self.call);
        let tight = matches!(text, "," | ")" | "]" | "." | "::" | "[") || (call && text == "(");
        if !tight && !self.text.is_empty() && !self.text.ends_with(['(', '[', '.', ':']) {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }
}

/// Words of the language that are no name; others, which are words of the language somewhere, may be anything.
fn is_grammar(keyword: Keyword) -> bool {
    use Keyword as K;
    links(keyword)
        || begins_anew(keyword)
        || matches!(
            keyword,
            K::BY
                | K::RECURSIVE
                | K::OVER
                | K::PARTITION
                | K::NULL
                | K::WHEN
                | K::THEN
                | K::ELSE
                | K::END
                | K::AS
                | K::JOIN
                | K::LEFT
                | K::RIGHT
                | K::FULL
                | K::INNER
                | K::OUTER
                | K::CROSS
                | K::UNION
                | K::INTERSECT
                | K::EXCEPT
                | K::ALL
                | K::ANY
                | K::EXISTS
                | K::DISTINCT
                | K::CAST
                | K::TRUE
                | K::FALSE
                | K::ASC
                | K::DESC
                | K::SET
                | K::SHOW
                | K::EXPLAIN
                | K::ANALYZE
                | K::COPY
                | K::TO
                | K::INSERT
                | K::INTO
                | K::UPDATE
                | K::DELETE
                | K::CREATE
                | K::DROP
                | K::ALTER
                | K::TRUNCATE
                | K::TABLE
                | K::VIEW
                | K::DECLARE
                | K::CURSOR
                | K::FOR
                | K::FETCH
                | K::CLOSE
                | K::BEGIN
                | K::COMMIT
                | K::ROLLBACK
        )
}

fn is_literal(token: &Token) -> bool {
    use Token as T;
    matches!(
        token,
        T::Char(_)
            | T::SingleQuotedString(_)
            | T::DoubleQuotedString(_)
            | T::TripleSingleQuotedString(_)
            | T::TripleDoubleQuotedString(_)
            | T::DollarQuotedString(_)
            | T::SingleQuotedByteStringLiteral(_)
            | T::DoubleQuotedByteStringLiteral(_)
            | T::TripleSingleQuotedByteStringLiteral(_)
            | T::TripleDoubleQuotedByteStringLiteral(_)
            | T::SingleQuotedRawStringLiteral(_)
            | T::DoubleQuotedRawStringLiteral(_)
            | T::TripleSingleQuotedRawStringLiteral(_)
            | T::TripleDoubleQuotedRawStringLiteral(_)
            | T::NationalStringLiteral(_)
            | T::QuoteDelimitedStringLiteral(_)
            | T::NationalQuoteDelimitedStringLiteral(_)
            | T::EscapedStringLiteral(_)
            | T::UnicodeStringLiteral(_)
            | T::HexStringLiteral(_)
            | T::CustomBinaryOperator(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::roles::Role;

    fn limits() -> RoleLimits {
        RoleLimits::of(Role::Reader, 1 << 30)
    }

    fn shape(sql: &str, names: bool) -> String {
        statements(sql, &limits()).unwrap()[0].shape(names).0
    }

    #[test]
    fn a_message_is_cut_into_its_statements() {
        let found = statements(" SELECT 'a;b' ;; -- no; more\n SELECT 2; ", &limits()).unwrap();
        let texts: Vec<&str> = found.iter().map(|wording| wording.sql.as_str()).collect();
        assert_eq!(texts, ["SELECT 'a;b'", "SELECT 2"]);
        assert_eq!(found[1].before, 30);
        assert!(statements(" ; ;", &limits()).unwrap().is_empty());
        let unclosed = statements("SELECT\n 'red cotton", &limits()).unwrap_err();
        assert_eq!((unclosed.state, unclosed.position), ("42601", Some(9)));
    }

    #[test]
    fn brackets_within_each_other_are_bounded_and_those_that_are_read_again_more_so() {
        let state = |sql: String| statements(&sql, &limits()).map_err(|fault| fault.state).map(|found| found[0].nested);
        let nest = |open: &str, n: usize, close: &str| format!("SELECT {}1{}", open.repeat(n), close.repeat(n));
        let nested = |sql| state(sql).map(|nested| (nested.brackets, nested.again));
        assert_eq!(nested(nest("abs(", 16, ")")), Ok((16, 0)));
        assert_eq!(nested(nest("(", 17, ")")), Err("54001"));
        assert_eq!(nested(nest("CAST(", 8, " AS int)")), Ok((8, 8)));
        assert_eq!(nested(nest("CAST (", 9, " AS int)")), Err("54001"));
        assert_eq!(nested(nest("f(interval ", 9, ")")), Err("54001"));
        assert_eq!(nested(nest("ARRAY[[", 4, "]]")), Ok((8, 8)));
        assert_eq!(nested(nest("CASE WHEN true THEN ", 16, " END")), Ok((16, 0)));
        assert_eq!(nested(nest("CASE WHEN true THEN ", 17, " END")), Err("54001"));
        assert_eq!(nested(nest("(CASE WHEN true THEN ", 8, ")")), Ok((16, 0)));
        let cases = vec!["CASE a WHEN 1 THEN abs(2) ELSE 3 END"; 50];
        assert_eq!(nested(format!("SELECT {}", cases.join(" + "))), Ok((2, 0)));
        assert_eq!(nested(format!("SELECT {}", vec!["CAST(1 AS int)"; 50].join(", "))), Ok((1, 1)));
    }

    #[test]
    fn shapes_hold_no_literal_no_comment_and_no_name_that_could_be_a_description() {
        assert_eq!(
            shape(
                "select hs_code('red shirts'), $$blue$$ /* secret */ from lines where id in (1, 2,3) and x = -5",
                true
            ),
            "SELECT hs_code($1), $2 FROM lines WHERE id IN ($3, …) AND x = - $4"
        );
        assert_eq!(shape("SELECT hs_code(\"red cotton shirts\")", true), "SELECT hs_code(\"…\")");
        assert_eq!(shape("SELECT hs_code(shirts)", false), "SELECT _(_)");
        assert_eq!(shape("SELECT E'a', x'41', N'b', $1", true), "SELECT $1, …");
        let one = statements("SELECT 1", &limits()).unwrap()[0].shape(true);
        let other = statements("select   2 -- two", &limits()).unwrap()[0].shape(true);
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_too_long_too_deep_or_lists_too_much_is_refused_without_being_parsed() {
        let state = |sql: &str| statements(sql, &limits()).map(|_| ()).map_err(|fault| fault.state);
        let nested = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(state(&nested(16)), Ok(()));
        assert_eq!(state(&nested(17)), Err("54001"));
        assert_eq!(state(&nested(5_000)), Err("54001"));
        assert_eq!(state(&format!("SELECT {}1", "1+".repeat(5_000))), Err("54001"));
        assert_eq!(state(&format!("SELECT {}1", "NOT ".repeat(5_000))), Err("54001"));
        assert_eq!(state(&format!("SELECT a{}", "[1]".repeat(5_000))), Err("54001"));
        assert_eq!(state(&format!("SELECT 1{}", "::int".repeat(5_000))), Err("54001"));
        assert_eq!(state(&vec!["SELECT 1"; 500].join(" UNION ALL ")), Err("54001"));
        assert_eq!(state(&format!("SELECT 1 IN ({}1)", "1,".repeat(20_000))), Err("54001"));
        assert_eq!(state(&format!("SELECT '{}'", "x".repeat(1 << 20))), Err("54000"));
        // Many columns, each with a few operators, are no depth.
        let columns: Vec<String> = (0..2_000).map(|i| format!("a+{i}*2 AS c{i}")).collect();
        assert_eq!(state(&format!("SELECT {} FROM t", columns.join(","))), Ok(()));
        assert_eq!(state(&"SELECT 1;".repeat(200)), Err("54000"));
    }
}
