//! The runtime that an executor was started on.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use super::Job;

/// Where async handlers run: known from the executor's start on.
#[derive(Debug, Default)]
pub(super) struct GivenRuntime(Mutex<Option<Handle>>);

impl GivenRuntime {
    pub(super) fn set(&self, runtime: &Handle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.clone());
    }

    /// The runtime for these jobs; an executor that was never started refuses them.
    pub(super) fn for_jobs(&self, jobs: Vec<Job>) -> Option<(Handle, Vec<Job>)> {
        let runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match runtime {
            Some(runtime) => Some((runtime, jobs)),
            None => {
                jobs.into_iter().for_each(|job| job.refuse("its executor is not started"));
                None
            }
        }
    }
}
