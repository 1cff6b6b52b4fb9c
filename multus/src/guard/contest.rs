//! How often our configuration is put back when another program takes it away: once at once, then more and more rarely.
//! Two programs that each restore their own order would otherwise make the runtime reload without end
//! (spec/ecosystem.md §7, "no rename wars").

use std::time::{Duration, Instant};

/// First and longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// What stays so long is uncontested.
const CALM: Duration = Duration::from_mins(10);

/// The state of one configuration.
#[derive(Debug, Default)]
pub(super) struct Contest {
    /// When ours was put there, or first seen there.
    asserted: Option<Instant>,
    lost: bool,
    fights: u32,
}

impl Contest {
    /// Ours is not there. True if it was when it was looked at before.
    pub(super) fn lost(&mut self, now: Instant) -> bool {
        let news = !self.lost;
        if news {
            let soon = self
                .asserted
                .is_some_and(|at| now.duration_since(at) < CALM);
            self.fights = if soon { self.fights + 1 } else { 0 };
            self.lost = true;
        }
        news
    }

    /// How long it has to stay away yet.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        let Some(before) = self.fights.checked_sub(2) else {
            return Duration::ZERO;
        };
        let pause = PAUSES
            .0
            .saturating_mul(2u32.saturating_pow(before))
            .min(PAUSES.1);
        self.asserted.map_or(Duration::ZERO, |at| {
            (at + pause).saturating_duration_since(now)
        })
    }

    /// Ours is there.
    pub(super) fn holds(&mut self, now: Instant) {
        if self.lost || self.asserted.is_none() {
            self.asserted = Some(now);
            self.lost = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_comes_back_at_once_then_ever_more_rarely_and_at_once_again_after_calm() {
        let start = Instant::now();
        let mut contest = Contest::default();
        contest.holds(start);
        let mut now = start + CALM;
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(contest.lost(now));
            assert!(!contest.lost(now), "the same loss is no news");
            let pause = contest.pause(now);
            pauses.push(pause.as_secs());
            now += pause;
            assert_eq!(contest.pause(now), Duration::ZERO);
            contest.holds(now);
        }
        assert_eq!(pauses, [0, 0, 5, 10, 20, 40, 80, 160, 300, 300, 300, 300]);
        now += CALM;
        assert!(contest.lost(now));
        assert_eq!(contest.pause(now), Duration::ZERO);
    }
}
