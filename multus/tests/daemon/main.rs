//! The built `multus-daemon` against an API server, a kubelet and folders of the test's own.

#[cfg(test)]
mod api;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod certificate;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod displaced;
#[cfg(test)]
mod dra;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod kubelet;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod node;
#[cfg(test)]
mod one_shot;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod status;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod versions;
