//! Functions as handlers: one implementation for each number of arguments.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::context::Run;
use super::extract::{FromTask, Rejection};
use super::provided::{Missing, Provided};

/// What a run comes to: the value to keep, or the error in words, its sources included.
pub(crate) type Outcome = Result<Option<Value>, String>;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type AsyncCall = dyn Fn(&Run) -> BoxFuture<Outcome> + Send + Sync;
pub(crate) type BlockingCall = dyn Fn(&Run) -> Outcome + Send + Sync;

/// A handler ready to be called, whatever its arguments were.
#[derive(Clone)]
pub(crate) enum Call {
    Async(Arc<AsyncCall>),
    Blocking(Arc<BlockingCall>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Async(_) => "async",
            Self::Blocking(_) => "blocking",
        })
    }
}

/// A handler with its name and what can be checked before it is called.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) name: Arc<str>,
    /// Names under which older records know it.
    pub(crate) was: &'static [&'static str],
    pub(crate) call: Call,
    /// Where it is declared, for messages.
    pub(crate) location: Option<(&'static str, u32)>,
    arguments: Cow<'static, [Argument]>,
}

/// What can be asked of an argument before there is a run.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    requires: fn(&Provided, &mut Vec<Missing>),
    check_args: fn(&Value) -> Result<(), Rejection>,
}

impl Argument {
    /// An argument of type `A`.
    pub const fn of<K, A: FromTask<K>>() -> Self {
        Self { requires: A::requires, check_args: A::check_args }
    }
}

impl Handler {
    pub(crate) fn new<K, M, F: TaskFn<K, M>>(name: impl Into<Arc<str>>, function: F) -> Self {
        Self::of_parts(name, F::ARGUMENTS, function.into_call())
    }

    pub(crate) fn of_parts(
        name: impl Into<Arc<str>>,
        arguments: impl Into<Cow<'static, [Argument]>>,
        call: Call,
    ) -> Self {
        Self { name: name.into(), was: &[], call, location: None, arguments: arguments.into() }
    }

    /// What its arguments lack, each once: two may be parts of one state.
    pub(crate) fn missing(&self, provided: &Provided) -> Vec<Missing> {
        let mut all = Vec::new();
        for argument in &*self.arguments {
            (argument.requires)(provided, &mut all);
        }
        let mut missing = Vec::with_capacity(all.len());
        for lack in all {
            if !missing.contains(&lack) {
                missing.push(lack);
            }
        }
        missing
    }

    pub(crate) fn check_args(&self, args: &Value) -> Result<(), Rejection> {
        self.arguments.iter().try_for_each(|argument| (argument.check_args)(args))
    }

    /// Whether records of this handler name are its own.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        &*self.name == name || self.was.contains(&name)
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("name", &self.name).field("call", &self.call).finish_non_exhaustive()
    }
}

/// A function that can be a handler: up to 8 arguments that are [extractors](FromTask), its result `()` or a `Result`.
///
/// `K` says where state comes from, `M` tells apart the kinds of functions; both are inferred.
#[diagnostic::on_unimplemented(
    message = "this function can't be the handler of a task",
    note = "its arguments are up to 8 extractors (`State<T>`, `TaskContext`, `Args<T>`, `Scheduler`, `Provide<T>`, \
            `Option<X>`), its result is `()` or `Result<T, E>` with a `T` that serialises and an `E` that is an error, and \
            the future of an `async fn` must be `Send`"
)]
pub trait TaskFn<K, M>: Send + Sync + 'static {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "called by this crate alone")]
    fn into_call(self) -> Call;

    #[doc(hidden)]
    const ARGUMENTS: &'static [Argument];
}

/// Marks `async fn`s for [`TaskFn`].
#[derive(Debug)]
pub struct Async<A, R>(A, R);

/// Marks `fn`s for [`TaskFn`].
#[derive(Debug)]
pub struct Blocking<A, R>(A, R);

macro_rules! handlers {
    ($($argument:ident)*) => {
        impl<K, F, $($argument,)* Fut, M> TaskFn<K, Async<($($argument,)*), M>> for F
        where
            F: Fn($($argument),*) -> Fut + Send + Sync + 'static,
            $($argument: FromTask<K>,)*
            Fut: Future + Send + 'static,
            Fut::Output: TaskResult<M>,
        {
            #[expect(private_interfaces, reason = "called by this crate alone")]
            fn into_call(self) -> Call {
                Call::Async(Arc::new(move |_run| {
                    $(
                        #[expect(non_snake_case, reason = "the argument's name is its type's")]
                        let $argument = match $argument::from_task(_run) {
                            Ok(argument) => argument,
                            Err(rejection) => return Box::pin(ready(Err(in_words(&rejection)))),
                        };
                    )*
                    let future = self($($argument),*);
                    Box::pin(async move { future.await.into_outcome() })
                }))
            }

            const ARGUMENTS: &'static [Argument] = &[$(Argument::of::<K, $argument>()),*];
        }

        impl<K, F, $($argument,)* R, M> TaskFn<K, Blocking<($($argument,)*), M>> for F
        where
            F: Fn($($argument),*) -> R + Send + Sync + 'static,
            $($argument: FromTask<K>,)*
            R: TaskResult<M>,
        {
            #[expect(private_interfaces, reason = "called by this crate alone")]
            fn into_call(self) -> Call {
                Call::Blocking(Arc::new(move |_run| {
                    self($($argument::from_task(_run).map_err(|rejection| in_words(&rejection))?),*).into_outcome()
                }))
            }

            const ARGUMENTS: &'static [Argument] = &[$(Argument::of::<K, $argument>()),*];
        }
    };
}

handlers!();
handlers!(A);
handlers!(A B);
handlers!(A B C);
handlers!(A B C D);
handlers!(A B C D E);
handlers!(A B C D E G);
handlers!(A B C D E G H);
handlers!(A B C D E G H I);

/// What a handler can return: `()`, or a `Result` whose value serialises (and is kept on the run) and whose error is one.
///
/// `M` tells errors that can be sent to other threads from those that can't; it is inferred.
#[diagnostic::on_unimplemented(
    message = "a task can't return `{Self}`",
    note = "a task returns `()` or `Result<T, E>`, where `T` serialises and `E` is an error, a `String` or a boxed error"
)]
pub trait TaskResult<M = ()> {
    #[doc(hidden)]
    fn into_outcome(self) -> Result<Option<Value>, String>;
}

impl TaskResult for () {
    fn into_outcome(self) -> Outcome {
        Ok(None)
    }
}

impl<T, E> TaskResult for Result<T, E>
where
    T: Serialize,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => kept(&value),
            Err(error) => Err(in_words(error.into().as_ref())),
        }
    }
}

/// Marks results for [`TaskResult`] whose error can't be sent to other threads: it is put in words where it is returned.
#[derive(Debug)]
pub struct Unsent;

impl<T: Serialize> TaskResult<Unsent> for Result<T, Box<dyn StdError>> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => kept(&value),
            Err(error) => Err(in_words(&*error)),
        }
    }
}

fn kept(value: &impl Serialize) -> Outcome {
    match serde_json::to_value(value) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(format!("the result can't be kept: {error}")),
    }
}

/// An error and its sources, outermost first: "mail not sent: connection refused".
pub(crate) fn in_words(error: &dyn StdError) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        // Many errors repeat their source in their own message.
        if !words.ends_with(&inner_words) {
            words.push_str(": ");
            words.push_str(&inner_words);
        }
        source = inner.source();
    }
    words
}
