//! Probes: commands in a container that tell whether it has started, serves and lives.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Probe};
use tokio::time::Instant;

use super::agent::Agent;
use super::identity::Identity;
use super::status::{Doing, is_running};

/// What the probes of a running container say; one without probes is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) started: bool,
    pub(crate) ready: bool,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            started: true,
            ready: true,
        }
    }
}

/// The probes of a pod's containers, by name.
#[derive(Debug, Default)]
pub(crate) struct Probes(HashMap<String, Watched>);

/// The probes of one life of a container.
#[derive(Debug)]
struct Watched {
    /// Id of the container: another one is another life.
    id: String,
    startup: Check,
    readiness: Check,
    liveness: Check,
}

/// One probe's history.
#[derive(Debug)]
struct Check {
    due: Instant,
    good: bool,
    successes: i32,
    failures: i32,
}

impl Check {
    fn new(probe: Option<&Probe>, good: bool, now: Instant) -> Check {
        let delay = probe.and_then(|probe| probe.initial_delay_seconds);
        Check {
            due: now + seconds(delay, 0),
            good,
            successes: 0,
            failures: 0,
        }
    }

    /// Takes a result into account. True when the probe has failed as often as it may.
    fn take(&mut self, probe: &Probe, success: bool, now: Instant) -> bool {
        self.due = now + seconds(probe.period_seconds, 10);
        if success {
            (self.successes, self.failures) = (self.successes + 1, 0);
            self.good |= self.successes >= probe.success_threshold.unwrap_or(1);
            return false;
        }
        (self.successes, self.failures) = (0, self.failures + 1);
        let given_up = self.failures >= probe.failure_threshold.unwrap_or(3);
        self.good &= !given_up;
        given_up
    }
}

fn seconds(given: Option<i32>, otherwise: u64) -> Duration {
    Duration::from_secs(given.map_or(otherwise, |given| u64::try_from(given).unwrap_or_default()))
}

/// One pod's side of asking.
struct Asker<'a> {
    agent: &'a Agent,
    pod: &'a Identity,
    grace: i64,
}

impl Probes {
    /// Asks what is due of each running container and notes the answers in `doing`. A container that has not started,
    /// or does not live, is stopped; the pod's policy says what comes next.
    pub(crate) async fn ask(&mut self, agent: &Agent, pod: &Pod, doing: &mut Doing<'_>) {
        let identity = Identity::of(pod);
        let grace = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.termination_grace_period_seconds);
        let asker = Asker {
            agent,
            pod: &identity,
            grace: grace.unwrap_or(30),
        };
        for seen in &mut doing.main {
            if !is_running(seen) {
                self.0.remove(&seen.container.name);
                continue;
            }
            let id = seen.status.as_ref().map_or("", |status| &status.id);
            let watched = self.watched(seen.container, id);
            watched.ask(&asker, seen.container).await;
            seen.health = watched.health(seen.container);
        }
    }

    /// When the next answer is due.
    pub(crate) fn next(&self, pod: &Pod) -> Option<Instant> {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let due = containers.filter_map(|container| {
            let watched = self.0.get(&container.name)?;
            watched.due(container).map(|(_, check)| check.due).min()
        });
        due.min()
    }

    fn watched(&mut self, container: &Container, id: &str) -> &mut Watched {
        let now = Instant::now();
        let new = || {
            let startup = container.startup_probe.as_ref();
            let readiness = container.readiness_probe.as_ref();
            Watched {
                id: id.to_owned(),
                startup: Check::new(startup, startup.is_none(), now),
                readiness: Check::new(readiness, readiness.is_none(), now),
                liveness: Check::new(container.liveness_probe.as_ref(), true, now),
            }
        };
        let watched = self.0.entry(container.name.clone()).or_insert_with(new);
        if watched.id != id {
            *watched = new();
        }
        watched
    }
}

impl Watched {
    fn health(&self, container: &Container) -> Health {
        let started = self.startup.good || container.startup_probe.is_none();
        Health {
            started,
            ready: started && self.readiness.good,
        }
    }

