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
