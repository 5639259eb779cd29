//! The engine's share of `/metrics`.

use trailbox_history::HistoryStats;

/// The history's counts and sizes in the Prometheus exposition format.
pub(super) fn text(stats: &HistoryStats) -> String {
    let counters = [
        ("indexed", "Records that entered the index.", stats.indexed),
        ("repeated", "Records left out because their event id was there.", stats.repeated),
        ("unreadable", "Journal entries that are no record.", stats.unreadable),
        ("index_damaged", "Index segments found damaged.", stats.damaged),
        ("index_rebuilt", "Index segments made again after damage.", stats.rebuilt),
        ("segments_dropped", "Journal segments dropped after retention.", stats.dropped),
    ];
    let gauges = [
        ("index_segments", "Index segments.", stats.segments),
        ("index_bytes", "Bytes of index segments.", stats.segment_bytes),
        ("index_records", "Records in index segments.", stats.segment_records),
        ("memory_records", "Records in the memory index.", stats.memory_records),
        ("packed_records", "Records in the memory index that are packed.", stats.packed_records),
        ("position", "Journal sequence up to which everything can be looked up.", stats.position),
    ];
    let counters = counters.map(|(name, help, value)| {
        let name = format!("trailbox_{name}_total");
        format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n")
    });
    let gauges = gauges.map(|(name, help, value)| {
        let name = format!("trailbox_history_{name}");
        format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
    });
    counters.concat() + &gauges.concat()
}
