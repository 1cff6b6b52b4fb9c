//! A plugin that does what its configuration says. The process tests of the skeleton run it.
//!
//! `{"result": {…}}` is printed at ADD; `{"fail": {"code": 7, "msg": "…"}}` fails every verb;
//! `{"panic": "…"}` panics, with `"panicInThread": true` in a thread whose end is waited for. It
//! writes `done` to the file named by `mark`, so that a test can see that it was reached.

use std::process::ExitCode;

use cni::Error;
use cni::plugin::{Invocation, Plugin};
use cni::raw::Object;
use cni::result::{self, AddResult};

struct Scripted;

impl Scripted {
    fn act(call: &Invocation) -> Result<(), Error> {
        if let Some(path) = text(&call.config, "mark") {
            std::fs::File::create(path).map_err(|error| Error::from_chain(5, &error))?;
        }
        if let Some(message) = text(&call.config, "panic") {
            let broken = if call.config.get("panicInThread").is_some() {
                std::thread::spawn(move || fall(&message)).join()
            } else {
                fall(&message);
                Ok(())
            };
            broken.unwrap_or_else(|_| fall("a thread broke"));
        }
        match call.config.get("fail") {
            Some(error) => Err(Error::parse(error.get().as_bytes()).unwrap_or(Error::new(0, ""))),
            None => Ok(()),
        }
    }
}

#[expect(clippy::panic, reason = "this is what it is for")]
fn fall(message: &str) {
    panic!("{message}")
}

fn text(config: &Object, key: &str) -> Option<String> {
    config.typed(key).ok().flatten()
}

impl Plugin for Scripted {
    fn add(&self, call: &Invocation) -> Result<AddResult, Error> {
        Self::act(call)?;
        let result = call.config.get("result").map_or("{}", |value| value.get());
        result::parse(result.as_bytes(), call.version).map_err(|error| Error::from_chain(6, &error))
    }

    fn del(&self, call: &Invocation) -> Result<(), Error> {
        Self::act(call)
    }

    fn check(&self, call: &Invocation) -> Result<(), Error> {
        Self::act(call)
    }

    fn about(&self) -> Option<&str> {
        Some("scripted: does what its configuration says")
    }
}

fn main() -> ExitCode {
    cni::plugin::main(&Scripted)
}
