use super::*;
use crate::media::Coding;

fn plan() -> MediaPlan {
    MediaPlan {
        receive_events: Some(101),
        ..MediaPlan::both_ways("127.0.0.1:4000".parse().unwrap(), Coding::Pcmu)
    }
}

fn packet(sequence: u16, timestamp: u32, payload: &[u8]) -> Packet<'_> {
    Packet { payload_type: 0, marker: false, sequence, timestamp, ssrc: 7, payload }
}

#[test]
fn losses_are_counted_across_the_wrap() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    for sequence in [65_533, 65_534, 0, 1, 3] {
        receiver.packet(&packet(sequence, 0, &[0; 160]), &plan(), now);
    }
    assert_eq!(receiver.lost(), 2);
    let block = receiver.report(now).unwrap();
    assert_eq!((block.lost, block.highest_sequence), (2, 65_539));
    assert_eq!(block.fraction_lost, (2 * 256 / 7) as u8);
    assert_eq!(receiver.report(now).unwrap().fraction_lost, 0);
}

#[test]
fn a_late_packet_is_counted_but_not_played() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    assert_eq!(receiver.packet(&packet(1, 160, &[0; 160]), &plan(), now), Heard::Audio { gap: 0 });
    assert_eq!(receiver.packet(&packet(3, 480, &[0; 160]), &plan(), now), Heard::Audio { gap: 160 });
    assert_eq!(receiver.packet(&packet(2, 320, &[0; 160]), &plan(), now), Heard::Nothing);
    assert_eq!(receiver.lost(), 0);
}

#[test]
fn a_new_source_starts_afresh_and_keeps_the_losses() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    receiver.packet(&packet(1, 0, &[0; 160]), &plan(), now);
    receiver.packet(&packet(5, 0, &[0; 160]), &plan(), now);
    let other = Packet { ssrc: 8, ..packet(40_000, 9_999, &[0; 160]) };
    assert_eq!(receiver.packet(&other, &plan(), now), Heard::Audio { gap: 0 });
    assert_eq!((receiver.lost(), receiver.sources), (3, 2));
}

#[test]
fn a_jump_in_the_numbers_is_a_restart_not_a_loss() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    receiver.packet(&packet(1, 0, &[0; 160]), &plan(), now);
    receiver.packet(&packet(30_000, 160, &[0; 160]), &plan(), now);
    receiver.packet(&packet(30_001, 320, &[0; 160]), &plan(), now);
    assert_eq!(receiver.lost(), 0);
}

#[test]
fn even_arrival_has_no_jitter() {
    let (mut receiver, start) = (Receiver::default(), Instant::now());
    for n in 0..50_u16 {
        let at = start + Duration::from_millis(20) * u32::from(n);
        receiver.packet(&packet(n, u32::from(n) * 160, &[0; 160]), &plan(), at);
    }
    assert!(receiver.jitter() < Duration::from_millis(1));
    receiver.packet(&packet(50, 50 * 160, &[0; 160]), &plan(), start + Duration::from_secs(2));
    assert!(receiver.jitter() > Duration::from_millis(50));
}

#[test]
fn a_digit_is_told_once_even_if_its_ends_are_lost() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    let mut hear = |sequence, timestamp, event, end, duration| {
        let payload = TelephoneEvent { event, end, volume: 10, duration }.to_bytes();
        receiver.packet(&Packet { payload_type: 101, ..packet(sequence, timestamp, &payload) }, &plan(), now)
    };
    assert_eq!(hear(1, 0, 1, false, 160), Heard::Nothing);
    assert_eq!(hear(2, 0, 1, true, 800), Heard::Digit('1', Duration::from_millis(100)));
    assert_eq!(hear(3, 0, 1, true, 800), Heard::Nothing);
    assert_eq!(hear(4, 2_000, 2, false, 160), Heard::Nothing);
    assert_eq!(hear(5, 4_000, 3, false, 160), Heard::Digit('2', Duration::from_millis(20)));
    assert_eq!(hear(6, 4_000, 3, true, 320), Heard::Digit('3', Duration::from_millis(40)));
}

#[test]
fn an_unknown_payload_type_is_told() {
    let (mut receiver, now) = (Receiver::default(), Instant::now());
    let strange = Packet { payload_type: 97, ..packet(1, 0, &[0; 20]) };
    assert_eq!(receiver.packet(&strange, &plan(), now), Heard::UnknownPayload);
}
