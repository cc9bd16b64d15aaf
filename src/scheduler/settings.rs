//! A scheduler that comes from an application's settings.

use crate::{Error, SchedulerConfig};

/// An application's settings, as far as they say which scheduler runs with it.
///
/// With feature `axum`, `axum::serve(listener, app).with_settings(&settings)` takes them; without a server,
/// [`Lifespan::start_with_settings`](crate::Lifespan::start_with_settings) does.
///
/// ```
/// use asyncz::{SchedulerConfig, Settings};
/// # struct Mine;
/// # #[asyncz::async_trait]
/// # impl SchedulerConfig for Mine {
/// #     async fn start(&self) -> Result<(), asyncz::Error> { Ok(()) }
/// #     async fn shutdown(&self) -> Result<(), asyncz::Error> { Ok(()) }
/// # }
///
/// struct AppSettings {
///     scheduler: bool,
/// }
///
/// impl Settings for AppSettings {
///     fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>> {
///         Some(Box::new(Mine))
///     }
///
///     fn enable_scheduler(&self) -> bool {
///         self.scheduler
///     }
/// }
/// ```
pub trait Settings {
    /// The scheduler to run. Asked for once, and only where [`enable_scheduler`](Self::enable_scheduler) is true.
    fn scheduler_config(&self) -> Option<Box<dyn SchedulerConfig>>;

    /// Whether the scheduler runs. True without a configuration is [`Error::ImproperlyConfigured`].
    fn enable_scheduler(&self) -> bool;
}

/// What the settings come to: `None` starts nothing.
pub(crate) fn chosen(settings: &(impl Settings + ?Sized)) -> Result<Option<Box<dyn SchedulerConfig>>, Error> {
    if !settings.enable_scheduler() {
        return Ok(None);
    }
    match settings.scheduler_config() {
        Some(config) => Ok(Some(config)),
        None => Err(Error::ImproperlyConfigured(
            "the settings enable the scheduler but give no configuration: return one from \
             `scheduler_config`, such as `Some(Box::new(AsynczConfig::new()))`, or return false from \
             `enable_scheduler`"
                .to_owned(),
        )),
    }
}
