//! A call that came in: ring, answer, or refuse; answering consumes it.

use std::sync::Arc;

use midcall_proto::endpoint::{CallMut, Refused};
use midcall_proto::event::{CallId, Incoming};
use midcall_proto::time::Instant;

use crate::call::{Call, MediaSetup, NewHandle, Office, Streams};
use crate::error::Error;
use crate::switchboard::NewCall;

/// A call that waits for an answer. Dropped without one it is refused with 480.
///
/// ```no_run
/// # async fn example(ua: midcall::UserAgent) -> Result<(), midcall::Error> {
/// while let Some(incoming) = ua.incoming().await {
///     println!("{} calls", incoming.details().from);
///     incoming.ring().await?;
///     let call = incoming.accept().await?;
///     call.ended().await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct IncomingCall {
    details: Incoming,
    call: Call,
    office: Office,
    setup: Arc<MediaSetup>,
    /// Whether media is open, as early media or to answer with.
    session: bool,
    answered: bool,
}

impl IncomingCall {
    pub(crate) fn new(new: NewCall, office: Office, setup: Arc<MediaSetup>) -> Self {
        let NewCall { id, incoming, call_id, line, queue } = new;
        let streams = Streams::default();
        let handle =
            NewHandle { id, call_id, outgoing: false, line, queue, streams, setup: Arc::clone(&setup) };
        let call = Call::start(office.clone(), handle);
        Self { details: incoming, call, office, setup, session: false, answered: false }
    }

    /// What the INVITE says.
    #[must_use]
    pub fn details(&self) -> &Incoming {
        &self.details
    }

    /// Its number within the user agent.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.call.id()
    }

    /// The call itself, to watch it before it is answered.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Answers with this media instead of that of the user agent.
    #[must_use]
    pub fn media(mut self, setup: MediaSetup) -> Self {
        self.setup = Arc::new(setup);
        self.call.replace_setup(Arc::clone(&self.setup));
        self
    }

    /// Tells the caller that it rings: 180.
    ///
    /// # Errors
    /// [`Error::Gone`] if the caller gave up.
    pub async fn ring(&self) -> Result<(), Error> {
        self.verb(|mut call, now| call.ring(now)).await
    }

    /// Opens media before the answer: 183 with a session, reliably if the caller can (RFC 3262). Once is enough.
    ///
    /// # Errors
    /// [`Error::Gone`] if the caller gave up, [`Error::Io`] if no port is free.
    pub async fn early(&mut self) -> Result<(), Error> {
        if self.session {
            return Ok(());
        }
        let (streams, session) = Streams::open(&self.setup, &self.office.place).await?;
        self.call.adopt_all(streams).await;
        self.session = true;
        self.verb(move |mut call, now| call.early(now, session)).await
    }

    /// Answers the call. It is up once the caller has acknowledged: [`Call::answered`].
    ///
    /// # Errors
    /// [`Error::Gone`] if the caller gave up, [`Error::Io`] if no port is free.
    pub async fn accept(mut self) -> Result<Call, Error> {
        let mut session = None;
        if !self.session {
            let (streams, wanted) = Streams::open(&self.setup, &self.office.place).await?;
            self.call.adopt_all(streams).await;
            session = Some(wanted);
        }
        self.answered = true;
        self.verb(move |mut call, now| call.accept(now, session)).await?;
        Ok(self.call.clone())
    }

    /// Declines the call.
    ///
    /// # Errors
    /// [`Error::Gone`] if the caller gave up before.
    pub async fn refuse(mut self, status: u16) -> Result<(), Error> {
        self.answered = true;
        self.verb(move |mut call, now| call.refuse(now, status)).await
    }

    async fn verb(
        &self,
        verb: impl FnOnce(CallMut<'_>, Instant) -> Result<(), Refused> + Send + 'static,
    ) -> Result<(), Error> {
        let done = self.call.with(verb).await?;
        // Nothing to answer any more: most likely it was cancelled, and that is the better news.
        done.map_err(|refused| match self.call.state().ended() {
            Some(why) => Error::Gone { why: Some(why.clone()) },
            None => Error::Refused(refused),
        })
    }
}

impl Drop for IncomingCall {
    fn drop(&mut self) {
        if !self.answered {
            let id = self.call.id();
            self.office.driver.soon(move |desk| {
                // Refusing fails only if it is over already.
                let _ = desk.endpoint.call(id).map(|mut call| call.refuse(desk.now, TEMPORARILY_UNAVAILABLE));
            });
        }
    }
}

const TEMPORARILY_UNAVAILABLE: u16 = 480;
