//! Named steps with their times, and the summary at the end.

use std::fmt;
use std::time::{Duration, Instant};

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Adds what one line of `cargo test` says, when it is the result line of a test binary.
    pub(crate) fn count(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            result
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
        };
        self.passed += number("passed").unwrap_or(0);
        self.failed += number("failed").unwrap_or(0);
        self.skipped += number("ignored").unwrap_or(0);
    }

    /// Whether nothing was counted at all.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// What became of one step.
enum End {
    Fine,
    Failed(String),
    NotRun(String),
}

/// One step: its name, end, time and the tests it ran.
struct Step {
    name: &'static str,
    end: End,
    took: Duration,
    tally: Tally,
}

/// The steps done so far.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
}

impl Report {
    /// Runs a step that counts tests. A step that fails without a failed test (it did not compile) counts as one.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Tally) -> Result<(), String>) {
        println!("\n== {name}");
        let start = Instant::now();
        let mut tally = Tally::default();
        let result = work(&mut tally);
        let took = start.elapsed();
        let end = match result {
            Ok(()) if tally.failed == 0 => End::Fine,
            Ok(()) => End::Failed(String::new()),
            Err(why) => {
                tally.failed = tally.failed.max(1);
                End::Failed(why)
            }
        };
        let step = Step { name, end, took, tally };
        println!("== {step}");
        self.steps.push(step);
    }

    /// Writes down a step that this machine cannot run.
    pub(crate) fn not_run(&mut self, name: &'static str, why: String) {
        println!("\n== {name}: NOT RUN: {why}");
        let tally = Tally::default();
        self.steps.push(Step { name, end: End::NotRun(why), took: Duration::ZERO, tally });
    }

    /// Tests that an earlier step left out and a later one ran are not skipped.
    pub(crate) fn caught_up(&mut self, earlier: &str, later: &str) {
        let ran = self
            .steps
            .iter()
            .find(|step| step.name == later)
            .map_or(0, |step| step.tally.passed + step.tally.failed);
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == earlier) {
            step.tally.skipped = step.tally.skipped.saturating_sub(ran);
        }
    }

    /// Prints the summary, whose last line is the sum of all tests; says whether all went well.
    pub(crate) fn finish(self) -> bool {
        println!("\n== summary");
        let mut sum = Tally::default();
        for step in &self.steps {
            println!("{step}");
            sum.passed += step.tally.passed;
            sum.failed += step.tally.failed;
            sum.skipped += step.tally.skipped;
        }
        println!("{sum}");
        sum.failed == 0
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, why) = match &self.end {
            End::Fine => ("ok", ""),
            End::Failed(why) => ("FAILED", why.as_str()),
            End::NotRun(why) => ("NOT RUN", why.as_str()),
        };
        write!(f, "{:<10} {word:<8}{:>7.1} s", self.name, self.took.as_secs_f64())?;
        if !self.tally.is_empty() {
            write!(f, "   {}", self.tally)?;
        }
        if !why.is_empty() {
            write!(f, "   {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_added_up() {
        let mut tally = Tally::default();
        tally.count("running 3 tests");
        tally.count(
            "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 5 filtered out; finished in 0.01s",
        );
        tally.count("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(tally, Tally { passed: 13, failed: 2, skipped: 3 });
        assert_eq!(tally.to_string(), "13 passed, 2 failed, 3 skipped");
    }

    #[test]
    fn a_step_that_fails_without_tests_counts_as_one_failure() {
        let mut report = Report::default();
        report.step("clippy", |_| Err("warnings".to_owned()));
        assert!(!report.finish());
    }

    #[test]
    fn tests_run_later_are_not_skipped() {
        let mut report = Report::default();
        report.step("tests", |tally| {
            *tally = Tally { passed: 5, failed: 0, skipped: 3 };
            Ok(())
        });
        report.step("sockets", |tally| {
            *tally = Tally { passed: 2, failed: 0, skipped: 0 };
            Ok(())
        });
        report.caught_up("tests", "sockets");
        assert_eq!(report.steps[0].tally.skipped, 1);
        assert!(report.finish());
    }
}
