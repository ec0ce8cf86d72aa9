use super::*;
use crate::report::stats::Stats;
use crate::sample;
use crate::source::{Packet, Summary};

fn packets(ladder: &str) -> Vec<Packet> {
    sample::packets(&format!("{ladder}expect nothing\n"))
}

fn sampled(ladder: &str) -> Call {
    sample::calls(packets(ladder)).swap_remove(0)
}

fn shown(call: &Call, width: usize) -> String {
    let mut out = Vec::new();
    super::call(call, Layout { width, ladder: true }, &mut out).unwrap();
    plain(out)
}

fn plain(out: Vec<u8>) -> String {
    let text = String::from_utf8(out).unwrap();
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain
}

const HOLD_ANSWERED_SENDRECV: &str = "start call\n\
    A -> B   INVITE offer sdp:sendonly\n\
    B -> A   200 INVITE answer sdp:sendrecv\n\
    A -> B   ACK\n";

/// Both sides change the call at once, and each refuses the other.
const GLARE: &str = "start call\n\
    A -> B   INVITE offer sdp:sendonly\n\
    B >< A   INVITE offer\n\
    A -> B   491 INVITE\n\
    B -> A   491 INVITE\n\
    B -> A   ACK\n\
    A -> B   ACK\n";

const CLEAN: &str = "start call\n\
    A -> B   INVITE offer sdp:sendonly\n\
    B -> A   200 INVITE answer sdp:recvonly\n\
    A -> B   ACK\n\
    A -> B   INVITE offer sdp:sendrecv\n\
    B -> A   200 INVITE answer sdp:sendrecv\n\
    A -> B   ACK\n\
    A -> B   BYE\n\
    B -> A   200 BYE\n";

#[test]
fn a_hold_answered_sendrecv_names_who_did_it_and_what_to_change() {
    insta::assert_snapshot!(shown(&sampled(HOLD_ANSWERED_SENDRECV), 80));
}

#[test]
fn a_resume_that_is_none_leaves_the_call_held() {
    let call = sampled(
        "start call\n\
         A -> B   INVITE offer sdp:sendonly\n\
         B -> A   200 INVITE answer sdp:recvonly\n\
         A -> B   ACK\n\
         A -> B   INVITE offer sdp:sendrecv\n\
         B -> A   200 INVITE answer sdp:recvonly\n\
         A -> B   ACK\n\
         wait 9s\n\
         A -> B   BYE\n\
         B -> A   200 BYE\n",
    );
    insta::assert_snapshot!(shown(&call, 80));
}

#[test]
fn glare_is_a_fact_and_no_fault() {
    insta::assert_snapshot!(shown(&sampled(GLARE), 80));
}

#[test]
fn a_clean_call_shows_its_ladder_and_its_story() {
    insta::assert_snapshot!(shown(&sampled(CLEAN), 80));
}

#[test]
fn every_line_fits_the_width() {
    for width in [40, 80, 132, 200] {
        for ladder in [HOLD_ANSWERED_SENDRECV, GLARE, CLEAN] {
            let shown = shown(&sampled(ladder), width);
            let widest = shown.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= width, "{width}: {widest}");
        }
    }
}

#[test]
fn what_was_sent_again_is_one_line_with_a_number() {
    let call = sampled(
        "start call\n\
         A -> B   BYE\n\
         A -> B   again 1\n\
         A -> B   again 1\n\
         B -> A   200 BYE\n",
    );
    let shown = shown(&call, 80);
    let byes: Vec<&str> = shown.lines().filter(|line| line.contains("-- BYE")).collect();
    assert!(matches!(byes[..], [line] if line.contains(" ×3 until ")), "{shown}");
}

/// Each message at two hops: between alice and a proxy, and between the proxy and bob.
fn relayed(ladder: &str) -> Call {
    let proxy = "10.0.0.9:5060".parse().unwrap();
    let mut hops = Vec::new();
    for packet in packets(ladder) {
        let text = String::from_utf8(packet.payload.clone()).unwrap();
        let (own, more) = text.split_once("Via: ").unwrap();
        let behind = format!(
            "{own}Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKhop{}\r\nVia: {more}",
            packet.at.as_micros()
        );
        let first = Packet { to: proxy, ..packet.clone() };
        let at = packet.at + std::time::Duration::from_millis(2);
        let mut second = Packet { at, from: proxy, payload: behind.into_bytes(), ..packet };
        if text.starts_with("SIP/2.0") {
            // A response has its second Via on the first of its hops.
            let payload = std::mem::replace(&mut second.payload, first.payload.clone());
            hops.extend([Packet { payload, ..first }, second]);
        } else {
            hops.extend([first, second]);
        }
    }
    sample::calls(hops).swap_remove(0)
}

#[test]
fn each_hop_has_a_column() {
    insta::assert_snapshot!(shown(&relayed(CLEAN), 100));
}

#[test]
fn hops_share_the_columns_of_the_parties_where_there_is_no_room() {
    let call = relayed(CLEAN);
    let shown = shown(&call, 45);
    let lines = shown.lines().filter(|line| line.contains("|-") || line.contains("|<")).count();
    assert_eq!(lines, call.messages.len() / 2, "{shown}");
}

#[test]
fn a_terminal_obeys_nothing_of_a_trace() {
    let mut call = sampled(HOLD_ANSWERED_SENDRECV);
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n";
    for text in
        [&mut call.call_id, &mut call.caller.name, &mut call.callee.uri, &mut call.messages[0].summary]
    {
        text.push_str(evil);
    }
    call.callee.user_agent = Some(evil.to_owned());
    call.findings[0].means.push_str(evil);
    call.story[1].what.push_str(evil);
    let shown = shown(&call, 120);
    assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{shown:?}");
    assert!(shown.contains("\\u{1b}]0;owned"), "{shown}");
}

#[test]
fn the_numbers_of_a_trace_are_ranked() {
    let mut all = packets(HOLD_ANSWERED_SENDRECV);
    let second = packets(GLARE).into_iter().map(|mut packet| {
        packet.payload = String::from_utf8(packet.payload).unwrap().replace("Call-ID: ", "Call-ID: 2").into();
        packet
    });
    all.extend(second);
    let (calls, stats) = sample::analyzed(all);
    let mut out = Vec::new();
    overview(&calls, 80, &mut out).unwrap();
    let mut source =
        Summary { name: "two.pcap".into(), format: "pcap".into(), records: 15, ..Summary::default() };
    source.skip("packets that are not UDP");
    source.clock_fast = -20_000_400;
    summary(&[source], &stats, &mut out).unwrap();
    insta::assert_snapshot!(plain(out));
}

#[test]
fn calls_of_which_the_same_is_said_share_a_line() {
    let mut calls = vec![sampled(CLEAN), sampled(HOLD_ANSWERED_SENDRECV), sampled(HOLD_ANSWERED_SENDRECV)];
    for (call, number) in calls.iter_mut().zip(1..) {
        call.number = number;
    }
    let mut out = Vec::new();
    overview(&calls, 80, &mut out).unwrap();
    let shown = plain(out);
    assert_eq!(
        shown,
        "3 calls\n   1  alice -> bob  clean\n   \
         2  alice -> bob  1 error: OA-23 Hold was answered as if it were none, and so 1 more\n"
    );
}

#[test]
fn an_empty_trace_has_a_summary() {
    let mut out = Vec::new();
    summary(&[], &Stats::default(), &mut out).unwrap();
    assert_eq!(plain(out), "All in all\n  0 calls in 0 messages\n");
}
