//! The checks that every call passes before the plugin's own code (spec/sriov-cni.md §6.3).

use std::io::Read;
use std::path::PathBuf;

use super::{Command, Env, Failure, Invocation, Plugin, own_netns};
use crate::error::{Error, code};
use crate::name::{self, InvalidName};
use crate::raw::Object;
use crate::version::Version;

const CONTAINER_ID: &str = "CNI_CONTAINERID";
const NETNS: &str = "CNI_NETNS";
const IFNAME: &str = "CNI_IFNAME";
const PATH: &str = "CNI_PATH";

/// The verb; None is VERSION.
pub(super) fn command(env: &Env) -> Result<Option<Command>, Error> {
    let Some(text) = env.get("CNI_COMMAND") else {
        return Err(missing(&["CNI_COMMAND"]));
    };
    Ok(Some(match text {
        "VERSION" => return Ok(None),
        "ADD" => Command::Add,
        "DEL" => Command::Del,
        "CHECK" => Command::Check,
        "STATUS" => Command::Status,
        "GC" => Command::Gc,
        other => {
            let message = format!("unknown CNI_COMMAND: {other}");
            return Err(Error::new(code::INVALID_ENVIRONMENT, message));
        }
    }))
}

/// The call, once everything about it is right.
pub(super) fn invocation(
    plugin: &dyn Plugin,
    command: Command,
    env: &Env,
    stdin: &mut dyn Read,
) -> Result<Invocation, Failure> {
    check_variables(command, env)?;
    let bytes = read(stdin)?;
    let config = parse(&bytes)?;
    let name = network_name(&config)?;
    let variable = |name: &str| env.get(name).unwrap_or_default().to_owned();
    let about_container = !matches!(command, Command::Status | Command::Gc);
    let container_id = if about_container {
        variable(CONTAINER_ID)
    } else {
        String::new()
    };
    let ifname = if about_container {
        variable(IFNAME)
    } else {
        String::new()
    };
    if about_container {
        name::check_container_id(&container_id).map_err(|error| environment(&error))?;
        name::check_interface(&ifname).map_err(|error| environment(&error))?;
    }
    let version = version(plugin, command, &config)?;
    let netns = variable(NETNS);
    if matches!(command, Command::Add | Command::Del) && !own_netns_allowed(env) {
        own_netns::refuse(&netns).map_err(|error| Failure { error, version })?;
    }
    Ok(Invocation {
        command,
        container_id,
        netns,
        ifname,
        args_text: variable("CNI_ARGS"),
        path: variable(PATH)
            .split(':')
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
            .collect(),
        name,
        version,
        config,
        stdin: bytes,
        env: env.clone(),
    })
}

fn check_variables(command: Command, env: &Env) -> Result<(), Error> {
    let required: &[&str] = match command {
        Command::Add | Command::Check => &[CONTAINER_ID, NETNS, IFNAME, PATH],
        Command::Del => &[CONTAINER_ID, IFNAME, PATH],
        Command::Status | Command::Gc => &[PATH],
    };
    let absent: Vec<&str> = required
        .iter()
        .copied()
        .filter(|name| env.get(name).is_none())
        .collect();
    if absent.is_empty() {
        Ok(())
    } else {
        Err(missing(&absent))
    }
}

/// Callers look for this text.
fn missing(names: &[&str]) -> Error {
    let message = format!("required env variables [{}] missing", names.join(","));
    Error::new(code::INVALID_ENVIRONMENT, message)
}

fn environment(error: &InvalidName) -> Error {
    Error::new(code::INVALID_ENVIRONMENT, error.to_string())
}

fn read(stdin: &mut dyn Read) -> Result<Vec<u8>, Error> {
    // A network configuration is a few hundred bytes; without room they are read in small pieces.
    let mut bytes = Vec::with_capacity(4096);
    stdin.read_to_end(&mut bytes).map_err(|error| {
        Error::new(
            code::IO,
            format!("read the configuration from stdin: {error}"),
        )
    })?;
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Object, Error> {
    Object::parse(bytes).map_err(|error| Error::new(code::DECODE, format!("stdin: {error}")))
}

fn network_name(config: &Object) -> Result<String, Error> {
    let name: Option<String> = config
        .typed_folded("name")
        .map_err(|error| Error::new(code::DECODE, format!("configuration: {error}")))?;
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Error::new(
            code::INVALID_CONFIG,
            "missing network name: the configuration has no \"name\"",
        ));
    };
    name::check_network(&name)
        .map_err(|error| Error::new(code::INVALID_CONFIG, error.to_string()))?;
    Ok(name)
}

/// The version to answer in, if the plugin speaks it and it has the verb.
fn version(plugin: &dyn Plugin, command: Command, config: &Object) -> Result<Version, Error> {
    let text: Option<String> = config
        .typed_folded("cniVersion")
        .map_err(|error| Error::new(code::DECODE, format!("configuration: {error}")))?;
    let text = text.unwrap_or_default();
    let known = Version::of_config(&text).ok();
    let Some(version) = known.filter(|version| plugin.versions().contains(version)) else {
        let supported: Vec<_> = plugin
            .versions()
            .iter()
            .map(|v| format!("\"{v}\""))
            .collect();
        let details = format!(
            "config is {text:?}, plugin supports [{}]",
            supported.join(" ")
        );
        return Err(
            Error::new(code::INCOMPATIBLE_VERSION, "incompatible CNI versions")
                .with_details(details),
        );
    };
    let allowed = match command {
        Command::Add | Command::Del => true,
        Command::Check => version.has_check(),
        Command::Status | Command::Gc => version.has_gc_and_status(),
    };
    if allowed {
        return Ok(version);
    }
    let message = format!("config version does not allow {command}");
    Err(Error::new(code::INCOMPATIBLE_VERSION, message))
}

fn own_netns_allowed(env: &Env) -> bool {
    env.get("CNI_NETNS_OVERRIDE")
        .is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}
