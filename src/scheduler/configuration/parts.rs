//! From what a configuration says of a store or an executor to that itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use asyncz_grammar::nearest;

use super::kinds::{EXECUTORS, Factory, Kind, Made, Make, OwnKinds, STORES};
use super::options::TypeOptions;
use super::{Change, Entry};
use crate::task::in_words;

/// Reads one store or executor.
pub(super) fn read(options: TypeOptions, kinds: &OwnKinds) -> Result<Change, Vec<String>> {
    let alias: Arc<str> = options.alias().into();
    if options.part().starts_with("stores.") {
        let store = made(options, &Known { what: "store", ours: STORES, own: &kinds.stores })?;
        return Ok(Box::new(move |setup| drop(setup.stores.insert(alias, store))));
    }
    let executor = made(options, &Known { what: "executor", ours: EXECUTORS, own: &kinds.executors })?;
    Ok(Box::new(move |setup| drop(setup.executors.insert(alias, executor))))
}

fn made<P: ?Sized>(mut options: TypeOptions, known: &Known<'_, P>) -> Result<Arc<P>, Vec<String>> {
    let kind = kind(&mut options, known.what).map_err(|problem| vec![problem])?;
    let made = known.make(&kind, &mut options).map_err(|problem| vec![problem])?;
    let problems = options.problems(kind.name());
    match made {
        Ok(part) if problems.is_empty() => Ok(part),
        // It may complain of the lack of what could not be read.
        Err(error) if problems.is_empty() => {
            Err(vec![format!("{}: {}", kind.part, options.cleaned(in_words(&*error)))])
        }
        _ => Err(problems),
    }
}

/// What a store or an executor is to be.
struct Wanted {
    /// The store or executor in messages.
    part: String,
    /// `type` or `class`.
    key: String,
    entry: Entry,
}

impl Wanted {
    fn name(&self) -> &str {
        self.entry.value.as_str().map_or("", str::trim)
    }

    fn is_class(&self) -> bool {
        self.key.ends_with(".class")
    }
}

fn kind(options: &mut TypeOptions, what: &str) -> Result<Wanted, String> {
    let part = options.name();
    if let Some(whole) = options.take("") {
        let example = whole.source.key(&format!("{}.type", options.part()));
        return Err(whole.wrong(options.part(), &format!("write keys below it, such as `{example}`")));
    }
    let (key, entry) = match (options.take("type"), options.take("class")) {
        (Some(_), Some(_)) => return Err(format!("{part}: `type` and `class` are one: write one of them")),
        (Some(entry), None) => ("type", entry),
        (None, Some(entry)) => ("class", entry),
        (None, None) => return Err(format!("{part}: say which {what} it is: its `type` is missing")),
    };
    let wanted = Wanted { part, key: format!("{}.{key}", options.part()), entry };
    match wanted.name() {
        "" => Err(wanted.entry.wrong(&wanted.key, &format!("write the name of a {what}'s type"))),
        _ => Ok(wanted),
    }
}

/// The types that there are.
struct Known<'a, P: ?Sized + 'static> {
    what: &'static str,
    ours: &'static [Kind<P>],
    own: &'a BTreeMap<String, Factory<P>>,
}

impl<P: ?Sized> Known<'_, P> {
    /// Makes one, unless there is no such type.
    fn make(&self, wanted: &Wanted, options: &mut TypeOptions) -> Result<Made<P>, String> {
        let (what, name) = (self.what, wanted.name());
        let ours = match wanted.is_class() {
            false => match self.own.get(name) {
                Some(make) => return Ok(make(options)),
                None => self.ours.iter().find(|kind| kind.names.contains(&name)),
            },
            true => {
                asyncz_class(name, what).and_then(|class| self.ours.iter().find(|kind| kind.class == class))
            }
        };
        match ours.map(|kind| &kind.make) {
            Some(Make::Here(make)) => Ok(make(options)),
            Some(Make::Needs(feature)) => {
                let place = wanted.entry.source.place();
                let key = wanted.entry.source.key(&wanted.key);
                Err(format!("{place}{key}: {what} type \"{name}\" needs the cargo feature \"{feature}\""))
            }
            None if wanted.is_class() => Err(wanted.entry.wrong(&wanted.key, &self.classes())),
            None => Err(wanted.entry.wrong(&wanted.key, &self.types(name))),
        }
    }

    fn types(&self, name: &str) -> String {
        let Self { what, ours, own } = self;
        let names =
            || own.keys().map(String::as_str).chain(ours.iter().flat_map(|kind| kind.names.iter().copied()));
        match nearest(&name.to_lowercase(), names()) {
            Some(known) => format!("there is no {what} type of this name: did you mean `{known}`?"),
            None => format!(
                "there is no {what} type of this name; there are: {}; one of your own is known once it is registered by \
                 `register_{what}_type`, before the configuration is given",
                names().collect::<Vec<_>>().join(", ")
            ),
        }
    }

    fn classes(&self) -> String {
        let classes: Vec<_> =
            self.ours.iter().map(|kind| kind.class).filter(|class| !class.is_empty()).collect();
        format!(
            "write a class of Asyncz, such as `asyncz.{what}s.…:{first}` ({all}), or say `type`",
            what = self.what,
            first = classes[0],
            all = classes.join(", ")
        )
    }
}

/// The class that a path of Asyncz names: `asyncz.stores.mongo:MongoDBStore`.
fn asyncz_class<'a>(path: &'a str, what: &str) -> Option<&'a str> {
    let (module, class) = path.rsplit_once([':', '.'])?;
    let in_asyncz = module.strip_prefix("asyncz.")?.strip_prefix(what)?.strip_prefix('s')?;
    (in_asyncz.is_empty() || in_asyncz.starts_with('.')).then_some(class)
}
