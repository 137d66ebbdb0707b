//! Threads that give way: whatever is long or comes in bulk runs on them, so that a verification gets a core at once.

use crate::Error;
use crate::config::cores;
use tokio::runtime::{Builder, Handle, Runtime};

/// How much nicer these threads are than the process. With 10 they get a tenth of a core that others want all the
/// time, so that they go on, and a thread that wakes up on their core runs within some tens of microseconds.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// Lets the calling thread, and those that it starts, give way to the others of the process. Where that is not
/// permitted or the system has no priorities of threads, it goes on as it was: slower answers, not wrong ones.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let lowered = getpriority_process(None).and_then(|now| setpriority_process(None, now + NICER_BY));
        if let Err(error) = lowered {
            tracing::debug!(%error, "the priority of a thread cannot be lowered");
        }
    }
}

/// A runtime whose threads give way.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores().get())
            .thread_name("tyto-background")
            .on_thread_start(give_way)
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
        let threads = Background::start().unwrap();
        let background = threads.handle();
        let priority = || getpriority_process(None).unwrap();
        let task = background.spawn(async move { priority() }).await.unwrap();
        let blocking = background.spawn_blocking(priority).await.unwrap();
        let started = background.spawn_blocking(move || std::thread::spawn(priority).join().unwrap());
        let expected = (before + NICER_BY).min(19);
        assert_eq!((task, blocking, started.await.unwrap()), (expected, expected, expected));
        assert_eq!(priority(), before);
    }
}
