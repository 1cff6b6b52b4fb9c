//! Asking for a plan and reporting what became of it, by socket or by child process.
//!
//! All waiting of one ADD is paid from one [`Budget`] (design §2: waiting is forbidden).

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::config::Planner;
use crate::failure::Failure;
use crate::wire::{PLAN_PATH, Plan, PlanRequest, REPORT_PATH, Report, VERSION, other_version};

mod child;
mod socket;

/// Time that may still be spent waiting for others. Work of delegates does not count.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    left: Duration,
}

impl Budget {
    /// One second: what an ADD may wait in total.
    pub const ADD: Self = Self {
        left: Duration::from_secs(1),
    };

    /// Five seconds: what a DEL may wait in total.
    pub const DEL: Self = Self {
        left: Duration::from_secs(5),
    };

    /// Runs `wait` with a deadline and takes the time it used out of the budget.
    pub fn spend<T>(&mut self, wait: impl FnOnce(Instant) -> T) -> T {
        let start = Instant::now();
        let value = wait(start + self.left);
        self.left = self.left.saturating_sub(start.elapsed());
        value
    }
}

/// An answer: success or not, and a body.
#[derive(Debug)]
struct Answer {
    accepted: bool,
    body: Vec<u8>,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("{step}")]
    Io {
        step: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{step}: no answer in time")]
    Deadline { step: &'static str },
    #[error("the answer is not HTTP: {0}")]
    NotHttp(&'static str),
    #[error("{program} is neither beside this program nor in {}", bin_dir.display())]
    NoProgram {
        program: &'static str,
        bin_dir: PathBuf,
    },
    #[error("{program} ended without an answer: {stderr}")]
    Silent {
        program: &'static str,
        stderr: String,
    },
}

/// The way to a planner.
#[derive(Debug, Clone)]
pub struct Client {
    /// Which way; [`Planner::Absent`] is never asked.
    pub planner: Planner,
    /// Folders searched for `multus-daemon`, in order.
    pub programs: Vec<PathBuf>,
    /// Environment of the child.
    pub env: Vec<(OsString, OsString)>,
}

impl Client {
    /// Asks for the plan of a sandbox.
    pub fn plan(&self, request: &PlanRequest, budget: &mut Budget) -> Result<Plan, Failure> {
        let what = format!("ask {} for the plan of pod {}", self, request.pod);
        let body = self.exchange(PLAN_PATH, request, &what, budget)?;
        if let Some(theirs) = other_version(&body) {
            return Err(Failure::daemon_not_ready(format!(
                "{what}: it speaks version {theirs}, this plugin version {VERSION}; wait for the upgrade to finish"
            )));
        }
        serde_json::from_slice(&body)
            .map_err(|e| Failure::daemon_not_ready(format!("{what}: the answer is no plan: {e}")))
    }

    /// Hands over what became of the plan. An error means that it was not accepted.
    pub fn report(&self, report: &Report, budget: &mut Budget) -> Result<(), Failure> {
        let what = format!("report the networks of pod {} to {}", report.pod, self);
        self.exchange(REPORT_PATH, report, &what, budget)
            .map(|_| ())
    }

    fn exchange(
        &self,
        endpoint: &str,
        document: &impl Serialize,
        what: &str,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, Failure> {
        let body = serde_json::to_vec(document).map_err(|e| Failure::io(what, &e))?;
        let answer = budget.spend(|deadline| match &self.planner {
            Planner::Socket(path) => socket::post(path, endpoint, &body, deadline),
            Planner::Child | Planner::Absent => child::run(
                &self.programs,
                &self.env,
                endpoint.trim_start_matches('/'),
                &body,
                deadline,
            ),
        });
        match answer {
            Ok(Answer {
                accepted: true,
                body,
            }) => Ok(body),
            Ok(Answer { body, .. }) => Err(refusal(what, &body)),
            Err(error) => {
                let cause = cni::error::chain(&error);
                Err(Failure::daemon_not_ready(format!("{what}: {cause}")))
            }
        }
    }
}

/// The refusal in a body; a body that is no CNI error comes from something that is not our daemon.
fn refusal(what: &str, body: &[u8]) -> Failure {
    if let Some(error) = cni::Error::parse(body) {
        return Failure::refused(error);
    }
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    Failure::daemon_not_ready(format!("{what}: refused without a reason: {}", text.trim()))
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.planner {
            Planner::Socket(path) => write!(f, "multus-daemon at {}", path.display()),
            Planner::Child | Planner::Absent => f.write_str("multus-daemon"),
        }
    }
}
