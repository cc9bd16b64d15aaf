//! The tasks that `#[task]` declares anywhere in the program, found at link time, and what the macro makes them of.

use std::future::ready;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use chrono::DateTime;
use serde::Serialize;

use super::handler::{Argument, BoxFuture, Call, Handler, Outcome, TaskResult, in_words};
use super::{FromTask, Rejection, Run, Task};
use crate::Error;

/// A function that carries `#[task]`; what the macro submits.
#[doc(hidden)]
#[derive(Debug)]
pub struct TaskEntry {
    /// Makes the task.
    pub task: fn() -> Task,
}

inventory::collect!(TaskEntry);

/// All declared tasks, in the order of their handlers' names; the linker's order is chance.
pub(crate) fn declared_tasks() -> Vec<Task> {
    let mut tasks: Vec<_> = inventory::iter::<TaskEntry>().map(|entry| (entry.task)()).collect();
    tasks.sort_by(|a, b| (&a.handler.name, a.handler.location).cmp(&(&b.handler.name, b.handler.location)));
    tasks
}

/// What the `task()` of an `async fn` starts from; the macro adds the options.
///
/// The macro names the function's arguments and its result one by one, so that what is wrong with one of them is told
/// where it stands; [`TaskFn`](super::TaskFn) could speak of the function only.
///
/// Generic over the arguments' and the result's types alone, so that tasks which have them in common share the code. What
/// must be written for each function is in [`AsyncFunction`].
///
/// `handler` is the handler's name, in parts.
#[doc(hidden)]
#[track_caller]
pub fn async_task<A: Arguments, R: 'static>(
    handler: &[&str],
    arguments: A,
    function: &'static dyn AsyncFunction<A::Values, R>,
    outcome: fn(R) -> Outcome,
) -> Task {
    let checks = arguments.checks();
    let call = move |run: &Run| match arguments.make(run) {
        Ok(values) => function.start(values, outcome),
        Err(rejection) => Box::pin(ready(Err(in_words(&rejection)))),
    };
    declared(handler, checks, Call::Async(Arc::new(call)))
}

/// The same as [`async_task`] for a `fn`.
#[doc(hidden)]
#[track_caller]
pub fn blocking_task<A: Arguments, R: 'static>(
    handler: &[&str],
    arguments: A,
    function: &'static dyn BlockingFunction<A::Values, R>,
    outcome: fn(R) -> Outcome,
) -> Task {
    let checks = arguments.checks();
    let call = move |run: &Run| match arguments.make(run) {
        Ok(values) => outcome(function.call(values)),
        Err(rejection) => Err(in_words(&rejection)),
    };
    declared(handler, checks, Call::Blocking(Arc::new(call)))
}

#[track_caller]
fn declared(handler: &[&str], arguments: Vec<Argument>, call: Call) -> Task {
    let mut handler = Handler::of_parts(handler.join("::"), arguments, call);
    let attribute = Location::caller();
    handler.location = Some((attribute.file(), attribute.line()));
    Task::with_handler(handler)
}

/// One argument of a declared function, of type `A`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Made<A> {
    make: fn(&Run) -> Result<A, Rejection>,
    check: Argument,
}

/// How one argument of a declared function is made.
#[doc(hidden)]
pub const fn argument<K, A: FromTask<K>>() -> Made<A> {
    Made { make: A::from_task, check: Argument::of::<K, A>() }
}

/// How all arguments of a declared function are made.
#[doc(hidden)]
pub trait Arguments: Send + Sync + 'static {
    type Values: 'static;
    fn make(&self, run: &Run) -> Result<Self::Values, Rejection>;
    fn checks(&self) -> Vec<Argument>;
}

/// A declared function. As a type of ours it has its code among ours, which stays compiled while the user's lines move.
#[doc(hidden)]
#[derive(Debug)]
pub struct Function<F>(pub F);

/// A declared `async fn`, to be called with `V`. That its arguments can be made is no condition here: it has been told of
/// each where it stands.
#[doc(hidden)]
pub trait AsyncFunction<V, R>: Send + Sync {
    fn start(&self, values: V, outcome: fn(R) -> Outcome) -> BoxFuture<Outcome>;
}

/// The same as [`AsyncFunction`] for a `fn`.
#[doc(hidden)]
pub trait BlockingFunction<V, R>: Send + Sync {
    fn call(&self, values: V) -> R;
}

