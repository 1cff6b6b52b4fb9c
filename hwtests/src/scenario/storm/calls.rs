//! All sandboxes at once, as the runtime of a node calls its plugin: a process each.

use std::{
    fmt,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::guest::cni::{Answer, Plugin, Sandbox};

/// A pod's sandbox and what its calls are made with.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) name: String,
    pub(super) sandbox: Sandbox,
    pub(super) plugin: Plugin,
    pub(super) config: Value,
}

impl Pod {
    /// Names of the links in its namespace, sorted.
    pub(super) fn links(&self) -> Result<Vec<String>> {
        let links = self.sandbox.ip_json("link show")?;
        let names = links.as_array().into_iter().flatten();
        let mut names: Vec<String> = names
            .filter_map(|link| link["ifname"].as_str().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Calls until the answer is another one than to try again, and returns what those answers said.
    fn until_answered(&self, command: &str) -> Result<(Answer, Vec<String>)> {
        let call = |command| {
            self.plugin
                .call(command, &self.sandbox, "eth0", &self.config)
        };
        let mut again = Vec::new();
        loop {
            let answer = call(command)?;
            if command != "ADD" || answer.status.success() || again.len() + 1 == TRIES {
                return Ok((answer, again));
            }
            let refusal = answer.refusal()?;
            // The kubelet's limit is for the daemon to deal with.
            if refusal.code != TRY_AGAIN || refusal.text.contains("PodResources") {
                return Ok((answer, again));
            }
            again.push(refusal.text);
            call("DEL")?.success()?;
        }
    }

    /// A fresh namespace for the next round; the used one must hold no link of ours.
    pub(super) fn renew(&self) -> Result<()> {
        let links = self.links()?;
        ensure!(links == ["lo"], "{} still has {links:?}", self.name);
        self.sandbox.lose_netns()?;
        Sandbox::create(&self.sandbox.id).map(drop)
    }
}

/// What the design has an ADD answer that has waited its second in vain, as on a machine where 200 others compute: the
/// kubelet deletes the sandbox and tries again.
const TRY_AGAIN: u64 = 11;
/// More often than this is no success.
const TRIES: usize = 5;

/// What became of calls that were begun together.
#[derive(Debug)]
pub(super) struct Calls {
    command: &'static str,
    answers: Vec<(String, Answer)>,
    /// Calls that were told to try again, and why the first of them was.
    again: Vec<String>,
    /// Sorted.
    times: Vec<Duration>,
    all: Duration,
}

impl Calls {
    /// Calls for every pod, none before all can.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub(super) async fn of(command: &'static str, pods: &[Pod]) -> Result<Self> {
        let pods = pods.to_vec();
        tokio::task::spawn_blocking(move || together(command, &pods))
            .await
            .context("wait for the calls")?
    }

    /// The default network's address of each pod, from what ADD answered.
    ///
    /// # Errors
    /// When an answer has none.
    pub(super) fn addresses(&self) -> Result<Vec<(String, String)>> {
        let address = |(name, answer): &(String, Answer)| {
            let result = answer.success()?;
            let text = result["ips"][0]["address"].as_str();
            let (address, _) = text
                .and_then(|text| text.split_once('/'))
                .with_context(|| format!("the result of {name} has no address: {result}"))?;
            Ok((name.clone(), address.to_owned()))
        };
        self.answers.iter().map(address).collect()
    }

    /// # Errors
    /// When one failed: how many, and the first one's answer.
    pub(super) fn all_succeeded(&self) -> Result<()> {
        let failed: Vec<_> = self
            .answers
            .iter()
            .filter(|(_, answer)| !answer.status.success())
            .collect();
        if let Some((name, answer)) = failed.first() {
            anyhow::bail!(
                "{} of {} {}s failed ({self}); that of {name}: {} {}",
                failed.len(),
                self.answers.len(),
                self.command,
                answer.stdout.trim(),
                answer.stderr.trim()
            );
        }
        Ok(())
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |part: usize| {
            let index = (self.times.len() * part / 100).min(self.times.len().saturating_sub(1));
            self.times.get(index).map_or(0, Duration::as_millis)
        };
        write!(
            f,
            "{} {}s in {} ms; one takes {} ms (median), {} ms at most",
            self.answers.len(),
            self.command,
            self.all.as_millis(),
            at(50),
            at(100)
        )?;
        match self.again.first() {
            None => f.write_str("; each at the first try"),
            Some(why) => write!(f, "; {} told to try again: {why}", self.again.len()),
        }
    }
}

fn together(command: &'static str, pods: &[Pod]) -> Result<Calls> {
    let barrier = Arc::new(Barrier::new(pods.len() + 1));
    let (ended, all) = thread::scope(|scope| {
        let running: Vec<_> = pods
            .iter()
            .map(|pod| {
                let barrier = Arc::clone(&barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let began = Instant::now();
                    let (answer, again) = pod.until_answered(command)?;
                    Ok::<_, anyhow::Error>((pod.name.clone(), answer, again, began.elapsed()))
                })
            })
            .collect();
        barrier.wait();
        let began = Instant::now();
        let ended: Vec<_> = running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect();
        (ended, began.elapsed())
    });
    let mut calls = Calls {
        command,
        answers: Vec::new(),
        again: Vec::new(),
        times: Vec::new(),
        all,
    };
    for one in ended {
        let (name, answer, again, took) = one?;
        calls.answers.push((name, answer));
        calls.again.extend(again);
        calls.times.push(took);
    }
    calls.times.sort_unstable();
    Ok(calls)
}
