//! Makes the Kotlin and Swift sources from the built library.
//!
//! ```text
//! bindings <root> <library> <out>
//! ```
//!
//! `<root>` is the folder of the library's `Cargo.toml`, with `uniffi.toml` beside it, where names come from; what is
//! different for Android is in `bindings/android.toml`. `<library>` is the cdylib (or static library) of
//! `virtual-channels`; what it exports is read from the file itself, so any profile and target will do. Written are
//!
//! - `<out>/kotlin/org/virtualchannels/virtual_channels.kt`, which any JVM runs
//! - `<out>/kotlin-android/…`, the same for Android, whose own cleaner it uses
//! - `<out>/swift/VirtualChannels.swift`, and in `<out>/swift/include` the C header with its `module.modulemap`.

mod names;

use std::fs;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate_with_bindgen_paths};
use uniffi_bindgen::{BindgenPaths, BindgenPathsLayer};

const CRATE: &str = "virtual_channels";
const FFI_MODULE: &str = "VirtualChannelsFFI";

/// Where the library's sources are. Said at run time: one target folder may serve several checkouts.
struct Library(Utf8PathBuf);

impl BindgenPathsLayer for Library {
    fn get_crate_root(&self, crate_name: &str) -> Option<Utf8PathBuf> {
        (crate_name == CRATE).then(|| self.0.clone())
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, library, out] = args.as_slice() else { bail!("usage: bindings <root> <library> <out>") };
    let (root, library, out) = (Utf8Path::new(root), Utf8Path::new(library), Utf8Path::new(out));
    kotlin(root, library, &out.join("kotlin"), None)?;
    kotlin(root, library, &out.join("kotlin-android"), Some(root.join("bindings/android.toml")))?;
    let swift = out.join("swift");
    generate(root, library, &swift, TargetLanguage::Swift, None)?;
    // DocC's own links name all arguments; as code the name is readable, and cannot be wrong.
    rewrite(&swift.join("VirtualChannels.swift"), |source| names::foreign_names(source, |name| format!("`{name}`")))?;
    // A folder with just the header and a `module.modulemap` is what both SwiftPM and an XCFramework take as a C module.
    let include = swift.join("include");
    fs::create_dir_all(&include)?;
    move_file(&swift.join(format!("{FFI_MODULE}.h")), &include.join(format!("{FFI_MODULE}.h")))?;
    move_file(&swift.join(format!("{FFI_MODULE}.modulemap")), &include.join("module.modulemap"))?;
    println!("bindings: wrote {out}/kotlin, {out}/kotlin-android and {out}/swift");
    Ok(())
}

fn kotlin(root: &Utf8Path, library: &Utf8Path, out_dir: &Utf8Path, config: Option<Utf8PathBuf>) -> Result<()> {
    generate(root, library, out_dir, TargetLanguage::Kotlin, config)?;
    let file = out_dir.join("org/virtualchannels/virtual_channels.kt");
    readable_messages(&file)?;
    // A call of an object that was let go of is refused with the error that comes after `shutdown`, too.
    put(
        &file,
        "throw IllegalStateException(\"${this.javaClass.simpleName} object has already been destroyed\")",
        "throw WalletException.Closed()",
    )?;
    // Text that is no Unicode (half a surrogate pair) is refused by whoever reads it, with a typed error.
    put(&file, "onMalformedInput(CodingErrorAction.REPORT)", "onMalformedInput(CodingErrorAction.REPLACE)")?;
    rewrite(&file, |source| names::foreign_names(source, |name| format!("[{name}]")))
}

/// Puts `ours` where UniFFI wrote `theirs`.
fn put(file: &Utf8Path, theirs: &str, ours: &str) -> Result<()> {
    let source = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    if !source.contains(theirs) {
        bail!("{file} has no `{theirs}`, which UniFFI 0.32 wrote");
    }
    fs::write(file, source.replace(theirs, ours)).with_context(|| format!("writing {file}"))
}

fn rewrite(file: &Utf8Path, how: impl FnOnce(&str) -> String) -> Result<()> {
    let source = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    fs::write(file, how(&source)).with_context(|| format!("writing {file}"))
}

/// Writes one language into an empty folder: a type that is gone leaves no old file behind. What `config` says goes
/// before `uniffi.toml`.
fn generate(
    root: &Utf8Path,
    library: &Utf8Path,
    out_dir: &Utf8Path,
    language: TargetLanguage,
    config: Option<Utf8PathBuf>,
) -> Result<()> {
    if out_dir.exists() {
        fs::remove_dir_all(out_dir).with_context(|| format!("clearing {out_dir}"))?;
    }
    let mut paths = BindgenPaths::default();
    paths.add_layer(Library(root.to_owned()));
    let options = GenerateOptions {
        languages: vec![language],
        source: library.to_owned(),
        out_dir: out_dir.to_owned(),
        config_override: config,
        crate_filter: Some(CRATE.to_owned()),
        ..GenerateOptions::default()
    };
    generate_with_bindgen_paths(options, paths).with_context(|| format!("generating {out_dir} from {library}"))
}

/// An exception's `message` is what apps show and crash reports keep: the sentence, not UniFFI's list of fields. The
/// sentence is what `toString` answers, since the error exports `Display`.
fn readable_messages(file: &Utf8Path) -> Result<()> {
    let source = fs::read_to_string(file).with_context(|| format!("reading {file}"))?;
    let mut lines = source.lines().peekable();
    let mut readable = String::with_capacity(source.len());
    let mut count = 0;
    while let Some(line) = lines.next() {
        readable.push_str(line);
        readable.push('\n');
        let getter = lines.peek().filter(|next| next.trim_start().starts_with("get() = \""));
        if line.trim() == "override val message" && getter.is_some() {
            readable.push_str("            get() = toString()\n");
            lines.next();
            count += 1;
        }
    }
    if count == 0 {
        bail!("{file} has no exception messages in the form that UniFFI 0.32 gave them");
    }
    fs::write(file, readable).with_context(|| format!("writing {file}"))
}

fn move_file(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("moving {from} to {to}"))
}
