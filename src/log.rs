//! Lines and spans for people, by [`tracing`]: their targets name the scheduler, the store or the executor they are about.
//!
//! The macros of tracing want their targets when the program is compiled, and these names are known when it runs. So each
//! target and level has a callsite of its own, made with its first line and kept for good: there are as many as names.

use std::fmt;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};

use rustc_hash::FxHashMap;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, Level, Metadata, Span, dispatcher};
use tracing_core::callsite::{self, Callsite};
use tracing_core::field::{self, Field, FieldSet, Value};
use tracing_core::metadata::Kind;
use tracing_core::subscriber::Interest;
use tracing_core::{Event, identify_callsite};

use crate::task::{BoxFuture, Run};

/// What a line is about, and so its target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// `asyncz.scheduler`, and behind it the scheduler's name where it has one.
    Scheduler(Option<&'a str>),
    /// `asyncz.stores.<alias>`.
    Store(&'a str),
    /// `asyncz.executors.<alias>`.
    Executor(&'a str),
}

impl<'a> Target<'a> {
    /// What the target begins with, and the name behind it, which may be empty.
    fn parts(self) -> (&'static str, &'a str) {
        match self {
            Self::Scheduler(name) => ("asyncz.scheduler", name.unwrap_or_default()),
            Self::Store(alias) => ("asyncz.stores", alias),
            Self::Executor(alias) => ("asyncz.executors", alias),
        }
    }

    fn store(self) -> Option<&'a str> {
        if let Self::Store(alias) = self { Some(alias) } else { None }
    }

    fn executor(self) -> Option<&'a str> {
        if let Self::Executor(alias) = self { Some(alias) } else { None }
    }
}

/// What a line tells beside its message.
#[derive(Clone, Copy, Default)]
pub(crate) struct Line<'a> {
    /// The scheduler's name.
    pub(crate) scheduler: Option<&'a str>,
    pub(crate) store: Option<&'a str>,
    pub(crate) task: Option<&'a dyn fmt::Display>,
    pub(crate) run: Option<&'a dyn fmt::Display>,
    /// How many occurrences it is about.
    pub(crate) count: Option<u64>,
    /// With its sources.
    pub(crate) error: Option<&'a dyn fmt::Display>,
}

const OF_LINES: &[&str] = &["message", "scheduler", "store", "executor", "task", "run", "count", "error"];
const OF_RUNS: &[&str] = &["task", "run", "due", "late_ms", "attempt"];

/// Tells a line.
pub(crate) fn tell(level: Level, target: Target<'_>, message: &str, line: Line<'_>) {
    if level > LevelFilter::current() {
        return tell_log(level, message, line);
    }
    let site = Site::of(Kind::EVENT, level, target);
    if !site.is_enabled() {
        return;
    }
    let (store, executor) = (line.store.or(target.store()), target.executor());
    let [task, run, error] = [line.task, line.run, line.error].map(|shown| shown.map(field::display));
    let message = format_args!("{message}");
    site.with_values(
        [
            Some(&message as &dyn Value),
            line.scheduler.as_ref().map(|name| name as &dyn Value),
            store.as_ref().map(|alias| alias as &dyn Value),
            executor.as_ref().map(|alias| alias as &dyn Value),
            task.as_ref().map(|task| task as &dyn Value),
            run.as_ref().map(|run| run as &dyn Value),
            line.count.as_ref().map(|count| count as &dyn Value),
            error.as_ref().map(|error| error as &dyn Value),
        ],
        |metadata, values| Event::dispatch(metadata, values),
    );
}

/// Whether somebody hears lines of this target and level.
pub(crate) fn is_heard(level: Level, target: Target<'_>) -> bool {
    level <= LevelFilter::current() && Site::of(Kind::EVENT, level, target).is_enabled()
}

/// With feature `log` of tracing, and no subscriber, its macros tell the crate `log`: those who listen there shall miss
/// nothing.
fn tell_log(level: Level, message: &str, line: Line<'_>) {
    let Line { scheduler, store, count, .. } = line;
    let [task, run, error] = [line.task, line.run, line.error].map(|shown| shown.map(field::display));
    macro_rules! tell {
        ($level:expr) => {
            tracing::event!(
                target: "asyncz", $level, scheduler, store, task, run, count, error, "{message}"
            )
        };
    }
    match level {
        Level::ERROR => tell!(Level::ERROR),
        Level::WARN => tell!(Level::WARN),
        Level::INFO => tell!(Level::INFO),
        Level::DEBUG => tell!(Level::DEBUG),
        Level::TRACE => tell!(Level::TRACE),
    }
}

