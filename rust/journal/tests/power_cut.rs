//! A power cut leaves what was synced, and any part of what was not. The files as they are at each
//! acknowledgement, with the rest of the log as torn as it likes, must hold what was acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use agentos_journal::{Journal, JournalError, Options, verify};

const COMMITS: u64 = 110;

/// Database and log, as they lie on the disk.
#[derive(Clone)]
struct Image {
    database: Vec<u8>,
    log: Vec<u8>,
}

impl Image {
    fn of(folder: &Path) -> Image {
        let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
        Image { database: read("kernel.db"), log: read("kernel.db-wal") }
    }

    /// What can be recovered from the image: the number of entries, all of them checked.
    fn recover(&self, folder: &Path) -> u64 {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        let path = folder.join("kernel.db");
        fs::write(&path, &self.database).unwrap();
        fs::write(folder.join("kernel.db-wal"), &self.log).unwrap();
        let options = Options { reserve: 0, ..Options::default() };
        let (journal, recovery) = Journal::open(Some(&path), options).unwrap();
        recovery.replay(|_, _| Ok::<(), JournalError>(())).unwrap();
        let last = journal.append(vec![b"life goes on".to_vec()]).unwrap();
        journal.wait_durable(last).unwrap();
        journal.close().unwrap();
        assert!(verify(&path).unwrap().ok);
        recovery.last
    }
}

fn folder(name: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("journal-power-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The images at pairs of commits that follow each other, with what was durable at each. The writer thread
/// itself takes them, before it goes on.
fn images(folder: &Path) -> Vec<(u64, Image)> {
    let options = Options { reserve: 0, ..Options::default() };
    let (journal, _) = Journal::open(Some(&folder.join("kernel.db")), options).unwrap();
    let taken = Arc::new(Mutex::new((0_u64, Vec::new())));
    let (place, source) = (Arc::clone(&taken), folder.to_path_buf());
    journal.notify(Box::new(move || {
        let (commits, images) = &mut *place.lock().unwrap();
        *commits += 1;
        if *commits % 9 < 2 {
            images.push((*commits * 5, Image::of(&source)));
        }
    }));
    for commit in 1..=COMMITS {
        // So much output that the log is folded into the database a few times on the way.
        journal.append_stream("out", vec![commit as u8; 80_000]).unwrap();
        let last = journal.append(vec![commit.to_be_bytes().to_vec(); 5]).unwrap();
        journal.wait_durable(last).unwrap();
        while taken.lock().unwrap().0 < commit {
            std::thread::yield_now();
        }
    }
    journal.close().unwrap();
    std::mem::take(&mut taken.lock().unwrap().1)
}

/// From where to where two states of the log differ.
fn difference(before: &[u8], after: &[u8]) -> (usize, usize) {
    let differs = |at: &usize| before.get(*at) != after.get(*at);
    let start = (0..after.len()).find(differs).unwrap();
    (start, (start..after.len()).rfind(differs).unwrap() + 1)
}

#[test]
fn every_acknowledged_entry_survives_a_cut_at_its_commit() {
    let (source, copy) = (folder("source"), folder("copy"));
    let images = images(&source);
    let folded = images.windows(2).filter(|pair| pair[0].1.database != pair[1].1.database).count();
    assert!(folded > 1, "some images lie beyond a checkpoint");
    for (durable, image) in &images {
        assert_eq!(image.recover(&copy), *durable);
    }
    fs::remove_dir_all(source).unwrap();
    fs::remove_dir_all(copy).unwrap();
}

#[test]
fn a_commit_torn_by_the_cut_is_there_whole_or_not_at_all() {
    let (source, copy) = (folder("torn-source"), folder("torn-copy"));
    let images = images(&source);
    let mut torn_apart = 0;
    for (number, pair) in images.windows(2).enumerate() {
        let [(durable, before), (next, after)] = pair else { continue };
        if *next != durable + 5 {
            continue; // Not of one pair.
        }
        if before.database != after.database {
            continue; // A checkpoint lies between.
        }
        torn_apart += 1;
        let (start, end) = difference(&before.log, &after.log);
        for cut in [start + 1, start + (end - start) * (number % 10 + 1) / 12, end - 1] {
            // Of what the next commit wrote, the beginning reached the disk; or all but the beginning.
            let (mut beginning, mut rest) = (before.clone(), after.clone());
            beginning.log.resize(after.log.len(), 0);
            beginning.log[start..cut].copy_from_slice(&after.log[start..cut]);
            rest.log[start..cut].fill(0xa5);
            assert_eq!(beginning.recover(&copy), *durable, "only {start} to {cut} of {start} to {end}");
            assert_eq!(rest.recover(&copy), *durable, "all but {start} to {cut} of {start} to {end}");
        }
    }
    assert!(torn_apart > 5);
    fs::remove_dir_all(source).unwrap();
    fs::remove_dir_all(copy).unwrap();
}
