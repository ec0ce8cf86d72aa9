//! Requests that still await their final response, and what is known of each.

use std::sync::Arc;

use midcall_wire::Method;
use smallvec::SmallVec;

use super::seen::{RSeq, Way};
use crate::rules::{Reply, RuleId};
use crate::time::Instant;

/// The messages that make a breach: their numbers.
pub type Evidence = SmallVec<[u32; 4]>;

/// A refusal that the receiver of a request owes.
#[derive(Clone, Debug)]
pub struct Owed {
    /// The rule that demands it.
    pub rule: RuleId,
    /// The response that it demands.
    pub reply: Reply,
    /// The messages that make it so.
    pub because: Evidence,
}

/// How far a request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// No response yet.
    Trying,
    /// A provisional response was seen.
    Proceeding,
    /// An INVITE with a 2xx that is not acknowledged yet.
    Accepted,
}

/// The last reliable provisional response of an INVITE that is not acknowledged yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unacknowledged {
    /// Its RSeq.
    pub rseq: RSeq,
    /// Its message number.
    pub on: u32,
    /// Whether it carried a session description.
    pub with_sdp: bool,
    /// When it was first sent.
    pub since: Instant,
}

/// A request without a final response, or an INVITE whose 2xx lacks its ACK.
#[derive(Clone, Debug)]
pub struct Open {
    /// Which way it went.
    pub way: Way,
    /// Its method.
    pub method: Method,
    /// Its CSeq number.
    pub cseq: u32,
    /// Its message number.
    pub on: u32,
    /// When it was seen.
    pub since: Instant,
    /// How far it is.
    pub phase: Phase,
    /// Whether it carried an offer.
    pub offered: bool,
    /// Whether its offer was answered, or (offerless INVITE) its response carried the offer.
    pub exchanged: bool,
    /// The 2xx of an INVITE: its number and time.
    pub accepted: Option<(u32, Instant)>,
    /// The first provisional response above or equal 100: its number.
    pub provisional: Option<u32>,
    /// RSeq of the last reliable provisional response.
    pub rseq: Option<RSeq>,
    /// The message with that RSeq.
    pub rseq_on: u32,
    /// A reliable provisional response without PRACK.
    pub unacknowledged: Option<Unacknowledged>,
    /// A PRACK without a final response that closes or opens an exchange, by its own description or that of the response it
    /// acknowledges: its CSeq and message.
    pub acknowledging: Option<(u32, u32)>,
    /// Whether a CANCEL was seen: its number.
    pub cancelled: Option<u32>,
    /// The Contact it proposes, if it refreshes the target.
    pub target: Option<Arc<str>>,
    /// Whether its receiver sent a request there before it answered, and so took it (RFC 6141 §4.6).
    pub followed: bool,
    /// The target that a reliable provisional response to it replaced.
    pub replaced: Option<Arc<str>>,
    /// The From URI it came with, if that differs from the one in use (RFC 4916).
    pub identity: Option<Arc<str>>,
    /// Whether an exchange inside it was completed: its changes count as executed (RFC 6141 §3.3).
    pub executed: bool,
    /// What its sender asked for: Supported.
    pub supported: super::capability::OptionSet,
    /// What its sender asked for: Require.
    pub require: super::capability::OptionSet,
    /// Session-Expires as asked for.
    pub session_expires: Option<(u32, Option<midcall_wire::Refresher>)>,
    /// Min-SE as asked for.
    pub min_se: Option<u32>,
    /// Refer-To present without Refer-Sub: false.
    pub refer_sub: bool,
    /// Refusals that its receiver owes.
    pub owed: SmallVec<[Owed; 1]>,
    /// A hash of its credentials, 0 without any.
    pub credentials: u64,
    /// Whether its tags are not quite those of the dialog (DLG-02).
    pub misnamed: bool,
    /// How many Record-Route values it came with.
    pub record_routes: u8,
    /// Whether this is the INVITE that forms the dialog.
    pub forms: bool,
    /// What this INVITE's RAck or event said, for PRACK: the RSeq and INVITE CSeq it names.
    pub rack: Option<(RSeq, u32)>,
}

impl Open {
    /// Whether it is an INVITE that counts as in progress for RFC 3261 §14.1: a 2xx ends that (TX-10, CF-01).
    #[must_use]
    pub fn invite_in_progress(&self) -> bool {
        self.method == Method::Invite && self.phase != Phase::Accepted
    }
}
