//! From a reference to a network's configuration (spec/multus.md §1.3, §4.1 to §4.3).

use std::collections::BTreeSet;
use std::path::Path;

use cni::config::NetworkList;
use cni::net_attach::nad;
use multus_plugin::allowed;
use multus_plugin::config::{NetConf, OWN_TYPES};
use multus_plugin::wire::ResolvedNetwork;
use serde_json::value::RawValue;

use super::wanted::{Source, Wanted};
use super::{Network, Question, Refusal};
use crate::known::{Found, Known, Nad, NadKey, Need};

/// The network, or `None` after adding to `needs`.
pub(super) fn resolve(
    wanted: Wanted,
    question: &Question<'_>,
    known: &Known,
    needs: &mut BTreeSet<Need>,
) -> Result<Option<Network>, Refusal> {
    let mut look = Look {
        conf: question.conf,
        on_host: question.request.primary.as_ref().filter(|_| wanted.default),
        known,
        needs,
    };
    let found = match &wanted.source {
        Source::Inline(config, place) => Some(inline(config, place)?),
        Source::Nad(key) => look.named_nad(key, wanted.also.as_ref())?,
        Source::Reference(value, key) if value.contains('/') => {
            look.path(value, key, wanted.default)?
        }
        Source::Reference(value, key) => look.reference(value, key, wanted.default)?,
    };
    let Some((name, list, resource)) = found else {
        return Ok(None);
    };
    check(&name, &list)?;
    // What the node's admin wrote into the configuration, or names by path, needs no permission.
    let own = match &wanted.source {
        Source::Inline(..) => true,
        Source::Reference(value, _) => value.contains('/'),
        Source::Nad(_) => false,
    };
    if !own {
        let allowed = question.conf.allowed_plugins.as_deref();
        allowed::check(&list, allowed).map_err(|source| Refusal::NotAllowed {
            network: name.clone(),
            source,
        })?;
    }
    Ok(Some(Network {
        wanted,
        name,
        list,
        resource,
    }))
}

type Resolved = (String, NetworkList, Option<String>);

struct Look<'a> {
    conf: &'a NetConf,
    /// The default network as the plugin found it on the host, whose files count.
    on_host: Option<&'a ResolvedNetwork>,
    known: &'a Known,
    needs: &'a mut BTreeSet<Need>,
}

