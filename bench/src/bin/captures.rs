//! Programs that read captures, side by side: `midcall analyze` and, where they are installed, tshark, sngrep and sipgrep.
//!
//! Two captures are made: SIP alone, and the same with five RTP packets to each SIP message. Every program reads each of
//! them in turns; what counts is CPU time (all threads), wall time and peak memory. midcall judges every message by every
//! rule in both of its forms; the JSON holds each call whole, the text what was found. The others judge nothing. Ratios are
//! to midcall on one core.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use midcall_bench::core::Line;
use wait4::Wait4;

fn main() -> ExitCode {
    match compare() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [WRITE, path, messages, noise] = &*words.iter().map(String::as_str).collect::<Vec<_>>() {
        let number = |word: &str| word.parse::<u64>().map_err(|e| format!("{word}: {e}"));
        println!("{}", write(Path::new(path), number(messages)?, number(noise)?)?);
        return Ok(());
    }
    let mut words = words.into_iter();
    let midcall = words.next().ok_or("the path of midcall is missing")?;
    let folder = PathBuf::from(words.next().ok_or("a folder for the captures is missing")?);
    let messages: u64 = words.next().and_then(|n| n.parse().ok()).unwrap_or(200_000);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for (title, name, noise) in
        [("SIP alone", "sip.pcap", 0), ("with 5 RTP packets to each message", "noise.pcap", 5)]
    {
        let path = folder.join(name);
        let written = written(&path, messages, noise)?;
        let size = std::fs::metadata(&path).map_or(0, |file| file.len()) / 1_000_000;
        println!("\nread a capture of {written} SIP messages, {title} ({size} MB)");
        race(&contenders(&midcall, &path), written)?;
    }
    Ok(())
}

/// Has a capture written by a process of its own: what this one ever needed would count as memory of those that it starts.
fn written(path: &Path, messages: u64, noise: u64) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    let words = [messages.to_string(), noise.to_string()];
    let done = Command::new(own).arg(WRITE).arg(path).args(words).output().map_err(|e| e.to_string())?;
    let told = String::from_utf8_lossy(&done.stdout);
    told.trim().parse().map_err(|_| format!("{}: {}", path.display(), String::from_utf8_lossy(&done.stderr)))
}

/// A program and how it is told to read the capture.
struct Contender {
    name: &'static str,
    command: Vec<String>,
}

fn contenders(midcall: &str, capture: &Path) -> Vec<Contender> {
    let capture = capture.display().to_string();
    let analyze = |form: &str| format!("{midcall} analyze FILE{form} --fail-on never --output /dev/null");
    let words = |text: &str| text.split(' ').map(|word| word.replace("FILE", &capture)).collect();
    vec![
        Contender { name: "midcall, one core", command: words(&format!("taskset -c 0 {}", analyze(""))) },
        Contender { name: "midcall", command: words(&analyze("")) },
        Contender { name: "midcall, JSON", command: words(&analyze(" --format json")) },
        Contender {
            name: "tshark, fields",
            command: words("tshark -n -r FILE -Y sip -T fields -e sip.Call-ID"),
        },
        Contender { name: "tshark, calls", command: words("tshark -n -q -r FILE -z sip,stat") },
        Contender { name: "sngrep", command: words("sngrep -N -q -I FILE") },
        Contender { name: "sipgrep", command: words("sipgrep -C -I FILE") },
    ]
}

/// What one run took.
#[derive(Clone, Copy)]
struct Took {
    cpu: Duration,
    wall: Duration,
    memory: u64,
    /// Whether it was stopped before it was done.
    stopped: bool,
}

fn race(contenders: &[Contender], messages: u64) -> Result<(), String> {
    let mut taken: Vec<Vec<Took>> = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for (contender, taken) in contenders.iter().zip(&mut taken) {
            // Who needs long is not asked again: its times differ little, in comparison.
            if taken.iter().any(|took| took.wall > LONG) {
                continue;
            }
            if let Some(took) = run(contender)? {
                taken.push(took);
            }
        }
    }
    let medians: Vec<Option<Took>> = taken
        .into_iter()
        .map(|mut runs| {
            runs.sort_by_key(|took| took.cpu);
            runs.get(runs.len() / 2).copied()
        })
        .collect();
    let [Some(own), Some(all), Some(json), ..] = medians[..] else {
        return Err("midcall did not read it".to_owned());
    };
    for (contender, median) in contenders.iter().zip(medians) {
        let Some(took) = median else {
            println!("  {:<18} not installed", contender.name);
            continue;
        };
        let ratio = took.cpu.as_secs_f64() / own.cpu.as_secs_f64();
        let rate = messages as f64 / took.cpu.as_secs_f64();
        let (cpu, wall) = (took.cpu.as_secs_f64(), took.wall.as_secs_f64());
        let memory = took.memory as f64 / 1e6;
        if took.stopped {
            println!(
                "  {:<18} not done after {PATIENCE} s: {cpu:.0} s CPU, over {ratio:.0} x, {memory:.0} MB so far",
                contender.name
            );
            continue;
        }
        println!(
            "  {:<18} {cpu:>7.2} s CPU  {ratio:>6.2} x  {wall:>7.2} s wall  {memory:>7.0} MB  {rate:>9.0} messages/s",
            contender.name
        );
    }
    let rate = messages as f64 / own.cpu.as_secs_f64();
    let reached = |yes| if yes { "reached" } else { "NOT reached" };
    println!("  bar: 1000000 messages/s of one core: {} ({:.2} of it)", reached(rate >= 1e6), rate / 1e6);
    println!("  two cores: {:.2} times as fast", own.wall.as_secs_f64() / all.wall.as_secs_f64());
    println!("  bar: under 100 MB: {}", reached(own.memory.max(all.memory).max(json.memory) < 100_000_000));
    Ok(())
}

