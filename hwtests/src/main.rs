//! `hwtests`: proves Ferrovia on real kernels.

use std::process::ExitCode;

use clap::Parser;

/// Command line.
#[derive(Debug, Parser)]
#[command(name = "hwtests", about)]
enum Arguments {
    /// Plays the main job in the emulated lab and prints a row per step.
    Demo(hwtests::lab::demo::Arguments),
    /// Plays all stories and planted faults in the emulated lab; ends with a line of counts.
    Test(hwtests::lab::suite::Arguments),
    /// Measures ADD and DEL of multus on this machine, beside the Go programs.
    BenchMultus(hwtests::scenario::bench_multus::Arguments),
    /// Plays 200 ADDs of multus at once on this machine, without a guest.
    Storm(hwtests::scenario::storm::Arguments),
    /// Runs inside the lab's guest; the other commands call it.
    #[command(hide = true)]
    Guest(hwtests::guest::run::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse() {
        Arguments::Demo(arguments) => hwtests::lab::demo::run(&arguments),
        Arguments::Test(arguments) => hwtests::lab::suite::run(&arguments),
        Arguments::BenchMultus(arguments) => {
            hwtests::scenario::bench_multus::run(&arguments).map(|()| ExitCode::SUCCESS)
        }
        Arguments::Storm(arguments) => hwtests::scenario::storm::run(&arguments),
        Arguments::Guest(arguments) => hwtests::guest::run::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        #[expect(clippy::print_stderr, reason = "the command's error for people")]
        {
            eprintln!("hwtests: {error:#}");
        }
        ExitCode::FAILURE
    })
}
