use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use super::*;

const PIECE: usize = 1 << 20;
const PIECES: usize = ROOM / PIECE;

fn next(shared: &Shared) -> Batch {
    match shared.next() {
        Next::Batch(batch) => batch,
        Next::Recheck | Next::Closed => panic!("there is work"),
    }
}

#[test]
fn a_caller_that_is_faster_than_the_disk_waits_for_it() {
    let shared = Arc::new(Shared::new(0, false));
    let begun = Arc::new(AtomicUsize::new(0));
    let caller = thread::spawn({
        let (shared, begun) = (Arc::clone(&shared), Arc::clone(&begun));
        move || {
            for _ in 0..2 * PIECES {
                begun.fetch_add(1, SeqCst);
                shared.append_stream("s", &vec![0; PIECE]).unwrap();
                assert!(shared.queue().backlog <= ROOM);
            }
        }
    });
    // Its next piece has no room, and it is at that.
    while begun.load(SeqCst) <= PIECES {
        thread::yield_now();
    }
    assert!(shared.is_crowded());
    let mut written = 0;
    while written < 2 * ROOM {
        let batch = next(&shared);
        (0..1000).for_each(|_| thread::yield_now());
        assert!(batch.bytes <= ROOM);
        written += batch.streams["s"].len();
        shared.committed(&batch);
    }
    caller.join().unwrap();
    assert!(!shared.is_crowded());
    assert_eq!(shared.queue().backlog, 0);
}

#[test]
fn what_is_larger_than_all_the_room_goes_in_alone() {
    let shared = Shared::new(0, false);
    shared.put_blob(Hash::of(b""), vec![0; ROOM + 1]).unwrap();
    let batch = next(&shared);
    shared.committed(&batch);
    assert_eq!((batch.bytes, shared.queue().backlog), (ROOM + 1, 0));
}

#[test]
fn a_caller_that_waits_for_room_hears_of_the_writers_end() {
    let shared = Arc::new(Shared::new(0, false));
    shared.append_stream("s", &vec![0; ROOM]).unwrap();
    let caller = thread::spawn({
        let shared = Arc::clone(&shared);
        move || shared.append(vec![b"one more".to_vec()], true)
    });
    shared.fail(JournalError::Closed);
    assert_eq!(caller.join().unwrap(), Err(JournalError::Closed));
}
