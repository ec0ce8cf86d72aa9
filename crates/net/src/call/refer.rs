//! Transfers: asking for them, and doing what a peer asks for.

use std::sync::Arc;

use midcall_proto::endpoint::Invite;
use midcall_proto::event::CallId;
use tokio::sync::oneshot;

use super::streams::Streams;
use super::{Call, MediaSetup, NewHandle, Office, ToCall};
use crate::error::Error;
use crate::switchboard::line;

impl Call {
    /// Asks the peer to call this URI instead of us (blind transfer, RFC 5589 §6). Returns when the peer tells how that went;
    /// if it went well this call is over.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the status of the REFER or of the call it led to; this call goes on then.
    pub async fn transfer_to(&self, target: &str) -> Result<(), Error> {
        let target = target.to_owned();
        self.transfer(move |mut call, now| call.transfer(now, &target)).await
    }

    /// Asks the peer to take our place in another call of ours (attended transfer, RFC 5589 §7).
    ///
    /// # Errors
    /// As [`transfer_to`](Self::transfer_to), or the other call is not up.
    pub async fn transfer_to_call(&self, other: &Self) -> Result<(), Error> {
        let other = other.id();
        self.transfer(move |mut call, now| call.transfer_to_call(now, other)).await
    }

    /// Does what a REFER asks for ([`CallEvent::Referred`](midcall_proto::event::CallEvent::Referred) with `decide` set): the new call is the result.
    ///
    /// # Errors
    /// There is no such REFER any more, or no port is free.
    pub async fn accept_refer(&self, refer: u32) -> Result<Self, Error> {
        self.with(move |mut call, now| call.accept_refer(now, refer)).await??;
        place(&self.inner.office, self.id(), refer, &self.setup()).await
    }

    /// Declines a REFER that waits for a decision.
    ///
    /// # Errors
    /// The call is over.
    pub async fn decline_refer(&self, refer: u32) -> Result<(), Error> {
        Ok(self.with(move |mut call, now| call.decline_refer(now, refer)).await??)
    }

    async fn transfer(
        &self,
        ask: impl FnOnce(
            midcall_proto::endpoint::CallMut<'_>,
            midcall_proto::time::Instant,
        ) -> Result<(), midcall_proto::endpoint::Refused>
        + Send
        + 'static,
    ) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        let line = self.inner.line.clone();
        self.with(move |call, now| {
            ask(call, now)?;
            // If the line is cut, `done` is dropped and the waiter sees it.
            let _ = line.try_send(ToCall::Transfer(done));
            Ok::<(), Error>(())
        })
        .await??;
        match outcome.await {
            Ok(200..=299) => Ok(()),
            Ok(status) => Err(Error::Rejected { status }),
            Err(_) => Err(Error::Gone { why: self.state().ended().cloned() }),
        }
    }
}

/// Places the call that the policy accepted without asking.
pub(super) async fn follow(office: Office, id: CallId, refer: u32, setup: Arc<MediaSetup>) {
    if let Ok(call) = place(&office, id, refer, &setup).await {
        // Nobody may care for the handle; the call goes on all the same.
        let _ = office.placed.try_send(call);
    }
}

/// Places the call of an accepted REFER, with the media setup of the call it came in. A recording is not continued: its file
/// belongs to that call.
async fn place(office: &Office, referrer: CallId, refer: u32, setup: &MediaSetup) -> Result<Call, Error> {
    let setup = Arc::new(MediaSetup { record: None, ..setup.clone() });
    let (streams, session) = Streams::open(&setup, &office.place).await?;
    let (line, queue) = line();
    let connected = line.clone();
    let placed = office.driver.with(move |desk| {
        let id = desk.endpoint.place_referred(desk.now, referrer, refer, Invite::new("", session))?;
        desk.switchboard.connect(id, connected);
        let call_id = desk.endpoint.look(id).map(|call| call.call_id().to_owned()).unwrap_or_default();
        Some((id, call_id))
    });
    let (id, call_id) = placed.await.flatten().ok_or(Error::Withdrawn)?;
    Ok(Call::start(office.clone(), NewHandle { id, call_id, outgoing: true, line, queue, streams, setup }))
}
