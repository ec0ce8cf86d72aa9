//! A call: the handle, its verbs, and what can be read of it.

mod actor;
mod change;
mod events;
mod refer;
mod setup;
mod state;
mod streams;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use midcall_proto::endpoint::CallMut;
use midcall_proto::event::{CallId, Ended};
use midcall_proto::session::{Agreed, MediaKind, Wanted};
use midcall_proto::time::Instant;
use tokio::sync::{mpsc, watch};

pub(crate) use actor::ToCall;
use actor::{Actor, Waiting};
pub use change::ChangeRequest;
pub use events::CallEvents;
use events::Listeners;
pub use setup::MediaSetup;
pub use state::{CallState, Phase};
pub(crate) use streams::Streams;

use crate::driver::{Desk, Driver};
use crate::error::Error;
use crate::media::{DialError, MediaSession};
use crate::place::MediaPlace;

/// What all calls of a user agent share.
#[derive(Clone, Debug)]
pub(crate) struct Office {
    pub(crate) driver: Driver,
    pub(crate) place: Arc<MediaPlace>,
    /// Where calls go that were placed for a REFER.
    pub(crate) placed: mpsc::Sender<Call>,
}

/// A call. Clones are handles to the same call; dropping them all does not end it, [`hang_up`](Self::hang_up) does.
///
/// ```no_run
/// # async fn example(ua: midcall::UserAgent) -> Result<(), midcall::Error> {
/// let call = ua.invite("sip:bob@example.com").await?;
/// call.answered().await?;
/// let change = call.hold().await?;
/// println!("held with {:?} after {} attempts: {}", change.method, change.attempts, change.why.text);
/// call.resume().via(midcall::Prefer::Update).await?;
/// call.hang_up().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Call {
    inner: Arc<Inner>,
}

struct Inner {
    id: CallId,
    call_id: String,
    outgoing: bool,
    office: Office,
    /// Changes only before an incoming call is answered.
    setup: Mutex<Arc<MediaSetup>>,
    line: mpsc::Sender<ToCall>,
    state: watch::Receiver<CallState>,
    streams: watch::Receiver<Streams>,
    listeners: Listeners,
}

/// What a new [`Call`] is made of.
pub(crate) struct NewHandle {
    pub(crate) id: CallId,
    pub(crate) call_id: String,
    pub(crate) outgoing: bool,
    pub(crate) line: mpsc::Sender<ToCall>,
    pub(crate) queue: mpsc::Receiver<ToCall>,
    pub(crate) streams: Streams,
    pub(crate) setup: Arc<MediaSetup>,
}

impl Call {
    /// Makes the handle and starts the call's task.
    pub(crate) fn start(office: Office, new: NewHandle) -> Self {
        let NewHandle { id, call_id, outgoing, line, queue, streams, setup } = new;
        let listeners = Listeners::default();
        let (tell_state, state) = watch::channel(CallState::new());
        let (tell_streams, streams) = watch::channel(streams);
        let actor = Actor {
            id,
            office: office.clone(),
            setup: Arc::clone(&setup),
            queue,
            state: tell_state,
            streams: tell_streams,
            listeners: listeners.clone(),
            waiting: Waiting::default(),
        };
        tokio::spawn(actor.run());
        let setup = Mutex::new(setup);
        Self {
            inner: Arc::new(Inner { id, call_id, outgoing, office, setup, line, state, streams, listeners }),
        }
    }

