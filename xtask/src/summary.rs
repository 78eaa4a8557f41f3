//! Counting tests: what the test binaries report, summed up into one line.

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    /// Adds what `line` reports if it is the last line of a test binary: `test result: ok. 3 passed; 0 failed; …`.
    pub fn add_line(&mut self, line: &str) {
        let Some((_, report)) = line.split_once("test result:") else { return };
        let words: Vec<&str> = report.split([' ', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else { continue };
            match pair[1] {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_summed_and_other_lines_ignored() {
        let mut counts = Counts::default();
        counts.add_line("running 3 tests\n");
        counts.add_line("test a ... 7 passed\n");
        counts.add_line(
            "test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 9 filtered out; in 0.1s\n",
        );
        counts.add_line("test result: \u{1b}[31mFAILED\u{1b}[m. 10 passed; 2 failed; 0 ignored; in 0.1s\n");
        assert_eq!(counts, Counts { passed: 13, failed: 2 });
        assert_eq!(counts.to_string(), "13 passed, 2 failed");
    }
}
