//! How a handler's arguments are made from the run.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::{Run, TaskContext};
use super::provided::{Missing, Provided};
use crate::Scheduler;

/// What a handler can take as an argument.
///
/// `K` says where state comes from: [`Typed<S>`](Typed) for handlers with `state = S`, [`Provided`] for the others. Write
/// an extractor of your own for every `K`:
///
/// ```
/// use asyncz::{FromTask, Rejection, Run, TaskContext};
///
/// struct Attempt(u32);
///
/// impl<K> FromTask<K> for Attempt {
///     fn from_task(run: &Run) -> Result<Self, Rejection> {
///         Ok(Attempt(run.context().attempt()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an argument of a task",
    label = "not an extractor of tasks",
    note = "arguments of tasks are `State<T>`, `TaskContext`, `Args<T>`, `Scheduler`, `Provide<T>`, `Option<X>` of these, \
            and types that implement `FromTask`; there may be up to 8"
)]
pub trait FromTask<K>: Sized {
    /// Makes the argument for one run.
    ///
    /// # Errors
    /// A [`Rejection`] fails the run; its message is the run's error.
    fn from_task(run: &Run) -> Result<Self, Rejection>;

    /// Tells at start what [`from_task`](FromTask::from_task) would lack, so that it is one error then and not one a run.
    fn requires(provided: &Provided, missing: &mut Vec<Missing>) {
        let _ = (provided, missing);
    }

    /// Reads the task's arguments as [`from_task`](FromTask::from_task) would, when the task is added, updated or started.
    ///
    /// # Errors
    /// Says what is wrong with the arguments, and where in them.
    fn check_args(args: &Value) -> Result<(), Rejection> {
        let _ = args;
        Ok(())
    }
}

/// Marks handlers whose state is a part of `S` (`#[task(state = S)]`); the parameter of [`FromTask`].
#[derive(Debug)]
pub struct Typed<S>(PhantomData<fn() -> S>);

/// Why an argument of a handler could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no such thing: what makes an `Option<X>` `None`.
    #[error("{what} was not given")]
    Absent {
        /// What was looked for.
        what: String,
    },
    /// It is there but wrong.
    #[error("{message}")]
    Invalid {
        /// What is wrong, where, and what to write instead.
        message: String,
    },
}

impl Rejection {
    /// There is no such thing: `what` says what was looked for.
    pub fn absent(what: impl Into<String>) -> Self {
        Self::Absent { what: what.into() }
    }

    /// It is there but wrong: `message` says what is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid { message: message.into() }
    }
}

/// The task's arguments, read as a `T`.
///
/// Named arguments are a struct, positional ones a tuple: `Args((to, subject)): Args<(String, String)>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args<T>(pub T);

impl<K, T: DeserializeOwned> FromTask<K> for Args<T> {
    fn from_task(run: &Run) -> Result<Self, Rejection> {
        read_args(run.args()).map(Args)
    }

    fn check_args(args: &Value) -> Result<(), Rejection> {
        read_args::<T>(args).map(drop)
    }
}

fn read_args<T: DeserializeOwned>(args: &Value) -> Result<T, Rejection> {
    serde_path_to_error::deserialize(args).map_err(|error| {
        let (path, wrong) = (error.path(), error.inner());
        let is_whole = path.iter().next().is_none();
        match args {
            Value::Null => Rejection::absent(format!("a value for its arguments ({wrong})")),
            _ if is_whole => Rejection::invalid(format!("arguments: {wrong}")),
            _ => Rejection::invalid(format!("arguments at `{path}`: {wrong}")),
        }
    })
}

/// A value given with [`AsynczConfig::provide`](crate::AsynczConfig::provide) or
/// [`AsynczConfig::state`](crate::AsynczConfig::state), found by its type. Cloned for each run: share with an `Arc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provide<T>(pub T);

impl<K, T: Clone + Send + Sync + 'static> FromTask<K> for Provide<T> {
    fn from_task(run: &Run) -> Result<Self, Rejection> {
        part(run).map(Provide)
    }

    fn requires(provided: &Provided, missing: &mut Vec<Missing>) {
        require::<T>(provided, missing);
    }
}

fn part<T: Clone + 'static>(run: &Run) -> Result<T, Rejection> {
    run.provided().part::<T>().ok_or_else(|| Rejection::absent(Missing::state::<T>().to_string()))
}

fn require<T: 'static>(provided: &Provided, missing: &mut Vec<Missing>) {
    if !provided.has::<T>() {
        missing.push(Missing::state::<T>());
    }
}

impl<K> FromTask<K> for TaskContext {
    fn from_task(run: &Run) -> Result<Self, Rejection> {
        Ok(run.context())
    }
}

impl<K> FromTask<K> for Scheduler {
    fn from_task(run: &Run) -> Result<Self, Rejection> {
        Ok(run.context().scheduler())
    }
}

/// `None` only where `X` is absent; a wrong value fails the run all the same.
impl<K, X: FromTask<K>> FromTask<K> for Option<X> {
    fn from_task(run: &Run) -> Result<Self, Rejection> {
        match X::from_task(run) {
            Ok(value) => Ok(Some(value)),
            Err(Rejection::Absent { .. }) => Ok(None),
            Err(wrong @ Rejection::Invalid { .. }) => Err(wrong),
        }
    }

    fn check_args(args: &Value) -> Result<(), Rejection> {
        match X::check_args(args) {
            Err(Rejection::Absent { .. }) => Ok(()),
            checked => checked,
        }
    }
}

#[cfg(feature = "axum")]
mod axum_state {
    use axum::extract::{FromRef, State};

    use super::*;

    impl<S, T> FromTask<Typed<S>> for State<T>
    where
        S: Clone + Send + Sync + 'static,
        T: FromRef<S>,
    {
        fn from_task(run: &Run) -> Result<Self, Rejection> {
            part::<S>(run).map(|state| State(T::from_ref(&state)))
        }

        fn requires(provided: &Provided, missing: &mut Vec<Missing>) {
            require::<S>(provided, missing);
        }
    }

    impl<T: Clone + Send + Sync + 'static> FromTask<Provided> for State<T> {
        fn from_task(run: &Run) -> Result<Self, Rejection> {
            part(run).map(State)
        }

        fn requires(provided: &Provided, missing: &mut Vec<Missing>) {
            require::<T>(provided, missing);
        }
    }
}
