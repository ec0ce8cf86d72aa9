//! (module documentation to come)
