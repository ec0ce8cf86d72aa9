use super::*;

fn ladder() -> Ladder {
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    Ladder::new(vec![("alice", at(5061)), ("bob", at(5062)), ("carol", at(5063))])
}

fn text(start: &str, cseq: &str, more: &str, sdp: &str) -> String {
    let body = if sdp.is_empty() {
        String::new()
    } else {
        format!("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n{sdp}")
    };
    let body = body.replace('\n', "\r\n");
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\n" };
    let head = format!(
        "{start}\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\nFrom: <sip:a@h>;tag=1\nTo: <sip:b@h>;tag=2\nCall-ID: c\n\
         CSeq: {cseq}\n{more}{kind}Content-Length: {}\n\n",
        body.len()
    );
    format!("{}{body}", head.replace('\n', "\r\n"))
}

const BOTH: &str = "m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n";

fn plain(lines: &[String]) -> String {
    let text = anstream::adapter::strip_str(&lines.join("\n")).to_string();
    let trimmed: Vec<&str> = text.lines().map(str::trim_end).collect();
    trimmed.join("\n")
}

#[test]
fn every_kind_of_line_fits_below_the_names() {
    let mut ladder = ladder();
    let (alice, bob, carol) = (ladder.agents[0].1, ladder.agents[1].1, ladder.agents[2].1);
    let held = format!("{BOTH}a=sendonly\n");
    let frag = "Content-Type: message/sipfrag\nEvent: refer\n";
    let notify = text("NOTIFY sip:a@h SIP/2.0", "65536 NOTIFY", frag, "").replace("Length: 0", "Length: 20")
        + "SIP/2.0 100 Trying\r\n";
    let messages = [
        (alice, bob, text("INVITE sip:b@h SIP/2.0", "65535 INVITE", "", BOTH)),
        (bob, alice, text("SIP/2.0 100 Trying", "65535 INVITE", "", "")),
        (
            bob,
            alice,
            text("SIP/2.0 183 Session Progress", "65535 INVITE", "Require: 100rel\nRSeq: 1\n", BOTH),
        ),
        (alice, bob, text("PRACK sip:b@h SIP/2.0", "65536 PRACK", "RAck: 1 65535 INVITE\n", "")),
        (alice, bob, text("INVITE sip:b@h SIP/2.0", "2 INVITE", "", &held)),
        (bob, alice, text("SIP/2.0 491 Request Pending", "2 INVITE", "", "")),
        (alice, bob, text("INVITE sip:b@h SIP/2.0", "3 INVITE", "", "")),
        (bob, alice, text("SIP/2.0 200 OK", "3 INVITE", "", &held.replace("4000", "0"))),
        (alice, bob, text("ACK sip:b@h SIP/2.0", "3 ACK", "", BOTH)),
        (alice, bob, text("UPDATE sip:b@h SIP/2.0", "4 UPDATE", "Session-Expires: 1800;refresher=uac\n", "")),
        (alice, bob, text("REFER sip:b@h SIP/2.0", "5 REFER", "Refer-To: <sip:carol@h>\n", "")),
        (bob, alice, notify),
        (bob, carol, text("INVITE sip:b@h SIP/2.0", "9 INVITE", "", BOTH)),
        (carol, bob, text("SIP/2.0 200 OK", "9 INVITE", "", BOTH)),
        (alice, carol, text("BYE sip:b@h SIP/2.0", "10 BYE", "", "")),
    ];
    let mut lines = vec![ladder.head(), Ladder::act(0.0, "alice calls bob")];
    for (nth, (from, to, text)) in (0_u32..).zip(messages) {
        lines.push(ladder.message(f64::from(nth) * 0.25, from, to, text.as_bytes()).unwrap());
    }
    lines.extend([
        ladder.flows(0, 1, "PCMU"),
        ladder.flows(2, 1, "PCMA"),
        ladder.stops(1, 0),
        ladder.stops(1, 2),
    ]);
    let drawn = plain(&lines);
    assert!(drawn.lines().all(|line| line.chars().count() <= 100), "too wide:\n{drawn}");
    insta::assert_snapshot!(drawn);
}

#[test]
fn what_is_no_message_or_of_nobody_here_gives_no_line() {
    let mut ladder = ladder();
    let (alice, stranger) = (ladder.agents[0].1, "127.0.0.1:9".parse().unwrap());
    let bye = text("BYE sip:b@h SIP/2.0", "10 BYE", "", "");
    assert_eq!(ladder.message(0.0, alice, stranger, bye.as_bytes()), None);
    assert_eq!(ladder.message(0.0, alice, alice, b"\r\n\r\n"), None);
}
