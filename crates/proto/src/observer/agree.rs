//! Whether an observer and an endpoint know the same of a dialog.

use crate::dialog::{Dialog, Offer, Party, Way};

/// Compares what an observer knows of one party's dialog with that party's own, in all that matters once nothing is on
/// its way: usage, session in force, open offers, targets, CSeq numbers, session timer and capabilities.
///
/// # Errors
/// Says what differs.
pub fn agrees(view: &Dialog, own: &Dialog) -> Result<(), String> {
    same("usage", &view.usage, &own.usage)?;
    let session = |dialog: &Dialog| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        dialog
            .offers
            .agreed
            .as_ref()
            .map(|agreed| (text(agreed.ours.as_bytes()), text(agreed.theirs.as_bytes())))
    };
    same("agreed session", &session(view), &session(own))?;
    let pending = |dialog: &Dialog| {
        let place = |offer: &Option<Box<Offer>>| {
            offer.as_ref().map(|offer| (offer.method, offer.cseq, offer.request))
        };
        (place(&dialog.offers.pending.ours), place(&dialog.offers.pending.theirs))
    };
    if !own.usage.over() {
        // Behind a BYE nothing can be answered any more; when a party gave an offer up, no tap sees.
        same("open offers", &pending(view), &pending(own))?;
    }
    for way in [Way::Sent, Way::Received] {
        let (seen, known): (&Party, &Party) = (view.party.by(way), own.party.by(way));
        let whose = if way == Way::Sent { "our" } else { "their" };
        same(&format!("{whose} tag"), &seen.tag, &known.tag)?;
        same(&format!("{whose} URI"), &seen.uri, &known.uri)?;
        same(&format!("{whose} target"), &seen.target, &known.target)?;
        same(&format!("{whose} CSeq"), &seen.cseq, &known.cseq)?;
        same(&format!("{whose} capabilities"), &seen.can, &known.can)?;
    }
    same("route set", &view.route, &own.route)?;
    let timer = |dialog: &Dialog| dialog.timer.running.map(|running| (running.interval, running.refresher));
    same("session timer", &timer(view), &timer(own))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, view: &T, own: &T) -> Result<(), String> {
    if view == own { Ok(()) } else { Err(format!("{what}: observed {view:?}, known {own:?}")) }
}
