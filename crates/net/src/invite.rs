//! Placing a call: worded first, sent when awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use midcall_proto::endpoint::Invite;

use crate::call::{Call, MediaSetup, NewHandle, Office, Streams};
use crate::error::Error;
use crate::switchboard::line;

/// A call that was worded but not placed; awaiting it opens its media and sends the INVITE.
///
/// ```no_run
/// # async fn example(ua: midcall::UserAgent) -> Result<(), midcall::Error> {
/// use midcall::MediaSetup;
/// use midcall::media::Source;
///
/// let media = MediaSetup::default().source(Source::Tone { hertz: 440 }).record("answer.wav");
/// let call = ua.invite("sip:bob@example.com").media(media).header("Subject", "test").await?;
/// call.answered().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is sent before it is awaited"]
pub struct InviteRequest {
    office: Office,
    to: String,
    from: Option<String>,
    late: bool,
    headers: Vec<(String, String)>,
    setup: Arc<MediaSetup>,
}

impl InviteRequest {
    pub(crate) fn new(office: Office, to: &str, setup: Arc<MediaSetup>) -> Self {
        Self { office, to: to.to_owned(), from: None, late: false, headers: Vec::new(), setup }
    }

    /// Calls as somebody else than the user agent's identity.
    pub fn from(mut self, identity: &str) -> Self {
        self.from = Some(identity.to_owned());
        self
    }

    /// Uses this media instead of that of the user agent.
    pub fn media(mut self, setup: MediaSetup) -> Self {
        self.setup = Arc::new(setup);
        self
    }

    /// Sends no offer: the peer makes it (RFC 3261 §13.2.1).
    pub fn offerless(mut self) -> Self {
        self.late = true;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    async fn place(self) -> Result<Call, Error> {
        let Self { office, to, from, late, headers, setup } = self;
        let (streams, session) = Streams::open(&setup, &office.place).await?;
        let (line, queue) = line();
        let connected = line.clone();
        let placed = office.driver.with(move |desk| {
            let id = desk.endpoint.invite(desk.now, Invite { to, from, session, late, headers })?;
            desk.switchboard.connect(id, connected);
            let call_id = desk.endpoint.look(id).map(|call| call.call_id().to_owned()).unwrap_or_default();
            Ok::<_, Error>((id, call_id))
        });
        let (id, call_id) = placed.await.ok_or(Error::Gone { why: None })??;
        Ok(Call::start(office, NewHandle { id, call_id, outgoing: true, line, queue, streams, setup }))
    }
}

impl IntoFuture for InviteRequest {
    type Output = Result<Call, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.place())
    }
}
