//! Our executors keep what every executor promises.

use asyncz::testing::executor_conformance;
use asyncz::{AsyncExecutor, DebugExecutor, ThreadPoolExecutor};

executor_conformance!(tokio, unbounded, AsyncExecutor::new());
executor_conformance!(pool_of_one, at_most(1), ThreadPoolExecutor::new(1));
executor_conformance!(pool_of_three, at_most(3), ThreadPoolExecutor::new(3));
executor_conformance!(debug, in_place, DebugExecutor::new());
