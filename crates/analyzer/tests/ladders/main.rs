//! Every ladder of the rules, as a capture: the analyzer pins each breach to its message and party, and finds nothing in
//! calls that keep the rules, from wherever they are seen.

mod breaches;
mod overlap;
mod record;
mod shown;
mod taps;
