//! ADD: observe, plan, record, apply; anything that fails is undone (spec/sriov-cni.md §2).

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use cni::plugin::Invocation;
use cni::result::{AddResult, Interface};
use host::mac::MacAddress;
use host::netlink::link::Link;
use host::netns::Identity;

use super::Context;
use super::claim::Owed;
use crate::addresses;
use crate::apply::{self, Lesson, Subject};
use crate::compat::Facts;
use crate::config::{self, Config, RawConfig, ResetPolicy};
use crate::crash::{self, Verb};
use crate::error::{Error, Result};
use crate::node::{Node, Place};
use crate::observe;
use crate::plan::{self, Observed, Plan};
use crate::record::{FORMAT, Ipam, Mode, Original, Owner, Phase, Record};
use crate::site::Site;
use crate::step::Step;

/// How long announcements wait for the link to come up; the attachment works without them.
const CARRIER: Duration = Duration::from_millis(200);

/// Gives the VF to the container.
pub fn add(site: &Site, node: &mut dyn Node, call: &Invocation) -> Result<AddResult> {
    let _scope = crash::scope(Verb::Add);
    let raw = RawConfig::read(&call.config)?;
    let args = call.args()?;
    args.check_known(&["MAC"])
        .map_err(|error| cni::Error::from_chain(cni::error::code::INVALID_ENVIRONMENT, &error))?;
    let previous = call.prev_result()?.unwrap_or_default();
    if let Some((slot, fallback)) = config::slot(&raw)? {
        if previous.ips.is_empty() {
            config::printable(&raw.network)?;
        }
        let mut context = Context::new(site, node, call, &raw.network)?;
        let added = context.add_slot(slot, &fallback, previous);
        if let Err(error) = &added {
            context.log.error(&cni::error::chain(error));
        }
        return added;
    }
    let config = Config::new(raw, &args)?;
    if previous.ips.is_empty() {
        config::printable(&config.network)?;
    }
    let mut context = Context::new(site, node, call, &config.network)?;
    for warning in &config.warnings {
        context.log.warning(warning);
    }
    let added = context.add(&config, previous);
    if let Err(error) = &added {
        context.log.error(&cni::error::chain(error));
    }
    added
}

