//! URI templates of one service, compiled once.
//!
//! Templates are found by method and first segment; among those that fit the
//! best one is chosen by [`Rank`].

use super::scope::Pairs;
use crate::model::{Location, Operation, Service, ShapeKind};
use std::collections::HashMap;
use trailbox_exchange::{RequestHead, decode_component};

/// Every template of a service.
#[derive(Debug, Default)]
pub(crate) struct Matcher {
    templates: Vec<Template>,
    /// Method and first literal segment → templates.
    literal: HashMap<String, HashMap<String, Vec<usize>>>,
    /// Method → templates that begin with a label or are `/`.
    open: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Template {
    operation: usize,
    no_auth: bool,
    bearer: bool,
    segments: Vec<Segment>,
    /// Literal query of the template; a value only where it has one.
    query: Vec<(String, Option<String>)>,
    /// Query parameters and header fields that the input requires.
    required_query: Vec<String>,
    required_headers: Vec<String>,
    /// Every query parameter of the input.
    known_query: Vec<String>,
    literal_length: usize,
    /// Whether the template ends in a slash.
    slash: bool,
    name: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Label(String),
    /// One or more segments.
    Greedy(String),
}

/// How well a template fits, best last: literal query parameters, then
/// required parameters and fields all there, then their number, then the
/// length of the literal path, then how much of the query the operation knows,
/// then whether both or neither end in a slash, then what the client itself
/// says in `x-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    literals: usize,
    complete: bool,
    required: usize,
    path: usize,
    known: usize,
    slash: bool,
    said: bool,
}

/// A template that fits.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) operation: usize,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) rank: Rank,
}

/// A request as templates see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) head: &'a RequestHead,
    /// Usually the head's own.
    pub(super) method: &'a str,
    pub(super) query: &'a Pairs<'a>,
    /// Raw segments; the last may hold slashes where a greedy label takes it.
    pub(super) segments: &'a [&'a str],
}

/// Which operations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// All.
    All,
    /// Those callable without a signature whose path begins with a literal.
    Unsigned,
    /// Those signed by a bearer token.
    Bearer,
}

/// Raw segments of a path; one trailing slash does not count.
pub(super) fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() { Vec::new() } else { path.split('/').collect() }
}

impl Matcher {
    pub(crate) fn new(service: &Service) -> Self {
        let mut matcher = Self::default();
        for (index, operation) in service.operations.iter().enumerate() {
            let template = Template::new(service, index, operation);
            let at = matcher.templates.len();
            let method = operation.method.clone();
            if let Some(Segment::Literal(first)) = template.segments.first() {
                let by_first = matcher.literal.entry(method).or_default();
                by_first.entry(first.clone()).or_default().push(at);
            } else {
                matcher.open.entry(method).or_default().push(at);
            }
            matcher.templates.push(template);
        }
        matcher
    }

    /// The best template for a request.
    pub(super) fn find(&self, ask: &Ask<'_>, among: Among) -> Option<Hit> {
        let method = ask.method;
        let first = ask.segments.first().map(|first| decode_component(first));
        let literal = first
            .and_then(|first| self.literal.get(method)?.get(&*first))
            .map_or(&[][..], Vec::as_slice);
        let open = self.open.get(method).map_or(&[][..], Vec::as_slice);
        let mut best: Option<(Rank, &Template)> = None;
        for template in literal.iter().chain(open).filter_map(|&at| self.templates.get(at)) {
            if !template.is_among(among) || !template.fits(ask) {
                continue;
            }
            let rank = template.rank(ask);
            if best.is_none_or(|(held, _)| rank > held) {
                best = Some((rank, template));
            }
        }
        best.map(|(rank, template)| Hit {
            operation: template.operation,
            labels: template.labels(ask.segments),
            rank,
        })
    }
}

