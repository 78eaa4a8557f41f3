//! Whether and when a failed job is started again, in Flink's words.
//!
//! [`RestartStrategy`] is what the options say; [`RestartPolicy`] adds the memory of past failures and answers one
//! question: given a failure now, after how many milliseconds is the next attempt, if at all.

use eddyline_core::{Error, Result};
use std::collections::{BTreeMap, VecDeque};

/// What the options say about restarts. All times in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// The same delay before every restart, up to a number of restarts.
    FixedDelay {
        /// Restarts at most.
        attempts: u32,
        /// Delay before each.
        delay_ms: u64,
    },
    /// The same delay, until failures come too fast.
    FailureRate {
        /// Failures within the interval that are still answered by a restart.
        max_failures_per_interval: u32,
        /// The interval.
        interval_ms: u64,
        /// Delay before each restart.
        delay_ms: u64,
    },
    /// Delays that grow with every failure and start over after a quiet time.
    ExponentialDelay {
        /// The first delay.
        initial_ms: u64,
        /// The longest delay.
        max_ms: u64,
        /// What the delay is multiplied by after each failure; at least 1.
        multiplier: f64,
        /// Time without failure after which the delay starts over.
        reset_after_ms: u64,
        /// Share of the delay by which it is varied either way, 0 to 1.
        jitter_factor: f64,
        /// Restarts without a quiet time at most; `None`: no limit.
        attempts_before_reset: Option<u32>,
    },
}

impl Default for RestartStrategy {
    /// Exponential: 1 s to 1 min by 1.5, ±10 %, starting over after an hour.
    fn default() -> Self {
        RestartStrategy::ExponentialDelay {
            initial_ms: 1_000,
            max_ms: 60_000,
            multiplier: 1.5,
            reset_after_ms: 3_600_000,
            jitter_factor: 0.1,
            attempts_before_reset: None,
        }
    }
}

/// What a failure leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartVerdict {
    /// Start again after that many milliseconds.
    After {
        /// Milliseconds from the failure on.
        delay_ms: u64,
    },
    /// Do not start again.
    Never {
        /// Which limit was reached.
        reason: String,
    },
}

/// A strategy and the failures it has seen.
#[derive(Debug, Clone)]
pub struct RestartPolicy {
    strategy: RestartStrategy,
    failures: u32,
    recent_ms: VecDeque<u64>,
    last_failure_ms: Option<u64>,
    backoff_ms: f64,
}

impl RestartPolicy {
    /// A policy that has seen no failure.
    pub fn new(strategy: RestartStrategy) -> Self {
        RestartPolicy {
            strategy,
            failures: 0,
            recent_ms: VecDeque::new(),
            last_failure_ms: None,
            backoff_ms: 0.0,
        }
    }

    /// A failure at monotonic time `now_ms`. `jitter` is drawn by the caller from -1 to 1 and only used by the
    /// exponential strategy.
    pub fn on_failure(&mut self, now_ms: u64, jitter: f64) -> RestartVerdict {
        match self.strategy.clone() {
            RestartStrategy::None => {
                RestartVerdict::Never { reason: "the restart strategy is `none`".to_owned() }
            }
            RestartStrategy::FixedDelay { attempts, delay_ms } => {
                self.failures = self.failures.saturating_add(1);
                if self.failures > attempts {
                    let reason = format!("all {attempts} restarts of the fixed-delay strategy are used up");
                    return RestartVerdict::Never { reason };
                }
                RestartVerdict::After { delay_ms }
            }
            RestartStrategy::FailureRate { max_failures_per_interval, interval_ms, delay_ms } => {
                self.recent_ms.push_back(now_ms);
                let is_old = |failure_ms: u64| now_ms.saturating_sub(failure_ms) > interval_ms;
                while self.recent_ms.front().is_some_and(|&oldest| is_old(oldest)) {
                    self.recent_ms.pop_front();
                }
                if self.recent_ms.len() > max_failures_per_interval as usize {
                    let count = self.recent_ms.len();
                    let reason = format!(
                        "{count} failures within {interval_ms} ms, {max_failures_per_interval} are allowed"
                    );
                    return RestartVerdict::Never { reason };
                }
                RestartVerdict::After { delay_ms }
            }
            RestartStrategy::ExponentialDelay { .. } => self.on_failure_exponential(now_ms, jitter),
        }
    }

