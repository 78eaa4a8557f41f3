//! What can be set about detection.

use serde::Deserialize;

/// The limits of the detectors.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DetectionSettings {
    /// Errors within a minute below which there is no spike.
    pub spike_errors_min: u64,
    /// The share of errors, 0 to 1, below which there is no spike.
    pub spike_rate_min: f64,
    /// How many times the share of the hour before a spike has to be.
    pub spike_factor: f64,
    /// Lines in the hour before below which nothing is known of what is usual.
    pub spike_history_lines_min: u64,
    /// Failed logins from one host that are an attack.
    pub brute_force_failures: usize,
    /// Within how many seconds.
    pub brute_force_seconds: i64,
    /// Different missing paths in a session that make a scanner.
    pub scanner_paths: usize,
    /// Seconds without a line after which a file is silent; more if the file has been quiet for long before.
    pub silence_seconds: i64,
}

impl Default for DetectionSettings {
    fn default() -> Self {
        DetectionSettings {
            spike_errors_min: 5,
            spike_rate_min: 0.05,
            spike_factor: 3.0,
            spike_history_lines_min: 100,
            brute_force_failures: 10,
            brute_force_seconds: 300,
            scanner_paths: 20,
            silence_seconds: 900,
        }
    }
}

impl DetectionSettings {
    pub(crate) fn brute_force_ms(&self) -> i64 {
        self.brute_force_seconds.max(1).saturating_mul(1_000)
    }

    pub(crate) fn silence_ms(&self) -> i64 {
        self.silence_seconds.max(1).saturating_mul(1_000)
    }
}

impl DetectionSettings {
    /// Refuses limits that make no sense.
    ///
    /// # Errors
    /// If there is one, naming it.
    pub fn check(&self) -> eddyline_core::Result<()> {
        let refused = |name: &str, hint: &str| {
            Err(eddyline_core::Error::config(format!("the limit `{name}` of alerts makes no sense"))
                .with_hint(hint))
        };
        if !(0.0..=1.0).contains(&self.spike_rate_min) {
            return refused("spike-rate-min", "a share from 0 to 1");
        }
        if !self.spike_factor.is_finite() || self.spike_factor < 1.0 {
            return refused("spike-factor", "a number of at least 1");
        }
        if !(1..=256).contains(&self.brute_force_failures) {
            return refused("brute-force-failures", "1 to 256");
        }
        if !(1..=2_048).contains(&self.scanner_paths) {
            return refused("scanner-paths", "1 to 2048");
        }
        Ok(())
    }
}
