//! The test side.