    fn on_failure_exponential(&mut self, now_ms: u64, jitter: f64) -> RestartVerdict {
        let RestartStrategy::ExponentialDelay {
            initial_ms,
            max_ms,
            multiplier,
            reset_after_ms,
            jitter_factor,
            attempts_before_reset,
        } = self.strategy
        else {
            unreachable!("invariant: only called for the exponential strategy")
        };
        // The delay itself is no quiet time: the job did not run then.
        let quiet_ms = reset_after_ms as f64 + self.backoff_ms;
        let is_first = self.last_failure_ms.is_none_or(|last| now_ms.saturating_sub(last) as f64 >= quiet_ms);
        self.last_failure_ms = Some(now_ms);
        if is_first {
            self.failures = 0;
            self.backoff_ms = initial_ms as f64;
        } else {
            self.backoff_ms = (self.backoff_ms * multiplier).min(max_ms as f64);
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(attempts) = attempts_before_reset.filter(|&attempts| self.failures > attempts) {
            let reason = format!("all {attempts} restarts of the exponential-delay strategy are used up");
            return RestartVerdict::Never { reason };
        }
        let varied = self.backoff_ms * (1.0 + jitter_factor * jitter.clamp(-1.0, 1.0));
        RestartVerdict::After { delay_ms: varied.clamp(0.0, max_ms as f64) as u64 }
    }
}

const PREFIX: &str = "restart-strategy";

const KNOWN_KEYS: [&str; 12] = [
    "restart-strategy.type",
    "restart-strategy.fixed-delay.attempts",
    "restart-strategy.fixed-delay.delay",
    "restart-strategy.failure-rate.max-failures-per-interval",
    "restart-strategy.failure-rate.failure-rate-interval",
    "restart-strategy.failure-rate.delay",
    "restart-strategy.exponential-delay.initial-backoff",
    "restart-strategy.exponential-delay.max-backoff",
    "restart-strategy.exponential-delay.backoff-multiplier",
    "restart-strategy.exponential-delay.reset-backoff-threshold",
    "restart-strategy.exponential-delay.jitter-factor",
    "restart-strategy.exponential-delay.attempts-before-reset-backoff",
];

impl RestartStrategy {
    /// Reads the strategy from options; those that do not begin with `restart-strategy` are not looked at. Without
    /// a type it is the default; defaults of the other options are Flink's.
    ///
    /// # Errors
    /// Of kind `Config` for an unknown option or type, and for a value that cannot be read or makes no sense.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self> {
        let is_ours = |key: &&String| *key == PREFIX || key.starts_with("restart-strategy.");
        let unknown = |key: &&String| !KNOWN_KEYS.contains(&key.as_str());
        if let Some(key) = options.keys().filter(is_ours).find(unknown) {
            return Err(Error::config(format!("unknown option `{key}`"))
                .with_hint(format!("known options: {}", KNOWN_KEYS.join(", "))));
        }
        let options = Options(options);
        match options.get("type").unwrap_or("exponential-delay") {
            "none" | "off" | "disable" => Ok(RestartStrategy::None),
            "fixed-delay" | "fixeddelay" => Ok(RestartStrategy::FixedDelay {
                attempts: options.number("fixed-delay.attempts", 1)?,
                delay_ms: options.duration("fixed-delay.delay", 1_000)?,
            }),
            "failure-rate" | "failurerate" => Ok(RestartStrategy::FailureRate {
                max_failures_per_interval: options.number("failure-rate.max-failures-per-interval", 1)?,
                interval_ms: options.duration("failure-rate.failure-rate-interval", 60_000)?,
                delay_ms: options.duration("failure-rate.delay", 1_000)?,
            }),
            "exponential-delay" | "exponentialdelay" => options.exponential(),
            other => Err(Error::config(format!("unknown restart strategy `{other}`"))
                .with_detail("option `restart-strategy.type`")
                .with_hint("use `none`, `fixed-delay`, `failure-rate` or `exponential-delay`")),
        }
    }
}