impl Template {
    fn new(service: &Service, index: usize, operation: &Operation) -> Self {
        let (path, query) = operation.uri.split_once('?').unwrap_or((&operation.uri, ""));
        let segments: Vec<Segment> = segments(path).into_iter().map(Segment::parse).collect();
        let literal_length = segments.iter().map(Segment::literal_length).sum();
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (pair.to_owned(), None),
            })
            .collect();
        let mut template = Self {
            operation: index,
            no_auth: operation.no_auth,
            bearer: operation.bearer,
            segments,
            query,
            required_query: Vec::new(),
            required_headers: Vec::new(),
            known_query: Vec::new(),
            literal_length,
            slash: path.ends_with('/'),
            name: operation.name.clone(),
        };
        template.add_members(service, operation);
        template
    }

    fn add_members(&mut self, service: &Service, operation: &Operation) {
        let Some(shape) = operation.input.and_then(|id| service.shape(id)) else { return };
        let ShapeKind::Structure { members, required, .. } = &shape.kind else { return };
        for (index, member) in members.iter().enumerate() {
            let needed = required.iter().any(|held| *held as usize == index);
            let wire = member.wire().to_owned();
            match member.location {
                Some(Location::Query) => {
                    if needed {
                        self.required_query.push(wire.clone());
                    }
                    self.known_query.push(wire);
                }
                Some(Location::Header) if needed => self.required_headers.push(wire),
                _ => {}
            }
        }
    }

    fn is_among(&self, among: Among) -> bool {
        match among {
            Among::All => true,
            Among::Unsigned => {
                self.no_auth && matches!(self.segments.first(), Some(Segment::Literal(_)))
            }
            Among::Bearer => self.bearer,
        }
    }

    fn fits(&self, ask: &Ask<'_>) -> bool {
        let there = |(name, value): &(String, Option<String>)| {
            ask.query.iter().any(|(held, held_value)| {
                held == name && value.as_ref().is_none_or(|value| value == held_value)
            })
        };
        self.query.iter().all(there) && self.split(ask.segments).is_some()
    }

    fn rank(&self, ask: &Ask<'_>) -> Rank {
        let asked = |name: &String| ask.query.iter().any(|(held, _)| held == name);
        let complete = self.required_query.iter().all(asked)
            && self.required_headers.iter().all(|name| ask.head.headers.contains(name));
        let known = self.known_query.iter().filter(|name| asked(name)).count();
        let said = ask.query.iter().any(|(name, value)| name == "x-id" && *value == self.name);
        Rank {
            literals: self.query.len(),
            complete,
            required: self.required_query.len() + self.required_headers.len(),
            path: self.literal_length,
            known,
            slash: self.slash == ask.head.path().ends_with('/'),
            said,
        }
    }

    /// The request's segments per segment of the template.
    fn split<'a, 'b>(&self, asked: &'a [&'b str]) -> Option<Vec<&'a [&'b str]>> {
        let spare = asked.len().checked_sub(self.segments.len())?;
        let greedy = self.segments.iter().any(|segment| matches!(segment, Segment::Greedy(_)));
        if spare > 0 && !greedy {
            return None;
        }
        let mut parts = Vec::with_capacity(self.segments.len());
        let mut rest = asked;
        for segment in &self.segments {
            let size = if matches!(segment, Segment::Greedy(_)) { 1 + spare } else { 1 };
            let (part, behind) = rest.split_at_checked(size)?;
            if !segment.fits(part) {
                return None;
            }
            parts.push(part);
            rest = behind;
        }
        Some(parts)
    }

    fn labels(&self, asked: &[&str]) -> Vec<(String, String)> {
        let parts = self.split(asked).unwrap_or_default();
        let labels = self.segments.iter().zip(parts).filter_map(|(segment, part)| match segment {
            Segment::Literal(_) => None,
            Segment::Label(name) | Segment::Greedy(name) => {
                Some((name.clone(), decode_component(&part.join("/")).into_owned()))
            }
        });
        labels.collect()
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            None => Self::Literal(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Self::Greedy(name.to_owned()),
                None => Self::Label(name.to_owned()),
            },
        }
    }

    fn literal_length(&self) -> usize {
        if let Self::Literal(text) = self { text.len() + 1 } else { 0 }
    }

    fn fits(&self, part: &[&str]) -> bool {
        match self {
            Self::Literal(text) => part.first().is_some_and(|part| decode_component(part) == *text),
            Self::Label(_) => part.first().is_some_and(|part| !part.is_empty()),
            Self::Greedy(_) => !part.is_empty(),
        }
    }
}
