//! Bars with targets, as SVG.

use crate::report::{Line, Report, Target, number};
use std::fmt::Write;

const ROW_HEIGHT: usize = 26;
const TEXT_WIDTH: usize = 420;
const BAR_WIDTH: f64 = 340.0;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The figures of a report that are told in `unit`, a bar each, their targets as marks. Nothing if there are none.
pub fn bars(report: &Report, unit: &str) -> Option<String> {
    let lines: Vec<&Line> =
        report.lines.iter().filter(|line| line.unit == unit && line.value.is_finite()).collect();
    if lines.is_empty() {
        return None;
    }
    let limit = |line: &Line| match line.target {
        Target::None => 0.0,
        Target::AtMost(limit) | Target::AtLeast(limit) => limit,
    };
    let most = lines.iter().map(|line| line.value.max(limit(line))).fold(f64::MIN_POSITIVE, f64::max);
    let scale = BAR_WIDTH / most;
    let (width, height) = (TEXT_WIDTH + BAR_WIDTH as usize + 90, (lines.len() + 2) * ROW_HEIGHT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"18\" \
         font-weight=\"bold\">{}, {}</text>\n",
        escaped(report.name),
        escaped(unit)
    );
    for (index, line) in lines.iter().enumerate() {
        let top = (index + 1) * ROW_HEIGHT;
        let color = match line.kept() {
            None => "#9aa5b1",
            Some(true) => "#3f8f5f",
            Some(false) => "#c2593f",
        };
        let length = line.value * scale;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n<rect x=\"{TEXT_WIDTH}\" y=\"{}\" width=\"{length:.1}\" \
             height=\"16\" fill=\"{color}\"/>\n<text x=\"{:.1}\" y=\"{}\">{}</text>",
            TEXT_WIDTH - 8,
            top + 17,
            escaped(&line.what),
            top + 5,
            TEXT_WIDTH as f64 + length.max(limit(line) * scale) + 6.0,
            top + 17,
            number(line.value)
        );
        if limit(line) > 0.0 {
            let at = TEXT_WIDTH as f64 + limit(line) * scale;
            let _ = writeln!(
                svg,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"black\" stroke-width=\"2\"/>",
                top + 2,
                top + 24
            );
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"8\" y=\"{}\" fill=\"#555\">black mark: target; green: kept; red: short; grey: for comparison</text>\n</svg>",
        height - 8
    );
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_unit_has_a_bar() {
        let lines = vec![
            Line::new("a < b", "ns", &[5.0]).at_most(10.0),
            Line::new("c", "ns", &[12.0]).at_most(10.0),
            Line::new("d", "ms", &[1.0]),
        ];
        let report = Report { name: "window", settings: String::new(), lines };
        let svg = bars(&report, "ns").unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("#3f8f5f") && svg.contains("#c2593f"));
        assert_eq!(svg.matches("stroke-width").count(), 2);
        assert!(bars(&report, "MB").is_none());
    }
}
