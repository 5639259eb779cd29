//! How full the journal's disk is, said before it matters.

use crate::stop::told;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use trailbox_journal::Journal;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Percent at which a person should act, and at which it is late.
const MARKS: [u8; 2] = [70, 85];

/// Says so whenever a mark is passed, in either direction.
pub(super) async fn watch(journal: Arc<Journal>, mut stopped: watch::Receiver<bool>) {
    let mut passed = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = told(&mut stopped) => return,
        }
        let Some(space) = journal.stats().space else { continue };
        let now = marks_passed(space.used_percent());
        if now != passed {
            say(now, space.used_percent(), space.available);
            passed = now;
        }
    }
}

fn marks_passed(percent: u8) -> usize {
    MARKS.iter().filter(|mark| **mark <= percent).count()
}

fn say(marks: usize, percent: u8, available: u64) {
    match marks {
        0 => tracing::info!(percent, available, "the journal's disk has room again"),
        1 => tracing::warn!(percent, available, "the journal's disk fills up; make room"),
        _ => tracing::error!(
            percent,
            available,
            "the journal's disk is almost full; calls are refused when it is"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::marks_passed;

    #[test]
    fn marks_count_from_their_own_percent_on() {
        assert_eq!([69, 70, 84, 85, 100].map(marks_passed), [0, 1, 1, 2, 2]);
    }
}
