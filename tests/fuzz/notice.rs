//! That this test can fail.

use crate::drive::mutations;

/// Takes a run of digits and has a bug that no seed shows.
fn planted(data: &[u8]) -> bool {
    assert!(!(data.len() > 4 && data[4] == b'!'), "the planted bug");
    data.iter().all(u8::is_ascii_digit)
}

#[test]
#[should_panic(expected = "the planted bug")]
fn a_planted_panic_is_found_by_mutation() {
    let corpus = [b"1234567".to_vec(), b"987".to_vec()];
    assert!(corpus.iter().all(|seed| planted(seed)));
    mutations("planted", planted, &corpus);
}
