//! Alerts, for people.

use super::style::{Tone, date_time, fit, plural};
use super::{Style, headline};
use crate::detect::{Alert, Severity};

/// How many alerts are shown.
const ALERTS_SHOWN: usize = 10;

/// The alerts, open ones first, then the latest; nothing if there are none.
///
/// # Examples
/// ```
/// assert_eq!(eddyline_logs::render_alerts(&[], &eddyline_logs::Style::plain(80)), "");
/// ```
pub fn render_alerts(alerts: &[Alert], style: &Style) -> String {
    if alerts.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<&Alert> = alerts.iter().collect();
    sorted.sort_by_key(|alert| (!alert.is_open(), std::cmp::Reverse(alert.opened)));
    let mut text = headline("Alerts", style);
    for alert in sorted.iter().take(ALERTS_SHOWN) {
        let tone = match alert.severity {
            Severity::Warning => Tone::Warning,
            Severity::Critical => Tone::Bad,
        };
        let state = if alert.is_open() { ", open" } else { "" };
        let line = format!("{}  {}{state}: {}", date_time(alert.opened), alert.kind.name(), alert.message);
        text.push_str(&format!("  {}\n", style.paint(tone, &fit(&line, style.width() - 2))));
    }
    if sorted.len() > ALERTS_SHOWN {
        let more = plural((sorted.len() - ALERTS_SHOWN) as u64, "more alert");
        text.push_str(&format!("  {}\n", style.paint(Tone::Faint, &more)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::AlertKind;

    #[test]
    fn open_alerts_come_first_and_lines_stay_short() {
        let mut alerts: Vec<Alert> = (0..12)
            .map(|number| {
                Alert::open(AlertKind::Scanner, "h", Severity::Warning, number * 1_000).close(number)
            })
            .collect();
        let mut open = Alert::open(AlertKind::BruteForce, "h", Severity::Critical, 0);
        open.message = "x".repeat(200) + "\u{1b}[31m";
        alerts.push(open);
        let text = render_alerts(&alerts, &Style::plain(60));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("brute-force, open"), "{text}");
        assert!(text.contains("3 more alerts") && !text.contains('\u{1b}'));
        assert!(lines.iter().all(|line| line.chars().count() <= 60));
    }
}
