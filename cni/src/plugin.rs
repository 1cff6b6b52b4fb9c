//! The plugin side: from environment and stdin to a checked [`Invocation`], one call, one JSON
//! document.

use std::any::Any;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, chain, code};
use crate::result::AddResult;
use crate::version::Version;

mod check;
mod env;
mod indent;
mod invocation;
mod own_netns;

pub use env::Env;
pub(crate) use invocation::{ATTACHMENTS, VALID_ATTACHMENTS};
pub use invocation::{Attachment, Command, Invocation};

/// A CNI plugin. The skeleton has checked everything of spec/sriov-cni.md §6.3 before it calls.
pub trait Plugin {
    /// Attaches the container.
    fn add(&self, call: &Invocation) -> Result<AddResult, Error>;

    /// Detaches the container; must succeed when there is nothing left.
    fn del(&self, call: &Invocation) -> Result<(), Error>;

    /// Compares the container's network with `prevResult`.
    fn check(&self, call: &Invocation) -> Result<(), Error>;

    /// Tells whether ADD could be served.
    fn status(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    /// Removes what belongs to no attachment of [`Invocation::valid_attachments`].
    fn gc(&self, _call: &Invocation) -> Result<(), Error> {
        Ok(())
    }

    /// Versions that the plugin speaks, oldest first.
    fn versions(&self) -> &[Version] {
        &Version::ALL
    }

    /// Printed on stderr, with exit code 0, when there is no `CNI_COMMAND`; None makes that an
    /// error.
    fn about(&self) -> Option<&str> {
        None
    }
}

/// Serves one call and returns the exit code, 0 or 1.
///
/// Writes exactly one JSON document to `stdout`, or nothing after a successful DEL, CHECK, GC or
/// STATUS. A panic of the plugin becomes error 999.
pub fn run(plugin: &dyn Plugin, env: &Env, stdin: &mut dyn Read, stdout: &mut dyn Write) -> u8 {
    serve(plugin, env, stdin, stdout, &Note::default())
}

/// [`run`] with the environment and streams of this process. Panics are not printed on stderr.
pub fn main(plugin: &dyn Plugin) -> ExitCode {
    let env: Env = std::env::vars_os().collect();
    if let (None, Some(about)) = (env.get("CNI_COMMAND"), plugin.about()) {
        let versions: Vec<_> = plugin.versions().iter().map(|v| v.as_str()).collect();
        let versions = versions.join(", ");
        let written = writeln!(
            std::io::stderr(),
            "{about}\nCNI protocol versions supported: {versions}"
        );
        return ExitCode::from(u8::from(written.is_err()));
    }
    let note = Note::default();
    let hooked = note.clone();
    std::panic::set_hook(Box::new(move |info| {
        hooked.write(info.to_string());
        if cfg!(panic = "abort") {
            // Nothing unwinds to `serve`, so this thread, whichever it is, gives the answer.
            let error: Failure = panicked(&"", &hooked).into();
            die(&(error.error.to_json(error.version) + "\n"));
        }
    }));
    let exit = serve(
        plugin,
        &env,
        &mut std::io::stdin(),
        &mut std::io::stdout(),
        &note,
    );
    ExitCode::from(exit)
}

#[expect(
    clippy::exit,
    reason = "a program that is built without unwinding would end by a signal instead"
)]
fn die(answer: &str) {
    // Nobody is left to be told that it cannot be written.
    let _ = std::io::stdout().write_all(answer.as_bytes());
    let _ = std::io::stdout().flush();
    std::process::exit(1);
}

/// What the panic hook saw: message and place.
#[derive(Clone, Default)]
struct Note(Arc<Mutex<String>>);

impl Note {
    fn write(&self, text: String) {
        let mut note = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The first panic is the cause; a later one is its echo in a thread that waited for it.
        if note.is_empty() {
            *note = text;
        }
    }

    fn read(&self) -> String {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// An error and the version to print it in.
struct Failure {
    error: Error,
    version: Version,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            version: Version::CURRENT,
        }
    }
}

fn serve(
    plugin: &dyn Plugin,
    env: &Env,
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
    note: &Note,
) -> u8 {
    let answer = catch_unwind(AssertUnwindSafe(|| answer(plugin, env, stdin)));
    let answer = answer.unwrap_or_else(|payload| Err(panicked(payload.as_ref(), note).into()));
    let (text, exit) = match answer {
        Ok(text) => (text, 0),
        Err(failure) => (failure.error.to_json(failure.version) + "\n", 1),
    };
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    if written.is_ok() { exit } else { 1 }
}

fn panicked(payload: &(dyn Any + Send), note: &Note) -> Error {
    let mut text = note.read();
    if text.is_empty() {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned());
        let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
        text = format!(
            "panicked: {}",
            message.unwrap_or_else(|| "no message".to_owned())
        );
    }
    Error::new(code::INTERNAL, format!("internal error: {text}"))
}

fn answer(plugin: &dyn Plugin, env: &Env, stdin: &mut dyn Read) -> Result<String, Failure> {
    let Some(command) = check::command(env)? else {
        return Ok(version_answer(plugin));
    };
    let call = check::invocation(plugin, command, env, stdin)?;
    let version = call.version;
    dispatch(plugin, &call).map_err(|error| Failure { error, version })
}

fn dispatch(plugin: &dyn Plugin, call: &Invocation) -> Result<String, Error> {
    let silent = |()| String::new();
    match call.command {
        Command::Add => {
            let result = plugin.add(call)?.to_raw(call.version).map_err(|error| {
                Error::new(
                    code::INCOMPATIBLE_VERSION,
                    format!("print the result: {}", chain(&error)),
                )
            })?;
            Ok(indent::indented(result.get()) + "\n")
        }
        Command::Del => plugin.del(call).map(silent),
        Command::Check => plugin.check(call).map(silent),
        Command::Status => plugin.status(call).map(silent),
        Command::Gc => plugin.gc(call).map(silent),
    }
}

fn version_answer(plugin: &dyn Plugin) -> String {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Versions<'a> {
        cni_version: Version,
        supported_versions: &'a [Version],
    }
    let versions = Versions {
        cni_version: Version::CURRENT,
        supported_versions: plugin.versions(),
    };
    format!("{}\n", crate::raw::raw(&versions))
}

#[cfg(test)]
mod tests;