struct Options<'a>(&'a BTreeMap<String, String>);

impl Options<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&format!("{PREFIX}.{name}")).map(|value| value.trim())
    }

    fn number<N: std::str::FromStr>(&self, name: &str, default: N) -> Result<N> {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().map_err(|_| invalid(name, text, "a number that is not negative, for example `3`"))
    }

    fn duration(&self, name: &str, default_ms: u64) -> Result<u64> {
        let Some(text) = self.get(name) else { return Ok(default_ms) };
        parse_duration_ms(text)
            .ok_or_else(|| invalid(name, text, "a duration, for example `500 ms` or `10 s`"))
    }

    fn exponential(&self) -> Result<RestartStrategy> {
        let initial_ms = self.duration("exponential-delay.initial-backoff", 1_000)?;
        let max_ms = self.duration("exponential-delay.max-backoff", 60_000)?;
        if initial_ms > max_ms {
            let text = format!("{max_ms} ms");
            return Err(invalid("exponential-delay.max-backoff", &text, "at least the initial backoff"));
        }
        let multiplier: f64 = self.number("exponential-delay.backoff-multiplier", 1.5)?;
        if !(1.0..=f64::MAX).contains(&multiplier) {
            let text = multiplier.to_string();
            return Err(invalid("exponential-delay.backoff-multiplier", &text, "a number of at least 1"));
        }
        let jitter_factor: f64 = self.number("exponential-delay.jitter-factor", 0.1)?;
        if !(0.0..=1.0).contains(&jitter_factor) {
            let text = jitter_factor.to_string();
            return Err(invalid("exponential-delay.jitter-factor", &text, "a number from 0 to 1"));
        }
        let limit = "exponential-delay.attempts-before-reset-backoff";
        let attempts_before_reset = match self.get(limit) {
            None | Some("infinite") => None,
            Some(_) => Some(self.number(limit, 0)?),
        };
        Ok(RestartStrategy::ExponentialDelay {
            initial_ms,
            max_ms,
            multiplier,
            reset_after_ms: self.duration("exponential-delay.reset-backoff-threshold", 3_600_000)?,
            jitter_factor,
            attempts_before_reset,
        })
    }
}

fn invalid(name: &str, value: &str, expected: &str) -> Error {
    Error::config(format!("option `{PREFIX}.{name}` cannot be `{value}`"))
        .with_hint(format!("give {expected}"))
}

