//! What the parties can do, and changes that met.

use midcall_proto::rules::{Cite, Severity};

use super::{Diagnosis, Shown};

pub(super) const ROWS: &[Diagnosis] = &[
    Diagnosis {
        id: "F-CAP1",
        title: "UPDATE to a peer that does not list it",
        severity: Severity::Warning,
        shown: Shown::Rules,
        rules: &["UP-02", "UP-19"],
        cites: &[Cite::new(3311, "4"), Cite::new(3261, "20.5")],
        means: "The last Allow of the peer was seen and lacks UPDATE, and yet one was sent. A peer that \
              means it answers 405 or 501, and the hold or refresh does not happen.",
        fix: "Change the session by re-INVITE with this peer, and refresh by re-INVITE too.",
    },
    Diagnosis {
        id: "F-CAP2",
        title: "Allow lists a method that is then refused",
        severity: Severity::Warning,
        shown: Shown::Signalling,
        rules: &[],
        cites: &[Cite::new(3261, "8.2.1"), Cite::new(3261, "21.4.6")],
        means: "A side refused a method with 405 or 501 although its own last Allow names it. Either its \
              Allow is wrong or something on the way rewrites it.",
        fix: "Take the method out of Allow or handle it; look for a border controller that writes Allow \
              itself.",
    },
    Diagnosis {
        id: "F-CAP3",
        title: "Refusal does not say what would be accepted",
        severity: Severity::Info,
        shown: Shown::Rules,
        rules: &["ER-04", "ER-05", "ER-07"],
        cites: &[Cite::new(3261, "8.2.1"), Cite::new(3261, "8.2.2.3"), Cite::new(3261, "8.2.3")],
        means: "405 has no Allow, 415 no Accept, or 420 no Unsupported, so the other side can only guess \
              what to try next.",
        fix: "Add the header that belongs to the code.",
    },
    Diagnosis {
        id: "F-CAP4",
        title: "Abilities changed in mid-call",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["DLG-31"],
        cites: &[Cite::new(3261, "20.5"), Cite::new(3261, "12.2")],
        means: "Allow or Supported of a party differs from what the same party said before. Behind a bridge \
              the far end may have changed; a method that is gone must not be used any more.",
        fix: "As a bridge, tell one own set of methods and options on each leg.",
    },
    Diagnosis {
        id: "F-CAP5",
        title: "Extension demanded that the peer lacks",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["ER-04"],
        cites: &[Cite::new(3261, "8.2.2.3")],
        means: "A request named an option in Require that the peer does not support, and the peer refused \
              with 420.",
        fix: "Leave out the option and try again; demand only what the peer listed in Supported.",
    },
    Diagnosis {
        id: "F-CAP6",
        title: "Reliable 1xx to a caller without 100rel",
        severity: Severity::Error,
        shown: Shown::Rules,
        rules: &["PR-01"],
        cites: &[Cite::new(3262, "3")],
        means: "A provisional response asks for PRACK although the INVITE offers 100rel in neither Supported \
              nor Require. No PRACK comes and the call fails after 32 seconds.",
        fix: "Send plain provisional responses to such a caller.",
    },
    Diagnosis {
        id: "F-CAP7",
        title: "Large request got lost, small ones pass",
        severity: Severity::Warning,
        shown: Shown::Rules,
        rules: &["TX-26"],
        cites: &[Cite::new(3261, "18.1.1")],
        means: "A request of more than 1300 bytes over UDP got no answer while smaller ones did. Its \
              fragments are probably dropped on the way.",
        fix: "Send large requests over TCP, or make the description shorter.",
    },
    Diagnosis {
        id: "F-GLR1",
        title: "Two changes met and were sorted out",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["RC-11", "RC-12"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(3261, "14.2")],
        means: "Both sides asked for a change at the same time, 491 was said, and the retries went through. \
              This is how it should be.",
        fix: "Nothing needs to change.",
    },
    Diagnosis {
        id: "F-GLR2",
        title: "Retry after 491 at the wrong time",
        severity: Severity::Warning,
        shown: Shown::Rules,
        rules: &["GL-01", "GL-02", "GL-03"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "5.3")],
        means: "Who began the call waits 2.1 to 4.0 s after a 491, the other side up to 2.0 s. Outside its \
              window a retry meets the other side's again.",
        fix: "Draw a random wait inside the window of this side's role.",
    },
    Diagnosis {
        id: "F-GLR3",
        title: "Changes collide again and again",
        severity: Severity::Warning,
        shown: Shown::Rules,
        rules: &["GL-04", "GL-06"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(6141, "3.5")],
        means: "Two collisions or more in a row, after waits that are equal or lie in one window: nobody \
              yields.",
        fix: "Draw the waits at random; a bridge that began both legs lets one side go first.",
    },
    Diagnosis {
        id: "F-GLR4",
        title: "re-INVITE while an own INVITE is open",
        severity: Severity::Error,
        shown: Shown::Rules,
        rules: &["RI-01", "RI-06"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(3261, "14.2")],
        means: "A side sent an INVITE before its last one had its final response. The receiver owes 500 with \
              Retry-After.",
        fix: "Queue changes and send the next when the last is answered.",
    },
    Diagnosis {
        id: "F-GLR5",
        title: "re-INVITE before the call was answered",
        severity: Severity::Error,
        shown: Shown::Rules,
        rules: &["RI-03", "CF-34"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "1")],
        means: "An INVITE within the dialog came before the first INVITE had its final response.",
        fix: "Use UPDATE behind a reliable provisional response, or wait for the answer.",
    },
    Diagnosis {
        id: "F-GLR6",
        title: "500 for an overlap without Retry-After",
        severity: Severity::Info,
        shown: Shown::Rules,
        rules: &["RI-06", "UP-12", "GL-08"],
        cites: &[Cite::new(3261, "14.2"), Cite::new(3311, "5.2")],
        means: "A request that came too soon was refused with 500, but the refusal does not say how long to \
              wait.",
        fix: "Add Retry-After with a random value of up to ten seconds.",
    },
    Diagnosis {
        id: "F-GLR7",
        title: "491 although nothing was pending",
        severity: Severity::Warning,
        shown: Shown::Signalling,
        rules: &["RI-07"],
        cites: &[Cite::new(3261, "14.2")],
        means: "A change was refused as a collision, but no change of the refusing side was open, nor \
              shortly before. Its record of a failed change is stuck, and every further change will fail.",
        fix: "Clear the pending state when a change is refused, cancelled or times out.",
    },
    Diagnosis {
        id: "F-GLR8",
        title: "Call ended because a change was refused",
        severity: Severity::Warning,
        shown: Shown::Rules,
        rules: &["RI-10", "RI-14", "UP-15"],
        cites: &[Cite::new(3261, "14.1"), Cite::new(3311, "5.3")],
        means: "A hold, resume or other change was refused and the side that had asked hung up at once. A \
              refused change leaves the call as it was.",
        fix: "Keep the old session when a change is refused, except after 408 and 481.",
    },
    Diagnosis {
        id: "F-GLR9",
        title: "Change given up after 491",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["GL-04"],
        cites: &[Cite::new(3261, "14.1")],
        means: "A change was refused with 491 and never tried again, though the call went on. The user's \
              wish got lost.",
        fix: "Try again after the random wait if the change is still wanted.",
    },
    Diagnosis {
        id: "F-GLR10",
        title: "Hang-up crossed a change",
        severity: Severity::Info,
        shown: Shown::Signalling,
        rules: &["RC-08", "RC-15", "GL-09"],
        cites: &[Cite::new(5407, "3")],
        means: "A change was refused with 481 or 487 because the other side's BYE was already on its way. No \
              one did anything wrong.",
        fix: "Nothing needs to change.",
    },
];
