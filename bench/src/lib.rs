//! midcall beside its rivals: the same work on the same bytes, in one run.
//!
//! Every comparison is a [`Task`] with a bar and the [`Work`] of each contender. What is compared is listed in
//! [`tasks`]; both programs of this package (timing, and counting of allocations) walk that list.

pub mod core;
pub mod message;
pub mod ours;
pub mod rivals;

use bytes::Bytes;
use core::{Line, Recording};
use message::{Facts, REINVITE, facts};
use std::hint::black_box;

/// One thing to be done, by all who can do it.
pub struct Task {
    /// What is done.
    pub title: &'static str,
    /// What midcall must reach.
    pub bar: Bar,
    /// Those who do it, midcall first.
    pub works: Vec<Work>,
}

/// What midcall must reach in a task.
pub struct Bar {
    /// Time for one, in nanoseconds.
    pub nanoseconds: Option<f64>,
    /// Heap allocations for one.
    pub allocations: Option<u64>,
}

/// One contender's way of doing a task.
pub struct Work {
    /// Name and version.
    pub who: &'static str,
    /// Does it that many times.
    pub batch: Box<dyn FnMut(u32)>,
}

/// Everything that is timed and counted. The error says what does not do its work rightly.
pub fn tasks() -> Result<Vec<Task>, String> {
    let mut tasks = text()?;
    tasks.extend(calls()?);
    Ok(tasks)
}

/// A live call of the core, and thousands of them.
fn calls() -> Result<Vec<Task>, String> {
    let mut recording = Recording::of_changes(500)?;
    if !recording.is_clean() {
        return Err("midcall finds fault with its own messages".to_owned());
    }
    let judge = Task {
        title: "judge and apply one message of a call that is held and resumed",
        bar: Bar { nanoseconds: Some(1000.0), allocations: None },
        works: vec![work(MIDCALL, move || recording.step())],
    };
    let (mut few, mut many) = (Line::with_calls(10)?, Line::with_calls(MANY_CALLS)?);
    let change = Task {
        title: "hold or resume a call: re-INVITE, 200 and ACK through both endpoints",
        bar: Bar { nanoseconds: None, allocations: None },
        works: vec![
            work("10 calls up", move || few.change()),
            work("10,000 calls up", move || many.change()),
        ],
    };
    Ok(vec![judge, change])
}

