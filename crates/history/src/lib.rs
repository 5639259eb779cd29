//! Event history: newest-first lookup over journal segments.
