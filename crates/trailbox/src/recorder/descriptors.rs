//! File descriptors: each connection takes two, and the journal must never lack one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as anybody needs; some systems name a limit that wastes memory.
const ENOUGH: u64 = 1 << 20;

/// Raises the soft limit to the hard one. The engine inherits it.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |hard| hard.min(ENOUGH));
    if current.is_none_or(|soft| wanted <= soft) {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => tracing::debug!(descriptors = wanted, "file descriptors"),
        Err(err) => {
            tracing::warn!(error = %err, soft = current, "the limit of file descriptors stays low");
        }
    }
}
