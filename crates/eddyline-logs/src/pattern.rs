//! Patterns with `*`, for names and paths.

/// Whether `text` is what `pattern` says; `*` stands for any bytes, also none. Linear in the text for each star.
///
/// # Examples
/// ```
/// use eddyline_logs::pattern::matches;
/// assert!(matches(b"/api/*/users*", b"/api/v1/users/7"));
/// assert!(!matches(b"/api/*", b"/apis"));
/// ```
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut place, mut read) = (0, 0);
    // Where to go on if what followed the last star does not fit: one byte more is the star's.
    let mut retry: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(place) {
            Some(b'*') => {
                retry = Some((place, read));
                place += 1;
            }
            Some(byte) if *byte == text[read] => {
                place += 1;
                read += 1;
            }
            _ => {
                let Some((star, from)) = retry else { return false };
                retry = Some((star, from + 1));
                (place, read) = (star + 1, from + 1);
            }
        }
    }
    pattern[place..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*.log", "a.log.1", false),
            ("abc", "ab", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
