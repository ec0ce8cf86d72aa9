//! Counts the heap allocations of every task and contender, one a line: `task <tab> contender <tab> allocations`;
//! and the memory of a held call.

use midcall_bench::{MEMORY, MIDCALL, memory_of_a_call, tasks};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    match count() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Result<(), String> {
    let held = memory_of_a_call(|| {
        let stats = COUNTED.stats();
        stats.bytes_allocated - stats.bytes_deallocated // growth and shrinkage in place are in these two already
    })?;
    println!("{MEMORY}\t{MIDCALL}\t{held}");
    for task in tasks()? {
        for mut work in task.works {
            (work.batch)(1); // whatever is made once and kept
            let region = Region::new(COUNTED);
            (work.batch)(TIMES);
            let change = region.change();
            let each = (change.allocations + change.reallocations) / TIMES as usize;
            println!("{}\t{}\t{each}", task.title, work.who);
        }
    }
    Ok(())
}

const TIMES: u32 = 100;
