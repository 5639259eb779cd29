//! The tables, the list of misses, and the gates.

use super::compare::Outcome;
use super::exchange::Exchange;
use comfy_table::Table;
use std::collections::BTreeMap;

/// Least share of equal values of a field, in percent (Shows 3).
fn gate(field: &str) -> f64 {
    match field {
        "requestParameters" | "responseElements" => 97.0,
        _ => 99.0,
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    compared: usize,
    equal: usize,
}

impl Count {
    fn add(&mut self, equal: bool) {
        self.compared += 1;
        self.equal += usize::from(equal);
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of vectors")]
    fn percent(self) -> f64 {
        if self.compared == 0 { 100.0 } else { self.equal as f64 * 100.0 / self.compared as f64 }
    }
}

/// What was compared so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    fields: BTreeMap<String, Count>,
    services: BTreeMap<String, [Count; 3]>,
    by_hand: Count,
    whole: Count,
    misses: Vec<String>,
}

impl Report {
    /// Counts one exchange.
    pub(super) fn add(&mut self, exchange: &Exchange, outcomes: Vec<Outcome>) {
        let all = outcomes.iter().all(|outcome| outcome.miss.is_none());
        self.whole.add(all);
        let [requests, responses, wholes] =
            self.services.entry(exchange.group().to_owned()).or_default();
        wholes.add(all);
        if exchange.by_hand() {
            self.by_hand.add(all);
        }
        for outcome in outcomes {
            let equal = outcome.miss.is_none();
            match outcome.field.as_str() {
                "requestParameters" => requests.add(equal),
                "responseElements" => responses.add(equal),
                _ => {}
            }
            if !exchange.by_hand() {
                self.fields.entry(outcome.field.clone()).or_default().add(equal);
            }
            if let Some(miss) = outcome.miss {
                self.misses.push(format!("{} {}: {miss}", exchange.title(), outcome.field));
            }
        }
    }

    /// How many exchanges were compared.
    pub(super) fn exchanges(&self) -> usize {
        self.whole.compared
    }

    /// Whether every gate is met.
    pub(super) fn passes(&self) -> bool {
        let hand = self.by_hand.equal == self.by_hand.compared;
        hand && self.fields.iter().all(|(field, count)| gate(field) <= count.percent())
    }

    /// Prints tables and misses.
    #[allow(clippy::print_stdout, reason = "the chore's answer")]
    pub(super) fn print(&self) {
        let mut fields = Table::new();
        fields.set_header(["field", "compared", "equal", "%", "gate", ""]);
        for (field, count) in &self.fields {
            let met = gate(field) <= count.percent();
            fields.add_row([
                field.clone(),
                count.compared.to_string(),
                count.equal.to_string(),
                format!("{:.2}", count.percent()),
                format!("{:.0}", gate(field)),
                if met { "met" } else { "MISSED" }.to_owned(),
            ]);
        }
        println!("{fields}");
        let mut services = Table::new();
        services.set_header(["service", "exchanges", "request %", "response %", "all fields %"]);
        for (service, [requests, responses, wholes]) in &self.services {
            services.add_row([
                service.clone(),
                wholes.compared.to_string(),
                format!("{:.1}", requests.percent()),
                format!("{:.1}", responses.percent()),
                format!("{:.1}", wholes.percent()),
            ]);
        }
        println!("{services}");
        for miss in &self.misses {
            println!("miss: {miss}");
        }
        println!("protocol cases: {} of {}", self.by_hand.equal, self.by_hand.compared);
        let failed = self.whole.compared - self.whole.equal;
        println!("{} passed, {failed} failed", self.whole.equal);
        println!("gates {}", if self.passes() { "met" } else { "MISSED" });
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, Report};

    #[test]
    fn one_field_below_its_gate_fails_the_run() {
        let mut report = Report::default();
        let of = |equal| Count { compared: 100, equal };
        report.fields.insert("requestParameters".to_owned(), of(97));
        report.fields.insert("eventName".to_owned(), of(99));
        assert!(report.passes());
        report.fields.insert("eventName".to_owned(), of(98));
        assert!(!report.passes());
    }
}
