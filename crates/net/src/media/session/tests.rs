//! Two sessions on loopback talk to each other. Every wait is for something that must happen, with a limit far above it.

use std::net::Ipv4Addr;
use std::time::Instant;

use super::*;
use crate::media::{Coding, Wav};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

async fn open(source: Source) -> MediaSession {
    let options = MediaOptions::default().source(source).report_interval(Duration::from_millis(100));
    MediaSession::open(HERE, options).await.unwrap()
}

fn plan(to: &MediaSession, coding: Coding) -> MediaPlan {
    MediaPlan {
        send_events: Some(101),
        receive_events: Some(101),
        ..MediaPlan::both_ways(SocketAddr::new(HERE, to.port()), coding)
    }
}

async fn until(what: &str, session: &MediaSession, done: impl Fn(&MediaStats) -> bool) -> MediaStats {
    let start = Instant::now();
    loop {
        let stats = session.stats().await;
        if done(&stats) {
            return stats;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: {stats:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_while() {
    tokio::time::sleep(Duration::from_millis(150)).await;
}

/// How strong a frequency is in a sound, by Goertzel's method; about 1 for a pure tone.
fn strength(samples: &[i16], hertz: f64) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hertz / 8_000.0).cos();
    let (mut last, mut before, mut total) = (0.0, 0.0, 1.0);
    for sample in samples {
        let sample = f64::from(*sample);
        (before, last) = (last, sample + turn * last - before);
        total += sample * sample;
    }
    let power = last * last + before * before - turn * last * before;
    2.0 * power / (total * samples.len() as f64)
}

#[tokio::test]
async fn a_tone_is_heard_as_that_tone_and_echoed() {
    let (a, b) = (open(Source::Tone { hertz: 440 }).await, open(Source::Echo).await);
    let path = std::env::temp_dir().join(format!("midcall-tone-{}.wav", std::process::id()));
    a.record(&path).await.unwrap();
    a.apply(plan(&b, Coding::Pcma)).await;
    b.apply(plan(&a, Coding::Pcma)).await;
    until("a second of echo", &a, |stats| stats.packets_received() > 40).await;
    let stats = a.stop().await;
    assert_eq!(stats.sent_as(8), stats.packets_sent());
    assert_eq!((stats.lost, stats.malformed, stats.send_errors), (0, 0, 0));
    let heard = Wav::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    let echo = heard.samples().get(2_400..).unwrap();
    assert!(strength(echo, 440.0) > 0.5, "{}", strength(echo, 440.0));
    assert!(strength(echo, 700.0) < 0.05);
}

#[tokio::test]
async fn packets_keep_the_pace() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    a.apply(plan(&b, Coding::Pcmu)).await;
    let first = until("the first packet", &b, |stats| stats.packets_received() > 0).await;
    let stats = until("more", &b, |stats| stats.packets_received() > 30).await;
    let lane = stats.received[0];
    let seconds = (lane.last - first.received[0].first).as_secs_f64();
    let pace = (lane.packets - 1) as f64 / seconds;
    assert!((25.0..=60.0).contains(&pace), "{pace} packets a second");
    assert_eq!(lane.bytes, lane.packets * 160);
}

#[tokio::test]
async fn on_hold_rtp_stops_and_rtcp_goes_on() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    a.apply(plan(&b, Coding::Pcmu)).await;
    b.apply(plan(&a, Coding::Pcmu)).await;
    until("talk", &b, |stats| stats.packets_received() > 5).await;
    a.apply(MediaPlan { sends: false, ..plan(&b, Coding::Pcmu) }).await;
    let held = a.stats().await;
    let reports = b.stats().await.rtcp_received;
    until("reports on hold", &b, |stats| stats.rtcp_received > reports + 2).await;
    assert_eq!(a.stats().await.packets_sent(), held.packets_sent());
    a.apply(plan(&b, Coding::Pcmu)).await;
    until("talk again", &a, |stats| stats.packets_sent() > held.packets_sent()).await;
    assert_eq!(b.stats().await.lost, 0);
}

#[tokio::test]
async fn into_a_black_hole_goes_nothing_at_all() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    a.apply(plan(&b, Coding::Pcmu)).await;
    until("a report", &a, |stats| stats.rtcp_sent > 0).await;
    a.apply(MediaPlan { remote: Some("0.0.0.0:4000".parse().unwrap()), ..plan(&b, Coding::Pcmu) }).await;
    let before = a.stats().await;
    a_while().await;
    a_while().await;
    let after = a.stats().await;
    assert_eq!((after.packets_sent(), after.rtcp_sent), (before.packets_sent(), before.rtcp_sent));
}

#[tokio::test]
async fn a_new_codec_is_in_the_first_packet_after_the_plan() {
    midcall_proto::covers!("OA-41");
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    a.apply(plan(&b, Coding::Pcmu)).await;
    until("mu-law", &b, |stats| stats.received_as(0) > 5).await;
    a.apply(plan(&b, Coding::Pcma)).await;
    let mu = a.stats().await.sent_as(0);
    until("A-law", &b, |stats| stats.received_as(8) > 5).await;
    let stats = a.stats().await;
    assert_eq!(stats.sent_as(0), mu);
    assert_eq!(b.stats().await.lost, 0);
}

