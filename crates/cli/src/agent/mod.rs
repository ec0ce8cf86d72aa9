//! `midcall call` and `midcall answer`.

mod endings;
mod prompt;
mod run;
mod start;
mod story;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use midcall::media::Source;
use midcall::{Call, MediaSetup, Registration, RegistrationState, UserAgent};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::events::{Teller, Told};
use crate::options::{AgentOptions, AnswerOptions, CallOptions};
use crate::script::Script;
use crate::signals::told_to_stop;
use crate::trouble::Trouble;
use prompt::Prompt;
use run::{Run, Seat};
pub(crate) use start::cannot_write;

/// Everything that calls of one run of the program share.
#[derive(Clone, Debug)]
struct Stage {
    ua: UserAgent,
    teller: Arc<Teller>,
    /// Whether there are a user name and a password.
    credentials: bool,
    registration: Option<Registration>,
    /// The media of calls that a script places beside its own: no file is recorded twice.
    beside: Arc<MediaSetup>,
    /// Whom REFERs named, until the calls to them are placed.
    targets: Arc<Mutex<VecDeque<String>>>,
}

/// Places a call and does as told.
pub(crate) async fn call(options: &CallOptions) -> Result<(), Trouble> {
    let agent = &options.agent;
    let stage = Stage::set(agent, Some(&options.to), Source::Tone { hertz: 440 }).await?;
    let done = stage.place(options).await;
    stage.leave().await;
    done
}

/// Answers calls and does as told.
pub(crate) async fn answer(options: &AnswerOptions) -> Result<(), Trouble> {
    if options.agent.record.is_some() && options.calls != 1 {
        return Err(Trouble::not_started(
            "--record goes with one call",
            "one file holds the sound of one call",
            "leave out --calls, or start one `midcall answer` for each call",
        ));
    }
    let stage = Stage::set(&options.agent, None, Source::Echo).await?;
    let done = stage.take(options).await;
    stage.leave().await;
    done
}

impl Stage {
    async fn set(options: &AgentOptions, towards: Option<&str>, sound: Source) -> Result<Self, Trouble> {
        let beside = Arc::new(start::media(options, sound.clone(), None)?);
        let ua = start::start(options, towards, sound).await?;
        let teller = Arc::new(Teller::new(options.events));
        let on = ua
            .local()
            .into_iter()
            .map(|(transport, at)| format!("{}:{at}", transport.as_str().to_ascii_lowercase()));
        teller.tell(None, &Told::Listening { on: on.collect() });
        let mut stage = Self {
            ua,
            teller,
            credentials: options.user.is_some(),
            registration: None,
            beside,
            targets: Arc::default(),
        };
        if let Some(registrar) = &options.register {
            stage.registration = Some(stage.register(registrar).await?);
        }
        Ok(stage)
    }

    async fn register(&self, registrar: &str) -> Result<Registration, Trouble> {
        let registration = self.ua.register(registrar, REGISTERED_FOR).await.map_err(|error| {
            Trouble::not_started(format!("cannot register with {registrar}"), error.to_string(), "")
        })?;
        let first = registration.registered().await;
        let mut state = registration.watch();
        if let Some(state) = state.borrow_and_update().as_ref() {
            self.teller.tell(None, &Told::of_registration(state));
        }
        if let Err(error) = first {
            let cure = match registration.state() {
                Some(RegistrationState::Failed { status: 401 | 407, .. }) if !self.credentials => {
                    "say --user NAME, with the password in MIDCALL_PASSWORD or --password-file FILE"
                }
                Some(RegistrationState::Failed { status: 401 | 407 | 403, .. }) => {
                    "check --user, the password and --from"
                }
                Some(RegistrationState::Failed { status: 408 | 503, .. }) => {
                    "check address and port of the registrar"
                }
                _ => "check the registrar's URI and --from",
            };
            return Err(Trouble::not_started(
                format!("{registrar} did not register us"),
                error.to_string(),
                cure,
            ));
        }
        let teller = Arc::clone(&self.teller);
        tokio::spawn(async move {
            while state.changed().await.is_ok() {
                if let Some(state) = state.borrow_and_update().as_ref() {
                    teller.tell(None, &Told::of_registration(state));
                }
            }
        });
        Ok(registration)
    }

    /// Hangs up what is left, and is no longer to be found.
    async fn leave(&self) {
        if let Some(registration) = &self.registration {
            // A registrar that is gone does not hold us up; the registration runs out there.
            let _ = tokio::time::timeout(PARTING, registration.unregister()).await;
        }
        self.ua.shut_down().await;
    }

