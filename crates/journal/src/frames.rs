//! Which block of a sealed file each frame lies in.
//!
//! Frames that follow each other mostly lie in one block, so runs are kept, not
//! frames: a file of one account takes a few bytes per block, and one whose
//! accounts take turns no more than the plain list would.

/// Sequences and their blocks, by sequence.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    runs: Vec<Run>,
    count: u64,
}

/// Consecutive sequences in one block.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    length: u32,
    block: u32,
}

impl Run {
    const fn end(&self) -> u64 {
        self.first + self.length as u64
    }
}

impl Frames {
    /// Adds a frame behind the others; `None` when it does not lie behind them.
    pub(crate) fn push(&mut self, sequence: u64, block: u32) -> Option<()> {
        let end = self.runs.last().map_or(0, Run::end);
        if sequence < end || sequence == u64::MAX {
            return None;
        }
        self.count += 1;
        match self.runs.last_mut() {
            Some(run) if sequence == end && run.block == block && run.length < u32::MAX => {
                run.length += 1;
            }
            Some(_) | None => self.runs.push(Run { first: sequence, length: 1, block }),
        }
        Some(())
    }

    /// Gives back room that growing took in advance.
    pub(crate) fn shrink(&mut self) {
        self.runs.shrink_to_fit();
    }

    /// How many frames there are.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Memory that is taken. Bytes.
    pub(crate) fn weight(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }

    /// The block of a frame.
    pub(crate) fn block(&self, sequence: u64) -> Option<u32> {
        self.runs.get(self.run(sequence)?).map(|run| run.block)
    }

    /// How many frames lie before `sequence`, which is one of them.
    pub(crate) fn place(&self, sequence: u64) -> Option<usize> {
        let at = self.run(sequence)?;
        let before: u64 = self.runs[..at].iter().map(|run| u64::from(run.length)).sum();
        usize::try_from(before + (sequence - self.runs[at].first)).ok()
    }

    /// Frames `from` and up.
    pub(crate) fn from(&self, from: u64) -> impl Iterator<Item = (u64, u32)> {
        let at = self.runs.partition_point(|run| run.end() <= from);
        self.runs[at..].iter().flat_map(move |run| {
            (run.first.max(from)..run.end()).map(|sequence| (sequence, run.block))
        })
    }

    fn run(&self, sequence: u64) -> Option<usize> {
        let at = self.runs.partition_point(|run| run.end() <= sequence);
        self.runs.get(at).filter(|run| run.first <= sequence).map(|_| at)
    }
}

#[cfg(test)]
mod tests {
    use super::Frames;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_say_what_a_list_of_frames_says(
            steps in proptest::collection::vec((1_u64..4, 0_u32..3), 0..60), from in 0_u64..200,
        ) {
            let (mut frames, mut list, mut sequence) = (Frames::default(), Vec::new(), 0);
            for (step, block) in steps {
                sequence += step;
                prop_assert!(frames.push(sequence, block).is_some());
                list.push((sequence, block));
            }
            let behind: Vec<_> = list.iter().copied().filter(|frame| frame.0 >= from).collect();
            prop_assert_eq!(frames.from(from).collect::<Vec<_>>(), behind);
            let place = list.iter().position(|frame| frame.0 == from);
            prop_assert_eq!(frames.place(from), place);
            prop_assert_eq!(frames.block(from), place.map(|place| list[place].1));
            prop_assert_eq!(frames.count(), list.len() as u64);
        }
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        let mut frames = Frames::default();
        assert_eq!(frames.push(5, 0), Some(()));
        assert_eq!(frames.push(5, 0), None);
        assert_eq!(frames.push(4, 0), None);
        assert_eq!(frames.push(u64::MAX, 0), None);
    }

    #[test]
    fn frames_of_one_block_take_one_run() {
        let mut frames = Frames::default();
        (1..=1000).for_each(|sequence| frames.push(sequence, 0).unwrap());
        frames.shrink();
        assert_eq!(frames.weight(), 16);
    }
}
