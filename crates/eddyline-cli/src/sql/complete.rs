//! What may come next in a statement.

use eddyline_sql::{KnownTable, Piece, PieceKind, Vocabulary, pieces};

/// Words that begin a statement.
const BEGINNINGS: [&str; 19] = [
    "ALTER", "BEGIN", "CLEAR", "CREATE", "DESCRIBE", "DROP", "EXECUTE", "EXIT", "EXPLAIN", "HELP", "INSERT",
    "QUIT", "RESET", "SELECT", "SET", "SHOW", "USE", "VALUES", "WITH",
];

/// The part of a statement before the place where something is to be completed.
struct Before<'a> {
    text: &'a str,
    pieces: Vec<Piece>,
}

impl Before<'_> {
    fn piece(&self, back: usize) -> Option<(PieceKind, &str)> {
        let piece = self.pieces.len().checked_sub(back + 1).and_then(|place| self.pieces.get(place))?;
        Some((piece.kind, &self.text[piece.range.clone()]))
    }

    fn is(&self, back: usize, words: &[&str]) -> bool {
        self.piece(back).is_some_and(|(_, text)| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    }
}

/// What may stand at byte `at` of `text`: where the word begins that is replaced, and the words for it, in order.
pub(super) fn candidates(known: &Vocabulary, text: &str, at: usize) -> (usize, Vec<String>) {
    let all = pieces(&text[..at]);
    let is_end = |piece: &Piece| piece.kind == PieceKind::Symbol && &text[piece.range.clone()] == ";";
    let start = all.iter().rposition(is_end).map_or(0, |place| place + 1);
    let mut before = Before { text, pieces: all[start..].to_vec() };
    let last = before.pieces.last().cloned();
    let is_open = last.as_ref().is_some_and(|piece| piece.range.end == at);
    let mut word = at..at;
    if let Some(last) = last.filter(|_| is_open) {
        match last.kind {
            PieceKind::Comment => return (at, Vec::new()),
            PieceKind::Text => {
                // A key of SET; other texts are known to nobody.
                let is_key = before.is(1, &["SET", "RESET"]) && before.pieces.len() == 2;
                let word = last.range.start + 1;
                let prefix = text.get(word..at).unwrap_or_default();
                let keys = known.options.iter().filter(|key| is_key && key.starts_with(prefix));
                return (word.min(at), keys.map(|key| format!("{key}'")).collect());
            }
            PieceKind::Keyword | PieceKind::Function | PieceKind::Name | PieceKind::QuotedName => {
                word = last.range;
                before.pieces.pop();
            }
            PieceKind::Number | PieceKind::Hint | PieceKind::Symbol => {}
        }
    }
    let prefix = &text[word.clone()];
    let statement = statement_around(text, at);
    (word.start, words(known, &before, &statement, prefix))
}

/// The words that may stand behind `before` and begin with `prefix`.
fn words(known: &Vocabulary, before: &Before<'_>, statement: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    if before.is(0, &["."]) {
        let owner = before.piece(1).map(|(_, text)| text).unwrap_or_default();
        if let Some(table) = table_of(known, statement, owner) {
            add_names(&table.columns, prefix, &mut found);
        }
        if known.databases.iter().any(|name| name == owner) {
            add_names(table_names(known), prefix, &mut found);
        }
        return found;
    }
    if before.pieces.is_empty() {
        add_keywords(&BEGINNINGS, prefix, &mut found);
        return found;
    }
    if before.is(0, &["CATALOG"]) && before.is(1, &["USE"]) {
        add_names(&known.catalogs, prefix, &mut found);
        return found;
    }
    if before.is(0, &["USE"]) {
        add_names(&known.databases, prefix, &mut found);
        add_keywords(&["CATALOG"], prefix, &mut found);
        return found;
    }
    let wants_table = ["FROM", "JOIN", "INTO", "OVERWRITE", "DESCRIBE", "DESC", "TABLE", "VIEW", "LIKE"];
    if before.is(0, &wants_table) {
        add_names(table_names(known), prefix, &mut found);
        if before.is(0, &["FROM", "JOIN"]) {
            add_keywords(&["TABLE", "LATERAL", "UNNEST", "VALUES"], prefix, &mut found);
        }
        return found;
    }
    let mentioned = known.tables.iter().filter(|table| is_mentioned(statement, &table.name));
    let columns: Vec<&String> = mentioned.flat_map(|table| &table.columns).collect();
    add_names(columns, prefix, &mut found);
    if !prefix.is_empty() {
        add_keywords(&known.functions, prefix, &mut found);
        add_keywords(&known.keywords, prefix, &mut found);
        add_names(table_names(known), prefix, &mut found);
    }
    found
}

