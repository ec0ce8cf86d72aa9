//! A line of a ladder as the message a scripted party sends for it.

use std::collections::{BTreeSet, HashMap};

use super::script::{Ladder, Line, Number, Setting, Tagging, What, Who, Word};
use crate::network::Packet;
use crate::party::{Draft, Party, Received};
use crate::raw::Raw;
use crate::sketch::Tweak;

/// What has been sent so far, for the words that speak of other lines.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The message of each line.
    pub(super) lines: HashMap<usize, Raw>,
    /// The packet of each line.
    pub(super) packets: HashMap<usize, usize>,
    /// The Call-ID of each call, by its name in the ladder.
    pub(super) calls: HashMap<String, String>,
}

impl Sent {
    /// The name of the call that a line belongs to: the one it gives, or that of its two parties.
    pub(super) fn call_name(line: &Line) -> String {
        let named = line.words.iter().find_map(|word| match word {
            Word::Call(name) => Some(format!(" {name}")),
            _ => None,
        });
        let (one, other) = (line.from.min(line.to), line.from.max(line.to));
        format!("{one}{other}{}", named.unwrap_or_default())
    }

    /// Whether an endpoint's packet is what a line says, and no other line has claimed it.
    pub(super) fn is_fresh(&self, packet: &Packet, line: &Line, claimed: &BTreeSet<usize>) -> bool {
        let own = packet.from.ip() == line.from.address().ip() && packet.to.ip() == line.to.address().ip();
        own && !claimed.contains(&packet.number) && self.is_line(packet, line)
    }

    /// Whether an endpoint's packet is what a line says, as far as a ladder tells.
    pub(super) fn is_line(&self, packet: &Packet, line: &Line) -> bool {
        let raw = packet.raw();
        match &line.what {
            What::Again(number) => self.lines.get(number).is_some_and(|first| first.bytes() == packet.bytes),
            What::Request(method) => raw.is_request() && raw.method() == method && same_body(&raw, line),
            What::Response(status, method) => {
                raw.status() == Some(*status)
                    && method.as_ref().is_none_or(|method| raw.method() == method)
                    && same_body(&raw, line)
                    && line.words.contains(&Word::Reliable) == raw.header("RSeq").is_some()
            }
        }
    }

    fn call(&self, line: &Line) -> Option<&str> {
        self.calls.get(&Self::call_name(line)).map(String::as_str)
    }

    fn line(&self, number: usize) -> Result<&Raw, String> {
        self.lines.get(&number).ok_or_else(|| format!("line {number} was not sent"))
    }
}

fn same_body(raw: &Raw, line: &Line) -> bool {
    raw.sdp().is_some() == (line.has_sdp() || line.words.iter().any(|word| matches!(word, Word::Body(_))))
}

/// Sends a line as this party; returns what was sent.
pub(super) fn speak(party: &mut Party, line: &Line, ladder: &Ladder, sent: &mut Sent) -> Result<Raw, String> {
    if let What::Again(number) = line.what {
        let raw = sent.line(number)?.clone();
        party.send_bytes(line.to.address(), raw.bytes());
        return Ok(raw);
    }
    let of = line.words.iter().find_map(|word| match word {
        Word::Of(number) => Some(*number),
        _ => None,
    });
    select_dialog(party, line, sent)?;
    let draft = draft(party, line, of, sent)?;
    let mut draft = if matches!(line.what, What::Request(_)) { draft.to(line.to.address()) } else { draft };
    defaults(draft.raw_mut(), line, ladder);
    let draft = body(draft, line, ladder)?;
    let draft = dress(draft, line, ladder, sent)?;
    let raw = draft.send();
    if !raw.call_id().is_empty() {
        sent.calls.entry(Sent::call_name(line)).or_insert_with(|| raw.call_id().to_owned());
    }
    Ok(raw)
}

fn select_dialog(party: &mut Party, line: &Line, sent: &Sent) -> Result<(), String> {
    let Some(call) = sent.call(line).map(str::to_owned) else { return Ok(()) };
    let tag = line.words.iter().find_map(|word| match word {
        Word::Tag(tag) => Some(tag),
        _ => None,
    });
    if let Some(tag) = tag {
        return party
            .select_tag(&call, tag)
            .then_some(())
            .ok_or_else(|| format!("no dialog has the tag {tag}"));
    }
    if let Some(at) = party.legs().iter().rposition(|leg| leg.call_id == call && leg.remote_tag.is_some()) {
        let current = party.leg().is_some_and(|leg| leg.call_id == call && leg.remote_tag.is_some());
        if !current {
            party.select(at);
        }
    }
    Ok(())
}

