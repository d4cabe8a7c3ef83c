//! `docs/cases.md` names the tests of every case: they exist, and no case is without one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many cases there are, and which of them have no test yet.
const CASES: usize = 197;
const NOT_YET: &[&str] = &[];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn cases() -> String {
    fs::read_to_string(root().join("docs/cases.md")).unwrap()
}

/// The cases with the tests they name.
fn rows(text: &str) -> Vec<(&str, Vec<&str>)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = lines.filter_map(|line| line.rsplit_once(" | ")).filter(|(case, _)| *case != "case");
    cells.map(|(case, tests)| (case, tests.split('`').skip(1).step_by(2).collect())).collect()
}

/// What is listed as without a test.
fn missing(text: &str) -> Vec<&str> {
    let list = text.split_once("## Not yet covered").map(|(_, list)| list).unwrap_or_default();
    list.lines().filter_map(|line| line.strip_prefix("- ")).collect()
}

/// The files that may hold a test: by target and modules, without the `tests` of a file's own tests.
fn files_of(target: &str, modules: &[&str]) -> Vec<PathBuf> {
    let path: PathBuf = modules.iter().collect();
    let beside = |folder: &Path| [folder.join(&path).with_extension("rs"), folder.join(&path).join("mod.rs")];
    match target {
        "lib" => beside(&root().join("src")).to_vec(),
        "kotlin" => {
            vec![root().join("android/library/src/test/kotlin/org/virtualchannels").join(&path).with_extension("kt")]
        }
        _ if modules.is_empty() => ["tests", "tests/regtest/tests"]
            .map(|folder| root().join(folder).join(target).with_extension("rs"))
            .to_vec(),
        _ => beside(&root().join("tests").join(target)).to_vec(),
    }
}

/// Whether the source has a test of this name that runs: the attribute stands in front of the function, perhaps with
/// others, and none of these leaves it out. A macro may have made it: then the name stands in the macro's call.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &&str| {
        let rest = line.strip_prefix("async ").unwrap_or(line);
        let rest = rest.strip_prefix("fn ").or_else(|| rest.strip_prefix("fun "));
        rest.is_some_and(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    };
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(at, _)| {
        let before: Vec<&str> =
            lines.iter().take(at).rev().take_while(|line| line.starts_with(['#', '@'])).copied().collect();
        let any = |marks: &[&str]| before.iter().any(|line| marks.iter().any(|mark| line.starts_with(mark)));
        any(&["#[test]", "#[tokio::test", "@Test"]) && !any(&["#[ignore", "#[cfg_attr", "@Disabled", "@Ignore"])
    })
}

fn exists(test: &str) -> bool {
    let mut parts: Vec<&str> = test.split("::").collect();
    let (Some(name), false) = (parts.pop(), parts.is_empty()) else { return false };
    let sources = files_of(parts[0], &parts[1..]).into_iter().filter_map(|file| fs::read_to_string(file).ok());
    sources.into_iter().any(|source| has_test(&source, name))
}

#[test]
fn every_case_names_tests_that_exist() {
    let text = cases();
    let (rows, missing) = (rows(&text), missing(&text));
    for case in &missing {
        println!("not yet covered: {case}");
    }
    assert_eq!(missing, NOT_YET);
    assert_eq!(rows.len() + missing.len(), CASES);
    assert_eq!(rows.iter().map(|(case, _)| case).collect::<BTreeSet<_>>().len(), rows.len(), "a case stands twice");
    for (case, tests) in rows {
        assert!(!tests.is_empty(), "no test: {case}");
        let unknown: Vec<&str> = tests.into_iter().filter(|test| !exists(test)).collect();
        assert!(unknown.is_empty(), "{case}: {unknown:?} are no tests");
    }
}

#[test]
fn other_documents_name_tests_that_exist() {
    for document in ["SECURITY.md", "docs/griefing.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let named: Vec<&str> =
            text.split('`').skip(1).step_by(2).filter(|word| word.matches("::").count() > 1).collect();
        assert!(named.len() > 15, "{document} names {} tests", named.len());
        let unknown: Vec<&str> = named.into_iter().filter(|test| !exists(test)).collect();
        assert!(unknown.is_empty(), "{document}: {unknown:?} are no tests");
    }
}

#[test]
fn a_case_without_a_test_would_be_found() {
    let text = "| case | tests |\n|---|---|\n| one | `security::cases::a_case_without_a_test_would_be_found` |\n\
                | two | none |\n\n## Not yet covered\n\n- Exit: three\n";
    assert_eq!(rows(text), [("one", vec!["security::cases::a_case_without_a_test_would_be_found"]), ("two", vec![])]);
    assert_eq!(missing(text), ["Exit: three"]);
    assert!(exists("security::cases::a_case_without_a_test_would_be_found"));
    assert!(!exists("security::cases::nobody") && !exists("security::cases::exists") && !exists("security"));
    assert!(exists("store_files::a_newer_schema_is_refused") && exists("lib::channel::text::damage_is_found"));
    assert!(exists("operator_vectors::recorded_calls_get_the_recorded_answers"));
    assert!(has_test("#[test]\nfn runs() {", "runs"));
    assert!(!has_test("#[test]\n#[ignore = \"slow\"]\nfn rests() {", "rests"));
    assert!(!has_test("@Test\n@Disabled\nfun rests() {", "rests"));
}