    /// The probes that are asked now: the others wait for the first one's success.
    fn due<'a>(&'a self, container: &'a Container) -> impl Iterator<Item = (&'a Probe, &'a Check)> {
        let starting = !self.startup.good;
        let all = [
            (&container.startup_probe, &self.startup, starting),
            (&container.readiness_probe, &self.readiness, !starting),
            (&container.liveness_probe, &self.liveness, !starting),
        ];
        all.into_iter()
            .filter_map(|(probe, check, asked)| Some((probe.as_ref().filter(|_| asked)?, check)))
    }

    async fn ask(&mut self, asker: &Asker<'_>, container: &Container) {
        if !self.startup.good
            && let Some(probe) = &container.startup_probe
        {
            let given_up = asker
                .run("Startup", probe, &self.id, &mut self.startup)
                .await;
            if given_up {
                asker.stop("startup", container, &self.id).await;
            }
            if !self.startup.good {
                return;
            }
            // Both are asked at once after the start.
            (self.readiness.due, self.liveness.due) = (self.startup.due, self.startup.due);
            self.readiness.due = Instant::now();
        }
        if let Some(probe) = &container.readiness_probe {
            asker
                .run("Readiness", probe, &self.id, &mut self.readiness)
                .await;
        }
        if let Some(probe) = &container.liveness_probe
            && asker
                .run("Liveness", probe, &self.id, &mut self.liveness)
                .await
        {
            asker.stop("liveness", container, &self.id).await;
        }
    }
}

impl Asker<'_> {
    /// Runs the probe's command when it is due. True when it failed once too often.
    async fn run(&self, kind: &str, probe: &Probe, id: &str, check: &mut Check) -> bool {
        if Instant::now() < check.due {
            return false;
        }
        let command = probe.exec.as_ref().and_then(|exec| exec.command.as_ref());
        let words = command.map(Vec::as_slice).unwrap_or_default();
        let limit = seconds(probe.timeout_seconds, 1);
        let answer = self.agent.runtime.exec(id, words, limit).await;
        let (success, said) = match answer {
            Ok(answer) => {
                let said = [answer.stdout, answer.stderr].concat();
                (
                    answer.exit_code == 0,
                    String::from_utf8_lossy(&said).into_owned(),
                )
            }
            Err(refused) => (false, refused.to_string()),
        };
        if !success {
            let words = format!("{kind} probe failed: {}", said.trim());
            self.agent.recorder.warning(self.pod, "Unhealthy", &words);
        }
        check.take(probe, success, Instant::now())
    }

    async fn stop(&self, why: &str, container: &Container, id: &str) {
        let words = format!(
            "Container {} failed {why} probe, will be restarted",
            container.name
        );
        self.agent.recorder.normal(self.pod, "Killing", &words);
        if let Err(refused) = self.agent.runtime.stop_container(id, self.grace).await {
            let words = format!("error killing container: {refused}");
            self.agent
                .recorder
                .warning(self.pod, "FailedKillPod", &words);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn probe() -> Probe {
        let probe = json!({"exec": {"command": ["x"]}, "periodSeconds": 5, "failureThreshold": 2});
        serde_json::from_value(probe).unwrap()
    }

    #[test]
    fn a_probe_gives_up_after_as_many_failures_in_a_row_as_it_may() {
        let now = Instant::now();
        let mut check = Check::new(Some(&probe()), false, now);
        assert_eq!(check.due, now);
        let answers = [false, true, false, false, true].map(|success| {
            let given_up = check.take(&probe(), success, now);
            (given_up, check.good)
        });
        let wanted = [
            (false, false),
            (false, true),
            (false, true),
            (true, false),
            (false, true),
        ];
        assert_eq!(answers, wanted);
        assert_eq!(check.due, now + Duration::from_secs(5));
    }

    #[test]
    fn before_its_start_a_container_is_asked_nothing_else() {
        let container =
            json!({"name": "c", "startupProbe": {"exec": {}}, "readinessProbe": {"exec": {}}});
        let container: Container = serde_json::from_value(container).unwrap();
        let mut probes = Probes::default();
        let watched = probes.watched(&container, "1");
        assert_eq!(watched.due(&container).count(), 1);
        let health = watched.health(&container);
        assert!(!health.started && !health.ready);
        watched.startup.good = true;
        assert!(watched.health(&container).started && !watched.health(&container).ready);
        watched.readiness.good = true;
        assert_eq!(watched.health(&container), Health::default());
        assert!(
            !probes.watched(&container, "2").startup.good,
            "another life"
        );
    }
}
