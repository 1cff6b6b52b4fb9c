//! What `deploy/` promises: every rendering is valid for the oldest and the newest Kubernetes, asks for no right and no
//! folder that the programs do not use, and the ways to install are one (spec/ecosystem.md §5.5).
//!
//! The committed manifests are tested everywhere. What must be rendered anew needs helm and kubectl, which
//! `deploy/tools.sh` fetches; without them those tests say that they are skipped.
//! `FERROVIA_BLESS=1` writes the generated files instead of comparing them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "the functions around the tests fail as the tests do, and say what they skip"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "boundary: reads deploy/ and runs helm and kubectl"
)]

#[path = "deploy/carvel.rs"]
mod carvel;
#[path = "deploy/command_lines.rs"]
mod command_lines;
#[path = "deploy/committed.rs"]
mod committed;
#[path = "deploy/docs.rs"]
mod docs;
#[path = "deploy/generated.rs"]
mod generated;
#[path = "deploy/lint.rs"]
mod lint;
#[path = "deploy/matrix.rs"]
mod matrix;
#[path = "deploy/properties.rs"]
mod properties;
#[path = "deploy/references.rs"]
mod references;
#[path = "deploy/rights.rs"]
mod rights;
#[path = "deploy/schema.rs"]
mod schema;
#[path = "deploy/served.rs"]
mod served;
#[path = "deploy/server.rs"]
mod server;
#[path = "deploy/signer.rs"]
mod signer;
#[path = "deploy/tools.rs"]
mod tools;
#[path = "deploy/typed.rs"]
mod typed;
