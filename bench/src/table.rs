//! The table: each line has ours, the rival or limit, the ratio and the goal.

use crate::machine;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Lines in the order of the runs.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// One line.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) rival: String,
    pub(crate) ratio: String,
    pub(crate) goal: String,
    /// `None`: there is no goal, it is for comparison.
    pub(crate) reached: Option<bool>,
    pub(crate) command: &'static str,
}

impl Table {
    /// Adds a line and prints it, so that a long run shows how it goes.
    pub(crate) fn push(&mut self, row: Row) {
        println!("{}", row.markdown());
        self.rows.push(row);
    }

    /// Adds something that must be known to read the figures.
    pub(crate) fn note(&mut self, text: String) {
        println!("{text}");
        self.notes.push(text);
    }

    /// The whole table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "| line | ours | rival or limit | ratio | goal | reached | command |\n\
             |---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", row.markdown());
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }

    /// Writes the table where runs are kept.
    pub(crate) fn keep(&self, name: &str) -> anyhow::Result<PathBuf> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let (day, machine) = (machine::today(), machine::described());
        std::fs::create_dir_all(root.join("results"))?;
        let place = root.join(format!("results/{day}-{name}.md"));
        let head = format!("# {day}, {name}\n\n{machine}\n\n");
        std::fs::write(&place, head + &self.markdown())?;
        Ok(place)
    }
}

impl Row {
    fn markdown(&self) -> String {
        let reached = self.reached.map_or("–", |reached| if reached { "yes" } else { "**no**" });
        format!(
            "| {} | {} | {} | {} | {} | {reached} | `{}` |",
            self.what, self.ours, self.rival, self.ratio, self.goal, self.command
        )
    }
}

/// The middle of some figures; 0 of none.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::{Row, Table, median};

    #[test]
    fn a_line_says_whether_its_goal_was_reached() {
        let mut table = Table::default();
        table.push(Row {
            what: "cpu".into(),
            ours: "3".into(),
            rival: "2".into(),
            ratio: "1.50".into(),
            goal: "≤ 1.67".into(),
            reached: Some(true),
            command: "bench gateway",
        });
        assert!(
            table.markdown().contains("| cpu | 3 | 2 | 1.50 | ≤ 1.67 | yes | `bench gateway` |\n")
        );
    }

    #[test]
    fn one_odd_round_does_not_move_the_middle() {
        assert!((median(vec![1.0, 900.0, 2.0]) - 2.0).abs() < f64::EPSILON);
    }
}
