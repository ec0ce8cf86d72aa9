//! Tests of the own checks.
