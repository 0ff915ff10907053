//! What a log file of our own could give: segments, a CRC on each record, one fdatasync for all that is
//! queued, SQLite as an index that can be made anew. A prototype, to be measured against the journal.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use agentos_journal::Hash;

use crate::Failure;

const SEGMENT: u64 = 64 << 20;
/// Length, CRC, number, version, hash.
const HEAD: usize = 4 + 4 + 8 + 2 + 32;
/// One row of the index for so many records.
const INDEXED: u64 = 256;

/// The writer: one thread has it.
pub(crate) struct Log {
    folder: PathBuf,
    index: rusqlite::Connection,
    file: File,
    number: u64,
    end: u64,
    seq: u64,
    hash: Hash,
    buffer: Vec<u8>,
}

impl Log {
    pub(crate) fn create(folder: &Path) -> Result<Log, Failure> {
        let index = rusqlite::Connection::open(folder.join("index.db"))?;
        index.pragma_update(None, "journal_mode", "WAL")?;
        // What is lost of it is read from the segments again.
        index.pragma_update(None, "synchronous", "OFF")?;
        index
            .execute_batch("CREATE TABLE place (seq INTEGER PRIMARY KEY, segment INTEGER, start INTEGER)")?;
        let file = segment(folder, 1)?;
        let folder = folder.to_path_buf();
        Ok(Log { folder, index, file, number: 1, end: 0, seq: 0, hash: Hash::GENESIS, buffer: Vec::new() })
    }

    /// Appends and syncs; what it returns from is durable.
    pub(crate) fn commit<'a>(&mut self, rows: impl Iterator<Item = &'a Vec<u8>>) -> Result<(), Failure> {
        self.buffer.clear();
        let mut places = Vec::new();
        for row in rows {
            self.seq += 1;
            self.hash = self.hash.next(self.seq, 1, row);
            if self.seq % INDEXED == 1 {
                places.push((self.seq, self.end + self.buffer.len() as u64));
            }
            record(&mut self.buffer, self.seq, &self.hash, row)?;
        }
        if self.end + self.buffer.len() as u64 > SEGMENT {
            self.number += 1;
            self.file = segment(&self.folder, self.number)?;
            // A batch that does not fit begins the next segment.
            places.iter_mut().for_each(|(_, start)| *start -= self.end);
            self.end = 0;
        }
        self.file.write_all_at(&self.buffer, self.end)?;
        self.file.sync_data()?;
        self.end += self.buffer.len() as u64;
        for (seq, start) in places {
            let place = [seq, self.number, start].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            self.index.prepare_cached("INSERT INTO place VALUES (?1, ?2, ?3)")?.execute(place)?;
        }
        Ok(())
    }
}

fn record(buffer: &mut Vec<u8>, seq: u64, hash: &Hash, row: &[u8]) -> Result<(), Failure> {
    let mut body = Vec::with_capacity(HEAD + row.len());
    body.extend_from_slice(&seq.to_le_bytes());
    body.extend_from_slice(&1_u16.to_le_bytes());
    body.extend_from_slice(hash.as_bytes());
    body.extend_from_slice(row);
    buffer.extend_from_slice(&u32::try_from(row.len())?.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    buffer.extend_from_slice(&body);
    Ok(())
}

/// A segment of zeros, so that a sync of what is written into it later changes no metadata.
fn segment(folder: &Path, number: u64) -> Result<File, Failure> {
    let path = folder.join(format!("{number:08}.log"));
    let mut file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..SEGMENT >> 20 {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}