impl Look<'_> {
    fn named_nad(
        &mut self,
        key: &NadKey,
        also: Option<&NadKey>,
    ) -> Result<Option<Resolved>, Refusal> {
        let network = key.to_string();
        match self.known.nads.get(key) {
            None => {
                self.needs.insert(Need::Nad(key.clone()));
                Ok(None)
            }
            Some(Found::Here(nad)) => self.nad(key, nad),
            Some(Found::Missing) => match also {
                Some(also) => self.named_nad(also, None).map_err(|refusal| match refusal {
                    Refusal::NadMissing { network: second } => {
                        Refusal::DefaultMissing { network, second }
                    }
                    other => other,
                }),
                None => Err(Refusal::NadMissing { network }),
            },
            Some(Found::Unknown(cause)) => Err(Refusal::NadUnknown {
                network,
                cause: cause.clone(),
            }),
        }
    }

    fn nad(&mut self, key: &NadKey, nad: &Nad) -> Result<Option<Resolved>, Refusal> {
        let network = key.to_string();
        let resource = nad.resource_name.clone();
        if nad.config.trim().is_empty() {
            return match self.named(&key.name)? {
                None => Ok(None),
                Some(Found::Here(list)) => Ok(Some((network, list.clone(), resource))),
                Some(_) => Err(Refusal::NadEmpty {
                    network,
                    name: key.name.clone(),
                    conf_dir: self.conf.conf_dir.display().to_string(),
                }),
            };
        }
        // The folder is read for an empty text only, which this is not.
        let list = nad::config(&key.name, Some(&nad.config), Path::new("")).map_err(|source| {
            Refusal::Nad {
                network: network.clone(),
                source: Box::new(source),
            }
        })?;
        Ok(Some((network, list, resource)))
    }

    fn named(&mut self, name: &str) -> Result<Option<&Found<NetworkList>>, Refusal> {
        match self.known.named.get(name) {
            None => {
                self.needs.insert(Need::Named(name.to_owned()));
                Ok(None)
            }
            Some(Found::Unknown(cause)) => Err(Refusal::ConfDir {
                name: name.to_owned(),
                conf_dir: self.conf.conf_dir.display().to_string(),
                cause: cause.clone(),
            }),
            found => Ok(found),
        }
    }

    /// A NAD of the multus namespace; failing that for any reason, a network in `confDir`.
    fn reference(
        &mut self,
        value: &str,
        key: &'static str,
        default: bool,
    ) -> Result<Option<Resolved>, Refusal> {
        let nad = NadKey {
            namespace: self.conf.multus_namespace.clone(),
            name: value.to_owned(),
        };
        let cause = match self.known.nads.get(&nad) {
            None => {
                self.needs.insert(Need::Nad(nad));
                return Ok(None);
            }
            Some(Found::Here(found)) => return self.nad(&nad, found),
            Some(Found::Missing) => None,
            Some(Found::Unknown(cause)) => Some(cause.clone()),
        };
        if let Some(found) = self.on_host {
            return on_host(found).map(Some);
        }
        match self.named(value)? {
            None => Ok(None),
            Some(Found::Here(list)) => Ok(Some((list.name().to_owned(), list.clone(), None))),
            Some(_) => Err(match cause {
                Some(cause) => Refusal::NadUnknown {
                    network: nad.to_string(),
                    cause,
                },
                None => Refusal::ReferenceMissing {
                    key,
                    value: value.to_owned(),
                    namespace: nad.namespace,
                    conf_dir: self.conf.conf_dir.display().to_string(),
                    default,
                },
            }),
        }
    }

    fn path(
        &mut self,
        path: &str,
        key: &'static str,
        default: bool,
    ) -> Result<Option<Resolved>, Refusal> {
        if let Some(found) = self.on_host {
            return on_host(found).map(Some);
        }
        match self.known.at.get(path) {
            None => {
                self.needs.insert(Need::At(path.to_owned()));
                Ok(None)
            }
            Some(Found::Here(list)) => Ok(Some((list.name().to_owned(), list.clone(), None))),
            Some(Found::Missing) => Err(Refusal::PathMissing {
                key,
                path: path.to_owned(),
                default,
            }),
            Some(Found::Unknown(cause)) => Err(Refusal::PathInvalid {
                key,
                path: path.to_owned(),
                cause: cause.clone(),
            }),
        }
    }
}

fn on_host(found: &ResolvedNetwork) -> Result<Resolved, Refusal> {
    let list =
        NetworkList::parse(found.config.get().as_bytes()).map_err(|source| Refusal::Network {
            network: found.name.clone(),
            source: Box::new(source),
        })?;
    Ok((found.name.clone(), list, None))
}

fn inline(config: &RawValue, place: &str) -> Result<Resolved, Refusal> {
    let list = NetworkList::parse(config.get().as_bytes()).map_err(|source| Refusal::Network {
        network: place.to_owned(),
        source: Box::new(source),
    })?;
    if list.name().is_empty() {
        return Err(Refusal::Nameless {
            network: place.to_owned(),
        });
    }
    Ok((list.name().to_owned(), list, None))
}

/// What libcni would refuse later, and what must not be executed at all.
fn check(network: &str, list: &NetworkList) -> Result<(), Refusal> {
    cni::name::check_network(list.name()).map_err(|source| Refusal::NetworkName {
        network: network.to_owned(),
        source,
    })?;
    let own = list
        .plugins()
        .iter()
        .find(|plugin| OWN_TYPES.contains(&plugin.plugin_type()));
    match own {
        Some(plugin) => Err(Refusal::Recursion {
            network: network.to_owned(),
            kind: plugin.plugin_type().to_owned(),
        }),
        None => Ok(()),
    }
}
