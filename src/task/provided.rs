//! What the application gives its tasks: values found by their types.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The values that [`AsynczConfig::state`](crate::AsynczConfig::state) and
/// [`AsynczConfig::provide`](crate::AsynczConfig::provide) were given, one a type.
///
/// As the parameter of [`FromTask`](crate::FromTask) it marks handlers without `state = …`: their parts are looked up here.
#[derive(Clone, Default)]
pub struct Provided {
    values: HashMap<TypeId, Value>,
}

#[derive(Clone)]
struct Value {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl Provided {
    /// A copy of the value of type `T`; `None` where none was given.
    pub fn part<T: Clone + 'static>(&self) -> Option<T> {
        self.values.get(&TypeId::of::<T>())?.value.downcast_ref::<T>().cloned()
    }

    /// Whether a value of type `T` was given.
    pub fn has<T: 'static>(&self) -> bool {
        self.values.contains_key(&TypeId::of::<T>())
    }

    /// Adds a value; one of the same type is replaced.
    pub(crate) fn insert<T: Clone + Send + Sync + 'static>(&mut self, value: T) {
        let value = Value { type_name: type_name::<T>(), value: Arc::new(value) };
        self.values.insert(TypeId::of::<T>(), value);
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.values.values().map(|value| value.type_name).collect();
        names.sort_unstable();
        f.debug_set().entries(names).finish()
    }
}

/// Something a handler needs that the application did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(String);

impl Missing {
    /// A value of type `T` is missing.
    pub fn state<T>() -> Self {
        Self(format!("state `{}`", type_name::<T>()))
    }

    /// Anything else, in words: "a running tracer".
    pub fn other(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
