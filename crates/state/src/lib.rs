//! Control-plane state in SQL: principals, keys, sessions, positions.
