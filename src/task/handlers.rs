//! Which handlers a program has.

use std::sync::Arc;

use rustc_hash::FxHashSet;

/// The handlers of a program by their names, older names included.
///
/// A store gives a scheduler only tasks that it has the handler for: in a rolling deploy the others are another's.
#[derive(Clone, Debug, Default)]
pub struct Handlers(Arc<FxHashSet<Arc<str>>>);

impl Handlers {
    /// Whether it has the handler of this name.
    pub fn has(&self, handler: &str) -> bool {
        self.0.contains(handler)
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Adds a name; answers whether it is new.
    pub(crate) fn add(&mut self, name: Arc<str>) -> bool {
        !self.has(&name) && Arc::make_mut(&mut self.0).insert(name)
    }
}

impl<T: Into<Arc<str>>> FromIterator<T> for Handlers {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(Arc::new(names.into_iter().map(Into::into).collect()))
    }
}
