//! Whole user agents on loopback: signalling and media together.

use std::future::IntoFuture;

use midcall_proto::session::{self, Codec};

use super::*;
use crate::capture::Capture;
use crate::media::{MediaStats, Source};
use crate::{CallEvent, Ended, Listen, Prefer, Side, What};

async fn agent(name: &str, listen: &str) -> UserAgent {
    let identity = format!("sip:{name}@127.0.0.1");
    let media = MediaSetup::default().source(Source::Tone { hertz: 440 });
    let builder = UserAgent::builder().listen(listen).unwrap().identity(&identity).media(media);
    builder.configure(|config| config.t1 = Duration::from_millis(100)).start().await.unwrap()
}

async fn pair(listen: &str) -> (UserAgent, UserAgent) {
    (agent("alice", listen).await, agent("bob", listen).await)
}

async fn soon<T>(what: &str, wait: impl IntoFuture<Output = T>) -> T {
    match time::timeout(Duration::from_secs(15), wait).await {
        Ok(done) => done,
        Err(_) => panic!("it should have happened: {what}"),
    }
}

fn to(callee: &UserAgent) -> String {
    let transport = callee.local()[0].0;
    callee.uri("bob", transport).unwrap()
}

async fn call(a: &UserAgent, b: &UserAgent) -> (Call, Call) {
    let calling = async {
        let call = a.invite(&to(b)).await.unwrap();
        call.answered().await.unwrap();
        call
    };
    let answering = async {
        let incoming = b.incoming().await.unwrap();
        incoming.ring().await.unwrap();
        let call = incoming.accept().await.unwrap();
        call.answered().await.unwrap();
        call
    };
    soon("a call", async { tokio::join!(calling, answering) }).await
}

async fn media_until(what: &str, call: &Call, so: impl Fn(&MediaStats) -> bool) -> MediaStats {
    let media = call.media().unwrap();
    let wait = async {
        loop {
            let stats = media.stats().await;
            if so(&stats) {
                return stats;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, wait).await
}

async fn talks(call: &Call) {
    let before = call.media().unwrap().stats().await.packets_received();
    media_until("audio", call, |stats| stats.packets_received() > before + 3).await;
}

#[tokio::test]
async fn a_call_rings_is_answered_talks_and_ends() {
    for listen in ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"] {
        let (alice, bob) = pair(listen).await;
        let outgoing = alice.invite(&to(&bob)).await.unwrap();
        let incoming = soon("an incoming call", bob.incoming()).await.unwrap();
        assert_eq!(incoming.details().from, "sip:alice@127.0.0.1");
        assert!(incoming.details().offered);
        incoming.ring().await.unwrap();
        soon("ringing", outgoing.until(|state| state.phase == crate::Phase::Ringing { status: 180 }))
            .await
            .unwrap();
        let answered = incoming.accept().await.unwrap();
        soon("an answer", outgoing.answered()).await.unwrap();
        soon("an acknowledgement", answered.answered()).await.unwrap();
        talks(&outgoing).await;
        talks(&answered).await;
        assert_eq!(
            outgoing.media().unwrap().stats().await.sent_as(8),
            outgoing.media().unwrap().stats().await.packets_sent()
        );

        assert_eq!(soon("hanging up", outgoing.hang_up()).await.unwrap(), Ended::HungUp);
        let ended = soon("the other end", answered.ended()).await;
        assert!(matches!(ended, Some(Ended::PeerHungUp { .. })), "{ended:?}");
        assert!(matches!(outgoing.hold().await, Err(Error::Refused(_) | Error::Gone { .. })));
        let mut heard = Vec::new();
        let mut events = outgoing.events();
        while let Some(event) = events.try_next() {
            heard.push(event);
        }
        assert!(matches!(heard.first(), Some(CallEvent::Progress { status: 180, .. })), "{heard:?}");
        assert!(matches!(heard.last(), Some(CallEvent::Ended { .. })), "{heard:?}");
        alice.shut_down().await;
        bob.shut_down().await;
        assert_eq!(alice.lost(), Lost::default());
    }
}

#[tokio::test]
async fn hold_stops_the_audio_and_resume_brings_it_back() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    talks(&a).await;
    let change = soon("a hold", a.hold()).await.unwrap();
    assert_eq!(change.what, [What::Hold]);
    assert_eq!(change.attempts, 1);
    soon("being held", b.until(|state| state.held_by_peer)).await.unwrap();
    assert!(a.state().held_by_us);
    let sent = b.media().unwrap().stats().await;
    talks(&b).await;
    let later = b.media().unwrap().stats().await;
    assert_eq!(later.packets_sent(), sent.packets_sent(), "held, so it must not send");

    let change = soon("a resume", a.resume().via(Prefer::Update)).await.unwrap();
    assert_eq!(change.method.map(|method| method.as_str()), Some("UPDATE"));
    talks(&a).await;
    assert!(!a.state().held_by_us && !b.state().held_by_peer);
}

