//! What the peer itself wrote down about the wire: the record everything is judged by.

use super::sip::Sip;

/// One message of the record; copies of it are folded in.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Seconds since the start of the day, of each copy.
    pub(crate) at: Vec<f64>,
    pub(crate) from_midcall: bool,
    pub(crate) sip: Sip,
}

/// Reads the file SIPp writes with `-trace_msg`.
pub(crate) fn sipp(text: &str) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut first = None;
    for part in text.split("\n-----------------------------------------------").flat_map(first_rule) {
        let Some((stamp, rest)) = part.split_once('\n') else { continue };
        let Some((what, message)) = rest.split_once("\n\n") else { continue };
        let Some(mut at) = time_of_day(stamp) else { continue };
        let start = *first.get_or_insert(at);
        if at + 43_200.0 < start {
            at += 86_400.0; // past midnight
        }
        let size =
            what.split(|c: char| !c.is_ascii_digit()).find_map(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let message = message.get(..size).unwrap_or(message);
        let Some(sip) = Sip::read(message) else { continue };
        all.push(Seen { at: vec![at], from_midcall: what.contains("received"), sip });
    }
    fold(all)
}

fn first_rule(part: &str) -> Option<&str> {
    Some(part.trim_start_matches('-').trim_start())
}

/// Reads what baresip prints with `-s` about its traffic with midcall; each row carries the time it was read at.
pub(crate) fn baresip(rows: &[(f64, String)], own_port: u16, midcall_port: u16) -> Vec<Seen> {
    let mut all = Vec::new();
    let mut open: Option<(f64, bool, String)> = None;
    let mut heading = false;
    let own = format!(":{own_port} ->");
    let midcall = format!("127.0.0.1:{midcall_port}");
    for (at, row) in rows {
        let row = row.trim_end_matches('\n');
        if row.contains("\u{1b}[;m") {
            if let Some((at, from_midcall, text)) = open.take()
                && let Some(sip) = Sip::read(&text)
                && sip.method() != "REGISTER"
            {
                all.push(Seen { at: vec![at], from_midcall, sip });
            }
            // another colour may have ended in front of the next heading
            heading = row.ends_with(HEADING);
        } else if row.ends_with(HEADING) {
            heading = true;
        } else if std::mem::take(&mut heading) {
            let ours = row.split_ascii_whitespace().any(|word| word == midcall);
            open = ours.then(|| (*at, !row.contains(&own), String::new()));
        } else if let Some((_, _, text)) = &mut open {
            text.push_str(row);
            text.push('\n');
        }
    }
    fold(all)
}

/// Puts byte-identical copies in one entry, at the place of the first.
fn fold(all: Vec<Seen>) -> Vec<Seen> {
    let mut folded: Vec<Seen> = Vec::new();
    for seen in all {
        let same =
            folded.iter_mut().find(|s| s.from_midcall == seen.from_midcall && s.sip.raw == seen.sip.raw);
        match same {
            Some(first) => first.at.extend(seen.at),
            None => folded.push(seen),
        }
    }
    folded
}

/// What baresip writes over each message.
const HEADING: &str = "\u{1b}[36;1m#";

fn time_of_day(stamp: &str) -> Option<f64> {
    let clock = stamp.trim().split_ascii_whitespace().nth(1)?;
    let mut parts = clock.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

/// The record as a ladder for people.
pub(crate) fn ladder(record: &[Seen]) -> String {
    let start = record.first().and_then(|s| s.at.first()).copied().unwrap_or(0.0);
    let mut text = String::new();
    for seen in record {
        let at = seen.at.first().copied().unwrap_or(start) - start;
        let way = if seen.from_midcall { '>' } else { '<' };
        let copies = if seen.at.len() > 1 { format!("  x{}", seen.at.len()) } else { String::new() };
        text.push_str(&format!("{at:8.3} {way} {}{copies}\n", seen.sip));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sipp_trace_is_read_and_folded() {
        let one = "BYE sip:a@b SIP/2.0\r\nCall-ID: x\r\nCSeq: 2 BYE\r\n\r\n";
        let rule = "-----------------------------------------------";
        let entry = |way: &str, at: &str| {
            format!("{rule} 2026-01-01 00:00:0{at}\nUDP message {way} [{}] bytes :\n\n{one}\n", one.len())
        };
        let record = sipp(&(entry("received", "1.5") + &entry("received", "2.0")));
        assert_eq!(record.len(), 1);
        assert_eq!(record[0].at, [1.5, 2.0]);
        assert!(record[0].from_midcall);
        assert_eq!(record[0].sip.cseq(), (2, "BYE"));
    }
}
