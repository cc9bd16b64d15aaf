//! The scheduler as an argument of axum's handlers.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::Scheduler;

/// The application's scheduler.
///
/// It is the one that the router was given with `.layer(Extension(config.scheduler()))`; without that, the one that is
/// running in this process. Where that is not clear, because none runs or several do, the request fails with status 500
/// and says so.
///
/// ```
/// use asyncz::{Scheduler, TaskFilter};
/// use axum::{Router, routing::get};
///
/// async fn count(scheduler: Scheduler) -> String {
///     match scheduler.tasks(TaskFilter::new()).await {
///         Ok(tasks) => format!("{} tasks", tasks.len()),
///         Err(error) => error.to_string(),
///     }
/// }
///
/// let app: Router = Router::new().route("/count", get(count));
/// # let _ = app;
/// ```
impl<S: Send + Sync> FromRequestParts<S> for Scheduler {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let given = parts.extensions.get::<Self>().cloned();
        given.or_else(Self::only_running).ok_or((
            StatusCode::INTERNAL_SERVER_ERROR,
            "not one scheduler is running in this process, but none or several: \
             say which with `.layer(Extension(config.scheduler()))`",
        ))
    }
}
