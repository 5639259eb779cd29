//! Records of whole calls, through the public door.

mod common;
mod records;
mod secrets;