/// Runs a program to its end, or for as long as anybody would wait; `None` if it is not there.
fn run(contender: &Contender) -> Result<Option<Took>, String> {
    let start = Instant::now();
    let mut child = Command::new("timeout")
        .args(["-k", "5", &PATIENCE.to_string()])
        .args(&contender.command)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("timeout: {e}"))?;
    let used = child.wait4().map_err(|e| format!("{}: {e}", contender.name))?;
    let stopped = match used.status.code() {
        Some(0) => false,
        Some(124 | 137) => true,
        Some(127) => return Ok(None),
        _ => return Err(format!("{} ended with {}", contender.command.join(" "), used.status)),
    };
    let cpu = used.rusage.utime + used.rusage.stime;
    Ok(Some(Took { cpu, wall: start.elapsed(), memory: used.rusage.maxrss, stopped }))
}

/// Writes a capture of whole calls that overlap: a new one every 20 ms. Returns how many SIP messages it holds.
fn write(path: &Path, messages: u64, noise: u64) -> Result<u64, String> {
    let call = Line::whole_call(4)?;
    let mut file = BufWriter::new(File::create(path).map_err(|e| e.to_string())?);
    header(&mut file).map_err(|e| e.to_string())?;
    let calls = messages / call.len() as u64;
    // In the order of time, without holding all of it: what begins later than the oldest call ends cannot overtake it.
    let mut due = std::collections::BTreeMap::new();
    let mut written = 0;
    for number in 0..calls {
        let start = number * 20_000;
        for (nth, (side, at, bytes)) in call.iter().enumerate() {
            due.insert((start + at.as_micros(), number, nth), (*side, another(bytes, number)));
        }
        let rest = due.split_off(&(start + 20_000, 0, 0));
        for ((at, ..), (side, bytes)) in std::mem::replace(&mut due, rest) {
            written += 1;
            packets(&mut file, at, side, &bytes, noise).map_err(|e| e.to_string())?;
        }
    }
    for ((at, ..), (side, bytes)) in due {
        written += 1;
        packets(&mut file, at, side, &bytes, noise).map_err(|e| e.to_string())?;
    }
    file.flush().map_err(|e| e.to_string())?;
    Ok(written)
}

/// The message of another call: with a Call-ID, tags and branches of its own.
fn another(bytes: &[u8], number: u64) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    // A factor makes the tags look drawn by lot, as they should be.
    let tag = format!(";tag={:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let text = text.replacen("\r\nCall-ID: ", &format!("\r\nCall-ID: {number:08}-"), 1);
    text.replace(";tag=", &tag).replace("z9hG4bK", &format!("z9hG4bK{number}")).into_bytes()
}

fn packets(file: &mut impl Write, at: u64, side: usize, bytes: &[u8], noise: u64) -> io::Result<()> {
    packet(file, at, side, 5060, bytes)?;
    for n in 0..noise {
        let mut rtp = [0x55_u8; 172];
        rtp[..12].copy_from_slice(&[0x80, 8, 0, n as u8, 0, 0, 0, 0, 1, 2, 3, 4]);
        packet(file, at, side, 20_000, &rtp)?;
    }
    Ok(())
}

fn header(file: &mut impl Write) -> io::Result<()> {
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, ETHERNET] {
        file.write_all(&word.to_le_bytes())?;
    }
    Ok(())
}

fn packet(file: &mut impl Write, at: u64, side: usize, port: u16, payload: &[u8]) -> io::Result<()> {
    let udp = 8 + payload.len() as u16;
    let length = 14 + 20 + u32::from(udp);
    let (from, to) = (side as u8 + 1, 2 - side as u8);
    for word in [(at / 1_000_000) as u32, (at % 1_000_000) as u32, length, length] {
        file.write_all(&word.to_le_bytes())?;
    }
    file.write_all(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0])?;
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, from, 192, 0, 2, to];
    ip[2..4].copy_from_slice(&(20 + udp).to_be_bytes());
    let sum: u32 = ip.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    file.write_all(&ip)?;
    for word in [port, port, udp, 0] {
        file.write_all(&word.to_be_bytes())?;
    }
    file.write_all(payload)
}

/// Asks for nothing but a capture.
const WRITE: &str = "--write";
const ETHERNET: u32 = 1;
const ROUNDS: usize = 3;
/// Who takes longer than this many seconds is stopped.
const PATIENCE: u64 = 600;
const LONG: Duration = Duration::from_secs(10);
