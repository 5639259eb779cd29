//! The history against a model: a list, a filter and a sort.
#![allow(clippy::unwrap_used, reason = "a test may stop at what should not happen")]

mod support;

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{ACCOUNTS, MemorySource, NAMES, REGIONS, Spec, USERS, entry};
use trailbox_clock::{Clock, ManualClock, Micros};
use trailbox_history::{
    Attribute, Cursor, EntryKind, Fetched, History, HistoryOptions, Page, Query, Source as _,
    Stream,
};
use trailbox_journal::disk::{Disk, SimulatedDisk};
use trailbox_record::{Category, lookup};

const START: i64 = 1_790_000_000;
const DIR: &str = "/data/history";

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Spec>),
    Generation,
    CatchUp,
    Seal,
    Upkeep,
    Restart,
    CutPower,
    /// Damages the n-th index file at a place, by flipping a bit or cutting it.
    Damage {
        file: prop::sample::Index,
        at: prop::sample::Index,
        cut: bool,
    },
    RemoveFile(prop::sample::Index),
    Days(i64),
    Ask(Question),
}

#[derive(Debug, Clone)]
struct Question {
    account: usize,
    region: Option<usize>,
    categories: Vec<Category>,
    filters: Vec<(Attribute, String)>,
    text: Option<String>,
    start: Option<i64>,
    end: Option<i64>,
    limit: usize,
    /// Appended between the pages.
    meanwhile: Vec<Spec>,
    since_generation: bool,
}

fn spec() -> impl Strategy<Value = Spec> {
    let category = prop_oneof![4 => Just(Category::Management), 2 => Just(Category::Data), 1 => Just(Category::Insight)];
    (0..300_u16, 0..2_usize, 0..2_usize, category, 0..4_usize, 0..3_usize).prop_map(
        |(id, account, region, category, name, user)| {
            // One event id belongs to one call: everything follows from it.
            let (id, account, region) = (id, account % 2, region);
            let mix = usize::from(id);
            Spec {
                id,
                account: if mix.is_multiple_of(5) { 1 } else { account * (mix % 2) },
                region: if mix.is_multiple_of(3) { region } else { 0 },
                category,
                name,
                user,
                time: START + i64::from(id % 50),
            }
        },
    )
}

fn filter() -> impl Strategy<Value = (Attribute, String)> {
    prop_oneof![
        (0..4_usize).prop_map(|at| (Attribute::EventName, NAMES[at].to_owned())),
        (0..3_usize).prop_map(|at| (Attribute::Username, USERS[at].to_owned())),
        any::<bool>().prop_map(|flag| (Attribute::ReadOnly, flag.to_string())),
        (0..7_u16).prop_map(|at| (Attribute::ResourceName, format!("arn:aws:s3:::bucket-{at}"))),
        (0..3_usize).prop_map(|at| (Attribute::AccessKeyId, format!("AKIA{at}"))),
        (0..300_u16).prop_map(|id| {
            let mut bytes = [7; 16];
            bytes[..2].copy_from_slice(&id.to_be_bytes());
            (Attribute::EventId, support::hyphenated(&bytes))
        }),
        Just((Attribute::EventSource, "s3.amazonaws.com".to_owned())),
        Just((Attribute::ResourceType, "AWS::S3::Bucket".to_owned())),
        Just((Attribute::Username, "nobody".to_owned())),
    ]
}

