//! Where a run lives: a fresh thread, and in it one madsim task.
//!
//! A fresh thread, because what a library keeps per thread must not leak from one run into the next; a madsim task,
//! so that asynchronous code which is hosted beside the world sees the world's time and nothing else.

use cutover_model::units::Span;
use madsim::runtime::Runtime;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The machines recurse little, but their answers may be deep: the same stack on every platform.
const STACK_BYTES: usize = 16 << 20;

/// Why a run did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A machine or the world broke one of its own invariants.
    #[error("panicked: {0}")]
    Panicked(String),
    /// The operating system gives no thread.
    #[error("no thread for the run: {0}")]
    NoThread(String),
}

/// Let madsim's time pass: as much of it as passed in the world.
pub fn pass(span: Span) {
    madsim::time::advance(Duration::from_micros(span.0));
}

/// Run a task to its end in a madsim runtime of its own, on a thread of its own.
///
/// # Errors
/// If the task panics, or there is no thread for it.
pub fn host<T, F>(seed: u64, task: impl FnOnce() -> F + Send) -> Result<T, HostError>
where
    T: Send,
    F: Future<Output = T>,
{
    std::thread::scope(|scope| {
        let run = move || {
            let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
            catch_unwind(AssertUnwindSafe(|| runtime.block_on(task())))
        };
        let thread = std::thread::Builder::new()
            .name(format!("seed-{seed}"))
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, run)
            .map_err(|error| HostError::NoThread(error.to_string()))?;
        match thread.join() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) | Err(panic) => Err(HostError::Panicked(message_of(panic.as_ref()))),
        }
    })
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_sees_the_time_that_has_passed() {
        let elapsed = host(1, || async {
            let start = madsim::time::Instant::now();
            pass(Span(1_500));
            pass(Span(1_000));
            start.elapsed()
        });
        assert_eq!(elapsed, Ok(Duration::from_micros(2_500)));
    }

    #[test]
    fn a_panic_is_an_error_and_the_process_goes_on() {
        let broken: Result<(), _> = host(1, || async { panic!("the log has a hole") });
        assert_eq!(broken, Err(HostError::Panicked("the log has a hole".into())));
    }
}