/// Reading and writing a message, beside the rivals.
fn text() -> Result<Vec<Task>, String> {
    let heap = Bytes::copy_from_slice(REINVITE); // as it comes from a socket
    let (ours, rsip, rsipstack, sipx, ezk) = (
        ours::parse(heap.clone()).ok_or("midcall does not parse it")?,
        rivals::rsip::parse(REINVITE).ok_or("rsip does not parse it")?,
        rivals::rsipstack::parse(REINVITE).ok_or("rsipstack does not parse it")?,
        rivals::sipx::parse(heap.clone()).ok_or("sipx-sip does not parse it")?,
        rivals::ezk::parse(heap.clone()).ok_or("ezk-sip-types does not parse it")?,
    );
    agree(MIDCALL, ours::read(&ours, right), &ours::write(facts().body))?;
    agree(RSIP, rivals::rsip::read(&rsip, right), &rivals::rsip::write(&rsip))?;
    agree(RSIPSTACK, rivals::rsipstack::read(&rsipstack, right), &rivals::rsipstack::write(&rsipstack))?;
    agree(SIPX, rivals::sipx::read(&sipx, right), &rivals::sipx::write(&sipx))?;
    agree(EZK, rivals::ezk::read(&ezk, right), &rivals::ezk::write(&ezk))?;

    let bytes = || heap.clone();
    let parse = Task {
        title: "parse an 860-byte re-INVITE with SDP",
        bar: Bar { nanoseconds: Some(500.0), allocations: Some(0) },
        works: vec![
            work(MIDCALL, {
                let b = bytes();
                move || ours::parse(b.clone())
            }),
            work(RSIP, || rivals::rsip::parse(black_box(REINVITE))),
            work(RSIPSTACK, || rivals::rsipstack::parse(black_box(REINVITE))),
            work(SIPX, {
                let b = bytes();
                move || rivals::sipx::parse(b.clone())
            }),
            work(EZK, {
                let b = bytes();
                move || rivals::ezk::parse(b.clone())
            }),
        ],
    };
    let read = Task {
        title: "parse it and read branch, tags, Call-ID, CSeq and the Contact URI",
        bar: Bar { nanoseconds: None, allocations: None },
        works: vec![
            work(MIDCALL, {
                let b = bytes();
                move || ours::parse(b.clone()).and_then(|m| ours::read(&m, size))
            }),
            work(RSIP, || {
                rivals::rsip::parse(black_box(REINVITE)).and_then(|m| rivals::rsip::read(&m, size))
            }),
            work(RSIPSTACK, || {
                rivals::rsipstack::parse(black_box(REINVITE)).and_then(|m| rivals::rsipstack::read(&m, size))
            }),
            work(SIPX, {
                let b = bytes();
                move || rivals::sipx::parse(b.clone()).and_then(|m| rivals::sipx::read(&m, size))
            }),
            work(EZK, {
                let b = bytes();
                move || rivals::ezk::parse(b.clone()).and_then(|m| rivals::ezk::read(&m, size))
            }),
        ],
    };
    let write = Task {
        title: "serialise it (midcall from its parts, the others from a message value)",
        bar: Bar { nanoseconds: Some(250.0), allocations: None },
        works: vec![
            work(MIDCALL, || ours::write(black_box(facts().body))),
            work(RSIP, move || rivals::rsip::write(&rsip)),
            work(RSIPSTACK, move || rivals::rsipstack::write(&rsipstack)),
            work(SIPX, move || rivals::sipx::write(&sipx)),
            work(EZK, move || rivals::ezk::write(&ezk)),
        ],
    };
    Ok(vec![parse, read, write])
}

fn work<T>(who: &'static str, mut once: impl FnMut() -> T + 'static) -> Work {
    let batch = move |times| {
        for _ in 0..times {
            black_box(once());
        }
    };
    Work { who, batch: Box::new(batch) }
}

/// A contender counts only if it reads the right facts and writes the message again (headers may move, and
/// rsip turns `transport=udp` into capitals).
fn agree(who: &str, read: Option<bool>, written: &[u8]) -> Result<(), String> {
    if read != Some(true) {
        return Err(format!("{who} reads the message wrongly"));
    }
    let lines = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|&b| b == b'\n').map(<[u8]>::to_ascii_lowercase).collect();
        lines.sort();
        lines
    };
    if lines(written) != lines(REINVITE) {
        return Err(format!("{who} writes another message:\n{}", String::from_utf8_lossy(written)));
    }
    Ok(())
}

fn right(read: Facts<'_>) -> bool {
    read == facts()
}

/// Uses every fact, so that none can be left out by the compiler.
fn size(read: Facts<'_>) -> usize {
    let texts = [read.branch, read.from_tag, read.to_tag, read.call_id, read.body];
    texts.iter().map(|text| text.len()).sum::<usize>() + read.cseq as usize + usize::from(read.contact_port)
}

/// What [`MEMORY`] counts, in bytes of the heap.
pub fn memory_of_a_call(mut live: impl FnMut() -> usize) -> Result<usize, String> {
    let before = live();
    let line = Line::with_calls(MANY_CALLS)?;
    let taken = live().saturating_sub(before);
    drop(line);
    Ok(taken / (2 * MANY_CALLS)) // each call is held by two endpoints
}

/// The name of that number.
pub const MEMORY: &str = "memory of an idle confirmed call at one endpoint, all in (10,000 calls up)";

/// How many bytes it may be.
pub const MEMORY_BAR: u64 = 2048;

/// Who does the work that has no rival.
pub const MIDCALL: &str = "midcall";
const MANY_CALLS: usize = 10_000;
const RSIP: &str = "rsip 0.4.0";
const RSIPSTACK: &str = "rsipstack 0.7.14";
const SIPX: &str = "sipx-sip 1.0.1";
const EZK: &str = "ezk-sip-types 0.6.5";