fn question() -> impl Strategy<Value = Question> {
    let categories = prop_oneof![
        Just(vec![Category::Management]),
        Just(vec![Category::Insight]),
        Just(vec![Category::Management, Category::Data]),
    ];
    let second = || prop::option::of((-5..55_i64).prop_map(|at| START + at));
    let text = prop::option::weighted(0.2, (0..10).prop_map(|at| format!("AGENT {at}")));
    (
        (0..2_usize, prop::option::of(0..2_usize), categories),
        prop::collection::vec(filter(), 0..3),
        text,
        (second(), second(), 1..8_usize),
        prop::collection::vec(spec(), 0..3),
        any::<bool>(),
    )
        .prop_map(
            |(scope, filters, text, (start, end, limit), meanwhile, since_generation)| {
                let (account, region, categories) = scope;
                Question {
                    account,
                    region,
                    categories,
                    filters,
                    text,
                    start,
                    end,
                    limit,
                    meanwhile,
                    since_generation,
                }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => prop::collection::vec(spec(), 1..40).prop_map(Step::Append),
        1 => Just(Step::Generation),
        3 => Just(Step::CatchUp),
        4 => Just(Step::Seal),
        4 => Just(Step::Upkeep),
        2 => Just(Step::Restart),
        1 => Just(Step::CutPower),
        2 => (index(), index(), any::<bool>()).prop_map(|(file, at, cut)| Step::Damage { file, at, cut }),
        1 => index().prop_map(Step::RemoveFile),
        1 => (0..4_i64).prop_map(Step::Days),
        8 => question().prop_map(Step::Ask),
    ]
}

/// The history under test and everything it stands on.
struct World {
    disk: SimulatedDisk,
    source: Arc<MemorySource>,
    clock: Arc<ManualClock>,
    history: History,
}

impl World {
    fn new() -> Self {
        let disk = SimulatedDisk::new(1);
        let source = Arc::new(MemorySource::default());
        let clock = Arc::new(ManualClock::at(Micros::from_seconds(START + 60)));
        let history = open(&disk, &source, &clock);
        Self { disk, source, clock, history }
    }

    fn append(&self, specs: &[Spec]) {
        for spec in specs {
            self.source.append(entry(spec));
        }
    }

    fn restart(&mut self) {
        self.history = open(&self.disk, &self.source, &self.clock);
    }

    fn index_file(&self, at: prop::sample::Index) -> Option<PathBuf> {
        let mut names = self.disk.list(Path::new(DIR)).unwrap();
        names.sort();
        (!names.is_empty()).then(|| Path::new(DIR).join(&names[at.index(names.len())]))
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Append(specs) => self.append(&specs),
            Step::Generation => drop(self.source.generation()),
            Step::CatchUp => drop(self.history.catch_up().unwrap()),
            Step::Seal => self.source.seal(self.clock.now()),
            Step::Upkeep => drop(self.history.upkeep().unwrap()),
            Step::Restart => self.restart(),
            Step::CutPower => {
                self.disk.cut_power();
                self.disk.restore_power();
                self.restart();
            }
            Step::Damage { file, at, cut } => {
                let Some(file) = self.index_file(file) else { return };
                self.disk.damage(&file, |bytes| {
                    if bytes.is_empty() {
                        return;
                    }
                    let at = at.index(bytes.len());
                    if cut { bytes.truncate(at) } else { bytes[at] ^= 0x10 }
                });
            }
            Step::RemoveFile(file) => {
                let Some(file) = self.index_file(file) else { return };
                self.disk.remove(&file).unwrap();
                self.restart();
            }
            Step::Days(days) => self.clock.advance(days * 86_400_000_000),
            Step::Ask(question) => self.ask(&question),
        }
    }

    fn ask(&self, question: &Question) {
        self.history.catch_up().unwrap();
        let query = self.query(question);
        let want = self.model(&query);
        let mut got = Vec::new();
        let mut after: Option<Cursor> = None;
        for round in 0.. {
            assert!(round < 2000, "paging does not end: {query:?}");
            let page = self.history.lookup(&Query { after, ..query.clone() }).unwrap();
            self.check_page(&page, &query);
            got.extend(page.records.iter().map(|hit| hit.sequence));
            let Some(next) = page.next else { break };
            after = Some(next);
            self.append(&question.meanwhile);
            self.history.catch_up().unwrap();
        }
        assert_eq!(got, want, "{query:?}");
    }

    fn check_page(&self, page: &Page, query: &Query) {
        assert!(page.records.len() <= query.limit);
        assert_eq!(page.unreadable, 0);
        for hit in &page.records {
            assert_eq!(
                self.source.fetch(hit.sequence).unwrap(),
                Fetched::Present(hit.json.clone())
            );
        }
    }

    fn query(&self, question: &Question) -> Query {
        let after_sequence = if question.since_generation { self.history.generation() } else { 0 };
        Query {
            account: ACCOUNTS[question.account].to_owned(),
            region: question.region.map(|at| REGIONS[at].to_owned()),
            categories: question.categories.clone(),
            filters: question.filters.clone(),
            text: question.text.clone(),
            start: question.start.map(Micros::from_seconds),
            end: question.end.map(Micros::from_seconds),
            after_sequence,
            limit: question.limit,
            after: None,
        }
    }

    /// Sequences of the records that answer `query`, newest first.
    fn model(&self, query: &Query) -> Vec<u64> {
        let mut seen = std::collections::HashSet::new();
        let mut found: Vec<(Micros, u64)> = Vec::new();
        for entry in self.source.entries() {
            let id = (entry.account.clone(), entry.region.clone(), entry.category, entry.event_id);
            if entry.kind != EntryKind::Record || !seen.insert(format!("{id:?}")) {
                continue;
            }
            let view = lookup::view(&entry.payload).unwrap();
            let days = if Stream::of(entry.category) == Stream::Data { 7 } else { 90 };
            let horizon = self.clock.now().plus(-days * 86_400_000_000);
            let text = |text: &String| {
                String::from_utf8_lossy(&entry.payload)
                    .to_lowercase()
                    .contains(&text.to_lowercase())
            };
            let answers = entry.account == query.account
                && query.region.as_ref().is_none_or(|region| *region == entry.region)
                && query.categories.contains(&entry.category)
                && query.filters.iter().all(|(attribute, value)| attribute.matches(&view, value))
                && query.text.as_ref().is_none_or(text)
                && query.start.is_none_or(|start| start <= view.event_time)
                && query.end.is_none_or(|end| view.event_time <= end)
                && query.after_sequence < entry.sequence
                && horizon.seconds() <= view.event_time.seconds();
            if answers {
                found.push((view.event_time, entry.sequence));
            }
        }
        found.sort_by_key(|found| std::cmp::Reverse(*found));
        found.into_iter().map(|(_, sequence)| sequence).collect()
    }
}

fn open(disk: &SimulatedDisk, source: &Arc<MemorySource>, clock: &Arc<ManualClock>) -> History {
    let mut options = HistoryOptions::new(DIR);
    // Small enough that everything happens: eviction, rereading, merging.
    (options.payload_bytes, options.cache_bytes) = (4_000, 20_000);
    options.memory_rows_max = 25;
    options.merged_records_max = 100;
    let (disk, source) = (Arc::new(disk.clone()), Arc::clone(source));
    History::open(disk, source, Arc::<ManualClock>::clone(clock), options).unwrap()
}

/// `PROPTEST_CASES`, else enough for every push.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 1500, ..ProptestConfig::default() })]

    /// Whatever happens in between, a lookup answers what filtering and sorting
    /// the whole journal would, and paging neither loses nor repeats.
    #[test]
    fn every_answer_is_the_models_answer(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.run(Step::Ask(Question {
            account: 0, region: None, categories: vec![Category::Management, Category::Data, Category::Insight],
            filters: vec![], text: None, start: None, end: None, limit: 7, meanwhile: vec![],
            since_generation: false,
        }));
    }
}
