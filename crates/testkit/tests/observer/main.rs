//! The observer on the simulated wire: it finds what is wrong, nothing else, and knows what the endpoints know.

mod calls;
mod chance;
mod gaps;
mod tap;
mod vain;
mod wrong;
