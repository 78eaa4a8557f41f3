//! Links between pages: a relative link in a Markdown file leads to a file or folder of the repository.

use super::{File, Violation};

/// Checks all relative links outside code blocks.
pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "md") {
        let mut in_code = false;
        for (index, line) in file.text.as_deref().unwrap_or_default().lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            for target in targets(line).filter(|_| !in_code) {
                if !leads_somewhere(files, &file.path, target) {
                    let message = format!("links to {target}, which is not there");
                    violations.push(Violation::new(file, index + 1, message));
                }
            }
        }
    }
    violations
}

/// The relative targets of `](…)` in `line`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let rests = line.split("](").skip(1);
    let whole = rests.filter_map(|rest| Some(rest.split_once(')')?.0));
    whole.filter(|target| {
        !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
    })
}

fn leads_somewhere(files: &[File], from: &str, target: &str) -> bool {
    let target = target.split('#').next().unwrap_or(target);
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/').filter(|part| !part.is_empty()) {
        match part {
            "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return false;
                }
            }
            name => parts.push(name),
        }
    }
    let path = parts.join("/");
    files.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{file, one};
    use super::*;

    #[test]
    fn links_are_followed() {
        let readme =
            |text: &str| [file("docs/a.md", text), file("docs/b.md", ""), file("crates/x/src/lib.rs", "")];
        let good = "[b](b.md) [b](./b.md#part) [x](../crates/x) [w](https://example.org/x) [h](#here)\n";
        assert_eq!(check(&readme(good)), []);
        assert_eq!(check(&readme("```\n[c](c.md)\n```\n")), []);
        one(&check(&readme("text\n[c](c.md)\n")), "docs/a.md:2: links to c.md");
        one(&check(&readme("[c](../../c.md)\n")), "not there");
    }
}
