//! The journal: accept, make durable, read from a position.
