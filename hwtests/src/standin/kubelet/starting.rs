//! Brings the containers of a pod up in its sandbox, and again when they ended.
#![expect(clippy::disallowed_methods, reason = "boundary: makes the log folders")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod};
use proto::cri::{self, ContainerState, ContainerStatus, Image, PodSandbox};
use tokio::time::Instant;

use super::agent::Agent;
use super::backoff::Backoff;
use super::endpoint::chain;
use super::environment::{self, Facts};
use super::identity::Identity;
use super::probe::Health;
use super::runtime::Refused;
use super::status::{Doing, Seen, ended, restarts};
use super::{container, sandbox, security, volume};
use crate::standin::api::Service;

/// Where and for whom containers are made.
pub(crate) struct Place<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) pod: &'a Pod,
    pub(crate) sandbox: &'a PodSandbox,
    pub(crate) ips: &'a [String],
    pub(crate) logs: &'a Path,
}

/// Why a container does not run: `reason` of its waiting state, and the words.
type Waiting = (&'static str, String);

/// The containers of a pod without sandbox.
pub(crate) fn unmade(pod: &Pod) -> Doing<'_> {
    Doing {
        init: init_containers(pod).map(not_made).collect(),
        main: main_containers(pod).map(not_made).collect(),
    }
}

fn not_made(container: &Container) -> Seen<'_> {
    Seen {
        container,
        status: None,
        waiting: None,
        health: Health::default(),
    }
}

fn init_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let init = pod.spec.iter().flat_map(|spec| &spec.init_containers);
    init.flatten()
}

fn main_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    pod.spec.iter().flat_map(|spec| &spec.containers)
}

/// Makes what must be there before the sandbox: volumes and log folders.
pub(crate) fn prepare(agent: &Agent, pod: &Pod) -> Result<(), String> {
    let identity = Identity::of(pod);
    volume::prepare(
        agent.config.supply(),
        pod,
        &agent.config.pod_folder(&identity.uid),
    )
    .map_err(|error| chain(&error))?;
    let logs = agent
        .config
        .log_folder(&identity.namespace, &identity.name, &identity.uid);
    for container in init_containers(pod).chain(main_containers(pod)) {
        let folder = logs.join(&container.name);
        fs::create_dir_all(&folder)
            .map_err(|error| format!("create {}: {error}", folder.display()))?;
    }
    Ok(())
}

impl<'a> Place<'a> {
    /// Brings the content of volumes up to date.
    pub(crate) fn refresh(&self) -> Result<(), String> {
        let identity = Identity::of(self.pod);
        let folder = self.agent.config.pod_folder(&identity.uid);
        volume::refresh(self.agent.config.supply(), self.pod, &folder)
            .map(drop)
            .map_err(|error| chain(&error))
    }

