use midcall_proto::flow::Transport;

use super::*;
use crate::source::Packet;

const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns= \r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A request with this method, branch and body.
fn request(method: &str, branch: &str, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n\
         From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.2>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\n\
         {kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(text: &[u8]) -> (Vec<Packet>, Summary) {
    let mut source = Text::new(text);
    let mut packets = Vec::new();
    while let Some(item) = source.next() {
        match item {
            Ok(Item::Sip(packet)) => packets.push(packet),
            other => assert!(matches!(other, Err(ReadError::Unknown)), "{other:?}"),
        }
    }
    (packets, source.summary())
}

fn payloads(text: &str) -> Vec<String> {
    let packets = read(text.as_bytes()).0;
    packets.iter().map(|packet| String::from_utf8_lossy(&packet.payload).into_owned()).collect()
}

fn lf(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[test]
fn bare_messages_need_nothing_between_them() {
    let (one, two) = (request("INVITE", "1", SDP), request("BYE", "2", ""));
    let both = [one.clone(), two.clone()];
    let text = both.concat();
    assert_eq!(payloads(&text), both);
    assert_eq!(payloads(&lf(&text)), both);
    assert_eq!(payloads(&text.replace("\r\n", "\r")), both);
    // Some lines were edited by hand.
    assert_eq!(payloads(&text.replacen("\r\n", "\n", 3)), both);
    assert_eq!(payloads(&lf(&text).replace("\n\n", "\n   \n")), both);
    let indented = |by: &str| lf(&text).lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    for by in ["  ", "\t", "> ", ">> ", "| "] {
        assert_eq!(payloads(&indented(by)), both, "{by:?}");
    }
    // The first line stands behind the prompt, the others do not.
    assert_eq!(payloads(indented("    ").trim_start()), both);
}

#[test]
fn what_lacks_its_end_is_marked_only_if_something_is_missing() {
    let (invite, bye) = (request("INVITE", "1", SDP), request("BYE", "2", ""));
    for (text, cut) in [
        (invite.trim_end(), false),
        (lf(&invite).trim_end(), false),
        (bye.trim_end(), false),
        (&invite[..invite.len() - 10], true),
        (invite.split("\r\n\r\n").next().unwrap(), true),
        (&invite[..100], true),
    ] {
        let packets = read(text.as_bytes()).0;
        assert_eq!(packets.len(), 1, "{text}");
        assert_eq!(packets[0].cut, cut, "{text}");
        if !cut {
            let whole = if text.starts_with("BYE") { &bye } else { &invite };
            assert_eq!(String::from_utf8_lossy(&packets[0].payload), *whole);
        }
    }
}

#[test]
fn a_body_that_was_sent_with_lf_alone_stays_so() {
    let message = request("INVITE", "1", &lf(SDP));
    let head = "2026/10/30 12:00:00.123456 192.0.2.1:5060 -> 192.0.2.2:5060\n";
    let text = format!("{head}{message}\n\n{head}{message}\n\n");
    assert_eq!(payloads(&text), [message.clone(), message.clone()]);
    // Even where the log lost all CR.
    assert_eq!(payloads(&lf(&text)), [message.clone(), message]);
}

#[test]
fn spaces_that_fill_every_line_are_not_part_of_it() {
    let message = request("INVITE", "1", SDP);
    let padded: String = lf(&message).lines().map(|line| format!("{line:<120}\n")).collect();
    // Of a line of the body that ends in a space nobody can tell.
    assert_eq!(payloads(&padded), [message.replace("s= \r", "s=\r")]);
    let single = lf(&message).replace('\n', " \n");
    assert_eq!(payloads(&single), [message]);
}

#[test]
fn a_message_that_the_log_cut_is_marked() {
    let message = lf(&request("INVITE", "1", SDP));
    let head = |at: &str| format!("recv 400 bytes from udp/[192.0.2.1]:5060 at {at}:\n{}\n", "-".repeat(72));
    let half = &message[..message.len() - 40];
    let text = format!(
        "{}{half}\n   *** message truncated at 300 ***\n{}{half}\n2026-10-30 12:00:00 [NOTICE] other\n{}{message}\n",
        head("12:00:00.1"),
        head("12:00:00.2"),
        head("12:00:00.3"),
    );
    let (packets, summary) = read(text.as_bytes());
    assert_eq!(packets.iter().map(|packet| packet.cut).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(summary.skipped_for("ends of messages that the log lacks"), 2);
}

#[test]
fn lines_of_the_log_between_those_of_a_message_are_passed_over() {
    let message = request("INVITE", "1", SDP);
    let line = "[2026-10-30 12:00:00.200] NOTICE[1] chan.c: something else\n";
    let head = "[2026-10-30 12:00:00.123] VERBOSE[2] res_pjsip_logger.c: <--- Received SIP request (400 bytes) from UDP:192.0.2.1:5060 --->\n";
    for at in ["From:", "Content-Length", "s= ", "m=audio"] {
        let torn = message.replace(at, &format!("{line}{at}"));
        for text in [format!("{head}{torn}\n"), lf(&format!("{head}{torn}\n"))] {
            let (packets, summary) = read(text.as_bytes());
            assert_eq!(String::from_utf8_lossy(&packets[0].payload), message, "before {at}");
            assert_eq!(summary.skipped_for("lines of the log between those of a message"), 1, "before {at}");
        }
    }
}

#[test]
fn midnight_passes_in_a_log_without_dates() {
    let message = lf(&request("OPTIONS", "1", ""));
    let text: String = ["23:59:59.9", "00:00:00.1"]
        .map(|at| {
            format!("recv 200 bytes from udp/[192.0.2.1]:5060 at {at}:\n{}\n{message}\n", "-".repeat(72))
        })
        .concat();
    let packets = read(text.as_bytes()).0;
    assert_eq!(packets[1].at.since(packets[0].at).as_millis(), 200);
}

#[test]
fn dots_are_taken_away_only_where_they_stand_for_cr() {
    let message = request("INVITE", "1.0", SDP).replace("Call-ID: c1", "Call-ID: c1.");
    let head = "U 2026/10/30 12:00:00.123456 192.0.2.1:5060 -> 192.0.2.2:5060 #1\n";
    let dotted = format!("{head}{}\n\n", message.replace("\r\n", ".\n"));
    assert_eq!(payloads(&dotted), std::slice::from_ref(&message));
    let plain = format!("{head}{}\n\n", lf(&message));
    assert_eq!(payloads(&plain), [message]);
    let lf_body = request("INVITE", "1", &lf(SDP));
    assert_eq!(payloads(&format!("{head}{}\n\n", lf_body.replace("\r\n", ".\n"))), [lf_body]);
}

#[test]
fn a_message_over_several_segments_is_put_together() {
    let message = request("INVITE", "1", SDP).replace("/UDP", "/TCP");
    let next = request("BYE", "2", "").replace("/UDP", "/TCP");
    let head = "T 2026/10/30 12:00:00.123456 192.0.2.1:5060 -> 192.0.2.2:5060 [AP] #1\n";
    let other = "T 2026/10/30 12:00:00.123456 192.0.2.7:5060 -> 192.0.2.2:5060 [AP] #1\n";
    // Behind a dot nobody can tell.
    for at in (45..message.len()).filter(|at| !message[..*at].ends_with('.')) {
        let dotted = |text: &str| text.replace("\r\n", ".\n").replace('\r', ".");
        let (one, two) = message.split_at(at);
        let text = format!("{head}{}\n\n{head}{}{}\n\n{other}x\n\n", dotted(one), dotted(two), dotted(&next));
        assert_eq!(payloads(&text), [message.clone(), next.clone()], "torn at {at}\n{text}");
    }
}

#[test]
fn a_read_may_hold_several_messages_or_none() {
    let (one, two) = (request("INVITE", "1", SDP), request("BYE", "2", ""));
    let head = "2026-10-30 12:00:00:123 belle-sip-message-channel [0x1]: received [9] new bytes from [TCP://sip.example.com:5060]:\n";
    let (packets, summary) = read(format!("{head}{one}{two}\n{head}\r\n\r\n\n{head}{two}\n").as_bytes());
    assert_eq!(packets.len(), 3);
    assert_eq!(packets[0].from, packets[2].from);
    assert_eq!(packets[0].transport, Transport::Tcp);
    assert_eq!(summary.skipped_for("records without a SIP message"), 1);
    assert_eq!(summary.records, 4);
}

#[test]
fn a_start_line_within_a_body_begins_no_message() {
    let frag = "SIP/2.0 200 OK\r\n";
    let message = request("NOTIFY", "1", frag).replace("application/sdp", "message/sipfrag;version=2.0");
    assert_eq!(payloads(&message), std::slice::from_ref(&message));
    assert_eq!(payloads(&lf(&message)), [message]);
}

#[test]
fn a_text_that_begins_with_a_time_is_no_line_of_the_log() {
    let message =
        request("MESSAGE", "1", "2026-10-30 12:00:00 see you\r\n").replace("application/sdp", "text/plain");
    assert_eq!(payloads(&message), [message]);
}

#[test]
fn a_message_too_long_is_kept_as_far_as_a_datagram_goes() {
    let long = format!("X-Long: {}\r\n", "x".repeat(900)).repeat(100);
    let message =
        request("OPTIONS", "1", "").replace("Content-Length: 0", &format!("{long}Content-Length: 0"));
    let (packets, summary) =
        read([message.as_bytes(), request("BYE", "2", "").as_bytes()].concat().as_slice());
    assert_eq!(packets.len(), 2);
    assert!(packets[0].cut && packets[0].payload.len() <= 1 << 16);
    assert!(!packets[1].cut);
    assert_eq!(summary.skipped_for("ends of messages that the log lacks"), 1);
}

#[test]
fn a_split_record_goes_on_in_the_next_of_its_session() {
    let message = request("INVITE", "1", SDP);
    let lines: Vec<_> = message.split("\r\n").collect();
    for at in [8, 10, 13] {
        let part = |lines: &[&str]| lines.iter().map(|line| format!("{line} #012")).collect::<String>();
        let begin = "Oct 30 12:00:00 192.0.2.2 ";
        let text = format!(
            "{begin}[S=1] [SID=a:1:1] (N 1) ---- Incoming SIP Message from 192.0.2.1:5060 to SIPInterface #0 (LAN) UDP TO(#1) ---- #012{} [Time:30-10@12:00:00.123]\n\
             {begin}[S=9] [SID=b:1:1] (N 2) something else [Time:30-10@12:00:00.124]\n\
             {begin}[S=2] [SID=a:1:1] {} [Time:30-10@12:00:00.125]\n",
            part(&lines[..at]),
            part(&lines[at..]),
        );
        let packets = read(text.as_bytes()).0;
        assert_eq!(packets.len(), 1);
        assert_eq!(String::from_utf8_lossy(&packets[0].payload), message, "split before line {at}");
        assert!(!packets[0].cut);
    }
}

#[test]
fn messages_on_one_line_are_read() {
    let message = request("INVITE", "1", SDP);
    for (end, before) in [("#015#012", "Oct 30 12:00:00 host app[1]: "), ("<CR><LF>", ""), ("\\r\\n", "msg=")]
    {
        let line = format!("{before}got:\n{}\nnext\n", message.replace("\r\n", end));
        assert_eq!(payloads(&line), std::slice::from_ref(&message), "{end}");
    }
}

#[test]
fn an_address_of_nothing_but_zeros_is_the_logger() {
    let (invite, ack) = (request("INVITE", "1", SDP), request("ACK", "2", ""));
    let text = format!(
        "2026/10/30 12:00:00.1 192.0.2.1:5060 -> 0.0.0.0:0\n{invite}\n\n2026/10/30 12:00:00.2 0.0.0.0:0 -> 192.0.2.1:5060\n{ack}\n\n"
    );
    let packets = read(text.as_bytes()).0;
    assert_eq!(packets[0].to, "192.0.2.2:5060".parse().unwrap());
    assert_eq!((packets[0].to, packets[0].from), (packets[1].from, packets[1].to));
}

/// Heads that name only the other side.
fn console(sent: bool, message: &str) -> String {
    let what =
        if sent { "Transmitting SIP request (1 bytes) to" } else { "Received SIP request (1 bytes) from" };
    format!("<--- {what} UDP:203.0.113.9:5060 --->\n{message}\n")
}

#[test]
fn a_message_waits_for_one_that_tells_where_the_log_was_written() {
    let unclear = request("OPTIONS", "1", "").replace("@192.0.2.2 ", "@example.com ");
    let clear = request("OPTIONS", "2", "").replace("192.0.2.1;", "198.51.100.7:5080;");
    let packets = read((console(false, &unclear) + &console(true, &clear)).as_bytes()).0;
    let (local, remote) = ("198.51.100.7:5080".parse().unwrap(), "203.0.113.9:5060".parse().unwrap());
    assert_eq!((packets[0].from, packets[0].to), (remote, local));
    assert_eq!((packets[1].from, packets[1].to), (local, remote));
}

#[test]
fn where_nothing_tells_the_logger_stays_open_and_the_others_do_not() {
    let unclear = request("OPTIONS", "1", "").replace("@192.0.2.2 ", "@example.com ");
    let many = console(false, &unclear).repeat(200);
    let packets = read(many.as_bytes()).0;
    assert_eq!(packets.len(), 200);
    assert!(packets.iter().all(|packet| packet.to == "0.0.0.0:0".parse().unwrap()));
}

/// Messages of a browser, which knows no address of anybody.
#[test]
fn parties_without_any_address_stay_apart() {
    let console = |sent: bool, message: &str| {
        let what = if sent { "sending message:" } else { "received text message:" };
        format!("JsSIP:Transport {what}\n\n{message}\n +1ms\n")
    };
    let invite = request("INVITE", "1", SDP)
        .replace("UDP 192.0.2.1;", "WSS df7j.invalid;")
        .replace("192.0.2.1", "example.com")
        .replace("@192.0.2.2 ", "@example.com ");
    let ok = invite
        .replacen("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK", 1)
        .replace("m>\r\nCall", "m>;tag=b\r\nCall");
    let ack = invite.replace("INVITE", "ACK").replace("bK1", "bK2");
    let text = [console(true, &invite), console(false, &ok), console(true, &ack)].concat();
    let packets = read(text.as_bytes()).0;
    assert_eq!(packets.len(), 3);
    assert_ne!(packets[0].from, packets[0].to);
    assert_eq!((packets[0].from, packets[0].to), (packets[1].to, packets[1].from));
    assert_eq!((packets[0].from, packets[0].to), (packets[2].from, packets[2].to));
    assert_eq!(packets[0].transport, Transport::Wss);
}

#[test]
fn a_bare_dialog_has_two_addresses_whatever_names_it_uses() {
    let invite = request("INVITE", "1", SDP).replace("@192.0.2.2 ", "@example.com ");
    let ok = invite
        .replacen("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK", 1)
        .replace("<sip:bob@192.0.2.2>", "<sip:bob@192.0.2.2>;tag=b\r\nContact: <sip:bob@192.0.2.2:5070>");
    let ack = request("ACK", "2", "").replace("@192.0.2.2 ", "@192.0.2.2:5070 ");
    let bye = "BYE sip:alice@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5070;branch=z9hG4bK9\r\n\
               From: <sip:bob@192.0.2.2>;tag=b\r\nTo: <sip:alice@192.0.2.1>;tag=a\r\nCall-ID: c1\r\nCSeq: 1 BYE\r\n\
               Content-Length: 0\r\n\r\n";
    let packets = read([invite.as_str(), &ok, &ack, bye].concat().as_bytes()).0;
    let (alice, bob) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5070".parse().unwrap());
    let paths: Vec<_> = packets.iter().map(|packet| (packet.from, packet.to)).collect();
    assert_eq!(paths, [(alice, bob), (bob, alice), (alice, bob), (bob, alice)]);
}

#[test]
fn blocks_of_lync_are_read() {
    let text = "TL_INFO(TF_PROTOCOL) [0]0A3C.0B5C::10/30/2026-12:00:00.123.00001234 (SIPStack,SIPAdminLog)$$begin_record\r\n\
         Trace-Correlation-Id: 1\r\nDirection: incoming;source=\"external\"\r\nPeer: 192.0.2.1:5061\r\n\
         Message-Type: request\r\nStart-Line: INVITE sip:bob@192.0.2.2 SIP/2.0\r\nFrom: <sip:a@x>;tag=1\r\n\
         To: <sip:b@x>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nVia: SIP/2.0/TLS 192.0.2.1:5061;branch=z9hG4bK1\r\n\
         Content-Type: application/sdp\r\nContent-Length: 12\r\nMessage-Body: v=0\r\ns=abc\r\n$$end_record\r\n";
    let (packets, summary) = read(text.as_bytes());
    assert_eq!(summary.format, "Lync or Skype for Business trace");
    assert!(packets[0].payload.ends_with(b"Content-Length: 12\r\n\r\nv=0\r\ns=abc\r\n"));
    assert_eq!(packets[0].at.as_micros(), 1_793_361_600_123_000);
    assert_eq!((packets[0].from, packets[0].transport), ("192.0.2.1:5061".parse().unwrap(), Transport::Tls));
    let deleted = text.replace("v=0\r\ns=abc", "----****MESSAGE BODY DELETED****----");
    assert!(read(deleted.as_bytes()).0[0].cut);
}

#[test]
fn logs_of_lync_clients_are_read() {
    let message = request("OPTIONS", "1", "");
    let text = format!(
        "10/30/2026|12:00:00.123 9F8:A70 INFO  :: Data Received - 192.0.2.1:5061 (To Local Address: 192.0.2.2:49152) 200 bytes:\r\n\
         10/30/2026|12:00:00.123 9F8:A70 INFO  :: \r\n{message}\r\n\
         10/30/2026|12:00:00.123 9F8:A70 INFO  :: End of Data Received - 192.0.2.1:5061 (To Local Address: 192.0.2.2:49152) 200 bytes\r\n"
    );
    let (packets, summary) = read(text.as_bytes());
    assert_eq!(summary.format, "UCCAPI log");
    assert_eq!(String::from_utf8_lossy(&packets[0].payload), message);
    assert_eq!(packets[0].to, "192.0.2.2:49152".parse().unwrap());
    assert_eq!(packets[0].at.as_micros(), 1_793_361_600_123_000);
}

#[test]
fn logs_of_experience_portal_are_read() {
    let message = request("OPTIONS", "1", "");
    let marked = message.replace("\r\n", "^M\n");
    let text = format!(
        "2026-10-30 12:00:00.123 cUAInterface::SendToNetwork: To 203.0.113.9:5060 <^{marked}>\n\
         2026-10-30 12:00:00.223 SIPTCP::ProcessRead: <\n{marked}>\n"
    );
    let (packets, summary) = read(text.as_bytes());
    assert_eq!(summary.format, "Avaya Experience Portal log");
    assert_eq!(packets.len(), 2);
    assert_eq!(packets[0].to, "203.0.113.9:5060".parse().unwrap());
    assert!(packets.iter().all(|packet| packet.payload == message.as_bytes()));
}

#[test]
fn the_rest_of_a_long_ribbon_record_is_joined() {
    let message = lf(&request("INVITE", "1", SDP));
    let (one, two) = message.split_at(message.find("s= ").unwrap());
    let head = "561 10302026 120000.123456:1.01.00.38900.MAJOR .SIPSG:";
    let text = format!(
        "{head}FILTER=x: EXTRA INFO: Ingress: received msg for CallId:c1 gcid:0x1 from IP/port:192.0.2.1/5060, Local IP/port:192.0.2.2/5060\n\
         RAW PDU:\n{one}{head}FILTER=x: more\n{two}\n"
    );
    assert_eq!(payloads(&text), [request("INVITE", "1", SDP)]);
}

#[test]
fn a_prefix_learned_late_still_reaches_the_head() {
    let message = lf(&request("INVITE", "1", SDP));
    let head = "2026/10/30 12:00:00.123456 192.0.2.1:5060 -> 192.0.2.2:5060\n";
    let text: String =
        format!("{head}{message}\n").lines().map(|line| format!("dir/trace.txt:{line}\n")).collect();
    let (packets, summary) = read(text.as_bytes());
    assert_eq!((packets.len(), summary.format.as_str()), (1, "sngrep text"));
    assert_eq!(packets[0].at.as_micros(), 1_793_361_600_123_456);
}

#[test]
fn an_unknown_log_gives_its_messages_and_their_time() {
    let message = lf(&request("INVITE", "1", SDP));
    let text =
        format!("2026-10-30T12:00:00.5Z level=debug sip message in\n{message}\n2026-10-30T12:00:02Z bye\n");
    let (packets, summary) = read(text.as_bytes());
    assert_eq!((packets.len(), summary.format.as_str()), (1, "SIP text"));
    assert_eq!(packets[0].at.as_micros(), 1_793_361_600_500_000);
    // A line that only looks like the beginning of a message is none.
    assert_eq!(read(b"BYE sip:bob@example.com SIP/2.0\nis what it said\n").0, []);
}
