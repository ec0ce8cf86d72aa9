use super::*;
use crate::sketch::Tweak;
use std::time::Duration;

const UP_13: &str = "\
# crates/proto/tests/rules/UP-13/breaks.ladder
start call                       # A called B, session up
A -> B   INVITE offer
B >< A   UPDATE offer            # >< : sent before the line above arrived
A -> B   200 UPDATE answer
expect   A breaks UP-13 at 3 because 1 2
";

#[test]
fn the_example_of_the_house_style_reads() {
    let ladder = parse(UP_13).unwrap();
    assert_eq!(ladder.start, Start::Call);
    let lines: Vec<_> = ladder.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((lines[0].from, lines[0].arrow, lines[0].has_sdp()), (Who('A'), Arrow::Follows, true));
    assert_eq!(lines[1].arrow, Arrow::Crosses(1));
    assert_eq!(lines[2].what, What::Response(200, Some("UPDATE".to_owned())));
    let [expect] = &ladder.expects[..] else { panic!("one expectation") };
    assert_eq!((expect.who, expect.at, &expect.because[..]), (Who('A'), 3, &[1, 2][..]));
}

#[test]
fn every_word_of_the_grammar_reads() {
    let ladder = parse(
        r#"
config A update=no timer=90 [User-Agent: x y]
sdp odd
  v=0
  o=- 1 1 IN IP4 10.0.0.1
A -> B INVITE offer=odd o=+1 [Supported: timer, 100rel] [+X: [2001:db8::1]] [-Contact] cseq=+5 uri=sip:x@y call=2
B ~> A 183 reliable answer sdp:sendonly sdp:s/a/b/ sdp:"a=crypto:1 x" rseq=+1 tag=b2 reason="Be patient" @1.5s unseen
A >> B PRACK to-tag=none from-tag=x branch=of:1 call-id=z of=2 +40ms overtakes=1
B >< A again 2 crosses=1
B -> A NOTIFY sipfrag=200 outside by=C cseq-method=INFO via=1.2.3.4:5 same body=odd
wait 2s
expect B breaks PR-05 at 4 because 2 1 crossed instead 481
allow TX-01
skip B: no verb for it
skip observer: it sees nothing
"#,
    )
    .unwrap();
    let lines: Vec<_> = ladder.lines().collect();
    assert_eq!(ladder.bodies["odd"], "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n");
    assert_eq!(lines[0].words[0], Word::Offer(Some("odd".to_owned())));
    assert_eq!(lines[0].words[3], Word::Add("X".to_owned(), "[2001:db8::1]".to_owned()));
    assert!(lines[1].words.contains(&Word::Sdp(Tweak::Attribute("crypto:1 x".to_owned()))));
    assert!(lines[1].words.contains(&Word::At(Duration::from_millis(1_500))) && lines[1].unseen());
    assert_eq!((lines[2].arrow, lines[3].what.clone()), (Arrow::Overtakes(1), What::Again(2)));
    assert_eq!(ladder.parties(), [Who('A'), Who('B'), Who('C')]);
    assert_eq!(ladder.expects[0].certainty, Certainty::Crossed);
    assert_eq!((ladder.expects[0].instead, ladder.allowed.len()), (Some(481), 1));
    assert_eq!((ladder.skipped.len(), ladder.unobserved.is_some(), ladder.settings.len()), (1, true, 3));
}

