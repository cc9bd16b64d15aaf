//! Layers out of files and the environment.

use std::path::Path;

use config::{ConfigError, Source as _};
use serde_json::{Map, Value};

use super::{Configuration, Source};

impl Configuration {
    /// A layer out of a file in TOML, YAML or JSON, as its name's ending says. That it can't be read is told beside
    /// everything else that is wrong.
    ///
    /// It may be the application's own file: only what is below `asyncz` is read.
    ///
    /// ```toml
    /// [asyncz]
    /// timezone = "Europe/Berlin"
    /// task_defaults = { coalesce = false, max_instances = 4 }
    ///
    /// [asyncz.executors]
    /// default = { type = "asyncio" }
    /// pool = { type = "threadpool", max_workers = 20 }
    /// ```
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let source = Source::File(path.display().to_string().into());
        match read(config::File::from(path).collect()) {
            Ok(values) => self.add_layer(values, &source),
            Err(error) => self.problems.push(format!("{}{error}", source.place())),
        }
        self
    }

    /// The same where the file is there; one that is not says nothing.
    #[must_use]
    pub fn optional_file(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        match path.try_exists() {
            Ok(true) => self.file(path),
            Ok(false) => self,
            Err(error) => {
                self.problems.push(format!("{}: it can't be read: {error}", path.display()));
                self
            }
        }
    }

    /// A layer out of the environment's variables that begin with `ASYNCZ__`: two underscores stand for each dot, so that
    /// `ASYNCZ__TASK_DEFAULTS__COALESCE=false` is `asyncz.task_defaults.coalesce`. Empty ones say nothing.
    ///
    /// As keys are in lower case then, so are the aliases of stores and executors.
    #[must_use]
    pub fn environment(mut self) -> Self {
        let variables = config::Environment::with_prefix("ASYNCZ").separator("__").ignore_empty(true);
        match read(variables.collect()) {
            Ok(Value::Object(values)) => self.merge(values.into_iter().collect(), &Source::Environment),
            Ok(_) => {}
            Err(error) => self.problems.push(format!("the environment can't be read: {error}")),
        }
        self
    }
}

/// What was read, as one map, or what went wrong in words that show no value.
fn read(values: Result<config::Map<String, config::Value>, ConfigError>) -> Result<Value, String> {
    let values = values.map_err(|error| in_words(&error))?;
    let json = |(key, value): (String, config::Value)| Some((key, value.try_deserialize().ok()?));
    let count = values.len();
    let values: Map<String, Value> = values.into_iter().filter_map(json).collect();
    match values.len() == count {
        true => Ok(Value::Object(values)),
        false => Err("it has values that can't be read".to_owned()),
    }
}

fn in_words(error: &ConfigError) -> String {
    match error {
        ConfigError::FileParse { cause, .. } => {
            let cause = cause.to_string();
            // A parser of TOML shows the line, in which a password may stand, between bars.
            let told: Vec<_> =
                cause.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|')).collect();
            told.join(": ")
        }
        error => error.to_string(),
    }
}
