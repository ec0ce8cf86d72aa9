//! Changing a call that is up: each verb is a request that can be shaped, then awaited.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use midcall_proto::endpoint::{CallMut, Modification, Prefer};
use midcall_proto::event::{Change, Ticket};
use midcall_proto::session::{Codec, MediaKind, Wanted};
use midcall_proto::time::Instant;
use tokio::sync::oneshot;

use super::streams::open_video;
use super::{Call, ToCall};
use crate::error::Error;
use crate::media::MediaSession;

/// A change that was worded but not sent; awaiting it sends it and waits for the outcome.
///
/// The core decides how: with UPDATE or re-INVITE, at once or after what is in the way, again after a collision. The outcome
/// is a [`Change`] that tells the method, the attempts and the reason, or an [`Error`] that tells why the session stayed as
/// it was.
#[must_use = "nothing is sent before it is awaited"]
pub struct ChangeRequest {
    call: Call,
    wish: Wish,
    prefer: Option<Prefer>,
}

/// Words the modification once the session wanted so far is known.
type Worded = Box<dyn FnOnce(&Wanted) -> Option<Modification> + Send>;

enum Wish {
    Now(Modification),
    Then(Worded),
    Move { stream: usize, to: Option<SocketAddr> },
    AddVideo,
    Contact { lost: bool },
    Branch { tag: String, modification: Modification },
}