fn draft<'p>(party: &'p mut Party, line: &Line, of: Option<usize>, sent: &Sent) -> Result<Draft<'p>, String> {
    let got = |party: &Party, number: usize| -> Result<Received, String> {
        let packet = sent.packets.get(&number).copied();
        let found = party.inbox().iter().find(|got| Some(got.packet) == packet);
        found.cloned().ok_or_else(|| format!("line {number} has not arrived at {}", line.from))
    };
    match &line.what {
        What::Response(status, method) => {
            let request = match of {
                Some(number) => got(party, number)?,
                None => party
                    .open_request(line.to.address(), method.as_deref())
                    .ok_or_else(|| format!("{} has no open request to answer", line.from))?,
            };
            Ok(party.reply(&request, *status))
        }
        What::Request(method) => {
            let response = |party: &Party, reliable: bool| match of {
                Some(number) => got(party, number).map(|got| got.raw),
                None => {
                    let newest = party.newest_response(reliable).map(|got| got.raw);
                    newest.ok_or_else(|| format!("{} has seen no response to {method}", line.from))
                }
            };
            match method.as_str() {
                "ACK" => response(party, false).map(|response| party.ack(&response)),
                "PRACK" => response(party, true).map(|response| party.prack(&response)),
                "CANCEL" => {
                    let own = party.leg().and_then(|leg| leg.invite.clone());
                    let invite = of.map_or_else(
                        || own.ok_or_else(|| "no INVITE to cancel".to_owned()),
                        |number| sent.line(number).cloned(),
                    )?;
                    Ok(party.cancel(&invite))
                }
                method => {
                    let fresh = sent.call(line).is_none() || line.words.contains(&Word::Outside);
                    let known = party.leg().is_some_and(|leg| Some(leg.call_id.as_str()) == sent.call(line));
                    if fresh || !known {
                        Ok(party.outside(method, &line.to.uri()))
                    } else {
                        Ok(party.request(method))
                    }
                }
            }
        }
        What::Again(_) => Err("again is no new message".to_owned()),
    }
}

/// Headers that a method cannot do without, and those that the party's settings bring.
fn defaults(raw: &mut Raw, line: &Line, ladder: &Ladder) {
    let request = raw.is_request();
    match raw.method() {
        "REFER" if request => raw.add("Refer-To", format_args!("<{}>", Who('C').uri())),
        "NOTIFY" if request => {
            raw.add("Event", "refer");
            sipfrag(raw, 100);
        }
        "SUBSCRIBE" if request => {
            raw.add("Event", "refer");
            raw.add("Expires", 60);
        }
        _ => {}
    }
    for (who, setting) in &ladder.settings {
        match setting {
            Setting::Key(key, value) if *who == line.from && key == "timer" && request => {
                if let (Ok(seconds), "INVITE" | "UPDATE") = (value.parse::<u32>(), raw.method()) {
                    raw.set("Session-Expires", seconds);
                }
            }
            Setting::Always(Word::Set(name, value)) if *who == line.from => raw.set(name, value),
            Setting::Always(Word::Add(name, value)) if *who == line.from => raw.add(name, value),
            Setting::Always(Word::Remove(name)) if *who == line.from => raw.remove(name),
            _ => {}
        }
    }
}

fn sipfrag(raw: &mut Raw, status: u16) {
    let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
    raw.set("Subscription-State", state);
    raw.set_body(
        "message/sipfrag;version=2.0",
        format!("SIP/2.0 {status} {}\r\n", crate::raw::reason(status)),
    );
}

fn body<'p>(mut draft: Draft<'p>, line: &Line, ladder: &Ladder) -> Result<Draft<'p>, String> {
    let tweaks: Vec<Tweak> = line
        .words
        .iter()
        .filter_map(|word| match word {
            Word::Sdp(tweak) => Some(tweak.clone()),
            _ => None,
        })
        .collect();
    let named = |name: &String| ladder.bodies.get(name).cloned().unwrap_or_default();
    for word in &line.words {
        draft = match word {
            Word::Offer(None) => draft.offer(&tweaks),
            Word::Answer(None) => draft.answer(&tweaks),
            Word::Offer(Some(name)) | Word::Answer(Some(name)) => draft.sdp(named(name)),
            Word::Same => draft.same().ok_or_else(|| format!("{} has sent no description yet", line.from))?,
            Word::Body(name) => draft.body("application/sdp", named(name)),
            Word::Sipfrag(status) => {
                sipfrag(draft.raw_mut(), *status);
                draft
            }
            _ => draft,
        };
    }
    Ok(draft)
}