#[tokio::test]
async fn codecs_change_with_the_first_packet() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    talks(&a).await;
    soon("a codec change", a.codecs([Codec::pcmu()])).await.unwrap();
    let alaw = a.media().unwrap().stats().await.sent_as(8);
    media_until("mu-law here", &a, |stats| stats.received_as(0) > 3).await;
    media_until("mu-law there", &b, |stats| stats.received_as(0) > 3).await;
    assert_eq!(a.media().unwrap().stats().await.sent_as(8), alaw);
    soon("digits", async {
        a.dtmf("42#").await.unwrap();
        media_until("digits", &b, |stats| stats.digits_received == "42#").await;
    })
    .await;
}

#[tokio::test]
async fn media_moves_without_loss() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    talks(&a).await;
    let old = a.media().unwrap().port();
    let change = soon("a move", a.move_media(0)).await.unwrap();
    assert_eq!(change.what, [What::Address]);
    let new = a.media().unwrap().port();
    assert_ne!(old, new);
    media_until("audio on the new port", &a, |stats| stats.received_on(new) > 3).await;
    media_until("audio from the new port", &b, |stats| {
        stats.received.iter().any(|lane| lane.remote.port() == new && lane.packets > 3)
    })
    .await;
    assert_eq!((a.media().unwrap().stats().await.lost, b.media().unwrap().stats().await.lost), (0, 0));
}

#[tokio::test]
async fn one_request_changes_everything_or_nothing() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    soon(
        "an edit",
        a.modify(|session| {
            session.codecs(0, [Codec::pcmu()]);
            session.hold();
        }),
    )
    .await
    .unwrap();
    soon("being held", b.until(|state| state.held_by_peer)).await.unwrap();
    assert_eq!(b.agreed().streams[0].send[0].0, 0);

    let before = a.agreed();
    let outcome = soon(
        "a refusal",
        a.modify(|session| {
            session.codecs(0, [Codec::opus()]);
            session.resume();
        }),
    )
    .await;
    assert!(matches!(outcome, Err(Error::Rejected { status: 488 })), "{outcome:?}");
    assert_eq!(a.agreed(), before);
    soon("a repetition", a.repeat()).await.unwrap();
    soon("a refresh", a.refresh()).await.unwrap();
    soon("an offerless re-INVITE", a.offerless()).await.unwrap();
    assert!(a.state().is_up() && b.state().is_up());
}

#[tokio::test]
async fn both_change_at_once_and_both_get_their_wish() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    let (one, other) =
        soon("both", async { tokio::join!(a.hold().into_future(), b.codecs([Codec::pcmu()]).into_future()) })
            .await;
    let attempts = (one.unwrap().attempts, other.unwrap().attempts);
    assert!(attempts.0 >= 1 && attempts.1 >= 1, "{attempts:?}");
    soon("being held", b.until(|state| state.held_by_peer)).await.unwrap();
    soon("the codec", a.until(|state| state.agreed.streams[0].send[0].0 == 0)).await.unwrap();
}

#[tokio::test]
async fn video_is_added_when_a_person_says_so_and_dropped() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    let mut events = b.events();
    let adding = tokio::spawn({
        let a = a.clone();
        async move { a.add_video().await }
    });
    soon("an offer", async { while !matches!(events.next().await, Some(CallEvent::Offered { .. })) {} })
        .await;
    soon("the word", b.answer_offer(true)).await.unwrap();
    soon("video", adding).await.unwrap().unwrap();
    let video = &a.agreed().streams[1];
    assert!(video.is_on() && !video.send.is_empty(), "{video:?}");
    assert!(a.media_of(1).is_some() && b.media_of(1).is_some());
    talks(&a).await;
    let change = soon("no video", a.drop_video()).await.unwrap();
    assert_eq!(change.what, [What::DropStream]);
    assert!(!a.agreed().streams[1].is_on());
    assert!(matches!(soon("none", a.drop_video()).await, Err(Error::Io(_))));
}

