//! Rust's names in documentation, as Kotlin and Swift spell them: `open_channel` becomes `openChannel`, and a link to
//! ``Wallet::open_channel`` a link of the language.

/// Rewrites the documentation in a source that was generated; `link` writes a link to a name.
pub fn foreign_names(source: &str, link: fn(&str) -> String) -> String {
    let mut out = String::with_capacity(source.len());
    for line in source.lines() {
        match line.trim_start().starts_with('*') {
            true => out.push_str(&documentation(line, link)),
            false => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

fn documentation(line: &str, link: fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, code)) = rest.split_once('`') {
        let Some((code, after)) = code.split_once('`') else { break };
        let name = foreign(code);
        match (before.strip_suffix('['), after.strip_prefix(']')) {
            (Some(before), Some(after)) => {
                out.push_str(before);
                out.push_str(&link(&name));
                rest = without_target(after);
            }
            _ => {
                out.push_str(&format!("{before}`{name}`"));
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// What comes after the `(super::Wallet)` of a link that says where it goes.
fn without_target(after: &str) -> &str {
    let target = after.strip_prefix('(').and_then(|target| target.split_once(')'));
    target.map_or(after, |(_, rest)| rest)
}

fn foreign(code: &str) -> String {
    match code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
        true => code.split("::").map(camel).collect::<Vec<_>>().join("."),
        false => code.to_owned(),
    }
}

/// Types and constants stay as they are.
fn camel(name: &str) -> String {
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |whole, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        whole + &capital.into_iter().chain(letters).collect::<String>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kotlin(line: &str) -> String {
        foreign_names(line, |name| format!("[{name}]"))
    }

    #[test]
    fn links_and_names_are_rewritten() {
        for (rust, expected) in [
            (" * See [`Wallet::open_channel`], then `catch_up`.", " * See [Wallet.openChannel], then `catchUp`."),
            (" * With [`Wallet::propose`](super::Wallet) (or not).", " * With [Wallet.propose] (or not)."),
            (" * `https://a_b`, `Closed`, `a_b c`, `vc-log`", " * `https://a_b`, `Closed`, `a_b c`, `vc-log`"),
            (" * an open ` tick and [a_b]", " * an open ` tick and [a_b]"),
            ("val a = \"`a_b`\"", "val a = \"`a_b`\""),
        ] {
            assert_eq!(kotlin(rust), format!("{expected}\n"));
        }
    }
}
