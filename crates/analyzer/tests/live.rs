//! Live sources beside others: who is silent holds up nobody, who talks is merged by time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use midcall_analyzer::source::hep::live::Stop;
use midcall_analyzer::source::{Item, Merged, Packet, Place, ReadError, Source, Summary};
use midcall_proto::flow::Transport;
use midcall_proto::time;

/// A source that gives what a test sends it, and counts that.
struct Wire(Receiver<Item>, Arc<AtomicUsize>);

impl Wire {
    fn laid() -> (Sender<Item>, Box<dyn Source>) {
        let (send, items) = channel();
        (send, Box::new(Self(items, Arc::default())))
    }
}

impl Source for Wire {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        let item = self.0.recv().ok()?;
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(Ok(item))
    }

    fn summary(&self) -> Summary {
        Summary::default()
    }

    fn is_live(&self) -> bool {
        true
    }
}

/// A trace of which all is there.
struct Trace(Vec<Item>);

impl Source for Trace {
    fn next(&mut self) -> Option<Result<Item, ReadError>> {
        (!self.0.is_empty()).then(|| Ok(self.0.remove(0)))
    }

    fn summary(&self) -> Summary {
        Summary::default()
    }
}

/// A message of November 2023, so many milliseconds after midnight.
fn message(millis: u64) -> Item {
    Item::Sip(Packet {
        at: time::Instant::from_millis(1_700_006_400_000 + millis),
        from: "192.0.2.1:5060".parse().unwrap(),
        to: "192.0.2.2:5060".parse().unwrap(),
        transport: Transport::Udp,
        payload: format!("OPTIONS {millis}").into_bytes(),
        place: Place::default(),
        cut: false,
    })
}

/// The next that is no silence: where it is from, and what it says.
fn next(merged: &mut Merged) -> Option<(u16, String)> {
    loop {
        match merged.next()?.unwrap() {
            Item::Quiet(_) => {}
            Item::Sip(Packet { place, payload, .. }) => {
                return Some((place.source, String::from_utf8(payload).unwrap()));
            }
            Item::Rtp(packet) => panic!("{packet:?}"),
        }
    }
}

fn said(source: u16, millis: u64) -> Option<(u16, String)> {
    Some((source, format!("OPTIONS {millis}")))
}

#[test]
fn a_silent_source_holds_up_neither_another_nor_a_file() {
    let (_silent, first) = Wire::laid();
    let (talks, second) = Wire::laid();
    let file = Box::new(Trace((0..2_000).filter(|at| *at != 2).map(message).collect()));
    let mut merged = Merged::new(vec![first, second, file]);
    let begun = Instant::now();
    talks.send(message(2)).unwrap();
    for at in 0..2_000 {
        assert_eq!(next(&mut merged), said(if at == 2 { 1 } else { 2 }, at));
    }
    let mut silence = Duration::ZERO;
    for _ in 0..3 {
        let Some(Ok(Item::Quiet(more))) = merged.next() else { panic!("nobody says anything") };
        silence += more;
    }
    assert!(silence >= Duration::from_millis(750) && silence <= begun.elapsed(), "{silence:?}");
    talks.send(message(9_000)).unwrap();
    assert_eq!(next(&mut merged), said(1, 9_000));
}

#[test]
fn sources_that_talk_are_merged_by_time_and_end_together() {
    let (odd, first) = Wire::laid();
    let (even, second) = Wire::laid();
    let mut merged = Merged::new(vec![first, second]);
    for at in 0..1_000 {
        let who = if at % 2 == 0 { &even } else { &odd };
        who.send(message(at)).unwrap();
    }
    drop((odd, even));
    for at in 0..1_000 {
        assert_eq!(next(&mut merged), said(u16::from(at % 2 == 0), at));
    }
    assert!(next(&mut merged).is_none());
}

#[test]
fn what_came_is_told_when_a_pipe_beside_does_not_end() {
    let stop = Stop::default();
    let (talks, first) = Wire::laid();
    let (_pipe, second) = Wire::laid();
    let mut merged = Merged::new(vec![first, second]).until(stop.clone());
    talks.send(message(1)).unwrap();
    stop.stop();
    assert_eq!(next(&mut merged), said(0, 1));
    assert!(next(&mut merged).is_none());
}

#[test]
fn what_waits_for_a_silent_source_is_bounded() {
    let (floods, items) = channel();
    let taken = Arc::new(AtomicUsize::new(0));
    let first = Box::new(Wire(items, Arc::clone(&taken)));
    let (speaks, second) = Wire::laid();
    let mut merged = Merged::new(vec![first, second]);
    (1..=10_000).for_each(|at| floods.send(message(at)).unwrap());
    speaks.send(message(0)).unwrap();
    assert_eq!([0, 1].map(|_| next(&mut merged)), [said(1, 0), said(0, 1)]);
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 2_000, "{taken} were taken while the other was waited for");
}
