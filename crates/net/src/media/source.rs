//! What this side sends: a tone, a file, silence, or what it hears.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use super::g711;
use super::wav::Wav;

/// Where the audio that is sent comes from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Source {
    /// Nothing but zeros; packets flow all the same.
    #[default]
    Silence,
    /// A steady sine tone.
    Tone {
        /// Its frequency.
        hertz: u16,
    },
    /// A file, from its beginning; silence behind its end unless it repeats.
    Wav {
        /// What to play.
        sound: Wav,
        /// Whether to start again at the end.
        repeat: bool,
    },
    /// What the other side says, sent back to it.
    Echo,
}

/// A [`Source`] being played: it hands out samples and remembers where it is.
#[derive(Debug)]
pub struct Player {
    source: Source,
    position: usize,
    heard: VecDeque<i16>,
    echo_primed: bool,
}

impl Player {
    /// Starts a source at its beginning.
    ///
    /// ```
    /// use midcall::media::{Player, Source};
    ///
    /// let mut player = Player::new(Source::Tone { hertz: 440 });
    /// let mut frame = [0; 160];
    /// player.fill(&mut frame);
    /// assert!(frame.iter().any(|sample| *sample > 5_000));
    /// ```
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { source, position: 0, heard: VecDeque::new(), echo_primed: false }
    }

    /// Writes the next samples.
    pub fn fill(&mut self, frame: &mut [i16]) {
        match &self.source {
            Source::Silence => frame.fill(0),
            Source::Tone { hertz } => {
                let step = TAU * f64::from(*hertz) / f64::from(g711::RATE);
                for sample in frame {
                    *sample = ((self.position as f64 * step).sin() * TONE_LEVEL) as i16;
                    // One second holds whole periods of any whole frequency: the phase never wears out.
                    self.position = (self.position + 1) % g711::RATE as usize;
                }
            }
            Source::Wav { sound, repeat } => {
                for sample in frame {
                    if *repeat && self.position >= sound.samples().len() {
                        self.position = 0;
                    }
                    *sample = sound.samples().get(self.position).copied().unwrap_or_default();
                    self.position = self.position.saturating_add(1);
                }
            }
            Source::Echo => {
                // Two frames in hand even out the arrival times; starting with one would stutter.
                self.echo_primed |= self.heard.len() >= 2 * frame.len();
                for sample in frame {
                    *sample = if self.echo_primed { self.heard.pop_front().unwrap_or_default() } else { 0 };
                }
                self.echo_primed &= !self.heard.is_empty();
            }
        }
    }

    /// Takes what was received; only an echo keeps it, at most a quarter of a second of it.
    pub fn heard(&mut self, samples: &[i16]) {
        if matches!(self.source, Source::Echo) {
            self.heard.extend(samples);
            let surplus = self.heard.len().saturating_sub(ECHO_MOST);
            self.heard.drain(..surplus);
        }
    }

    /// Whether a file that does not repeat has been played to its end.
    #[must_use]
    pub fn finished(&self) -> bool {
        match &self.source {
            Source::Wav { sound, repeat: false } => self.position >= sound.samples().len(),
            _ => false,
        }
    }
}

const TONE_LEVEL: f64 = 8_000.0;
const ECHO_MOST: usize = g711::RATE as usize / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_frequency_across_frames() {
        let mut player = Player::new(Source::Tone { hertz: 500 });
        let mut second = vec![0; 8_000];
        second.chunks_mut(160).for_each(|frame| player.fill(frame));
        let rising = second.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((499..=500).contains(&rising), "{rising}");
    }

    #[test]
    fn a_file_ends_in_silence_or_starts_again() {
        let sound = Wav::of(&[1, 2, 3]);
        let mut once = Player::new(Source::Wav { sound: sound.clone(), repeat: false });
        let mut frame = [9; 5];
        assert!(!once.finished());
        once.fill(&mut frame);
        assert_eq!(frame, [1, 2, 3, 0, 0]);
        assert!(once.finished());

        let mut again = Player::new(Source::Wav { sound, repeat: true });
        again.fill(&mut frame);
        assert_eq!(frame, [1, 2, 3, 1, 2]);
        assert!(!again.finished());
    }

    #[test]
    fn an_empty_file_is_silence() {
        let mut player = Player::new(Source::Wav { sound: Wav::of(&[]), repeat: true });
        let mut frame = [9; 2];
        player.fill(&mut frame);
        assert_eq!(frame, [0, 0]);
    }

    #[test]
    fn an_echo_waits_for_two_frames_and_is_bounded() {
        let mut player = Player::new(Source::Echo);
        let mut frame = [0; 160];
        player.heard(&[7; 160]);
        player.fill(&mut frame);
        assert_eq!(frame, [0; 160]);
        player.heard(&[7; 160]);
        player.fill(&mut frame);
        assert_eq!(frame, [7; 160]);
        (0..100).for_each(|_| player.heard(&[7; 160]));
        assert!(player.heard.len() <= ECHO_MOST);
    }
}
