//! A registration with a registrar, kept alive by the core.

use std::time::Duration;

use midcall_proto::event::{RegistrationId, RegistrationState};
use tokio::sync::watch;

use crate::driver::Driver;
use crate::error::Error;

/// A registration. It is refreshed until [`unregister`](Self::unregister), also when the handle is dropped.
#[derive(Clone, Debug)]
pub struct Registration {
    id: RegistrationId,
    driver: Driver,
    state: watch::Receiver<Option<RegistrationState>>,
}

impl Registration {
    pub(crate) fn new(
        id: RegistrationId,
        driver: Driver,
        state: watch::Receiver<Option<RegistrationState>>,
    ) -> Self {
        Self { id, driver, state }
    }

    /// Where it stands; `None` while the first REGISTER has no answer.
    #[must_use]
    pub fn state(&self) -> Option<RegistrationState> {
        self.state.borrow().clone()
    }

    /// Watches where it stands.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<RegistrationState>> {
        self.state.clone()
    }

    /// Waits for the registrar's first word.
    ///
    /// # Errors
    /// [`Error::Rejected`] if it declined; where the status leaves hope, it is tried again all the same.
    pub async fn registered(&self) -> Result<Duration, Error> {
        match self.wait(|state| !matches!(state, RegistrationState::Unregistered)).await? {
            RegistrationState::Registered { expires } => Ok(expires),
            RegistrationState::Failed { status, .. } => Err(Error::Rejected { status }),
            _ => Err(Error::Withdrawn),
        }
    }

    /// Removes the registration and waits until the registrar has answered.
    ///
    /// # Errors
    /// [`Error::Rejected`] if it did not take that.
    pub async fn unregister(&self) -> Result<(), Error> {
        let id = self.id;
        let done = self.driver.with(move |desk| desk.endpoint.unregister(desk.now, id)).await;
        done.ok_or(Error::Gone { why: None })?;
        match self.wait(|state| !matches!(state, RegistrationState::Registered { .. })).await? {
            RegistrationState::Failed { status, .. } => Err(Error::Rejected { status }),
            _ => Ok(()),
        }
    }

    async fn wait(&self, so: impl Fn(&RegistrationState) -> bool) -> Result<RegistrationState, Error> {
        let mut state = self.state.clone();
        let reached = state.wait_for(|state| state.as_ref().is_some_and(&so)).await;
        reached.ok().and_then(|state| state.clone()).ok_or(Error::Gone { why: None })
    }
}