#[tokio::test]
async fn early_media_flows_before_the_answer() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let outgoing = alice.invite(&to(&bob)).await.unwrap();
    let mut incoming = soon("an incoming call", bob.incoming()).await.unwrap();
    incoming.early().await.unwrap();
    soon("early", outgoing.until(|state| !state.agreed.streams.is_empty())).await.unwrap();
    talks(&outgoing).await;
    assert!(!outgoing.state().is_up());
    let answered = soon("accepting", incoming.accept()).await.unwrap();
    soon("an answer", outgoing.answered()).await.unwrap();
    talks(&answered).await;
}

#[tokio::test]
async fn calls_that_are_not_answered_say_why() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let refused = alice.invite(&to(&bob)).await.unwrap();
    soon("a call", bob.incoming()).await.unwrap().refuse(486).await.unwrap();
    assert!(matches!(soon("busy", refused.answered()).await, Err(Error::Rejected { status: 486 })));

    let ignored = alice.invite(&to(&bob)).await.unwrap();
    drop(soon("a call", bob.incoming()).await.unwrap());
    assert!(matches!(soon("nobody", ignored.answered()).await, Err(Error::Rejected { status: 480 })));

    let cancelled = alice.invite(&to(&bob)).await.unwrap();
    let incoming = soon("a call", bob.incoming()).await.unwrap();
    incoming.ring().await.unwrap();
    soon("ringing", cancelled.until(|state| state.phase != crate::Phase::Trying)).await.unwrap();
    let why = soon("a cancel", cancelled.hang_up()).await.unwrap();
    assert!(matches!(why, Ended::Cancelled { by: Side::Us }), "{why:?}");
    soon("the news", incoming.call().ended()).await;
    let late = incoming.accept().await;
    assert!(matches!(late, Err(Error::Gone { why: Some(Ended::Cancelled { by: Side::Them }) })), "{late:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nobody_there_ends_the_call_at_once() {
    for listen in ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"] {
        let (alice, bob) = pair(listen).await;
        let gone = to(&bob);
        bob.shut_down().await;
        let call = alice.invite(&gone).await.unwrap();
        let why = soon("an end", call.ended()).await;
        assert!(matches!(why, Some(Ended::Unreachable | Ended::Refused { .. } | Ended::Timeout)), "{why:?}");
    }
}

#[tokio::test]
async fn a_blind_transfer_places_the_new_call() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let carol = agent("carol", "udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    let target = carol.uri("carol", Transport::Udp).unwrap();
    let transferring = tokio::spawn({
        let a = a.clone();
        async move { a.transfer_to(&target).await }
    });
    let incoming = soon("a call to carol", carol.incoming()).await.unwrap();
    let c = incoming.accept().await.unwrap();
    let placed = soon("bob's new call", bob.placed()).await.unwrap();
    soon("an answer", placed.answered()).await.unwrap();
    talks(&c).await;
    talks(&placed).await;
    soon("the outcome", transferring).await.unwrap().unwrap();
    soon("the old call's end", b.ended()).await;
    assert!(a.state().ended().is_some());
}

#[tokio::test]
async fn a_failed_transfer_leaves_the_call() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let carol = agent("carol", "udp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    let target = carol.uri("carol", Transport::Udp).unwrap();
    let transferring = tokio::spawn({
        let a = a.clone();
        async move { a.transfer_to(&target).await }
    });
    soon("a call to carol", carol.incoming()).await.unwrap().refuse(486).await.unwrap();
    let outcome = soon("the outcome", transferring).await.unwrap();
    assert!(matches!(outcome, Err(Error::Rejected { status: 486 })), "{outcome:?}");
    assert!(a.state().is_up() && b.state().is_up());
    talks(&b).await;
}