fn dress<'p>(mut draft: Draft<'p>, line: &Line, ladder: &Ladder, sent: &Sent) -> Result<Draft<'p>, String> {
    let call_id = draft.raw().call_id().to_owned();
    for word in &line.words {
        let fill = |value: &str| fill(value, &call_id, sent);
        draft = match word {
            Word::Set(name, value) => draft.header(name, fill(value)?),
            Word::Add(name, value) => draft.add(name, fill(value)?),
            Word::Remove(name) => draft.without(name),
            Word::Reliable => draft.reliable(),
            Word::RSeq(number) => {
                let last = draft.last_rseq().unwrap_or(0);
                draft.header("RSeq", counted(*number, last))
            }
            Word::CSeq(number) => {
                let own = !matches!(draft.raw().method(), "ACK" | "CANCEL") && draft.raw().is_request();
                let last = draft.raw().cseq().saturating_sub(u32::from(own));
                draft.cseq(counted(*number, last))
            }
            Word::CSeqMethod(method) => {
                let number = draft.raw().cseq();
                draft.header("CSeq", format_args!("{number} {method}"))
            }
            Word::ToTag(tag) => tagged(draft, "To", tag),
            Word::FromTag(tag) => tagged(draft, "From", tag),
            Word::Tag(tag) if matches!(line.what, What::Response(..)) => {
                let status = draft.raw().status().unwrap_or(0);
                if status > 100 { draft.tag("To", Some(tag)) } else { draft }
            }
            Word::Branch(branch) => match branch.strip_prefix("of:").map(str::parse) {
                Some(Ok(number)) => {
                    let branch = sent.line(number)?.branch().unwrap_or_default().to_owned();
                    draft.branch(&branch)
                }
                Some(Err(_)) => return Err(format!("expected branch=of:N, found branch={branch}")),
                None => draft.branch(branch),
            },
            Word::CallId(id) => draft.header("Call-ID", fill(id)?),
            Word::Uri(uri) => draft.uri(&fill(uri)?),
            Word::Reason(reason) => {
                let status = draft.raw().status().unwrap_or(0);
                draft.raw_mut().set_start(format!("SIP/2.0 {status} {reason}"));
                draft
            }
            Word::Via(address) => {
                let via = draft.raw().header("Via").unwrap_or_default().to_owned();
                let own = draft.sender().to_string();
                draft.header("Via", via.replacen(&own, address, 1))
            }
            Word::By(who) => draft.sent_from(who.address()),
            Word::Source(address) => draft.sent_from(*address),
            _ => draft,
        };
    }
    let _ = ladder;
    Ok(draft)
}

fn tagged<'p>(draft: Draft<'p>, header: &str, tag: &Tagging) -> Draft<'p> {
    match tag {
        Tagging::None => draft.tag(header, None),
        Tagging::Is(tag) => draft.tag(header, Some(tag)),
    }
}

fn counted(number: Number, last: u32) -> u32 {
    match number {
        Number::Is(number) => number,
        Number::More(more) => u32::try_from(i64::from(last).saturating_add(more)).unwrap_or(0),
    }
}

/// Replaces `{...}` in a header value.
fn fill(value: &str, call_id: &str, sent: &Sent) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = value;
    while let Some((before, inner)) = rest.split_once('{') {
        let (name, after) = inner.split_once('}').ok_or_else(|| format!("expected }} in {value}"))?;
        filled.push_str(before);
        filled.push_str(&variable(name, call_id, sent)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn variable(name: &str, call_id: &str, sent: &Sent) -> Result<String, String> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let unknown = || format!("unknown {{{name}}}");
    let line = |text: &str| text.parse().map_err(|_| unknown()).and_then(|number| sent.line(number));
    match words.as_slice() {
        ["call-id"] => Ok(call_id.to_owned()),
        ["uri", who] => Ok(Who(who.chars().next().unwrap_or('A')).uri()),
        ["tag", who] => tag_of(who, call_id, sent).ok_or_else(unknown),
        ["cseq", number] => Ok(line(number)?.cseq().to_string()),
        ["rseq", number] => Ok(line(number)?.header("RSeq").unwrap_or("0").to_owned()),
        ["branch", number] => Ok(line(number)?.branch().unwrap_or_default().to_owned()),
        ["escaped", rest @ ..] => {
            let plain = variable(&rest.join(" "), call_id, sent)?;
            Ok(plain.replace('%', "%25").replace(';', "%3B").replace('=', "%3D").replace('@', "%40"))
        }
        [what @ ("replaces" | "target-dialog"), parties] => {
            let mut letters = parties.chars();
            let (Some(keeper), Some(other)) = (letters.next(), letters.next()) else { return Err(unknown()) };
            let key = format!("{}{}", keeper.min(other), keeper.max(other));
            let call = sent.calls.get(&key).ok_or_else(unknown)?;
            let tag = |who: char| tag_of(&who.to_string(), call, sent).ok_or_else(unknown);
            let (own, others) =
                if *what == "replaces" { ("to-tag", "from-tag") } else { ("local-tag", "remote-tag") };
            Ok(format!("{call};{own}={};{others}={}", tag(keeper)?, tag(other)?))
        }
        _ => Err(unknown()),
    }
}

/// A party's tag in a call: from the newest line that shows it.
fn tag_of(who: &str, call_id: &str, sent: &Sent) -> Option<String> {
    let party = Who(who.chars().next()?);
    let own = |raw: &&Raw, header: &str| {
        raw.address(header).is_some_and(|uri| uri.contains(&party.address().to_string()))
    };
    let lines = sent.lines.values().filter(|raw| raw.call_id() == call_id);
    let tag = |raw: &Raw| {
        let from = own(&raw, "From").then(|| raw.tag("From")).flatten();
        from.or_else(|| own(&raw, "To").then(|| raw.tag("To")).flatten()).map(str::to_owned)
    };
    lines.filter_map(tag).next()
}
