//! Records of whole calls, through the public door.

mod adjusted;
mod common;
mod real;
mod records;
mod secrets;