/// Hands a wish to the core, which knows the session wanted so far.
type Asking = Box<dyn FnOnce(&mut CallMut<'_>, Instant, &Wanted) -> Result<Ticket, Error> + Send>;

impl Call {
    /// Puts the call on hold: nothing of the peer's is taken any more, and it is told so (RFC 3264 §8.4).
    pub fn hold(&self) -> ChangeRequest {
        self.change(Modification::Hold(None))
    }

    /// Takes the call off hold.
    pub fn resume(&self) -> ChangeRequest {
        self.change(Modification::Resume(None))
    }

    /// Uses these codecs on the audio stream, best first.
    pub fn codecs(&self, codecs: impl IntoIterator<Item = Codec>) -> ChangeRequest {
        self.change(Modification::Codecs(codecs.into_iter().collect()))
    }

    /// Edits the session: all of it is asked for in one request, and comes into force as a whole or not at all.
    ///
    /// ```no_run
    /// # async fn example(call: midcall::Call) -> Result<(), midcall::Error> {
    /// use midcall::session::Codec;
    /// call.modify(|session| {
    ///     session.codecs(0, [Codec::pcma()]);
    ///     session.hold();
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn modify(&self, edit: impl FnOnce(&mut Wanted) + Send + 'static) -> ChangeRequest {
        self.request(Wish::Then(Box::new(move |wanted| {
            let mut wanted = wanted.clone();
            edit(&mut wanted);
            Some(Modification::Replace(Box::new(wanted)))
        })))
    }

    /// Asks for any modification that the core knows.
    pub fn change(&self, modification: Modification) -> ChangeRequest {
        self.request(Wish::Now(modification))
    }

    /// Refreshes the session timer (RFC 4028 §7.4).
    pub fn refresh(&self) -> ChangeRequest {
        self.change(Modification::Refresh)
    }

    /// Sends the session once more as it is.
    pub fn repeat(&self) -> ChangeRequest {
        self.change(Modification::Repeat)
    }

    /// Asks the peer for an offer: a re-INVITE without one (RFC 3261 §14.1).
    pub fn offerless(&self) -> ChangeRequest {
        self.change(Modification::Offerless)
    }

    /// Receives a stream on a new port from now on. It is open before the peer is told, and the old one stays open until
    /// media moves (RFC 3264 §8.3.1).
    pub fn move_media(&self, stream: usize) -> ChangeRequest {
        self.request(Wish::Move { stream, to: None })
    }

    /// As [`move_media`](Self::move_media), to this very address and port.
    pub fn move_media_to(&self, stream: usize, to: SocketAddr) -> ChangeRequest {
        self.request(Wish::Move { stream, to: Some(to) })
    }

    /// Adds a video stream. What comes in on it is counted; nothing is sent but reports.
    pub fn add_video(&self) -> ChangeRequest {
        self.request(Wish::AddVideo)
    }

    /// Removes the video stream; its line stays with port 0 (RFC 3264 §8.2).
    pub fn drop_video(&self) -> ChangeRequest {
        self.request(Wish::Then(Box::new(|wanted| {
            let video =
                |stream: &midcall_proto::session::Stream| stream.enabled && stream.kind == MediaKind::Video;
            wanted.streams.iter().position(video).map(Modification::Drop)
        })))
    }

    /// Tells the peer where we are now, after [`UserAgent::move_to`](crate::UserAgent::move_to). `lost` says that nothing arrives
    /// at the old address any more: a re-INVITE of ours under way is then made anew (RFC 6141 §5.5).
    pub fn tell_contact(&self, lost: bool) -> ChangeRequest {
        self.request(Wish::Contact { lost })
    }

    /// Asks for a modification in one branch of a call of ours that rings at several places, by UPDATE (RFC 3311 §5.1). `tag` is
    /// the To tag of the branch, as [`branches`](Self::branches) lists them; the others stay as they are.
    pub fn modify_branch(&self, tag: &str, modification: Modification) -> ChangeRequest {
        self.request(Wish::Branch { tag: tag.to_owned(), modification })
    }

    /// The To tags of the places where a call of ours rings; none once it is answered.
    pub async fn branches(&self) -> Vec<String> {
        let id = self.id();
        let tags = self.at_desk(move |desk| {
            let call = desk.endpoint.look(id).filter(|call| !call.is_up())?;
            let early = call.dialogs().filter(|dialog| dialog.usage.early());
            Some(early.map(|dialog| dialog.party.theirs.tag.to_string()).collect())
        });
        tags.await.ok().flatten().unwrap_or_default()
    }

    fn request(&self, wish: Wish) -> ChangeRequest {
        ChangeRequest { call: self.clone(), wish, prefer: None }
    }
}

impl ChangeRequest {
    /// Uses this method where the rules leave a choice.
    pub fn via(mut self, prefer: Prefer) -> Self {
        self.prefer = Some(prefer);
        self
    }

    async fn run(self) -> Result<Change, Error> {
        let Self { call, wish, prefer } = self;
        match wish {
            Wish::Now(modification) => call.ask(Box::new(move |_| Some(modification)), prefer).await,
            Wish::Then(worded) => call.ask(worded, prefer).await,
            Wish::Contact { lost } => {
                call.put(Box::new(move |call, now, _| Ok(call.moved(now, lost)?))).await
            }
            Wish::Branch { tag, modification } => {
                call.put(Box::new(move |call, now, _| Ok(call.modify_branch(now, &tag, modification)?))).await
            }
            Wish::Move { stream, to } => {
                let media = call.media_wanted(stream).await?;
                let port = match to {
                    Some(to) => media.open_port_at(to).await?,
                    None => media.open_port().await?,
                };
                let address = to.map_or(call.inner.office.place.announced, |to| to.ip());
                let moved = Modification::Move { stream, address, port };
                let outcome = call.ask(Box::new(move |_| Some(moved)), prefer).await;
                if outcome.is_err() {
                    media.forget_new_ports().await;
                }
                outcome
            }
            Wish::AddVideo => {
                let (media, stream) = open_video(&call.setup(), &call.inner.office.place).await?;
                call.adopt(media.clone()).await;
                let outcome = call.ask(Box::new(move |_| Some(Modification::Add(stream))), prefer).await;
                if outcome.is_err() {
                    media.stop().await;
                }
                outcome
            }
        }
    }
}

impl IntoFuture for ChangeRequest {
    type Output = Result<Change, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl std::fmt::Debug for ChangeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeRequest")
            .field("call", &self.call)
            .field("prefer", &self.prefer)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Words a modification from the session wanted so far, asks for it and waits for its outcome.
    async fn ask(&self, worded: Worded, prefer: Option<Prefer>) -> Result<Change, Error> {
        let asking: Asking = Box::new(move |call, now, wanted| {
            Ok(call.modify(now, worded(wanted).ok_or_else(no_such_stream)?, prefer)?)
        });
        self.put(asking).await
    }

    /// Hands a wish to the core and waits for its outcome.
    async fn put(&self, asking: Asking) -> Result<Change, Error> {
        let (done, outcome) = oneshot::channel();
        let (id, line) = (self.id(), self.inner.line.clone());
        let asked = self.at_desk(move |desk| {
            let gone = || Error::Gone { why: None };
            let wanted = desk.endpoint.look(id).and_then(|call| call.wanted().cloned()).ok_or_else(gone)?;
            let mut call = desk.endpoint.call(id).ok_or_else(gone)?;
            let ticket = asking(&mut call, desk.now, &wanted)?;
            // On the same line as the events, so that the outcome cannot overtake the question. If the line is cut, `done` is
            // dropped and the waiter sees it.
            let _ = line.try_send(ToCall::Wish(ticket, done));
            Ok::<(), Error>(())
        });
        asked.await?.map_err(|error| self.why_gone(error))?;
        match outcome.await {
            Ok(Ok(change)) => Ok(change),
            Ok(Err(failure)) => Err(self.why_gone(Error::from_failure(failure, None))),
            Err(_) => Err(self.why_gone(Error::Gone { why: None })),
        }
    }

    /// Adds the reason of the end to an error that lacks it.
    fn why_gone(&self, error: Error) -> Error {
        match error {
            Error::Gone { why: None } => Error::Gone { why: self.state().ended().cloned() },
            error => error,
        }
    }

    /// The media session of a stream as it is wanted.
    async fn media_wanted(&self, stream: usize) -> Result<MediaSession, Error> {
        let wanted =
            self.wanted().await.ok_or(Error::Gone { why: None }).map_err(|error| self.why_gone(error))?;
        let port = wanted.streams.get(stream).map(|stream| stream.port).ok_or_else(no_such_stream)?;
        self.inner.streams.borrow().of(port).cloned().ok_or_else(no_such_stream)
    }
}

fn no_such_stream() -> Error {
    Error::Io(io::Error::new(io::ErrorKind::NotFound, "the call has no such stream"))
}
