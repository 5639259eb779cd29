//! The CloudTrail record: built from an exchange, parsed, redacted, sized.
