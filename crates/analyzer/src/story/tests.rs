use crate::model::Call;
use crate::papers::Papers;
use crate::sample;

fn sampled(ladder: &str) -> Call {
    sample::call(&format!("{ladder}expect nothing\n"))
}

fn told(call: &Call) -> Vec<String> {
    call.story.iter().map(|moment| format!("{} {}", moment.n, moment.what)).collect()
}

#[test]
fn a_hold_and_its_end_have_an_owner_and_a_diff() {
    let call = sampled(
        "start call\n\
         B -> A   INVITE offer sdp:sendonly\n\
         A -> B   200 INVITE answer sdp:recvonly\n\
         B -> A   ACK\n\
         B -> A   INVITE offer sdp:sendrecv\n\
         A -> B   200 INVITE answer sdp:sendrecv\n\
         B -> A   ACK\n",
    );
    assert_eq!(
        told(&call)[2..],
        ["4 bob offers hold", "5 bob holds audio", "7 bob offers resume", "8 bob resumes audio"]
    );
    let (hold, held) = (&call.story[2], &call.story[3]);
    assert!(hold.diff.signed().any(|line| line == "+a=sendonly"), "{:?}", hold.diff);
    assert!(held.diff.signed().any(|line| line == "+a=recvonly"), "{:?}", held.diff);
    assert!(hold.streams.is_empty(), "an offer changes nothing yet");
    assert!(held.streams[0].contains("alice <- bob, held by bob"), "{:?}", held.streams);
    assert!(call.story[5].streams[0].contains("alice <-> bob,"), "{:?}", call.story[5].streams);
}

#[test]
fn a_refused_change_leaves_the_session() {
    let call = sampled(
        "start call\n\
         A -> B   INVITE offer sdp:sendonly\n\
         B -> A   488 INVITE\n\
         A -> B   ACK\n\
         A -> B   BYE\n\
         B -> A   200 BYE\n",
    );
    let told = told(&call);
    assert_eq!(
        told[2..],
        [
            "4 alice offers hold",
            "5 bob refuses hold: 488 Not Acceptable Here; the session stays",
            "7 alice hangs up"
        ]
    );
}

#[test]
fn what_crossed_is_told_of_both() {
    let call = sampled(
        "start call\n\
         A -> B   INVITE offer sdp:sendonly\n\
         B >< A   INVITE offer sdp:sendonly\n\
         A -> B   491 INVITE\n\
         B -> A   491 INVITE\n\
         B -> A   ACK\n\
         A -> B   ACK\n",
    );
    let told = told(&call).join("\n");
    for part in
        ["4 alice offers hold", "5 bob offers hold", "6 alice refuses hold: 491", "7 bob refuses hold: 491"]
    {
        assert!(told.contains(part), "{part} in\n{told}");
    }
}

#[test]
fn copies_make_no_moments() {
    let once = "start call\nA -> B   BYE\nB -> A   200 BYE\n";
    let twice = "start call\nA -> B   BYE\nA -> B   again 1\nB -> A   200 BYE\nB -> A   again 3\n";
    let words = |ladder| sampled(ladder).story.into_iter().map(|moment| moment.what).collect::<Vec<_>>();
    assert_eq!(words(once), words(twice));
}

/// The log that is written while a call is observed says what a second observation would.
#[test]
fn a_story_is_the_same_from_the_first_observation_and_from_a_second_one() {
    for ladder in [
        "start call\n\
         B -> A   INVITE offer sdp:sendonly\n\
         A -> B   200 INVITE answer sdp:recvonly\n\
         B -> A   ACK\n\
         A -> B   BYE\n\
         A -> B   again 1\n\
         B -> A   200 BYE\n",
        "start call\n\
         A -> B   INVITE offer sdp:sendonly\n\
         B >< A   INVITE offer sdp:sendonly\n\
         A -> B   491 INVITE\n\
         B -> A   491 INVITE\n\
         B -> A   ACK\n\
         A -> B   ACK\n",
    ] {
        let call = sampled(ladder);
        assert!(!call.story.is_empty());
        assert_eq!(call.story, super::tell(&call, &Papers::of(&call.messages)), "{ladder}");
    }
}
