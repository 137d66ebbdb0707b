//! Threads that give way: whatever is long or comes in bulk runs on them, so that a verification gets a core at once.

use crate::Error;
use crate::config::cores;
use tokio::runtime::{Builder, Handle, Runtime};

/// How much nicer these threads are than the process. With 10 they get a tenth of a core that others want all the
/// time, so that they go on, and a thread that wakes up on their core runs within some tens of microseconds.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// The priority of the threads that give way. It is absolute: a thread inherits the priority of the one that starts it,
/// so that steps down would add up.
#[derive(Clone, Copy)]
pub(crate) struct LowPriority {
    #[cfg(target_os = "linux")]
    nice: Option<i32>,
}

impl LowPriority {
    /// A priority below that of the calling thread.
    pub(crate) fn below_this_thread() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            nice: rustix::process::getpriority_process(None).ok().map(|nice| nice + NICER_BY),
        }
    }

    /// Lets the calling thread, and those that it starts, give way to the others of the process. Where that is not
    /// permitted or the system has no priorities of threads, it goes on as it was: slower answers, not wrong ones.
    pub(crate) fn take(self) {
        #[cfg(target_os = "linux")]
        if let Some(nice) = self.nice
            && let Err(error) = rustix::process::setpriority_process(None, nice)
        {
            tracing::debug!(%error, "the priority of a thread cannot be lowered");
        }
    }
}

/// A runtime whose threads give way.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    pub(crate) fn start(priority: LowPriority) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores().get())
            .thread_name("tyto-background")
            .on_thread_start(move || priority.take())
            .enable_all()
            .build();
        let runtime = runtime.map_err(|source| Error::Runtime { action: "start the runtime", source })?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.as_ref().expect("it is taken by `drop` only").handle().clone()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime must not be waited for where others run tasks.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[tokio::test]
    async fn background_work_gives_way_and_what_started_it_does_not() {
        let before = getpriority_process(None).unwrap();
        let threads = Background::start(LowPriority::below_this_thread()).unwrap();
        let background = threads.handle();
        let priority = || getpriority_process(None).unwrap();
        let task = background.spawn(async move { priority() }).await.unwrap();
        let blocking = background.spawn_blocking(priority).await.unwrap();
        let started = background.spawn_blocking(move || std::thread::spawn(priority).join().unwrap());
        let expected = (before + NICER_BY).min(19);
        assert_eq!((task, blocking, started.await.unwrap()), (expected, expected, expected));
        // Blocking threads that are started from a thread which gives way already, and from one of those.
        let computed = background.spawn(async move {
            let all: Vec<_> = (0..20).map(|_| tokio::task::spawn_blocking(priority)).collect();
            futures_util::future::join_all(all).await
        });
        for computed in computed.await.unwrap() {
            assert_eq!(computed.unwrap(), expected);
        }
        assert_eq!(priority(), before);
    }
}
