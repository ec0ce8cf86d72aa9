use super::*;

fn expect(story: &mut Story, what: Expectation) -> Met {
    story.meets(&what)
}

const MET: Met = Some(Ok(()));

#[test]
fn a_hold_is_met_by_its_event_and_only_once() {
    let mut story = Story::default();
    let hold = story.asks("hold");
    assert_eq!(expect(&mut story, Expectation::Held), None);
    story.event(&CallEvent::Held { by: Side::Us });
    story.answered(hold, Outcome::Done);
    assert_eq!(expect(&mut story, Expectation::Held), MET);
    let resume = story.asks("resume");
    assert_eq!(expect(&mut story, Expectation::Resumed), None);
    assert_eq!(expect(&mut story, Expectation::Held), None, "the change under way may undo it");
    story.answered(resume, Outcome::Done);
    story.event(&CallEvent::Resumed { by: Side::Us });
    assert_eq!(expect(&mut story, Expectation::Resumed), MET);
}

#[test]
fn what_the_peer_does_fast_is_not_missed() {
    let mut story = Story::default();
    for _ in 0..2 {
        story.event(&CallEvent::Held { by: Side::Them });
        story.event(&CallEvent::Resumed { by: Side::Them });
    }
    for _ in 0..2 {
        assert_eq!(expect(&mut story, Expectation::PeerHeld), MET);
        assert_eq!(expect(&mut story, Expectation::Resumed), MET);
    }
    assert_eq!(expect(&mut story, Expectation::Held), None);
}

#[test]
fn a_hold_that_is_in_force_already_is_held() {
    let mut story = Story::default();
    story.event(&CallEvent::Held { by: Side::Us });
    let again = story.asks("hold");
    story.answered(again, Outcome::Done);
    assert_eq!(expect(&mut story, Expectation::Held), MET);
    assert_eq!(expect(&mut story, Expectation::PeerHeld), None);
}

#[test]
fn a_refusal_ends_the_hope_unless_it_is_expected() {
    let mut story = Story::default();
    let hold = story.asks("hold");
    story.answered(hold, Outcome::Refused(488));
    assert_eq!(
        expect(&mut story, Expectation::Held),
        Some(Err("refused with 488 Not Acceptable Here".to_owned()))
    );
    assert_eq!(story.failure().as_deref(), Some("`hold`: refused with 488 Not Acceptable Here"));
    assert!(expect(&mut story, Expectation::Refused(Some(486))).unwrap().is_err());
    assert_eq!(expect(&mut story, Expectation::Refused(Some(488))), MET);
    assert_eq!(story.failure(), None);
}

#[test]
fn changed_is_about_the_last_thing_asked() {
    let mut story = Story::default();
    assert!(expect(&mut story, Expectation::Changed).unwrap().is_err());
    let hold = story.asks("hold");
    story.answered(hold, Outcome::Done);
    let codec = story.asks("codec pcma");
    assert_eq!(expect(&mut story, Expectation::Changed), None);
    assert!(story.pending());
    story.answered(codec, Outcome::Done);
    assert_eq!(expect(&mut story, Expectation::Changed), MET);
    assert_eq!(expect(&mut story, Expectation::Refused(None)), Some(Err("it was accepted".to_owned())));
}

#[test]
fn after_the_end_only_the_end_is_met() {
    let mut story = Story::default();
    assert_eq!(expect(&mut story, Expectation::Ended), None);
    story.event(&CallEvent::Ended { why: Ended::PeerHungUp { reason: None } });
    assert!(!story.end_expected());
    let late = expect(&mut story, Expectation::Established);
    assert_eq!(late, Some(Err("the call ended first: the peer hung up".to_owned())));
    assert_eq!(expect(&mut story, Expectation::Ended), MET);
    assert!(story.end_expected());
}

#[test]
fn a_refused_call_can_be_expected() {
    let mut story = Story::default();
    story.event(&CallEvent::Ended { why: Ended::Refused { status: 486, by: Side::Them } });
    assert!(expect(&mut story, Expectation::Refused(Some(603))).unwrap().is_err());
    assert!(!story.end_expected());
    assert_eq!(expect(&mut story, Expectation::Refused(Some(486))), MET);
    assert!(story.end_expected());
}

#[test]
fn things_that_come_again_are_met_again() {
    let mut story = Story::default();
    story.event(&CallEvent::PeerMoved);
    assert_eq!(expect(&mut story, Expectation::Moved), MET);
    assert_eq!(expect(&mut story, Expectation::Moved), None);
    story.event(&CallEvent::PeerMoved);
    assert_eq!(expect(&mut story, Expectation::Moved), MET);
    "12#12#".chars().for_each(|digit| story.digit(digit));
    let digits = |digits: &str| Expectation::Digits(digits.to_owned());
    assert_eq!(expect(&mut story, digits("2#")), MET);
    assert_eq!(expect(&mut story, digits("#")), MET);
    assert_eq!(expect(&mut story, digits("#")), None);
}
