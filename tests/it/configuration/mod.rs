//! Configurations as maps of keys to values.

mod keys;
#[cfg(feature = "config")]
mod layers;
mod mistakes;
mod settings;
mod types;
mod ways;

use asyncz::{AsynczConfig, Configuration, Error};

/// Everything that is wrong with a configuration, line by line.
async fn problems(configuration: impl Into<Configuration>) -> Vec<String> {
    problems_of(AsynczConfig::new().scheduler().setup(configuration).await)
}

fn problems_of(set_up: Result<(), Error>) -> Vec<String> {
    match set_up {
        Ok(()) => Vec::new(),
        Err(Error::Configuration { problems }) => problems.iter().map(ToString::to_string).collect(),
        Err(error) => panic!("not an error of the configuration: {error:?}"),
    }
}

/// A configuration of which nothing is wrong.
async fn right(configuration: impl Into<Configuration>) {
    assert_eq!(problems(configuration).await, Vec::<String>::new());
}