#[tokio::test]
async fn an_attended_transfer_joins_the_other_two() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let carol = agent("carol", "udp:127.0.0.1:0").await;
    let (ab, b) = call(&alice, &bob).await;
    soon("a hold", ab.hold()).await.unwrap();
    let (ac, c) = call(&alice, &carol).await;
    let transferring = tokio::spawn({
        let (ab, ac) = (ab.clone(), ac.clone());
        async move { ab.transfer_to_call(&ac).await }
    });
    let incoming = soon("a replacing call", carol.incoming()).await.unwrap();
    assert_eq!(incoming.details().replaces, Some(c.id()));
    let cb = incoming.accept().await.unwrap();
    soon("the outcome", transferring).await.unwrap().unwrap();
    assert_eq!(soon("carol's old call", c.ended()).await, Some(Ended::Replaced));
    soon("bob's old call", b.ended()).await;
    soon("alice's other call", ac.ended()).await;
    talks(&cb).await;
}

#[tokio::test]
async fn media_of_ones_own_opens_no_socket() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let mut session = session::Wanted::new([127, 0, 0, 1].into(), 1);
    session.add_stream(session::Stream::audio(40_000, [Codec::pcma()]));
    let outgoing = alice.invite(&to(&bob)).media(MediaSetup::own(session)).await.unwrap();
    let answered = soon("a call", bob.incoming()).await.unwrap().accept().await.unwrap();
    soon("an answer", outgoing.answered()).await.unwrap();
    assert!(outgoing.media().is_none());
    let theirs = answered.media().unwrap().port();
    assert_eq!(outgoing.agreed().streams[0].remote, Some(("127.0.0.1".to_owned(), theirs)));
    assert_eq!(answered.agreed().streams[0].remote, Some(("127.0.0.1".to_owned(), 40_000)));
}

#[tokio::test]
async fn the_capture_holds_the_whole_call() {
    let path = std::env::temp_dir().join(format!("midcall-call-{}.pcapng", std::process::id()));
    let tap = Tap::to_capture(Capture::create(&path).unwrap(), true).with_listeners(64);
    let mut ladder = tap.listen().unwrap();
    let builder = UserAgent::builder().listen("udp:127.0.0.1:0").unwrap().identity("sip:alice@127.0.0.1");
    let alice = builder.tap(tap).start().await.unwrap();
    let bob = agent("bob", "udp:127.0.0.1:0").await;
    let (a, _b) = call(&alice, &bob).await;
    talks(&a).await;
    soon("hanging up", a.hang_up()).await.unwrap();
    alice.shut_down().await;
    let first = ladder.try_recv().unwrap();
    assert!(first.bytes.starts_with(b"INVITE sip:bob@127.0.0.1"), "{first:?}");
    assert!(std::fs::metadata(&path).unwrap().len() > 3_000);
    assert_eq!(alice.tap().capture().unwrap().dropped(), 0);
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_shut_down_agent_hangs_up_and_answers_no_more() {
    let (alice, bob) = pair("tcp:127.0.0.1:0").await;
    let (a, b) = call(&alice, &bob).await;
    soon("shutting down", alice.shut_down()).await;
    assert_eq!(a.state().ended(), Some(&Ended::HungUp));
    assert!(matches!(soon("an end", b.ended()).await, Some(Ended::PeerHungUp { .. })));
    assert!(matches!(alice.invite("sip:x@127.0.0.1").await, Err(Error::Gone { why: None })));
    assert!(alice.incoming().await.is_none());
}

#[tokio::test]
async fn without_an_address_there_is_no_agent() {
    assert!(matches!(UserAgent::builder().start().await, Err(Error::Io(_))));
    let taken = agent("alice", "udp:127.0.0.1:0").await;
    let again = Listen { transport: Transport::Udp, address: taken.address(Transport::Udp).unwrap() };
    let outcome = UserAgent::builder().listen(&again.to_string()).unwrap().start().await;
    assert!(matches!(outcome, Err(Error::Io(_))));
}

/// A registrar that challenges once and grants what it is asked for.
async fn registrar() -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut expiries = Vec::new();
        let mut buffer = vec![0; 65_535];
        while expiries.len() < 2 {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let request = midcall_wire::Message::parse(&buffer[..length]).unwrap();
            let reply = match request.header(midcall_wire::Name::Authorization) {
                None => midcall_wire::Builder::reply(&request, 401, None).header(
                    midcall_wire::Name::WwwAuthenticate,
                    r#"Digest realm="test", nonce="1", algorithm=MD5, qop="auth""#,
                ),
                Some(_) => {
                    let contact = request.header(midcall_wire::Name::Contact).unwrap();
                    expiries.push(request.header(midcall_wire::Name::Expires).unwrap().to_owned());
                    midcall_wire::Builder::reply(&request, 200, None)
                        .header(midcall_wire::Name::Contact, contact)
                }
            };
            socket.send_to(&reply.finish(), from).await.unwrap();
        }
        expiries
    });
    (address, serving)
}

