//! Glare: two changes that meet, and how both sides get out of it.

use super::{Cite, Held, Level, Rule, RuleId, Severity};

pub(super) const TABLE: &[Rule] = &[
    Rule {
        id: RuleId::OwnerRetryTime,
        code: "GL-01",
        title: "Owner retries after 2.1 to 4 seconds",
        level: Level::Should,
        severity: Severity::Warning,
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "5.3")],
        means: "The side that generated the Call-ID waits a random time between 2.1 and 4.0 seconds, in \
            steps of 10 ms, after a 491. Retrying outside that window makes the next collision likely.",
        fix: "Draw a fresh random delay of 2.1 to 4.0 seconds for every 491.",
        reply: None,
        loss: true,
        held: Held::Check,
    },
    Rule {
        id: RuleId::OtherRetryTime,
        code: "GL-02",
        title: "Other side retries after 0 to 2 seconds",
        level: Level::Should,
        severity: Severity::Warning,
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "5.3")],
        means: "The side that did not generate the Call-ID waits a random 0 to 2.0 seconds, in steps of \
            10 ms, after a 491. A fixed delay collides again with a peer that is fixed too.",
        fix: "Draw a fresh random delay of 0 to 2.0 seconds for every 491.",
        reply: None,
        loss: true,
        held: Held::Machine("endpoint::change"),
    },
    Rule {
        id: RuleId::CallIdOwner,
        code: "GL-03",
        title: "Who owns the Call-ID",
        level: Level::Derived,
        severity: Severity::Info,
        cites: &[Cite::new(3261, "14.1"), Cite::new(5407, "3.3.1")],
        means: "The owner is whoever sent the INVITE that made the dialog, for as long as the dialog \
            lives, no matter who sends the present request. A B2BUA owns the legs it started and not \
            those it received.",
        fix: "Remember the role at setup and take the retry window from it.",
        reply: None,
        loss: false,
        held: Held::Machine("dialog"),
    },
    Rule {
        id: RuleId::RetryRebuiltFromNow,
        code: "GL-04",
        title: "Retry is built anew, not resent",
        level: Level::Should,
        severity: Severity::Warning,
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "5.3")],
        means: "When the delay is over the change goes out once more, if it is still wanted and the \
            peer's change did not already do it. Old SDP sent again would undo what the peer changed \
            meanwhile.",
        fix: "Derive the offer again from what is wanted and agreed now, with new CSeq, branch and \
            version.",
        reply: None,
        loss: true,
        held: Held::Machine("endpoint::modify"),
    },
    Rule {
        id: RuleId::IntentCheckedAfterGlare,
        code: "GL-05",
        title: "Lost glare: is the change still wanted?",
        level: Level::Bcp,
        severity: Severity::Warning,
        cites: &[Cite::new(5407, "3.3.1")],
        means: "After losing a collision the change has to be weighed against what the peer did. Adding \
            video to a call the peer just put on hold is rarely what anyone meant.",
        fix: "Compare the waiting change with the new session; drop or adapt it, and tell the application.",
        reply: None,
        loss: false,
        held: Held::Machine("endpoint::tickets"),
    },
    Rule {
        id: RuleId::GlareStorm,
        code: "GL-06",
        title: "491 again and again",
        level: Level::Practice,
        severity: Severity::Warning,
        cites: &[],
        means: "Several 491 in a row mean that both ends keep colliding, usually through a fixed delay \
            or a B2BUA that owns both Call-IDs. The texts speak of one more try and give no limit.",
        fix: "Give up after three retries, report it, keep the call; check the retry windows of both ends.",
        reply: None,
        loss: true,
        held: Held::Check,
    },
    Rule {
        id: RuleId::RetryAfterOn491,
        code: "GL-07",
        title: "Retry-After on a 491 is ignored",
        level: Level::Note,
        severity: Severity::Info,
        cites: &[Cite::new(3261, "20"), Cite::new(3261, "20.33"), Cite::new(3311, "7")],
        means: "Retry-After is not defined for 491, because the random glare delay already says when to \
            come back.",
        fix: "Ignore the header and use the glare delay.",
        reply: None,
        loss: false,
        held: Held::Machine("endpoint"),
    },
    Rule {
        id: RuleId::OverlapRetryAfter,
        code: "GL-08",
        title: "500 for overlap must be waited out",
        level: Level::Must,
        severity: Severity::Warning,
        cites: &[Cite::new(3261, "14.2"), Cite::new(3261, "20.33"), Cite::new(3311, "5.2")],
        means: "A second request sent before the first was answered gets 500 with a Retry-After of 0 to \
            10 seconds. Coming back earlier only earns another 500.",
        fix: "Wait at least the Retry-After; send 1 to 10 seconds oneself and accept 0.",
        reply: None,
        loss: true,
        held: Held::Check,
    },
    Rule {
        id: RuleId::ByeIsNeverGlare,
        code: "GL-09",
        title: "BYE refused as if it were glare",
        level: Level::Derived,
        severity: Severity::Error,
        cites: &[Cite::new(3261, "15"), Cite::new(5407, "3.2")],
        means: "BYE ends the call and every change in it. It is never answered with 491, nor with 500 \
            for an overlap.",
        fix: "Answer BYE with 200, drop the pending change, finish open requests with 487.",
        reply: None,
        loss: true,
        held: Held::Check,
    },
];
