//! Keys at rest: the master key and the data keys it wraps.
