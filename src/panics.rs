//! Panics of other people's code, caught and put in words.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::task::Poll;

thread_local! {
    /// The last panic of what [`catching`] calls on this thread.
    static SEEN: Cell<Seen> = const { Cell::new(Seen::Unwatched) };
}

/// What the panic hook leaves on its thread.
#[derive(Default)]
enum Seen {
    /// The thread runs nothing of ours: its panics are none of our business.
    #[default]
    Unwatched,
    Nothing,
    Panic {
        place: String,
        text: Option<String>,
    },
}

/// Lets the places of panics be known from here on: only a panic hook is told them.
///
/// It is put in once a process and calls the hook that was there, so that panics are printed as ever. Where another hook
/// takes its place later, panics are recorded without their places.
pub(crate) fn note_places() {
    static HOOKED: Once = Once::new();
    // A panicking thread may not touch the hook; the next start will.
    if std::thread::panicking() {
        return;
    }
    HOOKED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            previous(info);
        }));
    });
}

fn note(info: &PanicHookInfo<'_>) {
    // A panic in a destructor of thread locals may find ours gone.
    _ = SEEN.try_with(|seen| {
        seen.set(match (seen.take(), info.location()) {
            (Seen::Unwatched, _) => Seen::Unwatched,
            (_, None) => Seen::Nothing,
            (_, Some(place)) => {
                Seen::Panic { place: place.to_string(), text: text_of(info.payload()).map(str::to_owned) }
            }
        });
    });
}

/// What `call` returns, or its panic in words.
pub(crate) fn catching<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let outer = SEEN.replace(Seen::Nothing);
    let result = catch_unwind(AssertUnwindSafe(call));
    let seen = SEEN.replace(outer);
    result.map_err(|panic| in_words(&*panic, &seen))
}

/// What `future` returns, or its panic in words. After a panic it is not polled again.
pub(crate) async fn catching_future<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| match catching(|| future.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// As `panicked at src/mail.rs:12:5: no such mailbox`.
fn in_words(panic: &(dyn Any + Send), seen: &Seen) -> String {
    let text = text_of(panic);
    let words = text.unwrap_or("with a value that is no text");
    match seen {
        // A panic that was caught elsewhere and goes on here, as one of a spawned task may, passes by the hook: what that
        // has seen last is then another one.
        Seen::Panic { place, text: seen } if seen.as_deref() == text => {
            format!("panicked at {place}: {words}")
        }
        _ => format!("panicked: {words}"),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
