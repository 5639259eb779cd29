//! Answering one question: a merge of the memory index and of the index
//! segments that may hold an answer, newest first.

use crate::codec::Damage;
use crate::history::{History, Stop};
use crate::query::{Cursor, Hit, LookupError, Page, Query};
use crate::row::{PartitionKey, Place, category_code, stream_of_code};
use crate::segment::{Bounds, Posting, Scan, Segment};
use crate::source::{Fetched, SourceError};
use crate::term::{Term, TermKey};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use trailbox_clock::Micros;
use trailbox_record::lookup;

/// Records one page of a text search reads at most; the next page goes on.
const TEXT_READS_MAX: usize = 20_000;
/// How often a lookup starts again after a damaged segment was rebuilt.
const REBUILDS_MAX: usize = 8;

impl History {
    /// Answers `query`.
    ///
    /// A damaged index segment that the lookup meets is rebuilt from the
    /// journal and the lookup starts again: the answer is right or an error,
    /// never silently short.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or a damaged segment not rebuilt.
    pub fn lookup(&self, query: &Query) -> Result<Page, LookupError> {
        self.counters.asked.fetch_add(1, Ordering::Relaxed);
        for _ in 0..REBUILDS_MAX {
            match self.answer(query) {
                Ok(page) => return Ok(page),
                Err(Stop::Source(err)) => return Err(err.into()),
                Err(Stop::Damaged(segment, damage)) => self.rebuild(&segment, &damage)?,
            }
        }
        let reason = "segments go on failing".to_owned();
        Err(LookupError::Damaged { file: self.options.dir.display().to_string(), reason })
    }

    fn answer(&self, query: &Query) -> Result<Page, Stop> {
        let wanted = Wanted::new(query);
        let mut candidates = self.candidates(query, &wanted)?;
        let mut page = Page::default();
        let mut reads = 0;
        let mut last = None;
        while let Some(place) = candidates.next()? {
            if page.records.len() == query.limit || reads == wanted.reads_max {
                page.next = last.map(|Place { time, sequence }| Cursor {
                    time,
                    sequence,
                    pin: candidates.pin,
                });
                break;
            }
            reads += 1;
            last = Some(place);
            match self.hit(place, query, &wanted)? {
                Judged::Shown(hit) => page.records.push(*hit),
                Judged::Other => {}
                Judged::Unreadable => page.unreadable += 1,
            }
        }
        Ok(page)
    }

    /// Reads the record at `place` and decides whether it is an answer: terms
    /// are hashes, so the record itself has the last word.
    fn hit(&self, place: Place, query: &Query, wanted: &Wanted) -> Result<Judged, SourceError> {
        let json = match self.payload(place.sequence)? {
            Fetched::Present(json) => json,
            Fetched::Erased => return Ok(Judged::Other),
            Fetched::Missing => {
                tracing::error!(
                    sequence = place.sequence,
                    "record is indexed but not in the journal"
                );
                return Ok(Judged::Unreadable);
            }
        };
        let view = match lookup::view(&json) {
            Ok(view) => view,
            Err(err) => {
                tracing::error!(sequence = place.sequence, %err, "record cannot be read");
                return Ok(Judged::Unreadable);
            }
        };
        let matches =
            query.filters.iter().all(|(attribute, value)| attribute.matches(&view, value));
        if matches && wanted.text.as_ref().is_none_or(|text| contains(&json, text)) {
            Ok(Judged::Shown(Box::new(Hit { json, view, sequence: place.sequence })))
        } else {
            Ok(Judged::Other)
        }
    }

    /// Everything that may hold an answer, with what it can show first.
    fn candidates(&self, query: &Query, wanted: &Wanted) -> Result<Candidates, Stop> {
        let mut keys = TermKeys { history: self, query, known: HashMap::new() };
        let state = self.state();
        let pin = query.after.map_or(state.position, |cursor| cursor.pin);
        let mut candidates =
            Candidates { feeds: Vec::new(), heads: BinaryHeap::new(), pin, shown: None };
        for key in state.memory.partitions() {
            let Some(bounds) = self.bounds(key, query, pin) else { continue };
            let Some(terms) = keys.terms(key)? else { continue };
            // One more than a page reads: it never mistakes the cut for the end.
            let max = wanted.reads_max.saturating_add(1);
            candidates.add_places(state.memory.find(key, &terms, &bounds, max));
        }
        for segment in state.all_segments() {
            for (index, entry) in segment.footer.of_account(&query.account) {
                let Some(bounds) = self.bounds(&entry.key, query, pin) else { continue };
                if bounds.to < entry.newest || entry.oldest < bounds.from {
                    continue;
                }
                let Some(terms) = keys.terms(&entry.key)? else { continue };
                let first = entry.newest.max(bounds.from);
                let segment = Arc::clone(segment);
                candidates.add(first, Feed::Unopened { segment, index, terms, bounds });
            }
        }
        Ok(candidates)
    }

    /// The part of a partition that `query` means, if any.
    fn bounds(&self, key: &PartitionKey, query: &Query, pin: u64) -> Option<Bounds> {
        let asked = query.account == key.account
            && query.region.as_ref().is_none_or(|region| *region == key.region)
            && query.categories.iter().any(|&category| category_code(category) == key.category);
        if !asked {
            return None;
        }
        let horizon = self.horizon(stream_of_code(key.category));
        let start = query.start.map_or(i64::MIN, ceil_seconds);
        let end = query.end.map_or(i64::MAX, Micros::seconds);
        let newest = Place { time: end, sequence: u64::MAX };
        let after = query.after.map_or(Place::NEWEST, |cursor| {
            Place { time: cursor.time, sequence: cursor.sequence }.behind()
        });
        let from = newest.max(after);
        let to = Place { time: start.max(horizon), sequence: 0 };
        (from <= to).then_some(Bounds { from, to, pin, after_sequence: query.after_sequence })
    }
}