    async fn place(&self, options: &CallOptions) -> Result<(), Trouble> {
        let mut invite = self.ua.invite(&options.to);
        if options.offerless {
            invite = invite.offerless();
        }
        let call = invite.await.map_err(|error| {
            Trouble::not_started(
                format!("cannot call {}", options.to),
                error.to_string(),
                "check the URI and --rtp-ports",
            )
        })?;
        let number = crate::events::number(call.id());
        let calling = Told::Calling { to: options.to.clone(), call_id: call.call_id().to_owned() };
        self.teller.tell(Some(number), &calling);
        let run = Run::new(self.clone(), Seat::Caller(call), options.to.clone());
        let mut runs = JoinSet::new();
        let mut others = JoinSet::new();
        let prompt = Prompt::new(options.agent.script.is_none(), self.teller.format());
        prompt.attend(&run);
        let script = options.agent.script.clone();
        runs.spawn(async move { run.perform(script.as_ref()).await });
        self.watch(&mut runs, &mut others, &prompt, None).await
    }

    async fn take(&self, options: &AnswerOptions) -> Result<(), Trouble> {
        let prompt = Prompt::new(options.agent.script.is_none(), self.teller.format());
        let guests = Guests {
            left: (options.calls > 0).then_some(options.calls),
            script: options.agent.script.clone(),
        };
        self.watch(&mut JoinSet::new(), &mut JoinSet::new(), &prompt, Some(guests)).await
    }

    /// Lets everything run until all calls are over, or somebody presses Ctrl-C.
    async fn watch(
        &self,
        runs: &mut JoinSet<Result<(), Trouble>>,
        others: &mut JoinSet<()>,
        prompt: &Prompt,
        mut guests: Option<Guests>,
    ) -> Result<(), Trouble> {
        let scripted = !prompt.is_open();
        let mut first = Ok(());
        let mut stop = pin!(told_to_stop());
        loop {
            let waiting = guests.as_ref().is_some_and(|guests| guests.left != Some(0));
            if runs.is_empty() && !waiting && (scripted || others.is_empty()) {
                return first;
            }
            tokio::select! {
                Some(done) = runs.join_next() => {
                    let done = done.unwrap_or_else(|error| Err(Trouble::failed("a call broke off", error.to_string(), "")));
                    if let Err(trouble) = &done && runs.len() + usize::from(waiting) > 0 {
                        trouble.show();
                    }
                    first = first.and(done);
                }
                Some(_) = others.join_next() => {}
                Some(incoming) = self.ua.incoming() => {
                    let Some(guests) = guests.as_mut().filter(|guests| guests.left != Some(0)) else {
                        // Busy with as many calls as were asked for; it may have given up already.
                        let _ = incoming.refuse(BUSY).await;
                        continue;
                    };
                    guests.left = guests.left.map(|left| left - 1);
                    let from = incoming.details().from.clone();
                    let run = Run::new(self.clone(), Seat::callee(incoming), from);
                    run.tell_incoming();
                    prompt.attend(&run);
                    let script = guests.script.clone();
                    runs.spawn(async move { run.perform(script.as_ref()).await });
                }
                Some(placed) = self.ua.placed() => self.follow(placed, others, prompt).await,
                () = &mut stop => {
                    let interrupted = || Trouble::failed("interrupted", "somebody pressed Ctrl-C or sent SIGTERM before the script was done", "");
                    return if scripted && first.is_ok() { Err(interrupted()) } else { first };
                }
            }
        }
    }

    /// A call that the other side sent us to: nobody scripted it, so it is only followed.
    async fn follow(&self, call: Call, others: &mut JoinSet<()>, prompt: &Prompt) {
        let number = crate::events::number(call.id());
        let to = self.targets.lock().await.pop_front().unwrap_or_default();
        self.teller.tell(Some(number), &Told::Calling { to: to.clone(), call_id: call.call_id().to_owned() });
        let run = Run::new(self.clone(), Seat::Caller(call), to);
        prompt.attend(&run);
        others.spawn(async move { run.listen().await });
    }
}

/// Calls that may still come, and what to do with each.
struct Guests {
    /// `None`: any number.
    left: Option<u32>,
    script: Option<Script>,
}

const PARTING: Duration = Duration::from_secs(3);
const REGISTERED_FOR: Duration = Duration::from_secs(3_600);
const BUSY: u16 = 486;
