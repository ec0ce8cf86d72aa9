//! WAV files: read as 8 kHz mono to be sent, written as 8 kHz mono from what was heard.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use super::g711;

/// The sound of a WAV file, as 16-bit mono at 8 kHz; cloning it does not copy the samples.
#[derive(Clone)]
pub struct Wav {
    samples: Arc<[i16]>,
}

impl Wav {
    /// Reads a WAV file of any usual depth, rate and number of channels.
    ///
    /// # Errors
    /// The file cannot be opened, is not a WAV file, or its format is not PCM.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::read(io::BufReader::new(File::open(path)?))
    }

    /// Reads a WAV file from anything that can be read.
    ///
    /// # Errors
    /// As for [`Wav::open`].
    pub fn read(reader: impl io::Read) -> io::Result<Self> {
        let mut wav = hound::WavReader::new(reader).map_err(to_io)?;
        let spec = wav.spec();
        let samples: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => wav.samples::<f32>().collect::<Result<_, _>>().map_err(to_io)?,
            hound::SampleFormat::Int => {
                let full_scale = (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
                let samples = wav.samples::<i32>().map(|sample| Ok(sample? as f32 / full_scale));
                samples.collect::<Result<_, hound::Error>>().map_err(to_io)?
            }
        };
        let mono = mix(&samples, usize::from(spec.channels.max(1)));
        let samples = resample(&mono, spec.sample_rate.max(1), g711::RATE);
        Ok(Self { samples: samples.into_iter().map(to_i16).collect() })
    }

    /// Makes a sound out of samples that are already 16-bit mono at 8 kHz.
    #[must_use]
    pub fn of(samples: &[i16]) -> Self {
        Self { samples: samples.into() }
    }

    /// The samples, 8000 a second.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

impl std::fmt::Debug for Wav {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wav({} samples)", self.samples.len())
    }
}

/// A WAV file being written: 16-bit mono at 8 kHz.
pub struct Recorder {
    writer: hound::WavWriter<BufWriter<File>>,
}

impl Recorder {
    /// Creates the file, replacing one that is there.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: g711::RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        Ok(Self { writer: hound::WavWriter::create(path, spec).map_err(to_io)? })
    }

    /// Appends samples.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        samples.iter().try_for_each(|sample| self.writer.write_sample(*sample).map_err(to_io))
    }

    /// Completes the header and closes the file; dropping the recorder does so too but hides the error.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(to_io)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({} samples)", self.writer.len())
    }
}

fn mix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    interleaved.chunks(channels).map(|frame| frame.iter().sum::<f32>() / frame.len() as f32).collect()
}

/// Averages over the length of one output sample going down, interpolates going up: plain, and good enough for speech.
fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    if from == to || samples.is_empty() {
        return samples.to_vec();
    }
    let ratio = f64::from(from) / f64::from(to);
    let count = (samples.len() as f64 / ratio) as usize;
    (0..count)
        .map(|n| {
            let start = n as f64 * ratio;
            if ratio > 1.0 {
                let window = samples.get(start as usize..((start + ratio) as usize).min(samples.len()));
                window.map_or(0.0, |w| w.iter().sum::<f32>() / w.len().max(1) as f32)
            } else {
                let here = samples.get(start as usize).copied().unwrap_or_default();
                let next = samples.get(start as usize + 1).copied().unwrap_or(here);
                here + (next - here) * start.fract() as f32
            }
        })
        .collect()
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_767.0) as i16
}

fn to_io(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rate: u32, channels: u16, frames: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        frames.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn plain_telephone_audio_comes_back_as_it_was() {
        let samples = [0, 1000, -1000, 20_000, -20_000];
        let wav = Wav::read(&file(8_000, 1, &samples)[..]).unwrap();
        for (read, written) in wav.samples().iter().zip(samples) {
            assert!((read - written).abs() <= 1, "{read} != {written}");
        }
    }

    #[test]
    fn stereo_is_mixed_and_high_rates_come_down() {
        let frames = [1000_i16, 3000].repeat(48_000);
        let wav = Wav::read(&file(48_000, 2, &frames)[..]).unwrap();
        assert_eq!(wav.samples().len(), 8_000);
        assert!(wav.samples().iter().all(|sample| (1998..=2001).contains(sample)));
    }

    #[test]
    fn low_rates_go_up() {
        let wav = Wav::read(&file(4_000, 1, &[0, 1000, 2000, 3000])[..]).unwrap();
        assert_eq!(wav.samples().len(), 8);
        assert!((wav.samples()[1] - 500).abs() < 2);
    }

    #[test]
    fn what_is_not_wav_is_an_error() {
        assert_eq!(Wav::read(&b"#!/bin/sh"[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_recording_can_be_read_again() {
        let path = std::env::temp_dir().join(format!("midcall-wav-{}.wav", std::process::id()));
        let mut recorder = Recorder::create(&path).unwrap();
        recorder.write(&[5, 6, 7]).unwrap();
        recorder.finish().unwrap();
        assert_eq!(Wav::open(&path).unwrap().samples().len(), 3);
        std::fs::remove_file(path).unwrap();
    }
}