/// A question's parts, made ready once.
struct Wanted {
    /// The text as it was asked for, and as it stands inside a JSON string; ASCII lower case.
    text: Option<[Vec<u8>; 2]>,
    /// Records that one page reads at most; the next page goes on behind them.
    reads_max: usize,
}

impl Wanted {
    fn new(query: &Query) -> Self {
        let text = query.text.as_deref().map(|text| {
            let quoted = serde_json::Value::from(text).to_string().into_bytes();
            [text.as_bytes(), &quoted[1..quoted.len() - 1]].map(<[u8]>::to_ascii_lowercase)
        });
        // A few more than asked for make up for terms that share a hash.
        let reads_max =
            if text.is_some() { TEXT_READS_MAX } else { query.limit.saturating_add(16) };
        Self { text, reads_max }
    }
}

/// The first whole second at or after `moment`.
const fn ceil_seconds(moment: Micros) -> i64 {
    moment.seconds() + (moment.0.rem_euclid(1_000_000) != 0) as i64
}

fn contains(json: &[u8], [plain, escaped]: &[Vec<u8>; 2]) -> bool {
    let json = json.to_ascii_lowercase();
    let found = |text: &[u8]| memchr::memmem::find(&json, text).is_some();
    found(plain) || (plain != escaped && found(escaped))
}

enum Judged {
    Shown(Box<Hit>),
    Other,
    Unreadable,
}

/// The terms of a question under each key that occurs.
struct TermKeys<'a> {
    history: &'a History,
    query: &'a Query,
    known: HashMap<(String, u32), Option<Vec<Term>>>,
}

impl TermKeys<'_> {
    /// `None` when no record of the partition can match or be read.
    fn terms(&mut self, key: &PartitionKey) -> Result<Option<Vec<Term>>, SourceError> {
        let name = (key.account.clone(), key.key_id);
        if let Some(known) = self.known.get(&name) {
            return Ok(known.clone());
        }
        let secret = self.history.source.secret(&key.account, Some(key.key_id))?;
        let terms = secret.and_then(|(id, secret)| {
            let key = TermKey::derive(id, &secret);
            let filters = self.query.filters.iter();
            filters.map(|(attribute, value)| key.of_filter(*attribute, value)).collect()
        });
        self.known.insert(name, terms.clone());
        Ok(terms)
    }
}

/// Where candidates come from, newest first each.
enum Feed {
    Places(std::vec::IntoIter<Place>),
    /// Known by its newest row only; opened when its turn comes.
    Unopened {
        segment: Arc<Segment>,
        index: usize,
        terms: Vec<Term>,
        bounds: Bounds,
    },
    Open(Box<Scan>),
    Empty,
}

/// Candidates of all feeds, newest first.
struct Candidates {
    feeds: Vec<Feed>,
    /// What each feed shows next; a feed that is not open yet shows no later than this.
    heads: BinaryHeap<Reverse<(Place, usize)>>,
    pin: u64,
    /// A packed part and the index segment that takes its place show rows twice.
    shown: Option<Place>,
}

impl Candidates {
    fn add_places(&mut self, places: Vec<Place>) {
        let mut places = places.into_iter();
        if let Some(first) = places.next() {
            self.add(first, Feed::Places(places));
        }
    }

    fn add(&mut self, first: Place, feed: Feed) {
        self.heads.push(Reverse((first, self.feeds.len())));
        self.feeds.push(feed);
    }

    fn next(&mut self) -> Result<Option<Place>, Stop> {
        while let Some(Reverse((place, at))) = self.heads.pop() {
            let feed = std::mem::replace(&mut self.feeds[at], Feed::Empty);
            let (shown, mut feed) = match feed {
                Feed::Unopened { segment, index, terms, bounds } => {
                    (None, open(&segment, index, &terms, bounds)?)
                }
                Feed::Places(_) | Feed::Open(_) | Feed::Empty => (Some(place), feed),
            };
            if let Some(next) = feed.next()? {
                self.heads.push(Reverse((next, at)));
                self.feeds[at] = feed;
            }
            if shown.is_some() && shown != self.shown {
                self.shown = shown;
                return Ok(shown);
            }
        }
        Ok(None)
    }
}

impl Feed {
    fn next(&mut self) -> Result<Option<Place>, Stop> {
        match self {
            Self::Places(places) => Ok(places.next()),
            Self::Open(scan) => scan
                .next()
                .map_err(|damage| Stop::Damaged(Arc::clone(scan.partition().segment()), damage)),
            Self::Unopened { .. } | Self::Empty => Ok(None),
        }
    }
}

fn open(
    segment: &Arc<Segment>,
    index: usize,
    terms: &[Term],
    bounds: Bounds,
) -> Result<Feed, Stop> {
    let scan = || {
        let partition = segment.partition(index)?;
        let postings: Option<Vec<Posting>> =
            terms.iter().map(|&term| partition.posting(term)).collect::<Result<_, Damage>>()?;
        let Some(postings) = postings else { return Ok(Feed::Empty) };
        Ok(Feed::Open(Box::new(Scan::new(partition, postings, bounds)?)))
    };
    scan().map_err(|damage| Stop::Damaged(Arc::clone(segment), damage))
}
