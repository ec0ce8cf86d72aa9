use std::net::SocketAddr;

use midcall_proto::observer::Kind;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::model::{Consequence, Leg, Message};
use crate::report::lifelines;
use crate::sample;
use crate::source::Skipped;

const BREAKS: &str = include_str!("../../../../proto/tests/rules/UP-13/breaks.ladder");
const KEEPS: &str = "start call\nA -> B BYE\nB -> A 200\nexpect nothing";

/// A call in which everything that a trace can name is hostile.
fn hostile() -> Call {
    let evil =
        "</pre></script><script>alert(1)</script><img src=x onerror='alert(2)'>\" onmouseover=\"alert(3)";
    let mut call = sample::call(BREAKS);
    call.call_id = evil.to_owned();
    for person in [&mut call.caller, &mut call.callee] {
        person.name = evil.to_owned();
        person.uri = evil.to_owned();
        person.tag = evil.to_owned();
        person.user_agent = Some(evil.to_owned());
    }
    for message in &mut call.messages {
        message.summary = evil.to_owned();
        message.raw = evil.as_bytes().to_vec().into();
    }
    for finding in &mut call.findings {
        finding.title = evil.to_owned();
        finding.means = evil.to_owned();
        finding.fix = evil.to_owned();
        finding.consequences = vec![Consequence { at: 1, what: evil.to_owned(), code: None }];
    }
    for moment in &mut call.story {
        moment.what = evil.to_owned();
        moment.streams = vec![evil.to_owned()];
        moment.diff = [crate::model::DiffLine::Added(evil)].into_iter().collect();
    }
    call.legs = vec![Leg { call_id: evil.to_owned(), confidence: 80, because: vec!["same SDP"] }];
    call
}

fn part<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let start = page.find(from).unwrap();
    let end = page[start..].find(to).unwrap();
    &page[start..start + end]
}

/// The values of an attribute in a page, without its style and script.
fn values<'p>(page: &'p str, attribute: &str) -> Vec<&'p str> {
    let body = part(page, "<body", "<script>");
    body.split(attribute).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn a_hostile_trace_is_shown_and_not_obeyed() {
    let source = Summary { name: "<script>".to_owned(), format: "<b>".to_owned(), ..Summary::default() };
    let page = page(&[hostile()], &[source], 0);
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img") && !page.contains("<b>\"") && !page.contains("\" onmouseover"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[test]
fn the_browser_runs_no_script_but_that_of_the_page() {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut hash = Sha256::digest(SCRIPT).to_vec();
    hash.push(0);
    let triples =
        hash.chunks(3).map(|three| three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte)));
    let mut text: String = triples
        .flat_map(|sum| [18, 12, 6, 0].map(|by| char::from(LETTERS[(sum >> by & 63) as usize])))
        .collect();
    text.replace_range(43.., "=");
    assert_eq!(SCRIPT_HASH, text, "page.js has changed: this is its hash now");
}

