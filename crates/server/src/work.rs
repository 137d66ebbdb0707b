//! Work that goes on to its end even if its caller goes away, and the wait for it at shutdown.

use crate::Error;
use std::sync::Arc;
use tokio::sync::watch;

/// Counts what is running.
#[derive(Clone)]
pub(crate) struct Work(Arc<watch::Sender<usize>>);

/// Counts as running until it is dropped.
pub(crate) struct Running(Arc<watch::Sender<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Work {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts something as running.
    pub(crate) fn begin(&self) -> Running {
        self.0.send_modify(|running| *running += 1);
        Running(self.0.clone())
    }

    /// Runs a future to its end, whether or not the caller waits for it.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let running = self.begin();
        let task = tokio::spawn(async move {
            let result = work.await;
            drop(running);
            result
        });
        task.await?
    }

    /// Waits until nothing is running.
    pub(crate) async fn idle(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|&running| running == 0).await;
    }
}

/// Runs CPU work off the async threads.
pub(crate) async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await?
}