    /// Starts what does not run and should; gives what each container is doing then.
    pub(crate) async fn bring_up(&self, backoff: &mut Backoff) -> Result<Doing<'a>, Refused> {
        let existing = self.agent.runtime.containers(&self.sandbox.id).await?;
        let newest = |container: &Container| {
            existing.iter().find(|one| {
                one.metadata
                    .as_ref()
                    .is_some_and(|meta| meta.name == container.name)
            })
        };
        let mut doing = unmade(self.pod);
        for seen in &mut doing.init {
            *seen = self
                .bring_one_up(seen.container, newest(seen.container), true, backoff)
                .await?;
            if ended(seen) != Some(0) {
                return Ok(doing);
            }
        }
        for seen in &mut doing.main {
            *seen = self
                .bring_one_up(seen.container, newest(seen.container), false, backoff)
                .await?;
        }
        Ok(doing)
    }

    async fn bring_one_up(
        &self,
        container: &'a Container,
        newest: Option<&cri::Container>,
        init: bool,
        backoff: &mut Backoff,
    ) -> Result<Seen<'a>, Refused> {
        let Some(newest) = newest else {
            return self.start(container, 0).await;
        };
        let status = self.agent.runtime.container_status(&newest.id).await?;
        let attempt = newest.metadata.as_ref().map_or(0, |meta| meta.attempt);
        let again = match status.state() {
            ContainerState::ContainerRunning => false,
            // An init container that did its work is done, whatever the pod's policy.
            ContainerState::ContainerExited if init && status.exit_code == 0 => false,
            ContainerState::ContainerExited => restarts(self.pod, status.exit_code),
            // A start that did not succeed.
            ContainerState::ContainerCreated | ContainerState::ContainerUnknown => true,
        };
        if !again {
            return Ok(Seen {
                container,
                status: Some(status),
                waiting: None,
                health: Health::default(),
            });
        }
        if !backoff.may_start(&container.name, Instant::now()) {
            let words = format!("back-off restarting failed container {}", container.name);
            return Ok(Seen {
                container,
                status: Some(status),
                waiting: Some(("CrashLoopBackOff", words)),
                health: Health::default(),
            });
        }
        self.agent.runtime.remove_container(&newest.id).await?;
        self.start(container, attempt + 1).await
    }

    async fn start(&self, container: &'a Container, attempt: u32) -> Result<Seen<'a>, Refused> {
        let identity = Identity::of(self.pod);
        match self.make(container, attempt).await {
            Ok(id) => {
                let status = self.agent.runtime.container_status(&id).await?;
                Ok(Seen {
                    container,
                    status: Some(status),
                    waiting: None,
                    health: Health::default(),
                })
            }
            Err((waiting, status)) => {
                self.agent
                    .recorder
                    .warning(&identity, "Failed", &format!("Error: {}", waiting.1));
                Ok(Seen {
                    container,
                    status,
                    waiting: Some(waiting),
                    health: Health::default(),
                })
            }
        }
    }

    async fn make(
        &self,
        container: &Container,
        attempt: u32,
    ) -> Result<String, (Waiting, Option<ContainerStatus>)> {
        let runtime = &self.agent.runtime;
        let identity = Identity::of(self.pod);
        let unmade = |reason, words: String| ((reason, words), None);
        let image = self
            .image(container)
            .await
            .map_err(|waiting| (waiting, None))?;
        let config = self
            .config(container, &image, attempt)
            .map_err(|words| unmade("CreateContainerConfigError", words))?;
        let spec = sandbox::config(
            self.pod,
            self.sandbox
                .metadata
                .as_ref()
                .map_or(0, |meta| meta.attempt),
            self.logs,
        );
        let made = runtime
            .create_container(&self.sandbox.id, config, spec)
            .await;
        let id = made.map_err(|refused| unmade("CreateContainerError", refused.to_string()))?;
        self.agent.recorder.normal(
            &identity,
            "Created",
            &format!("Created container: {}", container.name),
        );
        self.tell_plugins(container)
            .await
            .map_err(|words| unmade("RunContainerError", words))?;
        if let Err(refused) = runtime.start_container(&id).await {
            let status = runtime.container_status(&id).await.ok();
            return Err((("RunContainerError", refused.to_string()), status));
        }
        self.agent.recorder.normal(
            &identity,
            "Started",
            &format!("Started container {}", container.name),
        );
        Ok(id)
    }

    /// Images are local: this kubelet pulls none.
    async fn image(&self, container: &Container) -> Result<Image, Waiting> {
        let name = container.image.clone().unwrap_or_default();
        let policy = container.image_pull_policy.as_deref();
        let unpulled = || {
            let words = format!("Failed to pull image \"{name}\": this kubelet pulls none");
            Err(("ErrImagePull", words))
        };
        if policy == Some("Always") {
            return unpulled();
        }
        match self.agent.runtime.image(&name).await {
            Ok(Some(image)) => Ok(image),
            Ok(None) if policy != Some("Never") => unpulled(),
            Ok(None) => {
                let words =
                    format!("Container image \"{name}\" is not present with pull policy of Never");
                Err(("ErrImageNeverPull", words))
            }
            Err(refused) => Err(("ImageInspectError", refused.to_string())),
        }
    }

    fn config(
        &self,
        container: &Container,
        image: &Image,
        attempt: u32,
    ) -> Result<cri::ContainerConfig, String> {
        let identity = Identity::of(self.pod);
        let spec = self.pod.spec.clone().unwrap_or_default();
        security::check_non_root(&spec, container, image).map_err(|error| error.to_string())?;
        let held = self
            .agent
            .table
            .read(|devices| devices.of_container(&identity.uid, &container.name));
        let of_plugins: BTreeMap<String, String> = held
            .iter()
            .flat_map(|held| held.wants.envs.clone())
            .collect();
        let facts = Facts {
            pod: self.pod,
            pod_ips: self.ips,
            node_ip: self.agent.config.node_ip,
            service: self.agent.config.service.as_ref().map(Service::address),
        };
        let environment = environment::of_container(container, of_plugins, facts)
            .map_err(|error| error.to_string())?;
        let folder = self.agent.config.pod_folder(&identity.uid);
        let volumes = volume::prepare(self.agent.config.supply(), self.pod, &folder)
            .map_err(|error| chain(&error))?;
        let inputs = container::Inputs {
            pod: self.pod,
            container,
            image,
            environment,
            held: &held,
            volumes: &volumes,
            attempt,
        };
        container::config(inputs).map_err(|error| chain(&error))
    }

    async fn tell_plugins(&self, container: &Container) -> Result<(), String> {
        let identity = Identity::of(self.pod);
        for held in self
            .agent
            .table
            .read(|devices| devices.of_container(&identity.uid, &container.name))
        {
            if let Some(endpoint) = self.agent.registry.get(&held.resource) {
                endpoint
                    .before_start(held.ids)
                    .await
                    .map_err(|status| Refused(status).to_string())?;
            }
        }
        Ok(())
    }
}