impl Context<'_> {
    fn add(&mut self, config: &Config, previous: AddResult) -> Result<AddResult> {
        let call = self.call;
        let netns = Path::new(&call.netns);
        let function = observe::function(self.node, config.vf)?;
        let no_namespace = || Error::Netns {
            netns: netns.to_path_buf(),
        };
        let identity = self.node.namespace(netns)?.ok_or_else(no_namespace)?;
        self.leave_other_device(&config.vf.to_string())?;
        let _lock = self
            .lock(config.vf, self.site.add_lock)
            .map_err(|busy| self.told_by_ledger(config, busy))?;
        let owed = self.claim(config.vf)?;

        let mut observed = observe::before_add(self.node, config.vf, function.clone(), netns)?;
        if observed.twin(config).is_some() && self.free_address(config, &function)? {
            observed = observe::before_add(self.node, config.vf, function, netns)?;
        }
        let plan = plan::plan(config, &observed, &call.ifname)?;
        if plan.mode == Mode::Kernel
            && self
                .node
                .link_by_name(Place::Pod(netns), &call.ifname)?
                .is_some()
        {
            return Err(Error::NameTaken {
                name: call.ifname.clone(),
                netns: netns.to_path_buf(),
            });
        }
        if let Some(twin) = observed.twin(config) {
            self.log.warning(&format!(
                "vf {} of {} has address {} too, and only one of them will be reached",
                twin.id, observed.function.pf, twin.mac
            ));
        }
        let mut record = self.new_record(config, &observed, &plan, identity);
        if let (Some(owed), Some(netdev)) = (&owed, &mut record.original.netdev) {
            owed.name.clone_into(&mut netdev.name);
        }
        self.ledger.enter(&record).map_err(Error::State)?;
        if let Some(Owed { attachment, .. }) =
            owed.filter(|owed| owed.attachment != record.attachment)
        {
            self.ledger.forget(&attachment).map_err(Error::State)?;
        }
        let (observed, plan) = match self.reset_first(config, observed, plan, &mut record) {
            Ok(planned) => planned,
            Err(error) => return Err(self.roll_back(record, error)),
        };
        match self.carry_out(config, &observed, &plan, &mut record, previous) {
            Ok(result) => {
                self.log
                    .info(&format!("VF {} given to the container", config.vf));
                Ok(result)
            }
            Err(error) => Err(self.roll_back(record, error)),
        }
    }

    /// A VF that is locked by an ADD of another container is in use already.
    fn told_by_ledger(&self, config: &Config, busy: Error) -> Error {
        let holder = self.ledger.holder(config.vf).ok().flatten();
        match (busy, holder) {
            (Error::Locked { .. }, Some(other)) if other != self.attachment() => Error::InUse {
                device: config.vf.to_string(),
                holder: format!(
                    "{} and another process is at work on it",
                    crate::error::holder(&other)
                ),
            },
            (busy, _) => busy,
        }
    }

    fn new_record(
        &self,
        config: &Config,
        observed: &Observed,
        plan: &Plan,
        identity: Identity,
    ) -> Record {
        Record {
            format: FORMAT,
            attachment: self.attachment(),
            network: config.network.name.clone(),
            owner: Some(Owner {
                netns: self.call.netns.clone().into(),
                identity: Some(identity),
                boot: Some(self.boot.clone()),
            }),
            vf: config.vf,
            pf: Some(observed.function.pf.address),
            mode: plan.mode,
            phase: Phase::Intent,
            original: Original {
                attributes: Some(plan.original),
                netdev: observed
                    .netdev
                    .clone()
                    .filter(|_| plan.mode == Mode::Kernel),
            },
            attributes: plan.attributes.clone(),
            address: plan.address,
            mac_pinned: None,
            reset_function: plan.mode == Mode::Userspace && config.reset_policy == ResetPolicy::Flr,
            ipam: config.network.ipam.clone().map(|kind| Ipam {
                r#type: kind,
                config: String::from_utf8(self.call.stdin.clone()).ok(),
                args: self.call.args_text.clone(),
                path: self.call.env.get("CNI_PATH").unwrap_or_default().to_owned(),
            }),
        }
    }

    fn carry_out(
        &mut self,
        config: &Config,
        observed: &Observed,
        plan: &Plan,
        record: &mut Record,
        previous: AddResult,
    ) -> Result<AddResult> {
        let subject = Subject {
            vf: config.vf,
            function: &observed.function,
            pod: Some(Path::new(&self.call.netns)),
        };
        let ours = previous.interfaces.len();
        let mut result = previous;
        result.interfaces.push(Interface {
            name: self.call.ifname.clone(),
            sandbox: self.call.netns.clone(),
            pci_id: config.vf.to_string(),
            ..Interface::default()
        });
        for step in &plan.steps {
            self.log.debug(&format!("{step} VF {}", config.vf));
            match step {
                Step::Allocate => {
                    self.reach(record, Phase::Allocated)?;
                    let allocated = crash::around(step, || self.allocate());
                    if let Err(Error::Ipam { .. }) = &allocated {
                        // The delegate was told to release already.
                        record.ipam = None;
                    }
                    addresses::merge(&mut result, allocated?.unwrap_or_default(), ours);
                }
                Step::Addresses => {
                    let detection = config.ipv6_dad;
                    crash::around(step, || {
                        addresses::apply(self.node, &subject, &result, ours, detection, &self.log)
                    })?;
                }
                Step::Commit => crash::around(step, || {
                    self.commit(config, observed, record, &mut result, ours)
                })?,
                Step::Advertise => crash::around(step, || {
                    self.announce(&subject, &result, ours, IpAddr::is_ipv6);
                }),
                Step::Announce => crash::around(step, || {
                    self.announce(&subject, &result, ours, IpAddr::is_ipv4);
                }),
                Step::TryOwnAddress(mac) => {
                    self.try_own_address(&subject, observed, record, *mac)?;
                }
                step => {
                    apply::apply(self.node, &subject, step)?;
                    match step {
                        Step::Attributes(_) => self.reach(record, Phase::Configured)?,
                        Step::ToPod(_) => self.reach(record, Phase::Moved)?,
                        _ => {}
                    }
                }
            }
        }
        Ok(result)
    }

    /// A VF that is pinned to the PF's address gets its own after that one is cleared; that it was pinned is recorded
    /// before, or nobody would know any more. A second refusal is left to the step after the PF's address is set,
    /// because some drivers hand that one down.
    fn try_own_address(
        &mut self,
        subject: &Subject<'_>,
        observed: &Observed,
        record: &mut Record,
        mac: MacAddress,
    ) -> Result<()> {
        let attempt = Step::TryOwnAddress(mac);
        let pinned = apply::apply(self.node, subject, &attempt)? == Lesson::Pinned(true);
        if pinned {
            record.mac_pinned = Some(true);
            self.ledger.update(record).map_err(Error::State)?;
            apply::apply(self.node, subject, &Step::ClearPfAddress)?;
            apply::apply(self.node, subject, &attempt)?;
        } else if observed.attributes.trust == Some(false) {
            // A trusted VF may choose its address whether it is pinned or not.
            record.mac_pinned = Some(false);
        }
        Ok(())
    }

    fn reach(&self, record: &mut Record, phase: Phase) -> Result<()> {
        record.phase = phase;
        self.ledger.update(record).map_err(Error::State)
    }

    /// Completes the result from what the interface is now, checks that it can be told, and writes the files.
    fn commit(
        &mut self,
        config: &Config,
        observed: &Observed,
        record: &mut Record,
        result: &mut AddResult,
        ours: usize,
    ) -> Result<()> {
        let interface = &mut result.interfaces[ours];
        let address = match record.mode {
            Mode::Kernel => {
                let link = self.interface(config)?;
                interface.mtu = link.mtu;
                link.address
            }
            Mode::Userspace => {
                let pf = self
                    .node
                    .link_by_name(Place::Host, &observed.function.pf.name)?;
                interface.mtu = pf.map_or(0, |pf| pf.mtu);
                config.mac.or(Some(observed.attributes.mac))
            }
        };
        let address = address.filter(|address| !address.is_zero());
        interface.mac = address.map_or_else(String::new, |address| address.to_string());
        if let (Some(wanted), Some(got)) = (config.mac, address)
            && wanted != got
        {
            return Err(Error::NetdevDiffers {
                step: Step::OwnAddress(wanted).to_string(),
                vf: config.vf,
                told: format!("address {got}"),
            });
        }
        let facts = Facts {
            pf_name: observed.function.pf.name.clone(),
            index: observed.function.index,
            mtu: interface.mtu,
            mac: config.mac,
        };
        result
            .convertible_to(self.call.version)
            .map_err(|error| cni::Error::from_chain(cni::error::code::INVALID_CONFIG, &error))?;
        self.files
            .enter(record, &self.call.config, &facts)
            .map_err(Error::State)?;
        self.reach(record, Phase::Committed)
    }

    fn interface(&mut self, config: &Config) -> Result<Link> {
        let call = self.call;
        self.node
            .netdev(Place::Pod(Path::new(&call.netns)), config.vf)?
            .ok_or_else(|| Error::NetdevDiffers {
                step: "read".to_owned(),
                vf: config.vf,
                told: "no place in the pod any more".to_owned(),
            })
    }

    /// Announcements are a courtesy to the neighbours: failures are logged.
    fn announce(
        &mut self,
        subject: &Subject<'_>,
        result: &AddResult,
        ours: usize,
        family: fn(&IpAddr) -> bool,
    ) {
        let call = self.call;
        let pod = Path::new(&call.netns);
        let own = result.ips.iter().filter(|ip| ip.interface == Some(ours));
        let addresses: Vec<_> = own.map(|ip| ip.address.addr()).filter(family).collect();
        if addresses.is_empty() {
            return;
        }
        let Ok(Some(link)) = self.node.netdev(Place::Pod(pod), subject.vf) else {
            return;
        };
        let Some(mac) = link
            .address
            .filter(|mac: &MacAddress| mac.is_valid_unicast())
        else {
            return;
        };
        if let Err(error) = self
            .node
            .await_carrier(Place::Pod(pod), link.index, CARRIER)
        {
            self.log.warning(&cni::error::chain(&error));
        }
        for error in self.node.announce(pod, link.index, mac, &addresses) {
            self.log.warning(&cni::error::chain(&error));
        }
    }

    /// Undoes everything; what could not be undone stays in the ledger and is told.
    fn roll_back(&mut self, mut record: Record, cause: Error) -> Error {
        let _scope = crash::scope(Verb::Rollback);
        let restored = self.release(&mut record, Duration::ZERO);
        let mut errors = vec![cause];
        errors.extend(restored.errors);
        Error::from_many(errors).unwrap_or_else(|| Error::Vf {
            vf: record.vf,
            problem: "ADD failed".to_owned(),
            code: cni::error::code::INTERNAL,
        })
    }
}