#[test]
fn the_page_asks_for_nothing() {
    let page = page(&[sample::call(BREAKS)], &[], 0);
    for word in ["src=", "@import", "url(", "<link", "fetch(", "XMLHttp"] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn every_link_inside_the_page_leads_somewhere() {
    let page = page(&[sample::call(BREAKS), hostile()], &[], 0);
    let ids = values(&page, " id=\"");
    let links = values(&page, "href=\"#");
    assert!(links.len() > 6);
    for link in links {
        assert!(ids.contains(&link), "{link} leads nowhere");
    }
}

#[test]
fn a_leg_leads_to_the_other_one() {
    let (mut one, mut other) = (sample::call(KEEPS), sample::call(BREAKS));
    (one.number, other.number, other.call_id) = (1, 2, "other@b2bua".to_owned());
    let leg = |call_id: &str| Leg { call_id: call_id.to_owned(), confidence: 90, because: vec!["same SDP"] };
    one.legs = vec![leg("other@b2bua"), leg("gone@b2bua")];
    let page = page(&[one, other], &[], 0);
    assert!(page.contains("(90 %): <a class=\"n\" href=\"#c2\">call 2</a>"), "{page}");
    assert!(page.contains("(90 %): <span class=\"mono\">gone@b2bua</span>"));
}

#[test]
fn a_finding_tells_all_and_leads_to_its_messages() {
    let page = page(&[sample::call(BREAKS)], &[], 0);
    insta::assert_snapshot!(part(&page, "<article class=\"finding error", "<h3>Ladder"));
}

#[test]
fn a_row_of_the_ladder_opens_its_message_and_names_what_is_wrong() {
    let page = page(&[sample::call(BREAKS)], &[], 0);
    insta::assert_snapshot!(part(&page, "<li id=\"c1m6\"", "</ol>"));
}

/// The text ladder said `(hold)` on the arrow, the page did not.
#[test]
fn what_a_request_changes_stands_on_its_arrow_as_in_text() {
    let call = sample::call(
        "start call\nA -> B INVITE offer sdp:sendonly\nB -> A 200 INVITE answer sdp:recvonly\nA -> B ACK\nexpect nothing",
    );
    let hold = call.changes.iter().find(|change| change.what == ["hold"]).unwrap();
    let asked = call.message(hold.messages[0]).unwrap();
    let page = page(std::slice::from_ref(&call), &[], 0);
    assert!(page.contains(&format!("<b>{} (hold)</b>", asked.summary)), "{page}");
    assert!(crate::report::mermaid::diagram(&call).contains(&format!("{} (hold)\n", asked.summary)));
}

#[test]
fn the_verdict_names_the_worst_first() {
    let (bad, good) = (sample::call(BREAKS), sample::call(KEEPS));
    let verdict = |calls: &[Call]| part(&page(calls, &[], 0), "<h1>", "</div>").replace('\n', "");
    insta::assert_snapshot!(verdict(std::slice::from_ref(&bad)), @"<h1>Crossing UPDATE was accepted</h1><p class=\"lead\">alice broke this call with message 6.</p>");
    insta::assert_snapshot!(verdict(std::slice::from_ref(&good)), @"<h1>Nothing went wrong</h1><p class=\"lead\">alice called bob; every message keeps the rules.</p>");
    insta::assert_snapshot!(verdict(&[]), @"<h1>No call in this trace</h1><p class=\"lead\">Nothing that was read belongs to a call.</p>");
    let (mut first, mut second) = (good, bad);
    (first.number, second.number) = (1, 2);
    let page = page(&[first, second], &[], 0);
    assert_eq!(part(&page, "<h1>", "</h1>"), "<h1>1 of 2 calls went wrong");
    assert!(page.find("id=\"c2\"") < page.find("id=\"c1\""), "the bad one comes first");
}

#[test]
fn many_calls_are_closed_until_somebody_looks() {
    let bad = sample::call(BREAKS);
    let many: Vec<Call> = (1..=500).map(|number| Call { number, ..bad.clone() }).collect();
    let page = page(&many, &[], 0);
    assert_eq!(page.matches("<details class=\"call").count(), 500);
    assert!(!part(&page, "<main>", "</main>").contains(" open>"));
    assert!(page.len() < 500 * 30_000);
}

#[test]
fn a_hop_has_a_column_of_its_own() {
    let mut call = sample::call(KEEPS);
    let proxy: SocketAddr = "10.0.0.9:5060".parse().unwrap();
    let first = call.messages[0].clone();
    call.messages[0].to = proxy;
    let kind = Kind::Again { of: 1, how: midcall_proto::observer::Repeat::Hop };
    call.messages.insert(1, Message { from: proxy, kind, ..first });
    let columns = lifelines::lifelines(&call);
    assert_eq!(columns.len(), 3);
    assert_eq!(lifelines::ends(&columns, &call.messages[0]), (0, 1));
    assert_eq!(lifelines::ends(&columns, &call.messages[1]), (1, 2));
    assert_eq!(lifelines::ends(&columns, &call.messages[2]), (2, 0));
}

#[test]
fn a_log_without_addresses_still_has_two_columns() {
    let mut call = sample::call(KEEPS);
    let nowhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    (call.caller.address, call.callee.address) = (nowhere, nowhere);
    for message in &mut call.messages {
        (message.from, message.to) = (nowhere, nowhere);
    }
    let columns = lifelines::lifelines(&call);
    let ends: Vec<_> = call.messages.iter().map(|message| lifelines::ends(&columns, message)).collect();
    assert_eq!((columns.len(), ends), (2, vec![(0, 1), (1, 0), (0, 1), (0, 1), (1, 0)]));
}

#[test]
fn what_was_passed_over_is_told() {
    let skipped = vec![Skipped { reason: "fragments without their rest", count: 3 }];
    let source =
        Summary { name: "a.pcap".to_owned(), format: "pcap".to_owned(), skipped, ..Summary::default() };
    let page = page(&[], &[source], 0);
    assert_eq!(
        part(&page, "<footer>", "</p>"),
        "<footer><p>a.pcap: pcap, 0 records, 0 SIP messages, 3 fragments without their rest"
    );
}
