//! A SIP user agent: sockets, identity, calls.

mod builder;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use midcall_proto::dialog::{Dialog, InviteState, Way};
use midcall_proto::endpoint::{Config, Register};
use midcall_proto::event::CallId;
use midcall_proto::flow::Transport;
use midcall_proto::time::Instant;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time;

pub use builder::UserAgentBuilder;

use crate::call::{Call, MediaSetup, Office};
use crate::driver::Driver;
use crate::error::Error;
use crate::incoming::IncomingCall;
use crate::invite::InviteRequest;
use crate::place::reachable;
use crate::registration::Registration;
use crate::switchboard::{Lost, NewCall};
use crate::tap::Tap;
use crate::transport::{Listen, TransportStats};

/// A SIP user agent. Clones are handles to the same one.
///
/// It runs on the tokio runtime it was started on, until [`shut_down`](Self::shut_down) or until every handle to it and every
/// call of it is gone.
///
/// ```no_run
/// # async fn example() -> Result<(), midcall::Error> {
/// let ua = midcall::UserAgent::builder()
///     .listen("udp:127.0.0.1:5060")?
///     .identity("sip:alice@example.com")
///     .start()
///     .await?;
/// let call = ua.invite("sip:bob@127.0.0.1:5070").await?;
/// call.answered().await?;
/// call.hold().await?;
/// call.resume().await?;
/// call.transfer_to("sip:carol@example.com").await?;
/// ua.shut_down().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UserAgent {
    office: Office,
    setup: Arc<MediaSetup>,
    local: Arc<StdMutex<Vec<(Transport, SocketAddr)>>>,
    advertise: Option<IpAddr>,
    incoming: Arc<Mutex<mpsc::Receiver<NewCall>>>,
    placed: Arc<Mutex<mpsc::Receiver<Call>>>,
    lost: watch::Receiver<Lost>,
}

impl UserAgent {
    /// Begins to describe a user agent.
    pub fn builder() -> UserAgentBuilder {
        UserAgentBuilder::new()
    }

    /// Calls somebody: a SIP or SIPS URI, with or without display name. Await the result to place the call.
    pub fn invite(&self, to: &str) -> InviteRequest {
        InviteRequest::new(self.office.clone(), to, Arc::clone(&self.setup))
    }

    /// The next call that comes in; `None` once the user agent is shut down.
    pub async fn incoming(&self) -> Option<IncomingCall> {
        let new = self.incoming.lock().await.recv().await?;
        Some(IncomingCall::new(new, self.office.clone(), Arc::clone(&self.setup)))
    }

    /// The next call that was placed because a peer asked for it (REFER); `None` once the user agent is shut down.
    pub async fn placed(&self) -> Option<Call> {
        let mut placed = self.placed.lock().await;
        tokio::select! {
            call = placed.recv() => call,
            () = self.office.driver.ended() => None,
        }
    }

    /// Registers, and keeps registered.
    ///
    /// # Errors
    /// [`Error::Gone`] if the user agent is shut down. Whether the registrar takes it, [`Registration::registered`] tells.
    pub async fn register(&self, registrar: &str, expires: Duration) -> Result<Registration, Error> {
        let (tell, state) = watch::channel(None);
        let expires = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
        let register = Register { registrar: registrar.to_owned(), expires };
        let registered = self.office.driver.with(move |desk| {
            let id = desk.endpoint.register(desk.now, register);
            desk.switchboard.connect_registration(id, tell);
            id
        });
        let id = registered.await.ok_or(Error::Gone { why: None })?;
        Ok(Registration::new(id, self.office.driver.clone(), state))
    }

