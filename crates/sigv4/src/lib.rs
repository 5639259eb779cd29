//! AWS Signature Version 4: claims, verification, signing.
