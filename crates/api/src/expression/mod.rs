//! What `trailbox assert` says: `count(s3:PutObject, bucket=="out") == 1`.
//!
//! ```text
//! assertion  = comparison { "&&" comparison }
//! comparison = amount ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) amount
//! amount     = whole number | "count" "(" call { "," condition } ")"
//! call       = [ service ":" ] operation      either with * and ?
//! condition  = term { "&&" term }             a comma says "and" too
//! term       = [ "!" ] field                  there (or not there, or null)
//!            | field ( "==" | "!=" | "=~" ) literal
//!            | "last" number ( "s" | "m" | "h" | "d" )
//! field      = name { "." name }
//! literal    = "text" | 'text' | number | true | false | null
//! ```
//!
//! Pure: text in, a value out; records in, counts out.

mod evaluate;
mod parse;

pub(crate) use evaluate::Tally;
pub(crate) use parse::ParseError;

use regex::Regex;

/// One assertion: every comparison must hold.
#[derive(Debug, Clone)]
pub(crate) struct Assertion {
    pub(crate) comparisons: Vec<Comparison>,
}

/// Two amounts and how they should stand to each other.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    pub(crate) left: Amount,
    pub(crate) relation: Relation,
    pub(crate) right: Amount,
}

/// A number of calls.
#[derive(Debug, Clone)]
pub(crate) enum Amount {
    Number(u64),
    Count(Count),
}

/// How two amounts may stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub(crate) const fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

/// Which records to count.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    /// As it stands in the assertion.
    pub(crate) text: String,
    /// Pattern of the service; `*` when none was said.
    pub(crate) service: String,
    /// Pattern of the operation.
    pub(crate) operation: String,
    pub(crate) conditions: Vec<Condition>,
    /// Only records not older than this many seconds.
    pub(crate) last_seconds: Option<u64>,
}

/// What must hold of a record.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    /// As it stands in the assertion.
    pub(crate) text: String,
    pub(crate) field: Vec<String>,
    pub(crate) test: Test,
}

/// How a field is tested.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Present,
    Absent,
    Equals(Literal),
    Differs(Literal),
    Matches(Regex),
}

/// A value to compare with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
}

impl Assertion {
    /// Reads `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, ParseError> {
        parse::assertion(text)
    }

    /// The counts in it, left to right.
    pub(crate) fn counts(&self) -> impl Iterator<Item = &Count> {
        let amounts = self.comparisons.iter().flat_map(|it| [&it.left, &it.right]);
        amounts.filter_map(|amount| match amount {
            Amount::Count(count) => Some(count),
            Amount::Number(_) => None,
        })
    }
}