    /// Where it listens, as peers are told.
    #[must_use]
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Listens on another address from now on, and lets it be the one that peers are told: the machine has got a new address,
    /// or changes networks. Calls that are up go on telling the old one until [`Call::tell_contact`]. Given up, the old address
    /// takes nothing any more; else both do. Gives the new address.
    ///
    /// ```no_run
    /// # async fn example(ua: midcall::UserAgent, call: midcall::Call) -> Result<(), midcall::Error> {
    /// ua.move_to("udp:192.0.2.7:5060", true).await?;
    /// call.tell_contact(true).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the text is no such address or it cannot be had, [`Error::Gone`] if the user agent is shut down.
    pub async fn move_to(&self, listen: &str, give_up: bool) -> Result<SocketAddr, Error> {
        let to: Listen = listen.parse()?;
        let told = self.advertise.unwrap_or_else(|| reachable(to.address.ip()));
        let moved = self.office.driver.move_to(to, Some(SocketAddr::new(told, 0)), give_up);
        let address = moved.await.ok_or(Error::Gone { why: None })??;
        let mut local = self.local.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |known: &&mut (Transport, SocketAddr)| {
            known.0 == to.transport && known.1.is_ipv4() == address.is_ipv4()
        };
        match local.iter_mut().find(here) {
            Some(known) => known.1 = address,
            None => local.push((to.transport, address)),
        }
        Ok(address)
    }

    /// The address it listens on with this transport.
    #[must_use]
    pub fn address(&self, transport: Transport) -> Option<SocketAddr> {
        self.local().into_iter().find(|(local, _)| *local == transport).map(|(_, address)| address)
    }

    /// A URI that reaches it with this transport, for tests and logs.
    #[must_use]
    pub fn uri(&self, user: &str, transport: Transport) -> Option<String> {
        let address = self.address(transport)?;
        let parameter = match transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.as_str().to_ascii_lowercase()),
        };
        Some(format!("sip:{user}@{address}{parameter}"))
    }

    /// Changes settings: what goes out from now on follows them.
    ///
    /// # Errors
    /// [`Error::Gone`] if the user agent is shut down.
    pub async fn configure(&self, change: impl FnOnce(&mut Config) + Send + 'static) -> Result<(), Error> {
        let changed = self.office.driver.with(move |desk| change(desk.endpoint.config_mut()));
        changed.await.ok_or(Error::Gone { why: None })
    }

    /// What the transports counted.
    #[must_use]
    pub fn transport_stats(&self) -> TransportStats {
        self.office.driver.stats()
    }

    /// What did not get through, and why.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.lost.borrow().clone()
    }

    /// The tap that shows what goes over the wire.
    #[must_use]
    pub fn tap(&self) -> &Tap {
        &self.office.place.tap
    }

    /// How far away a point in time is that an event named, as
    /// [`ChangeWaiting`](midcall_proto::event::CallEvent::ChangeWaiting) does.
    #[must_use]
    pub fn until(&self, instant: Instant) -> Duration {
        instant.since(self.office.driver.clock().now())
    }

    /// Hangs up all calls, waits a moment for the peers to confirm that, and closes the sockets. The capture, if there is one,
    /// is complete afterwards.
    pub async fn shut_down(&self) {
        let driver = &self.office.driver;
        let hung_up = driver.with(|desk| {
            let calls: Vec<CallId> = desk.endpoint.calls().collect();
            for id in calls {
                // Hanging up fails only if it is over already.
                let _ = desk.endpoint.call(id).map(|mut call| call.hang_up(desk.now));
            }
        });
        if hung_up.await.is_some() {
            // A peer that is gone does not hold us up; its BYE was sent all the same.
            let _ = time::timeout(FAREWELL, Self::quiet(driver)).await;
        }
        driver.close().await;
        if let Some(capture) = self.office.place.tap.capture() {
            // What is missing in the file is counted there.
            let _ = capture.flush().await;
        }
    }

    /// Waits until every call is over and every BYE was answered.
    async fn quiet(driver: &Driver) {
        loop {
            let quiet = driver.with(|desk| {
                let calls: Vec<CallId> = desk.endpoint.calls().collect();
                calls.iter().filter_map(|id| desk.endpoint.look(*id)).all(|call| {
                    let done = |dialog: &Dialog| {
                        // A request of ours that is still out may get a failure that wants its ACK.
                        let waits = dialog.open.iter().any(|open| open.way == Way::Sent);
                        dialog.usage == InviteState::Morgue && !waits
                    };
                    call.ended() && call.dialogs().all(done)
                })
            });
            if quiet.await.unwrap_or(true) {
                return;
            }
            time::sleep(LOOK_AGAIN).await;
        }
    }
}

const FAREWELL: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
