//! The terminal while a statement runs: keys come one by one and are not shown, lines are written as always.

use eddyline::{Error, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::time::Duration;

/// The terminal gives keys for as long as this lives.
pub(super) struct KeyMode {
    before: Termios,
}

impl KeyMode {
    pub(super) fn enter() -> Result<Self> {
        let input = std::io::stdin();
        let failed = |error| Error::input(format!("the terminal cannot be used: {error}"));
        let before = tcgetattr(&input).map_err(failed)?;
        let mut keys = before.clone();
        // Ctrl-C is a key too; what is written stays as it is, for tables that print do not know of this.
        keys.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        tcsetattr(&input, OptionalActions::Now, &keys).map_err(failed)?;
        Ok(KeyMode { before })
    }
}

impl Drop for KeyMode {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Ctrl-C.
    Interrupt,
    /// `q` or Escape.
    Leave,
    /// `c`
    Changelog,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Left,
    Right,
    /// Nothing, but the screen may have another size.
    Other,
}

/// The next key, if one comes within `patience`.
pub(super) fn key(patience: Duration) -> Result<Option<Key>> {
    let failed = |error: std::io::Error| Error::input(format!("the terminal cannot be read: {error}"));
    if !event::poll(patience).map_err(failed)? {
        return Ok(None);
    }
    let Event::Key(pressed) = event::read().map_err(failed)? else { return Ok(Some(Key::Other)) };
    if pressed.kind == KeyEventKind::Release {
        return Ok(Some(Key::Other));
    }
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Ok(Some(match pressed.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char('q') | KeyCode::Esc => Key::Leave,
        KeyCode::Char('c') => Key::Changelog,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::Home,
        KeyCode::End | KeyCode::Char('G') => Key::End,
        KeyCode::Left | KeyCode::Char('h') => Key::Left,
        KeyCode::Right | KeyCode::Char('l') => Key::Right,
        _ => Key::Other,
    }))
}
