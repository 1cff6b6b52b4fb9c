//! devlink (`linux/devlink.h`): what drivers tell of a device that sysfs does not show. Only the questions that need no
//! privilege.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Kind, Result};
use crate::netlink::attribute::{attributes, text};
use crate::netlink::generic::{Family, Request};

const DEVLINK_CMD_PARAM_GET: u8 = 38;
const DEVLINK_CMD_INFO_GET: u8 = 51;
const DEVLINK_ATTR_BUS_NAME: u16 = 1;
const DEVLINK_ATTR_DEV_NAME: u16 = 2;
const DEVLINK_ATTR_PARAM: u16 = 80;
const DEVLINK_ATTR_PARAM_NAME: u16 = 81;
const DEVLINK_ATTR_PARAM_VALUES_LIST: u16 = 84;
const DEVLINK_ATTR_PARAM_VALUE: u16 = 85;
const DEVLINK_ATTR_PARAM_VALUE_DATA: u16 = 86;
const DEVLINK_ATTR_INFO_VERSION_RUNNING: u16 = 101;
const DEVLINK_ATTR_INFO_VERSION_NAME: u16 = 103;
const DEVLINK_ATTR_INFO_VERSION_VALUE: u16 = 104;

/// A connection to the kernel's devlink in the calling thread's namespace.
pub struct Devlink {
    family: Family,
}

/// A device as devlink names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle<'a> {
    /// `pci` or `auxiliary`.
    pub bus: &'a str,
    /// Its name on that bus.
    pub name: &'a str,
}

impl fmt::Display for Handle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bus, self.name)
    }
}

impl fmt::Debug for Devlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devlink").finish_non_exhaustive()
    }
}

impl Devlink {
    /// Opens a socket. A kernel without devlink is an error of [`Kind::NotFound`].
    pub fn open() -> Result<Self> {
        Ok(Self {
            family: Family::open("devlink")?,
        })
    }

    /// A parameter that is on or off; `None` if the device does not have it.
    pub fn switch(&mut self, device: Handle<'_>, parameter: &str) -> Result<Option<bool>> {
        let request =
            question(DEVLINK_CMD_PARAM_GET, device).with_text(DEVLINK_ATTR_PARAM_NAME, parameter);
        let step = || format!("ask devlink for {parameter} of {device}");
        let answer = self.ask(&request, step)?;
        Ok(answer.map(|block| is_on(&block)))
    }

    /// Versions of what runs on the device, by name (`fw.app.name`); `None` if its driver tells none.
    pub fn running_versions(
        &mut self,
        device: Handle<'_>,
    ) -> Result<Option<BTreeMap<String, String>>> {
        let request = question(DEVLINK_CMD_INFO_GET, device);
        let answer = self.ask(&request, || format!("ask devlink what runs on {device}"))?;
        Ok(answer.map(|block| versions(&block)))
    }

