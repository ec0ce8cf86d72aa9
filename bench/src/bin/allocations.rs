//! Counts the heap allocations of every task and contender: `task <tab> contender <tab> allocations`.

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let tasks = match midcall_bench::tasks() {
        Ok(tasks) => tasks,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    for task in tasks {
        for mut work in task.works {
            (work.batch)(1); // whatever is made once and kept
            let region = Region::new(COUNTED);
            (work.batch)(TIMES);
            let change = region.change();
            let each = (change.allocations + change.reallocations) / TIMES as usize;
            println!("{}\t{}\t{each}", task.title, work.who);
        }
    }
    ExitCode::SUCCESS
}

const TIMES: u32 = 100;
