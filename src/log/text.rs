//! One line of bounded length, whatever is written: what servers and other apps sent is in it, too.

use std::fmt::{self, Arguments, Write};

/// Bytes of a record's text.
const MAX_TEXT: usize = 1_000;

/// Letters and digits in a row. Ids have 64; what is longer (a transaction, a signature, a message) has no place here.
const MAX_WORD: usize = 80;

/// What is left of a longer one.
const WORD_HEAD: usize = 12;

pub(super) fn one_line(text: Arguments<'_>) -> String {
    let mut line = Line { text: String::new(), word: 0 };
    // Ends early when the line is full.
    let _ = line.write_fmt(text);
    line.text
}

struct Line {
    text: String,
    /// Bytes of the word at the end.
    word: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| self.push(char))
    }
}

impl Line {
    fn push(&mut self, char: char) -> fmt::Result {
        if self.text.len() >= MAX_TEXT {
            self.text.push('…');
            return Err(fmt::Error);
        }
        let in_word = char.is_alphanumeric() || matches!(char, '+' | '/' | '=' | '_' | '-');
        self.word = if in_word { self.word.saturating_add(char.len_utf8()) } else { 0 };
        if self.word <= MAX_WORD {
            // One record is one line, and nothing in it speaks to a terminal.
            self.text.push(if char.is_control() { ' ' } else { char });
        } else if self.word - char.len_utf8() <= MAX_WORD {
            let kept = self.word - char.len_utf8();
            let head = self.text.len() - kept + WORD_HEAD;
            self.text.truncate(self.text.floor_char_boundary(head));
            self.text.push('…');
        }
        Ok(())
    }
}
