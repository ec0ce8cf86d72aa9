//! Ladder scripts: one line per message, and one fixture drives three faces.
//!
//! ```text
//! # crates/proto/tests/rules/UP-13/breaks.ladder
//! start call                       # A called B, session up
//! A -> B   INVITE offer
//! B >< A   UPDATE offer            # >< : sent before the line above arrived
//! A -> B   200 UPDATE answer
//! expect   A breaks UP-13 at 3 because 1 2
//! ```
//!
//! # Grammar
//!
//! A file is a list of statements, one a line. `#` at the start of a line or behind a blank begins a comment. Blanks
//! separate words; `"..."` keeps blanks inside a word, `[...]` is one word. Parties are single capital letters; A is
//! the caller by custom (alice, 10.0.0.1), B the callee (bob, 10.0.0.2), C, D, ... further parties (carol, dave, ...).
//!
//! ```text
//! start call | early | reliable          what went before; its messages have no numbers
//! config PARTY KEY=VALUE ...             what a party can do
//! sdp NAME                               a named body: the indented lines that follow
//! FROM ARROW TO WHAT WORD ...            a message, numbered from 1
//! wait 2s                                time passes
//! expect ... | allow CODE | skip ...     what must come of it
//! ```
//!
//! ## start
//! - `call`: A's INVITE with offer, B's 200 with answer, A's ACK.
//! - `early`: A's INVITE with offer, B's 180 with a tag.
//! - `reliable`: A's INVITE with offer, B's reliable 183 with answer, PRACK and its 200.
//!
//! A ladder that needs other headers in these messages writes them out instead.
//!
//! ## config
//! `update=no`, `100rel=no|required`, `timer=no|SECONDS`, `replaces=no`, `from-change=yes`, `prefer=update`,
//! `transport=tcp`, `refer=ask|refuse`, `new-streams=accept|ask|refuse`, `min-se=SECONDS`. A scripted party follows them
//! in Allow, Supported and Session-Expires, an endpoint in its settings. `[Header: value]` words here go into every
//! message of the scripted party.
//!
//! ## Arrows
//! - `A -> B`: sent once every line above has arrived.
//! - `A >< B`: crosses the line above: sent before that arrived. `crosses=N` names an earlier line; everything from line
//!   N on is still on its way.
//! - `A >> B`: sent after the line above, which goes the same way, but arrives before it. `overtakes=N` likewise.
//! - `A ~> B`: sent and lost. The observer sees it unless the word `unseen` stands behind; `unseen` on any other line
//!   is a packet that arrives but that the observer misses.
//!
//! ## What
//! - a method: `INVITE`, `UPDATE`, ... The first request between two parties opens a dialog, later ones stay in it.
//!   ACK answers the newest final response to an INVITE, PRACK the newest reliable one, CANCEL the newest INVITE.
//! - a status and, where not the newest open request is meant, its method: `200`, `491 UPDATE`.
//! - `again N`: line N once more, byte for byte.
//!
//! A scripted party ACKs a non-2xx final by itself unless the ladder has an `ACK` line of that party further down.
//! Messages that only a hop cares about (100, that ACK, resends) need no line when an endpoint sends them. Anything else
//! that an endpoint sends before the last line has arrived does.
//!
//! ## Words behind it
//! Body:
//! - `offer`, `answer`: a description of the sender's audio; an answer mirrors the description that came last. The
//!   version moves by one when the content differs from the sender's last. `offer=NAME`, `answer=NAME`: a named one.
//! - `same`: the sender's last description, byte for byte.
//! - `sdp:WORD` bends it: `sendonly`, `video.inactive`, `+video`, `-video` (port 0), `drop=video` (no m-line),
//!   `port=0`, `video.port=9`, `codecs=8,0`, `codecs=111:opus/48000/2`, `c=0.0.0.0`, `a=ptime:20`, `none` (no m-lines),
//!   `s/old/new/`. `o=+1`, `o=same`, `o=-1`, `o=7`, `o=new` set the version or the session id.
//! - `body=NAME`: a named body, with `[Content-Type: ...]`; without NAME of the type `application/sdp` it is SDP.
//!
//! Headers:
//! - `[Name: value]` replaces every line of it, `[+Name: value]` adds one, `[-Name]` leaves it out. In a value
//!   `{call-id}` `{tag A}` `{uri A}` `{cseq N}` `{rseq N}` `{branch N}` stand for what line N or the dialog has, and
//!   `{replaces XY}` for the call between X and Y as the Replaces of an INVITE to X names it (RFC 3891 §3), and
//!   `{escaped replaces XY}` for the same inside a URI; `{target-dialog XY}` for that call as the Target-Dialog of a
//!   request to X names it (RFC 4538 §3).
//! - `reliable` (Require: 100rel and the next RSeq), `rseq=N` or `rseq=+N`.
//! - `cseq=N`, `cseq=+N` (from the last of the sender; for ACK and CANCEL from the right one), `cseq-method=WORD`.
//! - `to-tag=X`, `from-tag=X` (`none` for none), `branch=X` (`of:N` for that of line N), `call-id=X`, `uri=X`,
//!   `reason="..."`, `via=IP:PORT`.
//! - `sipfrag=STATUS`: the body of a NOTIFY; a final status ends the subscription.
//!
//! Which dialog, which transaction:
//! - `of=N`: the response, ACK, PRACK or CANCEL belongs to line N.
//! - `tag=X`: the dialog of a fork: on a response the callee's To tag, later on whichever dialog has that tag.
//! - `call=X`: another call between the same two parties. `outside`: a request outside any dialog.
//!
//! When and where:
//! - `@12.3s`: so long after the start. `+2s`: so long after the line above was sent.
//! - `by=Z`: sent from Z's address instead; `by=203.0.113.9:5060` from anywhere.
//!
//! ## Expectations
//! - `expect A breaks CODE at N because M ...`, then `crossed` or `capture-gap` if it is not certain, `instead STATUS`
//!   if an endpoint in A's seat owes another response. `network` in place of a party: nobody at a seat broke it.
//! - `expect nothing`: every line keeps every rule.
//! - `expect end`: the call is over in the end though no line says so; an endpoint may hang up.
//! - `allow CODE`: this finding may come or not.
//! - `silent B: why`: an endpoint in seat B gets over the breach but cannot tell it.
//! - `skip A: why`: no endpoint can be brought to take seat A. `skip observer: why`.
//!
//! # Faces
//! 1. An endpoint sits in the breaker's seat: every line of it is asked for by the matching verb, and at line N what
//!    it sends must not be that line; `instead` must come if given.
//! 2. An endpoint sits in each other seat: it must get over the breach and raise `PeerBroke`.
//! 3. All seats are scripted, and an observer on the wire must find what is expected and nothing else.
//!
//! With `expect nothing` each seat is taken in turn by an endpoint, which must do as the ladder says and report nothing.

mod company;
mod compose;
mod endpoint;
mod faces;
mod parse;
mod script;
mod stage;
#[cfg(test)]
mod tests;

pub use company::Midcall;
pub use endpoint::Actor;
pub use faces::{Cast, Fault, Found, check, check_named};
pub use parse::parse;
pub use script::{
    Arrow, Certainty, Expect, Ladder, Line, Number, Setting, Start, Step, Tagging, What, Who, Word,
};
pub use stage::{Attempt, Live, Stage};
