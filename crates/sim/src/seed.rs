//! Seeds: one at a time, or many at once.

use crate::Cli;
use crate::life;
use crate::mutant::Mutant;
use crate::oracle;
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// First seed of runs by the hour: far from those of the gate.
const FIRST_OF_HOURS: u64 = 1_000_000;

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// SHA-256 over the journal, the lookups and what clients were told; hex.
    pub(crate) digest: String,
    /// How often what was met.
    pub(crate) tally: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<String>,
}

/// `A..B`, both included.
pub(crate) fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let ends = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    ends.filter(|(first, last)| first <= last)
        .ok_or_else(|| format!("`{text}` is no range; write it like 1..300"))
}

/// Plays one seed from the beginning of its world to the judgement.
pub(crate) fn play(seed: u64, mutant: Option<Mutant>, trace: bool) -> Outcome {
    let world = World::new(seed, mutant, trace);
    let lives = world.plan.lives;
    for number in 0..=lives {
        life::live(&world, number, number == lives);
        if !world.ledger().violations.is_empty() {
            break;
        }
    }
    let whole = world.ledger().violations.is_empty();
    let digest = if whole { oracle::judge(&world) } else { String::new() };
    let ledger = world.ledger();
    Outcome { digest, tally: ledger.tally.clone(), violations: ledger.violations.clone() }
}

/// Plays one seed twice and tells what came of it.
pub(crate) fn alone(seed: u64, mutant: Option<Mutant>, trace: bool) -> bool {
    let outcome = play(seed, mutant, trace);
    tell(seed, mutant, &outcome);
    let same = trace || play(seed, mutant, false) == outcome;
    if !same {
        println!("seed {seed} does not end alike twice");
    }
    list(&outcome.tally);
    println!("seed {seed}: digest {}", outcome.digest);
    same && outcome.violations.is_empty() != mutant.is_some()
}

fn list(tally: &BTreeMap<&'static str, u64>) {
    for (what, times) in tally {
        println!("{times:>9} {what}");
    }
}

fn tell(seed: u64, mutant: Option<Mutant>, outcome: &Outcome) {
    for violation in outcome.violations.iter().take(5) {
        println!("seed {seed}: {violation}");
    }
    if !outcome.violations.is_empty() && mutant.is_none() {
        play(seed, mutant, true);
        println!("replay it: cargo xtask sim --seed {seed} --trace");
    }
}

/// Plays many seeds on several threads; whether all went as they should.
///
/// A broken recorder is caught by the first seed that shows a violation.
pub(crate) fn many(cli: &Cli) -> bool {
    let (first, last) = match cli.hours {
        Some(_) => (FIRST_OF_HOURS, u64::MAX),
        None => cli.seeds,
    };
    let until = cli.hours.map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3600.0));
    let jobs = cli.jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into));
    let (next, played) = (AtomicU64::new(first), AtomicU64::new(0));
    let tally = Mutex::new(BTreeMap::new());
    let found = AtomicBool::new(false);
    let work = || {
        while !found.load(Ordering::SeqCst) && until.is_none_or(|until| Instant::now() < until) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if last < seed {
                return;
            }
            let outcome = play(seed, cli.mutant, false);
            let again = cli.twice != 0 && seed.is_multiple_of(cli.twice);
            let alike = !again || play(seed, cli.mutant, false) == outcome;
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            for (what, times) in &outcome.tally {
                *tally.entry(*what).or_default() += times;
            }
            drop(tally);
            played.fetch_add(1, Ordering::SeqCst);
            if !alike {
                println!("seed {seed} does not end alike twice");
            }
            if !alike || !outcome.violations.is_empty() {
                found.store(true, Ordering::SeqCst);
                tell(seed, cli.mutant, &outcome);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.unwrap_or(1) {
            scope.spawn(work);
        }
    });
    let found = found.load(Ordering::SeqCst);
    list(&tally.into_inner().unwrap_or_else(PoisonError::into_inner));
    let verdict = if found { "a promise was broken" } else { "every promise was kept" };
    println!("{} seeds: {verdict}", played.load(Ordering::SeqCst));
    found == cli.mutant.is_some()
}

#[cfg(test)]
mod tests {
    use super::{parse_range, play};
    use crate::mutant::Mutant;
    use clap::ValueEnum as _;

    /// Every one of these seeds' worlds changes when the recorder takes a step
    /// more or less, so no single seed is held to catch a mutant. (The gate plays them all
    /// with the recorder as it is, and finds nothing.)
    const TRIED: std::ops::RangeInclusive<u64> = 1..=40;

    #[test]
    fn the_simulation_catches_each_mutant() {
        for mutant in Mutant::value_variants() {
            let caught = TRIED.into_iter().any(|seed| {
                let outcome = play(seed, Some(*mutant), false);
                !outcome.violations.is_empty()
            });
            assert!(caught, "{mutant:?} passes all of {TRIED:?}");
        }
    }

    #[test]
    fn one_seed_ends_alike_every_time_and_another_seed_differently() {
        let once = play(3, None, false);
        assert_eq!(once, play(3, None, false));
        assert_ne!(once.digest, play(4, None, false).digest);
    }

    #[test]
    fn a_range_has_two_ends_in_order() {
        assert_eq!(parse_range("1..300"), Ok((1, 300)));
        for wrong in ["3..1", "5", "a..b", ""] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
    }
}