/// The span in which a handler runs: lines of its own carry what it tells. Where nobody hears it, it is none and costs
/// nothing.
pub(crate) fn span_of(run: &Run) -> Span {
    if Level::INFO > LevelFilter::current() {
        return Span::none();
    }
    let site = Site::of(Kind::SPAN, Level::INFO, Target::Executor(&run.definition().executor));
    if !site.is_enabled() {
        return Span::none();
    }
    let (id, occurrence) = (run.id(), run.occurrence());
    let started_at = run.live().started_at();
    let late =
        started_at.map(|started_at| started_at.signed_duration_since(occurrence.due).num_milliseconds());
    let (task, id) = (field::display(&run.definition().id), field::display(id));
    let due = field::display(occurrence.due.format("%FT%T%.3fZ"));
    let mut span = Span::none();
    site.with_values(
        [
            Some(&task as &dyn Value),
            Some(&id),
            Some(&due),
            late.as_ref().map(|late| late as &dyn Value),
            Some(&occurrence.attempt),
        ],
        |metadata, values| span = Span::new(metadata, values),
    );
    span
}

/// The handler in this span, whenever it goes on.
pub(crate) fn within<T: 'static>(span: Span, handler: BoxFuture<T>) -> BoxFuture<T> {
    match span.is_none() {
        true => handler,
        false => Box::pin(handler.instrument(span)),
    }
}

/// A callsite made at run time.
struct Site(OnceLock<Metadata<'static>>);

/// By what their targets begin with, whether they are spans, their levels, and the names in their targets: found without a
/// text being made, as each run's span is.
type Sites = FxHashMap<(&'static str, bool, Level), FxHashMap<Box<str>, &'static Site>>;

static SITES: LazyLock<RwLock<Sites>> = LazyLock::new(RwLock::default);

impl Site {
    fn of(kind: Kind, level: Level, target: Target<'_>) -> &'static Self {
        let (begin, name) = target.parts();
        let key = (begin, kind == Kind::SPAN, level);
        let sites = SITES.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = sites.get(&key).and_then(|sites| sites.get(name)) {
            return site;
        }
        drop(sites);
        let made =
            Self::new(kind, level, if name.is_empty() { begin.into() } else { format!("{begin}.{name}") });
        let mut sites = SITES.write().unwrap_or_else(PoisonError::into_inner);
        let known = *sites.entry(key).or_default().entry(name.into()).or_insert(made);
        // A subscriber may log, too.
        drop(sites);
        if std::ptr::eq(known, made) {
            callsite::register(made);
        }
        known
    }

    fn new(kind: Kind, level: Level, target: String) -> &'static Self {
        let site: &'static Self = Box::leak(Box::new(Self(OnceLock::new())));
        let (name, fields) = if kind == Kind::SPAN { ("run", OF_RUNS) } else { ("asyncz", OF_LINES) };
        let fields = FieldSet::new(fields, identify_callsite!(site));
        let target = Box::leak(target.into_boxed_str());
        site.0.get_or_init(|| Metadata::new(name, target, level, None, None, None, fields, kind));
        site
    }

    fn meta(&self) -> &Metadata<'static> {
        self.0.get().expect("it is set before anybody finds the site")
    }

    fn is_enabled(&'static self) -> bool {
        dispatcher::get_default(|subscriber| subscriber.enabled(self.meta()))
    }

    /// Gives each field of this site its value.
    fn with_values<const N: usize>(
        &'static self,
        values: [Option<&dyn Value>; N],
        tell: impl FnOnce(&'static Metadata<'static>, &field::ValueSet<'_>),
    ) {
        let metadata = self.meta();
        let mut names = metadata.fields().iter();
        let fields: [Field; N] = std::array::from_fn(|_| names.next().expect("a field for each value"));
        let pairs: [_; N] = std::array::from_fn(|at| (&fields[at], values[at]));
        tell(metadata, &metadata.fields().value_set(&pairs));
    }
}

impl Callsite for Site {
    /// It is not kept: tracing asks the subscriber of the thread that tells the first line, a scheduler's own most often, and
    /// one that is another thread's alone would never hear a word.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.meta()
    }
}
