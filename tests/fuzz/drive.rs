//! Running a target: its seeds, its corpus, then mutations for some seconds' worth of inputs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use secp256k1::rand::Rng;
use secp256k1::rand::rngs::StdRng;

use crate::messages::mutate;
use crate::pair;
use crate::targets::Target;

/// Mutated inputs of each target, unless the machine is so slow that [`PATIENCE`] is over before.
const ROUNDS: usize = 2_000;

/// The longest that mutations of one target take.
const PATIENCE: Duration = Duration::from_secs(10);

/// No input is longer.
const LONGEST: usize = 8 << 10;

/// How often it went which way.
#[derive(Debug, Default)]
pub struct Tally {
    pub taken: usize,
    pub refused: usize,
}

/// The files of a target's corpus, in the order of their names.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs a target; fails where both ways out are not reached, since then nothing was tried.
pub fn drive(target: &Target) {
    write_seeds(target);
    let corpus = corpus(target.name);
    let mut known = Tally::default();
    // Fresh ones too: a change of a format shows as a corpus that is refused beside seeds that are not.
    let fresh: Vec<Vec<u8>> = (target.seeds)().into_iter().map(|(_, seed)| seed).collect();
    for (what, inputs) in [("seeds", &fresh), ("corpus", &corpus)] {
        let before = known.taken;
        inputs.iter().for_each(|input| one(target, input, &mut known));
        assert!(known.taken > before, "{}: nothing of its {what} gets through", target.name);
    }
    let mutated = mutations(target.name, target.run, &corpus);
    assert!(mutated.taken > 0 && mutated.refused > 0, "{}: {mutated:?}", target.name);
    println!("{}: {} in the corpus, {known:?}, mutated {mutated:?}", target.name, corpus.len());
}

fn one(target: &Target, input: &[u8], tally: &mut Tally) {
    if (target.run)(input) { tally.taken += 1 } else { tally.refused += 1 }
}

/// Mutations of `corpus`, the same every time.
pub fn mutations(name: &str, run: fn(&[u8]) -> bool, corpus: &[Vec<u8>]) -> Tally {
    let mut rng = pair::rng(name.bytes().map(u64::from).sum());
    let (mut tally, began) = (Tally::default(), Instant::now());
    for _ in 0..ROUNDS {
        if began.elapsed() > PATIENCE {
            break;
        }
        let mut input = mutated(&mut rng, corpus);
        input.truncate(LONGEST);
        if run(&input) { tally.taken += 1 } else { tally.refused += 1 }
    }
    tally
}

fn mutated(rng: &mut StdRng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut pick = || &corpus[rng.gen_range(0..corpus.len())];
    let (one, other) = (pick(), pick());
    mutate(rng, one, other)
}

/// For whoever changes a format: writes the seeds into the corpus (docs/fuzzing.md).
fn write_seeds(target: &Target) {
    if std::env::var_os("FUZZ_SEEDS").is_none_or(|value| value != "write") {
        return;
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, seed) in (target.seeds)() {
        std::fs::write(folder.join(name), seed).unwrap();
    }
}
