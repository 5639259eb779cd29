//! Accounts, principals, sessions: who made a call.
