//! What a trace has all of: F-CPT1 says nothing there.

use midcall_proto::observer::Kind;

use crate::model::Call;
use crate::sample;

/// What is said of a call that the trace does not show all of.
fn limits(call: &Call) -> Vec<&str> {
    let found = call.findings.iter().filter(|finding| finding.code == "F-CPT1");
    found.map(|finding| finding.means.as_str()).collect()
}

/// Tries that failed are over: that they are many leaves nothing out.
#[test]
fn a_call_that_is_tried_again_and_again_is_shown_whole() {
    let tries = "A -> B INVITE offer\nB -> A 503\nA -> B ACK\n".repeat(6);
    let last = "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK\nA -> B BYE\nB -> A 200\nexpect nothing";
    let call = sample::call(&[&*tries, last].concat());
    assert_eq!(call.messages.len(), 23);
    assert_eq!((call.dropped, limits(&call)), (0, Vec::new()));
}

/// Not only INVITE begins something.
#[test]
fn a_refer_outside_a_call_is_not_begun_before_the_trace() {
    let call =
        sample::call("A -> B REFER\nB -> A 202\nB -> A NOTIFY sipfrag=200\nA -> B 200\nexpect nothing");
    assert_eq!(limits(&call), Vec::<&str>::new());
}

/// A number that is none leaves the method beside it readable: the responses are those of the request.
#[test]
fn responses_with_a_cseq_too_large_answer_the_request_that_has_it() {
    let ladder = "A -> B INVITE offer\nB -> A 200 answer\nA -> B ACK\nA -> B BYE\nB -> A 200\nexpect nothing";
    let mut packets = sample::packets(ladder);
    for packet in &mut packets {
        let text = String::from_utf8_lossy(&packet.payload);
        packet.payload = text.replace("CSeq: ", "CSeq: 300000000").into_bytes();
    }
    let calls = sample::calls(packets);
    let call = calls.first().expect("a call");
    assert_eq!(call.messages.iter().filter(|message| message.kind == Kind::Orphan).count(), 0);
    assert_eq!(limits(call), Vec::<&str>::new());
    assert!(call.findings.iter().any(|finding| finding.code == "DLG-14"), "{:?}", call.findings);
}