#[tokio::test]
async fn a_move_to_a_new_port_loses_nothing() {
    midcall_proto::covers!("OA-40");
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    let old = b.port();
    a.apply(plan(&b, Coding::Pcmu)).await;
    b.apply(plan(&a, Coding::Pcmu)).await;
    until("talk", &b, |stats| stats.packets_received() > 5).await;

    let new = b.open_port().await.unwrap();
    assert_eq!(b.port(), new);
    // The offer is on its way: the peer sends where it always did.
    let before = b.stats().await.received_on(old);
    until("the old port still hears", &b, |stats| stats.received_on(old) > before + 3).await;
    b.apply(MediaPlan { local_port: Some(new), ..plan(&a, Coding::Pcmu) }).await;
    a.apply(plan(&b, Coding::Pcmu)).await;
    until("the new port hears", &b, |stats| stats.received_on(new) > 5).await;
    until("it sends from there", &a, |stats| stats.received_from(SocketAddr::new(HERE, new)) > 5).await;
    assert_eq!((b.stats().await.lost, a.stats().await.lost), (0, 0));

    // The stragglers' time is over: the old port is free again.
    let start = Instant::now();
    while tokio::net::UdpSocket::bind((HERE, old)).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_refused_move_gives_the_new_port_back() {
    let b = open(Source::Silence).await;
    let old = b.port();
    let new = b.open_port().await.unwrap();
    assert_ne!(new, old);
    b.forget_new_ports().await;
    assert_eq!(b.port(), old);
    tokio::net::UdpSocket::bind((HERE, new)).await.unwrap();
}

#[tokio::test]
async fn digits_arrive_once_each() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    let mut events = b.events();
    a.apply(plan(&b, Coding::Pcmu)).await;
    b.apply(plan(&a, Coding::Pcmu)).await;
    a.dial("1#d").await.unwrap();
    let stats = until("three digits", &b, |stats| stats.digits_received.len() >= 3).await;
    assert_eq!(stats.digits_received, "1#D");
    assert_eq!(a.stats().await.digits_sent, 3);
    let digit = loop {
        if let MediaEvent::Digit { digit, duration } = events.recv().await.unwrap() {
            break (digit, duration);
        }
    };
    assert_eq!(digit, ('1', Duration::from_millis(100)));
    assert_eq!(a.dial("x").await, Err(DialError::NotDigits));
    a.apply(MediaPlan { sends: false, ..plan(&b, Coding::Pcmu) }).await;
    assert_eq!(a.dial("1").await, Err(DialError::NotPossible));
}

#[tokio::test]
async fn reports_tell_losses_and_the_end_says_goodbye() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    let mut events = b.events();
    a.apply(plan(&b, Coding::Pcmu)).await;
    b.apply(plan(&a, Coding::Pcmu)).await;
    let stats = until("a report about us", &a, |stats| {
        stats.remote_report.is_some_and(|report| report.round_trip.is_some())
    })
    .await;
    let report = stats.remote_report.unwrap();
    assert_eq!(report.lost, 0);
    assert!(report.round_trip.unwrap() < Duration::from_secs(2));
    let last = a.stop().await;
    assert_eq!(a.stats().await, last);
    until("goodbye", &b, |stats| stats.byes == 1).await;
    let mut said = Vec::new();
    while let Ok(event) = events.try_recv() {
        said.push(event);
    }
    assert!(matches!(said[0], MediaEvent::Receiving { payload: 0, .. }), "{said:?}");
    assert!(said.contains(&MediaEvent::Bye));
    assert_eq!(a.dial("1").await, Err(DialError::Stopped));
}

#[tokio::test]
async fn what_is_not_wanted_is_counted_but_not_recorded() {
    let (a, b) = (open(Source::Tone { hertz: 300 }).await, open(Source::Silence).await);
    let path = std::env::temp_dir().join(format!("midcall-unwanted-{}.wav", std::process::id()));
    b.record(&path).await.unwrap();
    b.apply(MediaPlan { receives: false, ..plan(&a, Coding::Pcmu) }).await;
    a.apply(plan(&b, Coding::Pcmu)).await;
    let socket = tokio::net::UdpSocket::bind((HERE, 0)).await.unwrap();
    socket.send_to(b"\x16\xfe\xff nothing of ours", (HERE, b.port())).await.unwrap();
    until("packets", &b, |stats| stats.unwanted > 3 && stats.malformed == 1).await;
    b.stop_recording().await.unwrap();
    assert!(Wav::open(&path).unwrap().samples().is_empty());
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn a_file_played_once_says_when_it_is_over() {
    let (a, b) = (open(Source::Silence).await, open(Source::Silence).await);
    let mut events = a.events();
    a.apply(plan(&b, Coding::Pcmu)).await;
    a.play(Source::Wav { sound: Wav::of(&[100; 400]), repeat: false }).await;
    let played = tokio::time::timeout(Duration::from_secs(5), async {
        while events.recv().await != Ok(MediaEvent::Played) {}
    });
    played.await.unwrap();
}

#[tokio::test]
async fn the_tap_sees_both_halves() {
    let path = std::env::temp_dir().join(format!("midcall-rtp-{}.pcapng", std::process::id()));
    let tap = Tap::to_capture(crate::capture::Capture::create(&path).unwrap(), true);
    let a = MediaSession::open(HERE, MediaOptions::default().tap(tap.clone())).await.unwrap();
    let b = open(Source::Silence).await;
    a.apply(plan(&b, Coding::Pcmu)).await;
    b.apply(plan(&a, Coding::Pcmu)).await;
    until("talk", &a, |stats| stats.packets_received() > 2 && stats.packets_sent() > 2).await;
    a.stop().await;
    tap.capture().unwrap().flush().await.unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 5 * 200);
    assert!(tap.seen() > 5);
    std::fs::remove_file(path).unwrap();
}
