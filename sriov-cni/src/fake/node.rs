//! The fake node's answers and changes, method by method as the kernel has them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::error::Result;
use host::mac::MacAddress;
use host::netlink::address::{Address, Dad, Detection, NewAddress};
use host::netlink::link::{Link, LinkChange};
use host::netlink::route::Route;
use host::netlink::vf::{Pf, VfAttribute, VfControl, VfState};
use host::netns::Identity;
use host::pci::PciAddress;

use super::{INDEX, Machine, Spot, VF};
use crate::node::{Found, Node, Place, Setting};

impl Node for &mut Machine {
    fn boot_id(&mut self) -> Result<String> {
        Ok(self.boot.clone())
    }

    fn function(&mut self, vf: PciAddress) -> Result<Found> {
        if vf.to_string() == VF {
            return Ok(self.function.clone());
        }
        let mut found = self.function.clone();
        match (&mut found, self.neighbours.get(&vf.to_string())) {
            (Found::Vf(function), Some(index)) => {
                function.index = *index;
                function.driver = Some("vfio-pci".to_owned());
                Ok(found)
            }
            _ => Ok(Found::Nothing),
        }
    }

    fn reset_function(&mut self, _vf: PciAddress) -> Result<()> {
        self.changing("reset")?;
        self.control.reset(INDEX);
        Ok(())
    }

    fn vfs(&mut self, pf: &Pf) -> Result<Vec<VfState>> {
        self.control.vfs(pf)
    }

    fn set_attributes(&mut self, pf: &Pf, index: u32, attributes: &[VfAttribute]) -> Result<()> {
        let texts: Vec<_> = attributes.iter().map(ToString::to_string).collect();
        self.changing(&format!("set {}", texts.join(", ")))?;
        self.control.set_vf(pf, index, attributes)
    }

    fn namespace(&mut self, path: &Path) -> Result<Option<Identity>> {
        Ok(self.pods.get(path).map(|pod| pod.identity))
    }

    fn all_vfs(&mut self) -> Result<Vec<PciAddress>> {
        let neighbours = self.neighbours.keys().map(String::as_str);
        Ok(neighbours
            .chain([VF])
            .map(|vf| vf.parse().unwrap())
            .collect())
    }

    fn namespaces(&mut self) -> Result<Vec<PathBuf>> {
        Ok(self.pods.keys().cloned().collect())
    }

    fn netdev(&mut self, place: Place<'_>, vf: PciAddress) -> Result<Option<Link>> {
        let here = self.at == Some(self.spot(place)?) && vf.to_string() == VF;
        let address = Some(self.control.own_mac(INDEX));
        Ok(self
            .link
            .clone()
            .filter(|_| here)
            .map(|link| Link { address, ..link }))
    }

    fn await_netdev(&mut self, vf: PciAddress, _within: Duration) -> Result<Option<Link>> {
        if self.comes_back && self.at.is_none() && self.link.is_some() {
            self.at = Some(Spot::Host);
        }
        self.netdev(Place::Host, vf)
    }

    fn link_by_name(&mut self, place: Place<'_>, name: &str) -> Result<Option<Link>> {
        let spot = self.spot(place)?;
        let others = match &spot {
            Spot::Host => self.host.clone(),
            Spot::Pod(identity) => self
                .pods
                .values()
                .filter(|pod| pod.identity == *identity)
                .flat_map(|pod| pod.links.clone())
                .collect(),
        };
        let own = self
            .link
            .clone()
            .filter(|_| self.at.as_ref() == Some(&spot));
        Ok(others
            .into_iter()
            .chain(own)
            .find(|link| link.name == name || link.alt_names.iter().any(|alt| alt == name)))
    }

    fn delete_link(&mut self, place: Place<'_>, index: u32) -> Result<()> {
        self.changing(&format!("delete link {index}"))?;
        if let Place::Pod(path) = place {
            let pod = self.pods.get_mut(path).unwrap();
            pod.links.retain(|link| link.index != index);
        }
        Ok(())
    }

    fn change(&mut self, place: Place<'_>, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.changing(&format!("change {}", told(change)))?;
        self.own_link(place, index)?;
        self.alter(change)
    }