    fn ask(&mut self, request: &Request, step: impl Fn() -> String) -> Result<Option<Vec<u8>>> {
        match self
            .family
            .ask(request)
            .map_err(|error| error.during(step()))
        {
            Ok(block) => Ok(Some(block)),
            // EINVAL: the device is known and the parameter is not.
            Err(error)
                if matches!(
                    error.kind(),
                    Kind::NotFound | Kind::Unsupported | Kind::Invalid
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn question(command: u8, device: Handle<'_>) -> Request {
    Request::new(command)
        .with_text(DEVLINK_ATTR_BUS_NAME, device.bus)
        .with_text(DEVLINK_ATTR_DEV_NAME, device.name)
}

/// Whether any of a parameter's values is on: a switch that is on is an attribute without content.
fn is_on(block: &[u8]) -> bool {
    let inner = |block, wanted| {
        attributes(block)
            .filter(move |(kind, _)| *kind == wanted)
            .map(|(_, value)| value)
    };
    inner(block, DEVLINK_ATTR_PARAM)
        .flat_map(|parameter| inner(parameter, DEVLINK_ATTR_PARAM_VALUES_LIST))
        .flat_map(|list| inner(list, DEVLINK_ATTR_PARAM_VALUE))
        .any(|value| inner(value, DEVLINK_ATTR_PARAM_VALUE_DATA).next().is_some())
}

fn versions(block: &[u8]) -> BTreeMap<String, String> {
    let running = attributes(block).filter(|(kind, _)| *kind == DEVLINK_ATTR_INFO_VERSION_RUNNING);
    let version = |(_, pair): (u16, &[u8])| {
        let of = |wanted| {
            let mut found = attributes(pair).filter(|(kind, _)| *kind == wanted);
            found.next().map(|(_, value)| text(value))
        };
        Some((
            of(DEVLINK_ATTR_INFO_VERSION_NAME)?,
            of(DEVLINK_ATTR_INFO_VERSION_VALUE)?,
        ))
    };
    running.filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::append;

    fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, kind | 0x8000, &parts.concat());
        bytes
    }

    fn word(kind: u16, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, kind, format!("{text}\0").as_bytes());
        bytes
    }

    /// The answer to PARAM_GET as net/devlink/param.c writes it: a flag for true, nothing for false.
    fn parameter(on: bool) -> Vec<u8> {
        let data = if on {
            nested(DEVLINK_ATTR_PARAM_VALUE_DATA, &[])
        } else {
            Vec::new()
        };
        let mut mode = Vec::new();
        append(&mut mode, 87, &[1]);
        let value = nested(DEVLINK_ATTR_PARAM_VALUE, &[mode, data]);
        let list = nested(DEVLINK_ATTR_PARAM_VALUES_LIST, &[value]);
        let name = word(DEVLINK_ATTR_PARAM_NAME, "enable_rdma");
        [
            word(DEVLINK_ATTR_BUS_NAME, "pci"),
            nested(DEVLINK_ATTR_PARAM, &[name, list]),
        ]
        .concat()
    }

    #[test]
    fn a_switch_is_on_if_its_value_has_the_flag() {
        assert!(is_on(&parameter(true)));
        assert!(!is_on(&parameter(false)));
        assert!(!is_on(&[]));
    }

    fn version(kind: u16, name: &str, value: &str) -> Vec<u8> {
        nested(
            kind,
            &[
                word(DEVLINK_ATTR_INFO_VERSION_NAME, name),
                word(DEVLINK_ATTR_INFO_VERSION_VALUE, value),
            ],
        )
    }

    #[test]
    fn s21_of_all_versions_those_that_run_count() {
        let block = [
            word(DEVLINK_ATTR_DEV_NAME, "0000:18:00.0"),
            version(100, "board.id", "K1"),
            version(DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw.app.name", "GTP"),
            version(DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw.mgmt", "7.2"),
            version(102, "fw.app.name", "Other"),
        ]
        .concat();
        let versions = versions(&block);
        assert_eq!(versions["fw.app.name"], "GTP");
        assert_eq!(versions["fw.mgmt"], "7.2");
        assert_eq!(versions.len(), 2);
        assert!(super::versions(&[]).is_empty());
    }

    #[test]
    fn a_question_names_bus_and_device() {
        use rtnetlink::packet_core::Emitable;
        let device = Handle {
            bus: "pci",
            name: "0000:18:00.0",
        };
        let request = question(DEVLINK_CMD_INFO_GET, device);
        let mut bytes = vec![0; request.buffer_len()];
        request.emit(&mut bytes);
        assert_eq!(bytes[..4], [51, 1, 0, 0]);
        let told: Vec<_> = attributes(&bytes[4..])
            .map(|(kind, value)| (kind, text(value)))
            .collect();
        assert_eq!(
            told,
            [(1, "pci".to_owned()), (2, "0000:18:00.0".to_owned())]
        );
    }
}
