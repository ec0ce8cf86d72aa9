//! Times every task of every contender, interleaved, and prints medians as ratios to midcall.

use std::collections::HashMap;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use midcall_bench::{MEMORY, MEMORY_BAR, MIDCALL, Task, tasks};

fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let tasks = match tasks() {
        Ok(tasks) => tasks,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let allocations = allocations();
    println!("medians (and fastest tenth) of {BATCHES} interleaved batches of {} us each", BATCH.as_micros());
    if let Some((load, cores)) = load().filter(|(load, cores)| *load > 0.5 * *cores as f64) {
        println!(
            "This machine is busy (load {load} on {cores} cores): times are too long, only the ratios hold."
        );
    }
    for mut task in tasks.into_iter().filter(|task| task.title.contains(&filter)) {
        let times = time(&mut task);
        print(&task, &times, &allocations);
    }
    if MEMORY.contains(&filter)
        && let Some(&bytes) = allocations.get(&(MEMORY.to_owned(), MIDCALL.to_owned()))
    {
        let distance = format!("{:.2} x the bar", bytes as f64 / MEMORY_BAR as f64);
        println!("\n{MEMORY}\n  {MIDCALL:<20} {bytes:>8} bytes");
        println!("  bar: at most {MEMORY_BAR} bytes: {}", reached(bytes <= MEMORY_BAR, distance));
    }
    ExitCode::SUCCESS
}

/// How long one takes, in nanoseconds.
struct Times {
    median: f64,
    fastest_tenth: f64,
}

/// Times each contender of a task.
fn time(task: &mut Task) -> Vec<Times> {
    let sizes: Vec<u32> = task.works.iter_mut().map(|work| batch_size(&mut work.batch)).collect();
    let count = task.works.len();
    let mut samples = vec![Vec::with_capacity(BATCHES); count];
    for round in 0..BATCHES {
        for turn in 0..count {
            let who = (round + turn) % count; // nobody always runs behind the same neighbour
            let start = Instant::now();
            (task.works[who].batch)(sizes[who]);
            samples[who].push(start.elapsed().as_nanos() as f64 / f64::from(sizes[who]));
        }
    }
    samples
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            Times { median: times[times.len() / 2], fastest_tenth: times[times.len() / 10] }
        })
        .collect()
}

/// How many make a batch last as long as it should; warms everything up on the way.
fn batch_size(batch: &mut dyn FnMut(u32)) -> u32 {
    let mut size = 16;
    loop {
        let start = Instant::now();
        batch(size);
        if start.elapsed() >= BATCH {
            return size;
        }
        size *= 2;
    }
}

fn print(task: &Task, times: &[Times], allocations: &HashMap<(String, String), u64>) {
    let count = |who: &str| allocations.get(&(task.title.to_owned(), who.to_owned())).copied();
    let own = times[0].median;
    println!("\n{}", task.title);
    for (work, time) in task.works.iter().zip(times) {
        let allocated = count(work.who).map_or("?".to_owned(), |n| n.to_string());
        println!(
            "  {:<20} {:>8.0} ns ({:>8.0})  {:>6.2} x  {allocated:>4} allocations",
            work.who,
            time.median,
            time.fastest_tenth,
            time.median / own,
        );
    }
    if let Some(bar) = task.bar.nanoseconds {
        println!(
            "  bar: at most {bar:.0} ns: {}",
            reached(own <= bar, format!("{:.2} x the bar", own / bar))
        );
    }
    if let Some(bar) = task.bar.allocations {
        let own = count(task.works[0].who);
        let distance = own.map_or("not counted".to_owned(), |n| format!("{n} allocations"));
        println!("  bar: at most {bar} allocations: {}", reached(own.is_some_and(|n| n <= bar), distance));
    }
}

fn reached(yes: bool, distance: String) -> String {
    format!("{} ({distance})", if yes { "reached" } else { "NOT reached" })
}

/// How much else runs here: the load of the last minute, and the cores it is on.
fn load() -> Option<(f64, usize)> {
    let load = std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()?;
    Some((load, std::thread::available_parallelism().ok()?.get()))
}

/// What the sibling program counts: counting in this one would slow those who allocate.
fn allocations() -> HashMap<(String, String), u64> {
    let counted = std::env::current_exe()
        .and_then(|me| Command::new(me.with_file_name("allocations")).output())
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    counted
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some(((cells.next()?.to_owned(), cells.next()?.to_owned()), cells.next()?.parse().ok()?))
        })
        .collect()
}

const BATCHES: usize = 401;
const BATCH: Duration = Duration::from_micros(500);