#[test]
fn mistakes_are_told_with_their_line() {
    let mistakes = [
        "A -> B",
        "A => B INVITE",
        "A -> B INVITE offr",
        "A -> B INVITE offer=nowhere",
        "A >< B INVITE",
        "A -> b INVITE",
        "A -> B INVITE [Contact",
        "A -> B INVITE [Contact]",
        "A -> B INVITE @soon",
        "A -> B again 7",
        "config A colour=red",
        "start later",
        "skip A",
        "expect A breaks UP-13 at 1",
        "",
        "A -> B BYE\nexpect nothing\nexpect A breaks UP-13 at 1",
    ];
    let told: Vec<String> =
        mistakes.iter().map(|text| format!("{text:?}: {}", parse(text).unwrap_err())).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "A -> B": line 1: expected FROM ARROW TO WHAT, or a statement
    "A => B INVITE": line 1: expected ->, ><, >> or ~>, found =>
    "A -> B INVITE offr": line 1: unknown word offr
    "A -> B INVITE offer=nowhere": line 1: no sdp or body nowhere above
    "A >< B INVITE": line 1: no line above
    "A -> b INVITE": line 1: expected a party (one capital letter), found b
    "A -> B INVITE [Contact": line 1: a [ or " is not closed
    "A -> B INVITE [Contact]": line 1: expected [Name: value], found [Contact]
    "A -> B INVITE @soon": line 1: expected a time such as 12.3s or 40ms, found soon
    "A -> B again 7": line 1: expected the number of a line above, found "7"
    "config A colour=red": line 1: unknown setting colour; known are update, 100rel, timer, replaces, from-change, prefer, transport, refer, new-streams, min-se, strict-5057
    "start later": line 1: expected start call, start early or start reliable
    "skip A": line 1: expected: skip A: why
    "expect A breaks UP-13 at 1": line 1: expected the number of a line above, found "1"
    "": expected an expect statement
    "A -> B BYE\nexpect nothing\nexpect A breaks UP-13 at 1": expect nothing contradicts expect ... breaks
    "#);
}

fn played(text: &str) -> String {
    let ladder = parse(text).unwrap();
    let mut stage = Stage::new(&ladder, Vec::new());
    stage.play(None).unwrap_or_else(|why| panic!("{why}"));
    stage.drawing()
}

#[test]
fn scripted_parties_play_the_example() {
    insta::assert_snapshot!(played(UP_13), @r"
            A alice                               B bob
    1  -0.062  |------ INVITE 701 offer ----------->|
    2  -0.041  |<----- 200 INVITE 701 answer -------|
    3  -0.020  |------ ACK 701 -------------------->|
    4   0.001  |------ INVITE 702 offer ----------->|
    5   0.002  |<----- UPDATE 403 offer ------------|   crosses 4
    6   0.023  |------ 200 UPDATE 403 answer ------>|
    ");
}

#[test]
fn crossings_overtakings_and_losses_are_as_written() {
    let text = "\
start reliable
A -> B  UPDATE offer sdp:sendonly
A -> B  INFO
B >< A  UPDATE crosses=1 @2s
B -> A  200 of=1 answer
B >> A  491 INFO
A -> B  500 UPDATE [Retry-After: 5]
B ~> A  200 INVITE
B -> A  again 7 +500ms
A -> B  ACK cseq=+0
B -> A  183 tag=other reliable of=1
expect nothing
";
    insta::assert_snapshot!(played(text), @r"
             A alice                               B bob
     1  -0.083  |------ INVITE 701 offer ----------->|
     2  -0.062  |<- 183 INVITE 701 reliable answer --|
     3  -0.041  |------ PRACK 702 ------------------>|
     4  -0.020  |<----- 200 PRACK 702 ---------------|
     5   0.001  |---- UPDATE 703 offer sendonly ---->|
     6   0.002  |------ INFO 704 ------------------->|
     7   2.000  |<----- UPDATE 403 ------------------|   crosses 5 6
     8   2.021  |<- 200 UPDATE 703 answer recvonly --|
     9   2.022  |<----- 491 INFO 704 ----------------|   overtakes 8
    10   2.063  |------ 500 UPDATE 403 ------------->|
    11   2.084  |~----- 200 INVITE 701 --------------|   lost
    12   2.584  |<---- 200 INVITE 701 again 11 ------|
    13   2.605  |------ ACK 701 -------------------->|
    14   2.626  |<---- 183 UPDATE 703 reliable ------|
    ");
}

#[test]
fn a_transfer_names_the_call_to_replace() {
    let text = "\
start call
A -> C  INVITE offer
C -> A  200 answer
A -> C  ACK
A -> B  REFER [Refer-To: <{uri C}?Replaces={escaped replaces CA}>]
B -> A  200
B -> A  NOTIFY
A -> B  200
B -> C  INVITE offer [Replaces: {replaces CA}]
C -> B  486
B -> A  NOTIFY sipfrag=486
A -> B  200
expect nothing
";
    let ladder = parse(text).unwrap();
    let mut stage = Stage::new(&ladder, Vec::new());
    stage.play(None).unwrap_or_else(|why| panic!("{why}"));
    insta::assert_snapshot!(stage.drawing(), @r"
             A alice                               B bob                               C carol
     1  -0.062  |------ INVITE 701 offer ----------->|                                    |
     2  -0.041  |<----- 200 INVITE 701 answer -------|                                    |
     3  -0.020  |------ ACK 701 -------------------->|                                    |
     4   0.001  |------ INVITE 406 offer ------------------------------------------------>|
     5   0.022  |<----- 200 INVITE 406 answer --------------------------------------------|
     6   0.043  |------ ACK 406 --------------------------------------------------------->|
     7   0.064  |------ REFER 702 ------------------>|                                    |
     8   0.085  |<----- 200 REFER 702 ---------------|                                    |
     9   0.106  |<----- NOTIFY 403 ------------------|                                    |
    10   0.127  |------ 200 NOTIFY 403 ------------->|                                    |
    11   0.148  |                                    |------ INVITE 650 offer ----------->|
    12   0.169  |                                    |<----- 486 INVITE 650 --------------|
    13   0.189  |                                    |------ ACK 650 -------------------->|
    14   0.190  |<----- NOTIFY 404 ------------------|                                    |
    15   0.211  |------ 200 NOTIFY 404 ------------->|                                    |
    ");
    let invite = stage.packets()[stage.packet_of(8).unwrap() - 1].raw();
    let called = stage.packets()[stage.packet_of(2).unwrap() - 1].raw();
    let replaces = format!(
        "{};to-tag={};from-tag={}",
        called.call_id(),
        called.tag("To").unwrap(),
        called.tag("From").unwrap()
    );
    assert_eq!(invite.header("Replaces"), Some(replaces.as_str()));
    let refer = stage.packets()[stage.packet_of(4).unwrap() - 1].raw();
    let escaped = replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40");
    assert_eq!(refer.header("Refer-To"), Some(&*format!("<sip:carol@10.0.0.3:5060?Replaces={escaped}>")));
}

#[test]
fn an_endpoint_in_the_breakers_seat_answers_otherwise() {
    let ladder = parse(UP_13).unwrap();
    let a = Actor::new(&ladder, Who('A'));
    let mut stage = Stage::new(&ladder, vec![(Who('A'), Box::new(a))]);
    let attempt = stage.attempt(3).unwrap_or_else(|why| panic!("{why}"));
    let sent: Vec<String> = attempt.packets.iter().map(|n| stage.packets()[n - 1].raw().summary()).collect();
    assert_eq!(sent[0], "491 UPDATE", "{}", stage.drawing());
    assert!(!sent.contains(&"200 UPDATE".to_owned()), "{}", stage.drawing());
}

#[test]
fn an_endpoint_in_the_other_seat_gets_over_it() {
    let ladder = parse(UP_13).unwrap();
    let b = Actor::new(&ladder, Who('B'));
    let mut stage = Stage::new(&ladder, vec![(Who('B'), Box::new(b))]);
    stage.play(Some(3)).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(stage.live(Who('B')).unwrap().ended(), None, "{}", stage.drawing());
}
