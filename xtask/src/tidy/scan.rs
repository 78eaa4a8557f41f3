//! A look at Rust source that is just sharp enough for the checks: code without its comments and literals, and
//! which lines are test code.

/// The lines of `source` with comments, strings and characters blanked; columns do not keep their meaning.
pub fn code_lines(source: &str) -> Vec<String> {
    let characters: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut position = 0;
    while position < characters.len() {
        let end = literal_end(&characters, position);
        if end == position {
            code.push(characters[position]);
            position += 1;
        } else {
            code.push(' ');
            code.extend(characters[position..end].iter().filter(|character| **character == '\n'));
            position = end;
        }
    }
    code.lines().map(str::to_owned).collect()
}

/// The position after the comment or literal that starts at `start`; `start` itself if none does.
fn literal_end(characters: &[char], start: usize) -> usize {
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    match (at(start), at(start + 1)) {
        ('/', '/') => find(characters, start, &['\n']),
        ('/', '*') => block_comment_end(characters, start),
        ('"', _) => string_end(characters, start + 1),
        ('r', '"' | '#') if start == 0 || !is_word(at(start - 1)) || at(start - 1) == 'b' => {
            raw_string_end(characters, start)
        }
        ('\'', '\\') => find(characters, start + 3, &['\'']) + 1,
        ('\'', _) if at(start + 2) == '\'' => start + 3,
        _ => start,
    }
    .min(characters.len())
}

fn find(characters: &[char], from: usize, pattern: &[char]) -> usize {
    let rest = characters.get(from..).unwrap_or_default();
    rest.windows(pattern.len())
        .position(|window| window == pattern)
        .map_or(characters.len(), |offset| from + offset)
}

fn block_comment_end(characters: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut position = start;
    while position < characters.len() {
        match characters.get(position..position + 2) {
            Some(['/', '*']) => depth += 1,
            Some(['*', '/']) => depth -= 1,
            _ => {
                position += 1;
                continue;
            }
        }
        position += 2;
        if depth == 0 {
            break;
        }
    }
    position
}

fn string_end(characters: &[char], from: usize) -> usize {
    let mut position = from;
    while position < characters.len() && characters[position] != '"' {
        position += if characters[position] == '\\' { 2 } else { 1 };
    }
    position + 1
}

fn raw_string_end(characters: &[char], start: usize) -> usize {
    let hashes = characters[start + 1..].iter().take_while(|character| **character == '#').count();
    if characters.get(start + 1 + hashes) != Some(&'"') {
        return start; // a raw identifier
    }
    let mut close = vec!['"'];
    close.extend(std::iter::repeat_n('#', hashes));
    find(characters, start + 2 + hashes, &close) + close.len()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// For each of `code_lines`, whether it belongs to an item under `#[cfg(test)]`; formatting by rustfmt is assumed.
pub fn test_lines(code_lines: &[String]) -> Vec<bool> {
    let mut is_test = vec![false; code_lines.len()];
    let mut line = 0;
    while line < code_lines.len() {
        let indent = indent_of(&code_lines[line]);
        if !code_lines[line].trim_start().starts_with("#[cfg(test)]") {
            line += 1;
            continue;
        }
        while line < code_lines.len() {
            is_test[line] = true;
            let text = code_lines[line].trim();
            let ends = text.ends_with('}') || text.ends_with(';') || text.ends_with("},");
            line += 1;
            if ends && indent_of(&code_lines[line - 1]) == indent {
                break;
            }
        }
    }
    is_test
}

/// The names of modules that are declared under `#[cfg(test)]` and lie in files of their own.
pub fn test_modules(code_lines: &[String]) -> Vec<String> {
    let pairs = code_lines.windows(2).filter(|pair| pair[0].trim() == "#[cfg(test)]");
    let declared = pairs.filter_map(|pair| pair[1].trim().strip_suffix(';')?.split_once("mod "));
    declared.map(|(_, name)| name.trim().to_owned()).collect()
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let source = "a(); // b()\n\"c() \\\" d()\"; e();\nr#\"f() \" g()\"#; '\"'; h();\n/* i() /* j() */ k() */ l();\n'\\''; m();\nfn n<'a>(o: &'a str) {}\nr#type; 'p'; q();\n";
        let code = code_lines(source).join("|");
        for kept in ["a()", "e()", "h()", "l()", "m()", "'a str", "q()", "type"] {
            assert!(code.contains(kept), "{kept} in {code}");
        }
        for blanked in ["b()", "c()", "d()", "f()", "g()", "i()", "j()", "k()", "'p'"] {
            assert!(!code.contains(blanked), "{blanked} in {code}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let code = code_lines("a\n/* b\n b */ c\n\"d\nd\" e\nf");
        assert_eq!(code.iter().map(|line| line.trim()).collect::<Vec<_>>(), ["a", "", "c", "", "e", "f"]);
    }

    #[test]
    fn test_items_end_where_they_end() {
        let source = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n#[cfg(test)]\nmod other;\nfn d() {}\n";
        let code = code_lines(source);
        let expected = [false, true, true, true, true, true, false, true, true, false];
        assert_eq!(test_lines(&code), expected);
        assert_eq!(test_modules(&code), ["other"]);
    }
}
