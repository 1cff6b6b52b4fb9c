//! When a container that ended is started again: at once, then after longer and longer pauses.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// First and longest pause, as the kubelet's.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(5));

/// The pauses of a pod's containers.
#[derive(Debug, Default)]
pub(crate) struct Backoff(HashMap<String, Pause>);

#[derive(Debug)]
struct Pause {
    until: Instant,
    length: Duration,
}

impl Backoff {
    /// Whether a container that was found ended may start now. Saying yes begins the next pause.
    pub(crate) fn may_start(&mut self, container: &str, now: Instant) -> bool {
        match self.0.get_mut(container) {
            None => {
                self.0.insert(
                    container.to_owned(),
                    Pause {
                        until: now + PAUSES.0,
                        length: PAUSES.0,
                    },
                );
                true
            }
            Some(pause) if now >= pause.until => {
                pause.length = (pause.length * 2).min(PAUSES.1);
                pause.until = now + pause.length;
                true
            }
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut backoff = Backoff::default();
        let answers: Vec<bool> = [0, 5, 10, 25, 30]
            .into_iter()
            .map(|second| backoff.may_start("c", at(second)))
            .collect();
        assert_eq!(answers, [true, false, true, false, true]);
        assert!(backoff.may_start("other", start));
    }
}
