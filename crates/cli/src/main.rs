//! The `midcall` command.

mod agent;
mod analyze;
mod demo;
mod events;
mod options;
mod rules;
mod script;
mod signals;
mod trouble;

use std::process::ExitCode;

use clap::Parser;

use options::{Command, Options};
use trouble::Trouble;

fn main() -> ExitCode {
    // clap shows its own errors and ends with 2, as for everything that cannot start.
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(trouble) => {
            trouble.show();
            ExitCode::from(trouble.code.number())
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Trouble> {
    let runtime = match &options.command {
        Command::Analyze(options) => return analyze::run(options),
        Command::Rules(options) => return rules::run(options).map(|()| ExitCode::SUCCESS),
        // One thread: verbs reach a call in the order they were given.
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.map_err(|error| {
        Trouble::not_started("cannot start", error.to_string(), "see what the system lacks")
    })?;
    let done = runtime.block_on(async {
        match &options.command {
            Command::Call(options) => agent::call(options).await,
            Command::Answer(options) => agent::answer(options).await,
            Command::Demo(options) => demo::run(options).await,
            Command::Analyze(_) | Command::Rules(_) => Ok(()),
        }
    });
    // The keyboard may be waited for in vain.
    runtime.shutdown_background();
    done.map(|()| ExitCode::SUCCESS)
}
