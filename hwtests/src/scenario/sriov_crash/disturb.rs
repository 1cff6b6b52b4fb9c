//! What situations do to a VF, its pod and its host, and how it is undone.

use anyhow::{Context, Result};

use super::{cell::Pod, eyes::Eyes, mischief, seat::Seat, situation::Situation};
use crate::guest::{cni::Sandbox, shell::ip};

impl Seat {
    /// Before the pod. What the VF is then is the cell's own baseline.
    pub(super) fn prepare(&mut self, eyes: &Eyes) -> Result<()> {
        let cell = self.cell.clone();
        let interface = self.interface(eyes);
        mischief::set(&cell, &mischief::rules(&cell, &self.device, &interface))?;
        match cell.situation {
            Situation::Pinned => {
                let (pf, index) = eyes.pf_of(&self.device)?;
                let mac = format!("02:ad:00:00:00:{:02x}", cell.number % 256);
                ip(&format!("link set dev {pf} vf {index} mac {mac}"))?;
            }
            Situation::Decorated | Situation::Refused => {
                ip(&format!(
                    "link property add dev {interface} altname {}",
                    cell.ifname()
                ))?;
                ip(&format!("link set dev {interface} up"))?;
                eyes.carrier(&interface)?;
            }
            _ => return Ok(()),
        }
        self.before = Some(eyes.now(&self.device)?);
        Ok(())
    }

    /// While the pod has its device.
    pub(super) fn disturb(&self, eyes: &Eyes) -> Result<()> {
        let pod = self.sandbox(Pod::First);
        let name = self.cell.ifname();
        let named = || pod.ip(&format!("link property add dev {name} altname {name}-too"));
        match self.cell.situation {
            Situation::Named | Situation::Lost | Situation::Again => named().map(drop),
            Situation::Carried => {
                named()?;
                let other = Sandbox::create(&self.cell.container(Pod::Second))?;
                pod.ip(&format!("link set dev {name} netns {}", other.id))?;
                pod.lose_netns()
            }
            Situation::NameTaken => {
                ip(&format!("link add {} type dummy", self.interface(eyes))).map(drop)
            }
            Situation::IpamDown => mischief::set(&self.cell, &["faildel".to_owned()]),
            _ => Ok(()),
        }
    }

    /// The command is dead, and so is what disturbed it.
    pub(super) fn settle(&self, eyes: &Eyes) -> Result<()> {
        if self.cell.situation == Situation::NameTaken {
            ip(&format!(
                "link delete dev {} type dummy",
                self.interface(eyes)
            ))?;
        }
        mischief::set(&self.cell, &[])
    }

    /// The VF is what it was before the cell prepared it.
    pub(super) fn undress(&mut self, eyes: &Eyes) -> Result<()> {
        if self.before.take().is_none() {
            return Ok(());
        }
        let interface = self.interface(eyes);
        if self.cell.situation == Situation::Pinned {
            let (pf, index) = eyes.pf_of(&self.device)?;
            ip(&format!(
                "link set dev {pf} vf {index} mac 00:00:00:00:00:00"
            ))?;
            // The PF learns the VF's address when it changes.
            for address in ["02:ad:00:00:01:00", &eyes.address(&self.device)?] {
                ip(&format!("link set dev {interface} address {address}"))?;
            }
        } else {
            ip(&format!("link set dev {interface} down"))?;
            ip(&format!(
                "link property del dev {interface} altname {}",
                self.cell.ifname()
            ))?;
        }
        eyes.unchanged(&self.device, None)
            .context("after the cell's own preparation is taken back")
    }

    fn interface(&self, eyes: &Eyes) -> String {
        eyes.interface(&self.device)
    }
}
