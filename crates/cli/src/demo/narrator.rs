//! Tells what happens while it happens: messages from the tap, audio from its counters.

use std::collections::HashMap;
use std::io::Write;
use std::time::{Duration, SystemTime};

use midcall::media::MediaSession;
use midcall::tap::Seen;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time;

use super::ladder::Ladder;

/// What the narrator is told.
pub(super) enum Note {
    /// The next act, in words.
    Act(String),
    /// Audio to watch where it arrives.
    Watch { from: usize, to: usize, media: MediaSession },
}

/// Audio from one agent to another.
struct Flow {
    from: usize,
    to: usize,
    media: MediaSession,
    /// Packets by payload type when last looked.
    before: HashMap<u8, u64>,
    /// What flows now.
    now: Option<u8>,
    /// Looks without a packet.
    quiet: u32,
}

/// Draws until there is nobody left to give notes.
pub(super) async fn narrate(
    ladder: Ladder,
    heard: Option<Receiver<Seen>>,
    mut notes: UnboundedReceiver<Note>,
    start: SystemTime,
) {
    let Some(mut heard) = heard else { return };
    let mut narrator = Narrator { ladder, flows: Vec::new(), start };
    say(&narrator.ladder.head());
    let mut look = time::interval(LOOK);
    loop {
        tokio::select! {
            biased; // a message that went out before an act was announced is told before it
            seen = heard.recv() => match seen {
                Ok(seen) => narrator.message(&seen),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            note = notes.recv() => match note {
                Some(Note::Act(text)) => say(&Ladder::act(narrator.since(SystemTime::now()), &text)),
                Some(Note::Watch { from, to, media }) => {
                    narrator.flows.push(Flow { from, to, media, before: HashMap::new(), now: None, quiet: 0 });
                }
                None => break,
            },
            _ = look.tick() => narrator.look().await,
        }
    }
    loop {
        match heard.try_recv() {
            Ok(seen) => narrator.message(&seen),
            Err(TryRecvError::Lagged(_)) => {}
            Err(_) => return,
        }
    }
}

struct Narrator {
    ladder: Ladder,
    flows: Vec<Flow>,
    start: SystemTime,
}

impl Narrator {
    fn since(&self, at: SystemTime) -> f64 {
        at.duration_since(self.start).unwrap_or_default().as_secs_f64()
    }

    fn message(&mut self, seen: &Seen) {
        let at = self.since(seen.at);
        if let Some(line) = self.ladder.message(at, seen.from, seen.to, &seen.bytes) {
            say(&line);
        }
    }

    async fn look(&mut self) {
        for flow in &mut self.flows {
            let Some(change) = flow.look().await else { continue };
            match change {
                Some(payload) => say(&self.ladder.flows(flow.from, flow.to, name(payload))),
                None => say(&self.ladder.stops(flow.from, flow.to)),
            }
        }
    }
}

impl Flow {
    /// What flows now, if that is news.
    async fn look(&mut self) -> Option<Option<u8>> {
        let stats = self.media.stats().await;
        let mut flowing = None;
        for lane in &stats.received {
            let total = stats.received_as(lane.payload);
            if self.before.insert(lane.payload, total).unwrap_or_default() < total {
                flowing = Some(lane.payload);
            }
        }
        self.quiet = if flowing.is_some() { 0 } else { self.quiet + 1 };
        match (flowing, self.now) {
            (Some(payload), now) if now != Some(payload) => {
                self.now = Some(payload);
                Some(Some(payload))
            }
            (None, Some(_)) if self.quiet >= QUIET => {
                self.now = None;
                Some(None)
            }
            _ => None,
        }
    }
}

fn name(payload: u8) -> &'static str {
    match payload {
        0 => "PCMU",
        8 => "PCMA",
        _ => "?",
    }
}

fn say(line: &str) {
    let mut out = anstream::stdout();
    // Whoever read this has gone away; the play goes on.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

const LOOK: Duration = Duration::from_millis(50);
/// So many looks without a packet, and the audio has stopped: packets come every 20 ms.
const QUIET: u32 = 3;