#[tokio::test]
async fn a_registration_is_made_and_removed() {
    let (address, serving) = registrar().await;
    let builder = UserAgent::builder().listen("udp:127.0.0.1:0").unwrap().identity("sip:alice@127.0.0.1");
    let alice = builder.credentials("alice", "secret").start().await.unwrap();
    let registration = alice.register(&format!("sip:{address}"), Duration::from_secs(300)).await.unwrap();
    let granted = soon("a registration", registration.registered()).await.unwrap();
    assert_eq!(granted, Duration::from_secs(300));
    soon("its removal", registration.unregister()).await.unwrap();
    assert_eq!(soon("the registrar", serving).await.unwrap(), ["300", "0"]);
    alice.shut_down().await;
    assert!(alice.placed().await.is_none());
}

#[tokio::test]
async fn a_refused_registration_says_so() {
    let (address, _serving) = registrar().await;
    let alice = agent("alice", "udp:127.0.0.1:0").await;
    let registration = alice.register(&format!("sip:{address}"), Duration::from_secs(300)).await.unwrap();
    let outcome = soon("a refusal", registration.registered()).await;
    assert!(matches!(outcome, Err(Error::Rejected { status: 401 })), "{outcome:?}");
}

#[tokio::test]
async fn a_name_is_looked_up() {
    let (alice, bob) = pair("udp:127.0.0.1:0").await;
    let port = bob.address(Transport::Udp).unwrap().port();
    let outgoing = alice.invite(&format!("sip:bob@localhost:{port}")).await.unwrap();
    soon("a call", bob.incoming()).await.unwrap().accept().await.unwrap();
    soon("an answer", outgoing.answered()).await.unwrap();
    let nowhere = alice.invite("sip:bob@nobody.invalid").await.unwrap();
    assert_eq!(soon("an end", nowhere.ended()).await, Some(Ended::Unresolvable));
}

/// More codecs than fit into a datagram.
fn many_codecs() -> Vec<Codec> {
    let more = (0..40).map(|number| Codec::new(format!("x-codec-{number}"), 8_000).with_fmtp("mode=long"));
    [Codec::pcma(), Codec::telephone_event()].into_iter().chain(more).collect()
}

/// RFC 3261 §18.1.1: over TCP if the peer listens there too, else over UDP; the call stays on UDP.
#[tokio::test]
async fn a_long_reinvite_goes_over_tcp_or_over_udp_if_that_is_refused() {
    for peer_has_tcp in [true, false] {
        let both = |name: &'static str| {
            let builder = UserAgent::builder().listen("udp:127.0.0.1:0").unwrap().identity("sip:a@127.0.0.1");
            builder.listen("tcp:127.0.0.1:0").unwrap().identity(&format!("sip:{name}@127.0.0.1")).start()
        };
        let alice = both("alice").await.unwrap();
        assert_eq!(alice.address(Transport::Udp), alice.address(Transport::Tcp));
        let bob =
            if peer_has_tcp { both("bob").await.unwrap() } else { agent("bob", "udp:127.0.0.1:0").await };
        let (a, b) = call(&alice, &bob).await;
        let change = soon("a long change", a.codecs(many_codecs())).await.unwrap();
        assert_eq!(change.attempts, 1);
        soon("another", a.repeat()).await.unwrap();
        talks(&a).await;
        let stats = alice.transport_stats();
        let (opened, refused) = if peer_has_tcp { (1, 0) } else { (0, 1) };
        assert_eq!((stats.connected, stats.unreachable), (opened, refused), "one try is enough");
        // What is short, and what the peer asks, goes by datagram as before.
        soon("a hold", b.hold()).await.unwrap();
        soon("hanging up", b.hang_up()).await.unwrap();
        assert_eq!(alice.transport_stats().accepted, 0);
    }
}
