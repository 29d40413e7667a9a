//! Just enough of Rust's lexical structure to look at code without what is quoted or commented in it.

/// `source` with the content of comments, strings and character literals blanked; every byte offset and line stays.
pub fn code_only(source: &str) -> String {
    let mut lexer = Lexer { rest: source, before: ' ', out: String::with_capacity(source.len()) };
    while !lexer.rest.is_empty() {
        lexer.step();
    }
    lexer.out
}

struct Lexer<'a> {
    rest: &'a str,
    before: char,
    out: String,
}

impl Lexer<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.blank(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.blank(block_comment(rest));
        } else if rest.starts_with('"') {
            self.blank(quoted(rest, '"'));
        } else if let Some(length) = raw_string(rest).filter(|_| !is_word(self.before)) {
            self.blank(length);
        } else if let Some(length) = char_literal(rest) {
            self.blank(length);
        } else {
            let next = rest.chars().next().expect("not at the end");
            // After `b` or `c` a raw string may begin: they count as its prefix, not as part of a word.
            self.before = if "bc".contains(next) && !is_word(self.before) { ' ' } else { next };
            self.out.push(next);
            self.rest = &rest[next.len_utf8()..];
        }
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.out.extend(gone.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        self.rest = rest;
        self.before = ' ';
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of what stands between two `quote`s, these included; a backslash hides what follows it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"…"` or `r##"…"##`.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(text.len() - body.len() + end)
}

/// The length of `'x'` or `'\n'`; not of a lifetime.
fn char_literal(text: &str) -> Option<usize> {
    let after = text.strip_prefix('\'')?;
    let c = after.chars().next()?;
    if c == '\\' {
        return Some(quoted(text, '\''));
    }
    after[c.len_utf8()..].starts_with('\'').then_some(2 + c.len_utf8())
}
