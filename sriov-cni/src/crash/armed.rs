//! The armed points: which one is the last.

use std::cell::RefCell;

use super::{Moment, Point, Verb};

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
}

#[derive(Debug)]
struct State {
    verb: Option<Verb>,
    at: Option<At>,
    #[cfg(test)]
    reached: Vec<(Verb, Moment, Point)>,
}

impl State {
    const fn new() -> Self {
        Self {
            verb: None,
            at: None,
            #[cfg(test)]
            reached: Vec::new(),
        }
    }
}

/// Where to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    point: (Verb, Moment, Point),
    /// How often the point will have been passed.
    left: u32,
}

/// No such point.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no crash point {0:?}: `sriov crash-points` lists them")]
pub struct Unknown(String);

/// From now on the process dies at the point named `<verb>.<before|after>.<point>`, with `@N` behind it when the point
/// is passed for the Nth time.
pub fn arm(name: &str) -> Result<(), Unknown> {
    let at = parse(name).ok_or_else(|| Unknown(name.to_owned()))?;
    STATE.with_borrow_mut(|state| state.at = Some(at));
    Ok(())
}

fn parse(name: &str) -> Option<At> {
    let (name, left) = match name.split_once('@') {
        Some((name, times)) => (name, times.parse().ok().filter(|times| *times > 0)?),
        None => (name, 1),
    };
    let [verb, moment, point] = name.split('.').collect::<Vec<_>>().try_into().ok()?;
    Some(At {
        point: (
            *Verb::ALL.iter().find(|known| known.name() == verb)?,
            *Moment::ALL.iter().find(|known| known.name() == moment)?,
            *Point::ALL.iter().find(|known| known.name() == point)?,
        ),
        left,
    })
}

/// A point is passed. Outside of any verb there is none.
pub(super) fn pass(point: Point, moment: Moment) {
    let dies = STATE.with_borrow_mut(|state| {
        let Some(verb) = state.verb else {
            return false;
        };
        let here = (verb, moment, point);
        #[cfg(test)]
        state.reached.push(here);
        match &mut state.at {
            Some(at) if at.point == here => {
                at.left -= 1;
                at.left == 0
            }
            _ => false,
        }
    });
    if dies {
        die();
    }
}

#[cfg(not(test))]
fn die() {
    std::process::abort();
}

/// Not a panic for the hook: dying is not told.
#[cfg(test)]
fn die() {
    STATE.with_borrow_mut(|state| state.at = None);
    std::panic::resume_unwind(Box::new(crate::fake::Crash));
}

/// See [`scope`].
#[derive(Debug)]
pub(crate) struct Scope(Option<Verb>);

/// Points passed until the value is dropped are the verb's.
pub(crate) fn scope(verb: Verb) -> Scope {
    Scope(STATE.with_borrow_mut(|state| state.verb.replace(verb)))
}

impl Drop for Scope {
    fn drop(&mut self) {
        STATE.with_borrow_mut(|state| state.verb = self.0);
    }
}

/// Points that were passed since this was asked last.
#[cfg(test)]
pub(crate) fn reached() -> Vec<(Verb, Moment, Point)> {
    STATE.with_borrow_mut(|state| std::mem::take(&mut state.reached))
}
