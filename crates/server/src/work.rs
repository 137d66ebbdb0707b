//! Work that goes on to its end even if its caller goes away, the wait for it at shutdown, and the patience with callers
//! that read slowly.

use crate::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Counts what is running.
#[derive(Clone)]
pub(crate) struct Work {
    running: Arc<watch::Sender<usize>>,
    /// The threads of the transport.
    foreground: Handle,
    /// Threads that give way to those of this runtime.
    background: Handle,
}

/// Counts as running until it is dropped.
pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Work {
    /// With the runtime that it is called in as the one that does not give way.
    pub(crate) fn new(background: Handle) -> Self {
        Self { running: Arc::new(watch::Sender::new(0)), foreground: Handle::current(), background }
    }

    /// Counts something as running.
    pub(crate) fn begin(&self) -> Running {
        self.running.send_modify(|running| *running += 1);
        Running(self.running.clone())
    }

    /// Runs a future to its end, whether or not the caller waits for it.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        tokio::spawn(counted(self.begin(), work)).await?
    }

    /// The same on threads that give way: so does whatever the future spawns or computes.
    pub(crate) async fn in_background<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.background.spawn(counted(self.begin(), work)).await?
    }

    /// Runs a future on threads that do not give way, called from one that does: for what holds the store's only
    /// writer, which everybody else waits for.
    pub(crate) async fn in_foreground<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.foreground.spawn(work).await?)
    }

    /// Runs CPU work on threads that give way.
    pub(crate) async fn compute_in_background<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.background.spawn_blocking(work).await?)
    }

    /// Runs a future on threads that give way, without being counted.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.background.spawn(work);
    }

    /// Frees something large where that keeps nobody waiting.
    pub(crate) fn free(&self, retired: impl Send + 'static) {
        self.background.spawn_blocking(move || drop(retired));
    }

    /// Waits until nothing is running.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.running.subscribe().wait_for(|&running| running == 0).await;
    }
}

async fn counted<T>(running: Running, work: impl Future<Output = T>) -> T {
    let result = work.await;
    drop(running);
    result
}

/// Runs CPU work off the async threads, at the priority of the runtime that it is called in.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}

/// How long the answers of one call may wait for their reader, all waits together. An answer in progress holds a
/// permit, a stored answer or an old snapshot, so that slow readers would keep others from being served.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// What is left of the patience with a reader.
pub(crate) struct Patience {
    left: Duration,
    /// Comes back with each message that is taken, up to [`READER_PATIENCE`].
    regained: Duration,
}

impl Patience {
    /// For an answer that must be read within the patience, whatever its length.
    pub(crate) fn new() -> Self {
        Self { left: READER_PATIENCE, regained: Duration::ZERO }
    }

    /// For an answer that may be long, to a reader who takes a message each `regained` on average.
    pub(crate) fn with_progress(regained: Duration) -> Self {
        Self { left: READER_PATIENCE, regained }
    }

    #[cfg(test)]
    pub(crate) fn of(left: Duration) -> Self {
        Self { left, regained: Duration::ZERO }
    }

    /// Sends a message; false if the reader is gone or was waited for too long.
    pub(crate) async fn send<T>(&mut self, sender: &mpsc::Sender<T>, message: T) -> bool {
        matches!(self.wait_for(sender.send(message)).await, Some(Ok(())))
    }

    /// Waits for something that the reader does; nothing if that took too long. What is there already, such as room for
    /// a message, counts even if no patience is left.
    pub(crate) async fn wait_for<T>(&mut self, reader: impl Future<Output = T>) -> Option<T> {
        let started = Instant::now();
        let done = tokio::time::timeout(self.left, reader).await;
        self.left = (self.left.saturating_sub(started.elapsed()) + self.regained).min(READER_PATIENCE);
        done.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn patience_is_one_budget_for_all_messages() {
        let (sender, mut reader) = mpsc::channel(1);
        let wait = Duration::from_millis(60);
        let mut patience = Patience::of(wait * 2);
        assert!(patience.send(&sender, 0).await);
        let slow = tokio::spawn(async move {
            let mut read = 0;
            loop {
                tokio::time::sleep(wait).await;
                if reader.recv().await.is_none() {
                    return read;
                }
                read += 1;
            }
        });
        let mut sent = 1;
        while patience.send(&sender, sent).await {
            sent += 1;
            assert!(sent < 10, "each message had a patience of its own");
        }
        drop(sender);
        assert!(slow.await.unwrap() <= 3);
    }
}