    fn to_pod(&mut self, index: u32, pod: &Path, change: &LinkChange<'_>) -> Result<()> {
        self.changing(&format!("to pod {}", told(change)))?;
        self.own_link(Place::Host, index)?;
        let to = self.spot(Place::Pod(pod))?;
        self.shift(to, change)
    }

    fn to_host(&mut self, pod: &Path, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.changing(&format!("to host {}", told(change)))?;
        self.own_link(Place::Pod(pod), index)?;
        self.shift(Spot::Host, change)
    }

    fn add_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.changing(&format!("add names {names:?}"))?;
        let link = self.own_link(place, index)?;
        link.alt_names
            .extend(names.iter().map(|name| (*name).to_owned()));
        Ok(())
    }

    fn delete_alt_names(&mut self, place: Place<'_>, index: u32, names: &[&str]) -> Result<()> {
        self.changing(&format!("delete names {names:?}"))?;
        let link = self.own_link(place, index)?;
        link.alt_names
            .retain(|name| !names.contains(&name.as_str()));
        Ok(())
    }

    fn set_sysctls(
        &mut self,
        place: Place<'_>,
        settings: &[Setting<'_>],
    ) -> Result<Vec<Result<()>>> {
        let Place::Pod(path) = place else {
            return Ok(Vec::new());
        };
        let mut outcomes = Vec::new();
        for Setting { key, value, .. } in settings {
            let key = key.join("/");
            outcomes.push(self.changing(&format!("sysctl {key}")));
            let pod = self.pods.get_mut(path).unwrap();
            pod.sysctls.insert(key, (*value).to_owned());
        }
        Ok(outcomes)
    }

    fn addresses(&mut self, place: Place<'_>, index: u32) -> Result<Vec<Address>> {
        let Place::Pod(path) = place else {
            return Ok(Vec::new());
        };
        let told = |address: &NewAddress| Address {
            index,
            net: address.net,
            broadcast: None,
            tentative: address.net.addr().is_ipv6() && address.detection != Detection::Skip,
            optimistic: address.detection == Detection::Optimistic,
            duplicate: self.reflects && address.net.addr().is_ipv6(),
            scope: 0,
        };
        Ok(self.pods[path].addresses.iter().map(told).collect())
    }

    fn add_address(&mut self, place: Place<'_>, _index: u32, address: NewAddress) -> Result<()> {
        self.changing(&format!("add address {}", address.net))?;
        if let Place::Pod(path) = place {
            self.pods.get_mut(path).unwrap().addresses.push(address);
        }
        Ok(())
    }

    fn delete_address(&mut self, place: Place<'_>, _index: u32, net: ipnet::IpNet) -> Result<()> {
        self.changing(&format!("delete address {net}"))?;
        if let Place::Pod(path) = place {
            let pod = self.pods.get_mut(path).unwrap();
            pod.addresses.retain(|address| address.net != net);
            self.reflects = false;
        }
        Ok(())
    }

    fn await_addresses(
        &mut self,
        _place: Place<'_>,
        _index: u32,
        _within: Duration,
    ) -> Result<Dad> {
        self.detections_awaited += 1;
        Ok(Dad::Done)
    }

    fn routes(&mut self, place: Place<'_>, _index: u32) -> Result<Vec<Route>> {
        let Place::Pod(path) = place else {
            return Ok(Vec::new());
        };
        Ok(self.pods[path].routes.clone())
    }

    fn add_route(&mut self, place: Place<'_>, route: &Route) -> Result<()> {
        self.changing(&format!("add route {}", route.destination))?;
        if let Place::Pod(path) = place {
            self.pods.get_mut(path).unwrap().routes.push(route.clone());
        }
        Ok(())
    }

    fn await_carrier(&mut self, place: Place<'_>, index: u32, _within: Duration) -> Result<bool> {
        Ok(self.own_link(place, index)?.running)
    }

    fn announce(
        &mut self,
        pod: &Path,
        _index: u32,
        _mac: MacAddress,
        addresses: &[IpAddr],
    ) -> Vec<crate::announce::Error> {
        self.announced.extend(
            addresses
                .iter()
                .map(|address| (pod.to_path_buf(), *address)),
        );
        Vec::new()
    }

    fn pause(&mut self, _time: Duration) {}
}

fn told(change: &LinkChange<'_>) -> String {
    format!(
        "{:?} {:?} {:?} {:?}",
        change.name, change.address, change.mtu, change.up
    )
}