/// Reads a duration as Flink does: a whole number and a unit, milliseconds if there is none.
fn parse_duration_ms(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<RestartStrategy> {
        let owned = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        RestartStrategy::from_options(&owned.collect())
    }

    fn after(delay_ms: u64) -> RestartVerdict {
        RestartVerdict::After { delay_ms }
    }

    fn is_never(verdict: &RestartVerdict) -> bool {
        matches!(verdict, RestartVerdict::Never { .. })
    }

    #[test]
    fn none_never_restarts() {
        assert!(is_never(&RestartPolicy::new(RestartStrategy::None).on_failure(0, 0.0)));
    }

    #[test]
    fn fixed_delay_restarts_a_number_of_times() {
        let mut policy = RestartPolicy::new(RestartStrategy::FixedDelay { attempts: 2, delay_ms: 7 });
        assert_eq!(policy.on_failure(0, 0.0), after(7));
        assert_eq!(policy.on_failure(1_000_000, 0.0), after(7));
        assert!(is_never(&policy.on_failure(2_000_000, 0.0)));
    }

    #[test]
    fn failure_rate_forgets_what_is_older_than_the_interval() {
        let mut policy = RestartPolicy::new(RestartStrategy::FailureRate {
            max_failures_per_interval: 2,
            interval_ms: 100,
            delay_ms: 7,
        });
        for now_ms in [0, 60, 120, 180, 240] {
            assert_eq!(policy.on_failure(now_ms, 0.0), after(7), "at {now_ms}");
        }
        assert!(is_never(&policy.on_failure(250, 0.0)));
    }

    #[test]
    fn exponential_delay_grows_to_its_maximum_and_starts_over() {
        let mut policy = RestartPolicy::new(RestartStrategy::ExponentialDelay {
            initial_ms: 100,
            max_ms: 350,
            multiplier: 2.0,
            reset_after_ms: 1_000,
            jitter_factor: 0.5,
            attempts_before_reset: Some(4),
        });
        assert_eq!(policy.on_failure(0, 0.0), after(100));
        assert_eq!(policy.on_failure(1, 0.0), after(200));
        assert_eq!(policy.on_failure(2, -1.0), after(175));
        assert_eq!(policy.on_failure(1_351, 0.0), after(350), "the delay is no quiet time");
        assert!(is_never(&policy.on_failure(1_352, 0.0)));
        assert_eq!(policy.on_failure(2_702, 1.0), after(150), "starts over");
    }

    #[test]
    fn flinks_words_are_understood() {
        let kind = "restart-strategy.type";
        assert_eq!(parse(&[]).unwrap(), RestartStrategy::default());
        assert_eq!(parse(&[("parallelism.default", "x")]).unwrap(), RestartStrategy::default());
        assert_eq!(parse(&[(kind, "off")]).unwrap(), RestartStrategy::None);
        let fixed = [(kind, "fixed-delay"), ("restart-strategy.fixed-delay.delay", "10 s")];
        let expected = RestartStrategy::FixedDelay { attempts: 1, delay_ms: 10_000 };
        assert_eq!(parse(&fixed).unwrap(), expected);
        let rate = [(kind, "failure-rate"), ("restart-strategy.failure-rate.failure-rate-interval", "5min")];
        let expected = RestartStrategy::FailureRate {
            max_failures_per_interval: 1,
            interval_ms: 300_000,
            delay_ms: 1_000,
        };
        assert_eq!(parse(&rate).unwrap(), expected);
        let limit = "restart-strategy.exponential-delay.attempts-before-reset-backoff";
        assert_eq!(parse(&[(limit, "infinite")]).unwrap(), RestartStrategy::default());
        let RestartStrategy::ExponentialDelay { attempts_before_reset, .. } = parse(&[(limit, "3")]).unwrap()
        else {
            panic!("exponential is the default");
        };
        assert_eq!(attempts_before_reset, Some(3));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_name_of_the_option() {
        let wrong = [
            ("restart-strategy.type", "sometimes"),
            ("restart-strategy.fixed-dely.delay", "1 s"),
            ("restart-strategy", "none"),
            ("restart-strategy.exponential-delay.initial-backoff", "2 h"),
            ("restart-strategy.exponential-delay.max-backoff", "99999999999999999999 d"),
            ("restart-strategy.exponential-delay.backoff-multiplier", "0.5"),
            ("restart-strategy.exponential-delay.backoff-multiplier", "NaN"),
            ("restart-strategy.exponential-delay.jitter-factor", "1.5"),
            ("restart-strategy.exponential-delay.reset-backoff-threshold", "soon"),
        ];
        for (key, value) in wrong {
            let error = parse(&[(key, value)]).expect_err(key);
            assert_eq!(error.kind(), eddyline_core::ErrorKind::Config, "{key}");
            assert!(error.report().contains("restart-strategy"), "{}", error.report());
            assert!(error.hint().is_some(), "{key}");
        }
    }
}
