//! Lists for people and for programs: `--output table|json|csv`.

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::Write as _;

/// Prints `text`. A reader that went away (`trailbox lookup | head`) is no error.
///
/// # Errors
///
/// When standard output cannot be written for another reason.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(err) if err.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Output {
    /// Columns for a terminal.
    #[default]
    Table,
    /// One JSON array.
    Json,
    /// RFC 4180, with a header line.
    Csv,
}

/// Rows of text under column names.
#[derive(Debug)]
pub(crate) struct Rows {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Rows {
    /// No rows yet.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: one cell for each column.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell for each column");
        self.rows.push(cells);
    }

    /// The rows as a terminal table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(&self.columns);
        for row in &self.rows {
            table.add_row(row.iter().map(|cell| printable(cell)));
        }
        table.to_string()
    }

    /// The rows as CSV.
    pub(crate) fn csv(&self) -> String {
        let header = self.columns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lines = std::iter::once(&header).chain(&self.rows);
        lines.map(|cells| csv_line(cells)).collect()
    }
}

/// Control characters shown as escapes: a record may hold whatever a caller sent.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped: Vec<char> =
                if c.is_control() { c.escape_default().collect() } else { vec![c] };
            escaped
        })
        .collect()
}

fn csv_line(cells: &[String]) -> String {
    let quoted = cells.iter().map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn csv_quotes_what_would_break_a_line() {
        let mut rows = Rows::new(&["name", "text"]);
        rows.push(vec!["a".into(), "x, \"y\"".into()]);
        assert_eq!(rows.csv(), "name,text\r\na,\"x, \"\"y\"\"\"\r\n");
    }

    #[test]
    fn a_table_shows_control_characters_as_text() {
        let mut rows = Rows::new(&["name"]);
        rows.push(vec!["a\u{1b}[31m".into()]);
        assert!(!rows.table().contains('\u{1b}'));
    }
}