macro_rules! declared {
    ($($argument:ident)*) => {
        #[allow(non_snake_case, reason = "an argument's name is its type's, where there is one")]
        impl<$($argument: 'static,)*> Arguments for ($(Made<$argument>,)*) {
            type Values = ($($argument,)*);

            fn make(&self, _run: &Run) -> Result<Self::Values, Rejection> {
                let ($($argument,)*) = self;
                Ok(($(($argument.make)(_run)?,)*))
            }

            fn checks(&self) -> Vec<Argument> {
                let ($($argument,)*) = self;
                vec![$($argument.check),*]
            }
        }

        #[allow(non_snake_case, reason = "an argument's name is its type's, where there is one")]
        impl<F, $($argument,)* Fut> AsyncFunction<($($argument,)*), Fut::Output> for Function<F>
        where
            F: Fn($($argument),*) -> Fut + Send + Sync,
            Fut: Future + Send + 'static,
            Fut::Output: 'static,
        {
            fn start(
                &self,
                ($($argument,)*): ($($argument,)*),
                outcome: fn(Fut::Output) -> Outcome,
            ) -> BoxFuture<Outcome> {
                let future = (self.0)($($argument),*);
                Box::pin(async move { outcome(future.await) })
            }
        }

        #[allow(non_snake_case, reason = "an argument's name is its type's, where there is one")]
        impl<F, $($argument,)* R> BlockingFunction<($($argument,)*), R> for Function<F>
        where
            F: Fn($($argument),*) -> R + Send + Sync,
        {
            fn call(&self, ($($argument,)*): ($($argument,)*)) -> R {
                (self.0)($($argument),*)
            }
        }
    };
}

declared!();
declared!(A);
declared!(A B);
declared!(A B C);
declared!(A B C D);
declared!(A B C D E);
declared!(A B C D E G);
declared!(A B C D E G H);
declared!(A B C D E G H I);

/// What the result of a declared function comes to, where its type has no name.
#[doc(hidden)]
pub fn outcome<R: TaskResult<M>, M>(result: R) -> Outcome {
    result.into_outcome()
}

/// The result of a declared function, which is kept on the run if it can be: `Returned::<R>::KEPT.outcome::<R, _>()`.
///
/// [`Kept`] is its own constant and so comes before that of [`Unkept`], but is there only for what serialises.
#[doc(hidden)]
#[derive(Debug)]
pub struct Returned<R>(PhantomData<R>);

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Kept;

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct NotKept;

impl Returned<()> {
    pub const KEPT: Kept = Kept;
}

impl<T: Serialize, E> Returned<Result<T, E>> {
    pub const KEPT: Kept = Kept;
}

#[doc(hidden)]
pub trait Unkept {
    const KEPT: NotKept = NotKept;
}

impl<R> Unkept for Returned<R> {}

impl Kept {
    pub fn outcome<R: TaskResult<M>, M>(self) -> fn(R) -> Outcome {
        R::into_outcome
    }
}

impl NotKept {
    pub fn outcome<R: UnkeptResult<M>, M>(self) -> fn(R) -> Outcome {
        R::into_outcome
    }
}

/// A result whose value is not kept.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a task can't return `{Self}`",
    label = "not the result of a task",
    note = "a task returns `()` or `Result<T, E>`, where `E` is an error, a `String` or a boxed error; a `T` that \
            serialises is kept on the run. A `fn` that gives a future says so by its type: `impl Future`, `BoxFuture`"
)]
pub trait UnkeptResult<M> {
    fn into_outcome(self) -> Outcome;
}

impl<T, E, M> UnkeptResult<M> for Result<T, E>
where
    Result<(), E>: TaskResult<M>,
{
    fn into_outcome(self) -> Outcome {
        TaskResult::into_outcome(self.map(drop))
    }
}

/// What the macro says beside the builder's public methods.
impl Task {
    /// The trigger, in its JSON form: in it a time may wait for the scheduler's zone.
    #[doc(hidden)]
    pub fn declared_trigger(self, json: &str) -> Self {
        self.try_trigger(|| {
            serde_json::from_str(json).map_err(|error| Error::InvalidTrigger { message: error.to_string() })
        })
    }

    /// As [`args`](Self::args); wrong ones are told when the task is added.
    #[doc(hidden)]
    pub fn declared_args(mut self, args: impl Serialize) -> Self {
        match serde_json::to_value(args) {
            Ok(args) => self.args = args,
            Err(error) => self.mistake = Some(format!("arguments: {error}")),
        }
        self
    }

    /// The first run, in milliseconds since 1970; `None` adds the task paused.
    #[doc(hidden)]
    pub fn declared_next_run_time(self, millis: Option<i64>) -> Self {
        self.next_run_time(millis.and_then(DateTime::from_timestamp_millis))
    }

    /// Names under which older records know the handler.
    #[doc(hidden)]
    pub fn was(mut self, names: &'static [&'static str]) -> Self {
        self.handler.was = names;
        self
    }
}