    /// Its number within the user agent.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.inner.id
    }

    /// Its Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.inner.call_id
    }

    /// Whether we placed it.
    #[must_use]
    pub fn is_outgoing(&self) -> bool {
        self.inner.outgoing
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self) -> CallState {
        self.inner.state.borrow().clone()
    }

    /// Watches where it stands.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<CallState> {
        self.inner.state.clone()
    }

    /// The session in force.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        self.inner.state.borrow().agreed.clone()
    }

    /// Listens to what happens. The first listener hears everything from the beginning, also after the end; later ones what
    /// comes from now on.
    #[must_use]
    pub fn events(&self) -> CallEvents {
        self.inner.listeners.listen()
    }

    /// Waits until the call is up.
    ///
    /// # Errors
    /// [`Error::Rejected`] if the peer declined it, [`Error::Gone`] if it ended otherwise.
    pub async fn answered(&self) -> Result<(), Error> {
        let mut state = self.inner.state.clone();
        let reached = state.wait_for(|state| state.is_up() || state.ended().is_some()).await;
        match reached.as_deref().map(|state| state.ended().cloned()) {
            Ok(None) => Ok(()),
            Ok(Some(Ended::Refused { status, by: midcall_proto::event::Side::Them })) => {
                Err(Error::Rejected { status })
            }
            Ok(why) => Err(Error::Gone { why }),
            Err(_) => Err(Error::Gone { why: None }),
        }
    }

    /// Waits until the call is over.
    pub async fn ended(&self) -> Option<Ended> {
        let mut state = self.inner.state.clone();
        // An error means that the user agent was shut down under it.
        let reached = state.wait_for(|state| state.ended().is_some()).await.ok()?;
        reached.ended().cloned()
    }

    /// Waits until something is so, looking again after every change.
    ///
    /// # Errors
    /// The call ended before it was so.
    pub async fn until(&self, so: impl Fn(&CallState) -> bool) -> Result<CallState, Error> {
        let mut state = self.inner.state.clone();
        let reached = state.wait_for(|state| so(state) || state.ended().is_some()).await;
        match reached.as_deref() {
            Ok(state) if so(state) => Ok(state.clone()),
            Ok(state) => Err(Error::Gone { why: state.ended().cloned() }),
            Err(_) => Err(Error::Gone { why: None }),
        }
    }

    /// Ends the call: CANCEL while it rings, BYE when it is up. Returns when it is over.
    ///
    /// # Errors
    /// [`Error::Refused`] if it was over already.
    pub async fn hang_up(&self) -> Result<Ended, Error> {
        self.with(|mut call, now| call.hang_up(now)).await??;
        self.ended().await.ok_or(Error::Gone { why: None })
    }

    /// Cancels what is under way: the call while it is not answered, else a re-INVITE in flight. False if there was nothing.
    ///
    /// # Errors
    /// The call is over.
    pub async fn cancel(&self) -> Result<bool, Error> {
        Ok(self.with(|mut call, now| call.cancel(now)).await??)
    }

    /// Sends digits as telephone events (RFC 4733).
    ///
    /// # Errors
    /// As [`MediaSession::dial`] says; [`DialError::NotPossible`] too if the call has media of its own.
    pub async fn dtmf(&self, digits: &str) -> Result<(), DialError> {
        match self.media() {
            Some(media) => media.dial(digits).await,
            None => Err(DialError::NotPossible),
        }
    }

    /// The audio of the call; `None` if the application has its own.
    #[must_use]
    pub fn media(&self) -> Option<MediaSession> {
        self.inner.streams.borrow().first().cloned()
    }

    /// The media of one stream of the session in force, counted from 0.
    #[must_use]
    pub fn media_of(&self, stream: usize) -> Option<MediaSession> {
        let (_, port) = self.inner.state.borrow().agreed.streams.get(stream)?.local.clone()?;
        self.inner.streams.borrow().of(port).cloned()
    }

    /// The session as we want it and the peer accepted it.
    pub async fn wanted(&self) -> Option<Wanted> {
        let id = self.inner.id;
        self.inner.office.driver.with(move |desk| desk.endpoint.look(id)?.wanted().cloned()).await?
    }

    /// The word on a mid-call offer that asked for a person
    /// ([`CallEvent::Offered`](midcall_proto::event::CallEvent::Offered)): take the streams it adds, or leave them out.
    ///
    /// # Errors
    /// No such offer waits any more, or no port is free.
    pub async fn answer_offer(&self, take: bool) -> Result<(), Error> {
        let mut session = None;
        if take {
            let mut wanted = self.wanted().await.ok_or(Error::Gone { why: self.state().ended().cloned() })?;
            if !wanted.wants(&MediaKind::Video) {
                let setup = self.setup();
                let (media, stream) = streams::open_video(&setup, &self.inner.office.place).await?;
                wanted.add_stream(stream);
                self.adopt(media).await;
            }
            session = Some(wanted);
        }
        let answered = self.with(move |mut call, now| call.answer_offer(now, session)).await??;
        answered.then_some(()).ok_or(Error::Withdrawn)
    }

    /// Declines a mid-call offer that asked for a person as a whole, with this status: the session stays as it is.
    ///
    /// # Errors
    /// No such offer waits any more, or its changes are in force already.
    pub async fn refuse_offer(&self, status: u16) -> Result<(), Error> {
        Ok(self.with(move |mut call, now| call.refuse(now, status)).await??)
    }

    /// Gives a media session to the call's task.
    async fn adopt(&self, media: MediaSession) {
        // If the task is gone so is the call, and dropping the session closes it.
        let _ = self.inner.line.send(ToCall::Media(media)).await;
    }

    pub(crate) async fn adopt_all(&self, streams: Streams) {
        for media in streams.into_sessions() {
            self.adopt(media).await;
        }
    }

    fn setup(&self) -> Arc<MediaSetup> {
        Arc::clone(&self.inner.setup.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another setup for what is opened from now on.
    pub(crate) fn replace_setup(&self, setup: Arc<MediaSetup>) {
        *self.inner.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
    }

    /// Does something with the call in the endpoint.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(CallMut<'_>, Instant) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let id = self.inner.id;
        let done = self.at_desk(move |desk| desk.endpoint.call(id).map(|call| work(call, desk.now))).await?;
        done.ok_or_else(|| Error::Gone { why: self.state().ended().cloned() })
    }

    async fn at_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Desk<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.inner.office.driver.with(work).await.ok_or(Error::Gone { why: None })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = self.state().phase;
        f.debug_struct("Call").field("id", &self.inner.id).field("phase", &phase).finish_non_exhaustive()
    }
}
