//! A stopped scheduler is set up anew.

use crate::Error;
use crate::error::StartProblem;
use crate::scheduler::{Configuration, Scheduler, State};

impl Scheduler {
    /// Sets the scheduler up by a map of keys to values, before its start or after its shutdown: see [`Configuration`] for
    /// the keys. Tasks that were added meanwhile wait for the start as before.
    ///
    /// What the map does not name stays as it is; a store or an executor whose alias it names is replaced.
    ///
    /// ```
    /// use asyncz::AsynczConfig;
    ///
    /// # #[tokio::main] async fn main() -> Result<(), asyncz::Error> {
    /// let scheduler = AsynczConfig::new().scheduler();
    /// scheduler.setup([("asyncz.timezone", "Europe/Berlin")]).await?;
    /// assert_eq!(scheduler.info().timezone.name(), "Europe/Berlin");
    ///
    /// let error = scheduler.setup([("asyncz.timezon", "UTC")]).await.unwrap_err();
    /// assert!(error.to_string().contains("did you mean `asyncz.timezone`?"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::AlreadyRunning`]; [`Error::Configuration`] tells everything that is wrong with the map. Then nothing is set
    /// up.
    ///
    /// # Cancel safety
    /// Dropped before its end it has changed nothing.
    pub async fn setup(&self, configuration: impl Into<Configuration>) -> Result<(), Error> {
        let configuration = configuration.into();
        let shared = &self.shared;
        let _alone = shared.parts.lock().await;
        if self.state() != State::Stopped {
            return Err(Error::AlreadyRunning);
        }
        let mut setup = shared.setup();
        let changes = configuration.changes(&setup.own_kinds).map_err(|problems| Error::Configuration {
            problems: problems.into_iter().map(StartProblem::configuration).collect(),
        })?;
        changes.make(&mut setup);
        Ok(())
    }
}
