//! The built plugin as a process: environment and stdin in, stdout and exit code out, with delegates
//! that are shell scripts, a daemon inside the test, and real network namespaces.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code"
)]

mod add;
mod allowed;
mod appendix_c;
mod bad_delegates;
mod chain;
mod daemon;
mod delete;
mod gc;
mod hostile;
mod kept;
mod lifecycle;
mod node;
mod plain;
mod planner;
mod routes;
mod stale;
mod verbs;
mod versions;
