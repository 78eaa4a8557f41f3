//! Small charts made of block characters.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A horizontal bar of at most `width` columns, exact to an eighth; anything but 0 is seen. Filled up with spaces.
pub(super) fn bar(value: u64, largest: u64, width: usize) -> String {
    let whole = (width as u64) * 8;
    let scaled = u128::from(value.min(largest)) * u128::from(whole) / u128::from(largest.max(1));
    let eighths = if value == 0 { 0 } else { (scaled as usize).max(1) };
    let mut text: String = std::iter::repeat_n('█', eighths / 8).collect();
    let mut used = eighths / 8;
    if !eighths.is_multiple_of(8) {
        text.push(EIGHTHS[eighths % 8 - 1]);
        used += 1;
    }
    text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    text
}

/// One column per value, 0 a space; the largest value is full height.
pub(super) fn sparkline(values: &[u64]) -> String {
    let largest = values.iter().copied().max().unwrap_or(0).max(1);
    let level = |&value: &u64| match value {
        0 => ' ',
        _ => LEVELS[(u128::from(value) * 7 / u128::from(largest)) as usize],
    };
    values.iter().map(level).collect()
}

/// Spreads counts at places over `columns` buckets of equal length that cover `first..=last`, and adds up.
pub(super) fn buckets(
    points: impl Iterator<Item = (i64, u64)>,
    first: i64,
    last: i64,
    columns: usize,
) -> Vec<u64> {
    let span = i128::from(last) - i128::from(first) + 1;
    let mut sums = vec![0_u64; columns];
    for (place, value) in points.filter(|(place, _)| (first..=last).contains(place)) {
        let column = (i128::from(place) - i128::from(first)) * columns as i128 / span.max(1);
        sums[column as usize] += value;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_exact_to_an_eighth_and_show_the_smallest() {
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(5, 10, 3), "█▌ ");
        assert_eq!(bar(1, 1_000_000, 3), "▏  ");
        assert_eq!((bar(0, 0, 2), bar(9, 3, 2)), ("  ".to_string(), "██".to_string()));
    }

    #[test]
    fn sparklines_scale_to_the_largest() {
        assert_eq!(sparkline(&[0, 1, 50, 100]), " ▁▄█");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&[u64::MAX]), "█");
    }

    #[test]
    fn buckets_keep_the_sum() {
        let points = [(0, 1), (5, 2), (9, 3), (10, 100)];
        assert_eq!(buckets(points.into_iter(), 0, 9, 2), [1, 5]);
        assert_eq!(buckets(points.into_iter(), i64::MIN, i64::MAX, 1), [106]);
        assert_eq!(buckets(points.into_iter(), 5, 5, 3), [2, 0, 0]);
    }
}
