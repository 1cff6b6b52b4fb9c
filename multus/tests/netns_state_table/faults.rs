//! Faults that others have shipped, planted from outside around what we ship.

use cni::error::Error;
use cni::plugin::{Invocation, Plugin};
use cni::result::AddResult;
use multus::guard::Guard;
use multus_plugin::command::Multus;
use serde_json::{Value, json};

/// The configuration goes when the daemon is told to end, as in Go multus (spec/ecosystem.md §6.1 d).
pub(crate) fn configuration_removed_on_sigterm(guard: &Guard) {
    guard.leave();
    let _absent = std::fs::remove_file(guard.conf_dir.join("00-multus.conflist"));
}

/// A pod of which the runtime says nothing is taken for one that asks for nothing.
pub(crate) fn absent_key_is_plain(multus: Multus) -> Box<dyn Plugin> {
    Box::new(Around {
        multus,
        add: |multus, call| {
            let call = with(call, |conf| {
                let key = "io.kubernetes.cri.pod-annotations";
                if conf["runtimeConfig"].get(key).is_none() {
                    conf["runtimeConfig"] = json!({key: {}});
                }
            });
            multus.add(&call)
        },
    })
}

/// The record reaches the state folder when the last delegate is done: the shipped ADD works on a folder of its own, whose
/// records are brought over afterwards.
pub(crate) fn record_after_the_delegate(multus: Multus) -> Box<dyn Plugin> {
    Box::new(Around {
        multus,
        add: |multus, call| {
            let mut state = String::new();
            let call = with(call, |conf| {
                conf["cniDir"]
                    .as_str()
                    .unwrap_or_default()
                    .clone_into(&mut state);
                conf["cniDir"] = json!(format!("{state}-late"));
            });
            let result = multus.add(&call);
            let late = format!("{state}-late");
            for folder in ["journal", "results"] {
                for name in
                    host::file::list(format!("{late}/{folder}").as_ref()).unwrap_or_default()
                {
                    let _there = std::fs::create_dir_all(format!("{state}/{folder}"));
                    let _gone = std::fs::rename(
                        format!("{late}/{folder}/{name}"),
                        format!("{state}/{folder}/{name}"),
                    );
                }
            }
            result
        },
    })
}

/// The shipped plugin with another ADD.
struct Around {
    multus: Multus,
    add: fn(&Multus, &Invocation) -> Result<AddResult, Error>,
}

impl Plugin for Around {
    fn add(&self, call: &Invocation) -> Result<AddResult, Error> {
        (self.add)(&self.multus, call)
    }

    fn del(&self, call: &Invocation) -> Result<(), Error> {
        self.multus.del(call)
    }

    fn check(&self, call: &Invocation) -> Result<(), Error> {
        self.multus.check(call)
    }

    fn status(&self, call: &Invocation) -> Result<(), Error> {
        self.multus.status(call)
    }

    fn gc(&self, call: &Invocation) -> Result<(), Error> {
        self.multus.gc(call)
    }
}

fn with(call: &Invocation, change: impl FnOnce(&mut Value)) -> Invocation {
    let mut conf: Value = serde_json::from_slice(&call.stdin).unwrap();
    change(&mut conf);
    Invocation {
        stdin: conf.to_string().into_bytes(),
        ..call.clone()
    }
}
