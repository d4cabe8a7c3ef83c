//! The arrows between the rooms run one way, and the test operator shares no code with the library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each room may use of the crate besides itself.
const ROOMS: [(&str, &[&str]); 7] = [
    ("log", &[]),
    ("channel", &[]),
    ("store", &["channel", "log"]),
    ("operator", &["channel", "log"]),
    ("chain", &["channel", "log"]),
    ("wallet", &["channel", "store", "operator", "chain", "log"]),
    ("ffi", &["channel", "store", "operator", "chain", "wallet", "log"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The rooms that a source names; comments do not count.
fn used(source: &str) -> Vec<&'static str> {
    let code: String = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code: String = code.split_whitespace().collect();
    let named = |room: &&str| {
        let begins = |at: usize| !code[at..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
        let direct = format!("crate::{room}");
        code.match_indices(&direct).any(|(at, _)| begins(at + direct.len())) || in_braces(&code, room)
    };
    ROOMS.iter().map(|(room, _)| *room).filter(named).collect()
}

/// `crate::{store::…, chain::…}`.
fn in_braces(code: &str, room: &str) -> bool {
    code.match_indices("crate::{").any(|(at, open)| {
        let list = &code[at + open.len()..];
        let list = &list[..list.find(';').unwrap_or(list.len())];
        list.split(['{', ',']).any(|name| name.split("::").next() == Some(room))
    })
}

#[test]
fn arrows_run_one_way() {
    for (room, allowed) in ROOMS {
        let mut files = Vec::new();
        rust_files(&root().join("src").join(room), &mut files);
        assert!(!files.is_empty(), "{room} is empty");
        for file in files {
            for name in used(&fs::read_to_string(&file).unwrap()) {
                let fine = name == room || allowed.contains(&name);
                assert!(fine, "{} uses {name}: {room} must not", file.display());
            }
        }
    }
}

#[test]
fn what_a_source_uses_is_found() {
    assert_eq!(used("use crate::store::Db;"), ["store"]);
    assert_eq!(used("use crate::{chain::Chain, wallet::{a, b}};"), ["chain", "wallet"]);
    assert_eq!(used("// crate::store\nlet a = crate::operator::code::X;"), ["operator"]);
    assert_eq!(used("/// [`crate::wallet`]\nuse crate::channels::X; use crate::storehouse;"), Vec::<&str>::new());
}

#[test]
fn the_test_operator_shares_no_code_with_the_library() {
    let tree = |package: &str| {
        let arguments = ["tree", "--offline", "-p", package, "-e", "normal", "--prefix", "none"];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let packages = String::from_utf8(output.stdout).unwrap();
        packages.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect::<Vec<_>>()
    };
    let library = "virtual-channels".to_owned();
    let operator = tree("regtest");
    assert!(operator.len() > 10 && operator.contains(&"tonic".to_owned()), "{operator:?}");
    assert!(!operator.contains(&library));
    assert!(tree("virtual-channels").contains(&library));
}

/// All files that are not built, by their path from the root.
fn files_of(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !["target", "build", ".git", ".build", "node_modules"].iter().any(|built| name == *built) {
                files_of(&path, into);
            }
        } else {
            into.push(path);
        }
    }
}

/// What a document calls by name: `Name.kt` and the like between backticks, and targets of links.
fn named_files(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace);
    let is_file = |name: &&str| {
        let known = [".kt", ".swift", ".rs", ".sh", ".yml", ".xml", ".md", ".pro", ".sql"];
        known.iter().any(|ending| name.ends_with(ending) && name.len() > ending.len())
            && !name.contains(['*', '{', '<', '…'])
    };
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    quoted.filter(is_file).chain(links.filter(|link| !link.contains(':') && !link.starts_with('#'))).collect()
}

#[test]
fn documents_name_files_that_exist() {
    let mut files = Vec::new();
    files_of(&root(), &mut files);
    let exists = |name: &str| {
        let name = name.split('#').next().unwrap_or(name).trim_start_matches("../");
        files.iter().any(|file| file.ends_with(name))
            || root().join(name).exists()
            || root().join("docs").join(name).exists()
    };
    let documents: Vec<&PathBuf> =
        files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect();
    assert!(documents.len() > 10, "{documents:?}");
    for document in documents {
        let text = fs::read_to_string(document).unwrap();
        let missing: Vec<&str> = named_files(&text).into_iter().filter(|name| !exists(name)).collect();
        assert!(missing.is_empty(), "{} names {missing:?}, which are not there", document.display());
    }
    assert_eq!(named_files("see `Nobody.kt` and [it](nowhere.md)"), ["Nobody.kt", "nowhere.md"]);
    assert!(!exists("Nobody.kt"));
}