fn table_names(known: &Vocabulary) -> impl Iterator<Item = &String> {
    known.tables.iter().map(|table| &table.name)
}

/// Adds names that begin with `prefix`, whatever its case; in backticks if they need them.
fn add_names<'a>(names: impl IntoIterator<Item = &'a String>, prefix: &str, found: &mut Vec<String>) {
    let wanted = prefix.trim_start_matches('`').to_lowercase();
    for name in names {
        let quotes = prefix.starts_with('`') || needs_quotes(name);
        let word = if quotes { format!("`{}`", name.replace('`', "``")) } else { name.clone() };
        if name.to_lowercase().starts_with(&wanted) && !found.contains(&word) {
            found.push(word);
        }
    }
}

fn needs_quotes(name: &str) -> bool {
    let all = pieces(name);
    !matches!(all.as_slice(), [piece] if piece.kind == PieceKind::Name && piece.range.len() == name.len())
}

/// Adds words of the language that begin with `prefix`, in its case.
fn add_keywords(words: &[&str], prefix: &str, found: &mut Vec<String>) {
    let is_lower = prefix.chars().any(char::is_lowercase);
    for word in words.iter().filter(|word| word.starts_with(&prefix.to_uppercase())) {
        let word = if is_lower { word.to_lowercase() } else { (*word).to_owned() };
        if !found.contains(&word) {
            found.push(word);
        }
    }
}

/// The statement that byte `at` of `text` is in.
fn statement_around(text: &str, at: usize) -> String {
    let mut start = 0;
    for piece in pieces(text).iter().filter(|piece| &text[piece.range.clone()] == ";") {
        if piece.range.end <= at {
            start = piece.range.end;
        } else {
            return text[start..piece.range.start].to_owned();
        }
    }
    text[start..].to_owned()
}

fn is_name(statement: &str, piece: &Piece, name: &str) -> bool {
    let text = &statement[piece.range.clone()];
    match piece.kind {
        PieceKind::QuotedName => text.trim_matches('`') == name,
        PieceKind::Name | PieceKind::Keyword | PieceKind::Function => text == name,
        _ => false,
    }
}

fn is_mentioned(statement: &str, name: &str) -> bool {
    pieces(statement).iter().any(|piece| is_name(statement, piece, name))
}

/// The table that `owner` stands for in a statement: its name, or another one that the statement gives it.
fn table_of<'a>(known: &'a Vocabulary, statement: &str, owner: &str) -> Option<&'a KnownTable> {
    let owner = owner.trim_matches('`');
    if let Some(table) = known.tables.iter().find(|table| table.name == owner) {
        return Some(table);
    }
    let all = pieces(statement);
    let text = |piece: &Piece| &statement[piece.range.clone()];
    known.tables.iter().find(|table| {
        let places = all.iter().enumerate().filter(|(_, piece)| is_name(statement, piece, &table.name));
        places.into_iter().any(|(place, _)| {
            let behind = &all[place + 1..];
            let behind = match behind.first() {
                Some(piece) if text(piece).eq_ignore_ascii_case("AS") => &behind[1..],
                _ => behind,
            };
            behind.first().is_some_and(|piece| is_name(statement, piece, owner))
        })
    })
}
