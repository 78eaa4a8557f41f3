//! A control line: messages in order, with delays, and sometimes a second time.
//!
//! As on a real connection order is kept; as after a reconnect the last messages may be sent again, in order.

use crate::random::Random;
use std::collections::VecDeque;

/// How bad a line is.
#[derive(Debug, Clone, Copy)]
pub struct LineConfig {
    /// Longest delay of a message, microseconds.
    pub delay_micros_max: u64,
    /// One in how many messages makes the line send its last messages again; 0: none.
    pub repeat_one_in: u64,
}

/// How many messages a line remembers, to send them again.
const REMEMBERED: usize = 4;

/// One direction of a connection.
pub struct Line<M> {
    config: LineConfig,
    random: Random,
    queue: VecDeque<(u64, M)>,
    last: VecDeque<M>,
    last_due: u64,
    /// Messages delivered a second time.
    pub repeated: u64,
}

impl<M: Clone> Line<M> {
    /// An empty line.
    pub fn new(config: LineConfig, random: Random) -> Self {
        Line { config, random, queue: VecDeque::new(), last: VecDeque::new(), last_due: 0, repeated: 0 }
    }

    /// Sends `message` at `now` (microseconds).
    pub fn send(&mut self, now: u64, message: M) {
        self.queue_up(now, message.clone());
        self.last.push_back(message);
        if self.last.len() > REMEMBERED {
            self.last.pop_front();
        }
        if self.random.chance(self.config.repeat_one_in) {
            let again = self.random.between(1, self.last.len() as u64) as usize;
            let messages: Vec<M> = self.last.iter().skip(self.last.len() - again).cloned().collect();
            for message in messages {
                self.repeated += 1;
                self.queue_up(now, message);
            }
        }
    }

    fn queue_up(&mut self, now: u64, message: M) {
        let slow = if self.random.chance(20) { 30 } else { 1 };
        let due = now + self.random.below(self.config.delay_micros_max * slow + 1);
        self.last_due = self.last_due.max(due);
        self.queue.push_back((self.last_due, message));
    }

    /// The next message that has arrived at `now`.
    pub fn receive(&mut self, now: u64) -> Option<M> {
        let arrived = self.queue.front().is_some_and(|(due, _)| *due <= now);
        if arrived { self.queue.pop_front().map(|(_, message)| message) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_nothing_is_lost() {
        let config = LineConfig { delay_micros_max: 100, repeat_one_in: 0 };
        let mut line = Line::new(config, Random::new(3));
        (0..100).for_each(|number| line.send(number * 10, number));
        let mut seen = Vec::new();
        for now in 0..10_000 {
            while let Some(number) = line.receive(now) {
                assert!(now >= number * 10, "not before it was sent");
                seen.push(number);
            }
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn repeated_messages_come_after_the_first_time() {
        let config = LineConfig { delay_micros_max: 10, repeat_one_in: 2 };
        let mut line = Line::new(config, Random::new(3));
        (0..50u64).for_each(|number| line.send(number, number));
        let mut seen = std::collections::BTreeSet::new();
        while let Some(number) = line.receive(u64::MAX) {
            assert!(seen.contains(&number) || seen.len() as u64 == number);
            seen.insert(number);
        }
        assert_eq!(seen.len(), 50);
        assert!(line.repeated > 0);
    }
}
