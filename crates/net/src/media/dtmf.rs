//! Telephone events: the four bytes of RFC 4733 §2.3 and the digits they stand for.

use std::collections::VecDeque;

/// One telephone-event payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelephoneEvent {
    /// The event code; 0 to 15 are the DTMF digits (RFC 4733 §3.2).
    pub event: u8,
    /// Whether the event is over.
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// How long the event lasts so far, in timestamp units.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; anything behind the first event is left alone.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[event, flags, high, low, ..] = payload else { return None };
        Some(Self {
            event,
            end: flags & 0x80 != 0,
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([high, low]),
        })
    }

    /// Writes the payload.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// The digit, if it is one.
    #[must_use]
    pub fn digit(self) -> Option<char> {
        DIGITS.get(usize::from(self.event)).map(|digit| char::from(*digit))
    }
}

/// The event code of a digit: `0` to `9`, `*`, `#`, `A` to `D`.
///
/// ```
/// assert_eq!(midcall::media::event_of('#'), Some(11));
/// assert_eq!(midcall::media::event_of('x'), None);
/// ```
#[must_use]
pub fn event_of(digit: char) -> Option<u8> {
    let position = DIGITS.iter().position(|known| char::from(*known) == digit.to_ascii_uppercase())?;
    u8::try_from(position).ok()
}

/// One step of sending: what goes into the next packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A telephone-event packet; its timestamp is `since` units before now.
    Event { payload: TelephoneEvent, since: u32, first: bool },
    /// A pause between two digits, in which audio is sent.
    Pause,
}

/// Digits waiting to be sent, and the one being sent.
#[derive(Debug, Default)]
pub(crate) struct Dialler {
    waiting: VecDeque<u8>,
    current: Option<u8>,
    step: u16,
}

impl Dialler {
    /// Adds digits; `None` and nothing added if one of them is no digit or too many wait already.
    pub(crate) fn dial(&mut self, digits: &str) -> Option<()> {
        let events = digits.chars().map(event_of).collect::<Option<Vec<u8>>>()?;
        (self.waiting.len() + events.len() <= MOST_WAITING).then(|| self.waiting.extend(events))
    }

    /// Forgets everything, as when the stream loses its telephone events.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What the next packet carries, `None` if no digit is due.
    ///
    /// RFC 4733 §2.5.1: updates with a growing duration, then three packets with the end bit, all with the timestamp of the start.
    pub(crate) fn next(&mut self, frame: u16) -> Option<Step> {
        let event = match self.current {
            Some(event) => event,
            None => {
                let event = self.waiting.pop_front()?;
                self.current = Some(event);
                self.step = 0;
                event
            }
        };
        let step = self.step;
        self.step += 1;
        if step >= UPDATES + ENDS {
            if self.step >= UPDATES + ENDS + PAUSE {
                self.current = None;
            }
            return Some(Step::Pause);
        }
        let end = step >= UPDATES;
        let units = frame * if end { UPDATES } else { step + 1 };
        let payload = TelephoneEvent { event, end, volume: VOLUME, duration: units };
        Some(Step::Event { payload, since: u32::from(frame) * u32::from(step), first: step == 0 })
    }
}

const DIGITS: &[u8; 16] = b"0123456789*#ABCD";
const MOST_WAITING: usize = 256;
const VOLUME: u8 = 10;
/// Frames of 20 ms: 100 ms of tone, three end packets, then a gap of 60 ms more.
const UPDATES: u16 = 5;
const ENDS: u16 = 3;
const PAUSE: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back() {
        let event = TelephoneEvent { event: 11, end: true, volume: 10, duration: 800 };
        assert_eq!(event.to_bytes(), [11, 0x8a, 0x03, 0x20]);
        assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        assert_eq!(event.digit(), Some('#'));
        assert_eq!(TelephoneEvent::parse(&[1, 2, 3]), None);
    }

    #[test]
    fn a_digit_grows_ends_three_times_and_pauses() {
        let mut dialler = Dialler::default();
        dialler.dial("1d").unwrap();
        let steps: Vec<Step> = std::iter::from_fn(|| dialler.next(160)).collect();
        assert_eq!(steps.len(), 2 * usize::from(UPDATES + ENDS + PAUSE));
        let events: Vec<_> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Event { payload, since, first } => {
                    Some((payload.event, payload.duration, payload.end, *since, *first))
                }
                Step::Pause => None,
            })
            .collect();
        assert_eq!(events[0], (1, 160, false, 0, true));
        assert_eq!(events[4], (1, 800, false, 640, false));
        assert_eq!(
            &events[5..8],
            &[(1, 800, true, 800, false), (1, 800, true, 960, false), (1, 800, true, 1120, false)]
        );
        assert_eq!(events[8], (15, 160, false, 0, true));
    }

    #[test]
    fn what_is_no_digit_is_not_dialled_at_all() {
        let mut dialler = Dialler::default();
        assert_eq!(dialler.dial("12x"), None);
        assert_eq!(dialler.next(160), None);
    }
}
