//! The AWS operations Trailbox answers itself.
