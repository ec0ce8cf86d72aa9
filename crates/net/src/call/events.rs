//! What happens in a call, for whoever listens.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use midcall_proto::event::CallEvent;
use tokio::sync::mpsc;

/// The events of a call, one after the other.
///
/// ```no_run
/// # async fn example(call: midcall::Call) {
/// let mut events = call.events();
/// while let Some(event) = events.next().await {
///     println!("{event:?}");
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct CallEvents {
    queue: mpsc::Receiver<CallEvent>,
    missed: Arc<AtomicU64>,
}

impl CallEvents {
    /// The next event; `None` once the call is over and all was heard.
    pub async fn next(&mut self) -> Option<CallEvent> {
        self.queue.recv().await
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<CallEvent> {
        self.queue.try_recv().ok()
    }

    /// How many events this listener missed because it was 256 behind.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// Those who listen, and what happened before the first of them came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    before: VecDeque<CallEvent>,
    before_missed: u64,
    listeners: Vec<Listener>,
    had_one: bool,
    over: bool,
}

#[derive(Debug)]
struct Listener {
    queue: mpsc::Sender<CallEvent>,
    missed: Arc<AtomicU64>,
}

impl Listeners {
    /// Listens: the first one from the beginning, the others from now on.
    pub(crate) fn listen(&self) -> CallEvents {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (sender, queue) = mpsc::channel(BEHIND);
        let missed = Arc::new(AtomicU64::new(std::mem::take(&mut inner.before_missed)));
        let listener = Listener { queue: sender, missed: Arc::clone(&missed) };
        std::mem::take(&mut inner.before).into_iter().for_each(|event| listener.tell(event));
        inner.had_one = true;
        if !inner.over {
            inner.listeners.push(listener);
        }
        CallEvents { queue, missed }
    }

    /// Tells everybody.
    pub(super) fn tell(&self, event: CallEvent) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.had_one {
            if inner.before.len() >= BEFORE {
                inner.before.pop_front();
                inner.before_missed += 1;
            }
            inner.before.push_back(event);
            return;
        }
        inner.listeners.retain(|listener| !listener.queue.is_closed());
        inner.listeners.iter().for_each(|listener| listener.tell(event.clone()));
    }

    /// Nothing follows.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.listeners.clear();
        inner.over = true;
    }
}

impl Listener {
    fn tell(&self, event: CallEvent) {
        if self.queue.try_send(event).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const BEHIND: usize = 256;
/// A call that nobody listens to must not grow for ever.
const BEFORE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(status: u16) -> CallEvent {
        CallEvent::Progress { status, reliable: false, early_dialogs: 1, branch: "b".into() }
    }

    fn statuses(events: &mut CallEvents) -> Vec<u16> {
        let each = std::iter::from_fn(|| events.try_next());
        each.map(|event| if let CallEvent::Progress { status, .. } = event { status } else { 0 }).collect()
    }

    #[tokio::test]
    async fn the_first_listener_hears_what_was_before() {
        let listeners = Listeners::default();
        listeners.tell(progress(180));
        let (mut first, mut second) = (listeners.listen(), listeners.listen());
        listeners.tell(progress(183));
        listeners.close();
        assert_eq!(statuses(&mut first), [180, 183]);
        assert_eq!(statuses(&mut second), [183]);
        assert!(first.next().await.is_none());
        assert!(listeners.listen().next().await.is_none());
    }

    #[test]
    fn who_does_not_listen_misses_and_is_told_so() {
        let listeners = Listeners::default();
        (0..70).for_each(|status| listeners.tell(progress(status)));
        let mut late = listeners.listen();
        assert_eq!((late.missed(), statuses(&mut late).len()), (6, 64));
        (0..300).for_each(|status| listeners.tell(progress(status)));
        assert_eq!(late.missed(), 6 + 44);
    }

    #[test]
    fn what_happened_can_be_heard_after_the_end() {
        let listeners = Listeners::default();
        listeners.tell(progress(180));
        listeners.close();
        assert_eq!(statuses(&mut listeners.listen()), [180]);
    }
}
