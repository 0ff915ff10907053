//! The journal as its one writer sees it.

use std::{
    fs::File,
    path::Path,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use crate::{
    chain::{Hash, Head},
    error::{Blame, JournalError},
    queue::Shared,
    reader::{Reader, StoredEntry},
    recovery::Recovery,
    reserve::Reserve,
    schema,
    writer::Writer,
};

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format of the entries that will be appended, kept with each.
    pub entry_version: u16,
    /// Disk space to hold back for the time when the disk is full, in bytes; 0 for none.
    pub reserve: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { entry_version: 1, reserve: 8 << 20 }
    }
}

/// The one writer of a journal. A thread commits what is queued; queueing waits for the disk only while 64 MiB
/// are queued before it.
///
/// Dropping it commits what is queued and waits for that; `close` also says whether it worked.
pub struct Journal {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Option<JoinHandle<()>>,
    /// Held for its lock.
    _lock: Option<File>,
}

impl Journal {
    /// Opens the journal at `path`, making it when there is none; without a path, one in memory.
    ///
    /// An existing file is not written to before the first append.
    ///
    /// # Errors
    /// `Locked` when it has a writer, `Newer`, `Corrupt`, `PathTooLong`, `DiskFull` or `Io`.
    pub fn open(path: Option<&Path>, options: Options) -> Result<(Journal, Recovery), JournalError> {
        let Some(path) = path else { return Journal::open_memory(&options) };
        let (path, blame) = schema::locate(path)?;
        let lock = schema::lock(&path, &blame)?;
        let (connection, head) = schema::open_writer(&path, &blame)?;
        let reader = Reader::new(Arc::new(Mutex::new(schema::open_reader(&path, &blame)?)), blame.clone());
        let reserve = Reserve::new(path.with_file_name("reserve"), options.reserve);
        let shared = Arc::new(Shared::new(head.seq, false));
        let writer = Writer {
            shared,
            connection: Arc::new(Mutex::new(connection)),
            head,
            version: options.entry_version,
            blame,
            place: Some((path, reserve)),
        };
        Journal::start(writer, reader, Some(lock))
    }

    fn open_memory(options: &Options) -> Result<(Journal, Recovery), JournalError> {
        let blame = Blame::new("in memory");
        // Writer and readers share the connection: a second one would see a database of its own.
        let connection = Arc::new(Mutex::new(schema::open_memory(&blame)?));
        let reader = Reader::new(Arc::clone(&connection), blame.clone());
        let writer = Writer {
            shared: Arc::new(Shared::new(0, false)),
            connection,
            head: Head::default(),
            version: options.entry_version,
            blame,
            place: None,
        };
        Journal::start(writer, reader, None)
    }

    fn start(
        writer: Writer,
        reader: Reader,
        lock: Option<File>,
    ) -> Result<(Journal, Recovery), JournalError> {
        let recovery = Recovery { last: writer.head.seq, head: writer.head.hash, reader: reader.clone() };
        let (shared, blame) = (Arc::clone(&writer.shared), writer.blame.clone());
        let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run());
        let writer = Some(thread.map_err(|error| blame.io(error))?);
        Ok((Journal { shared, reader, writer, _lock: lock }, recovery))
    }

    /// Queues entries, all or none, and returns the number of the last; they are not durable yet. The
    /// entries of one call become durable together.
    ///
    /// # Errors
    /// `EntryTooLong`, `Closed`, or the failure that ended the writer.
    pub fn append(&self, entries: Vec<Vec<u8>>) -> Result<u64, JournalError> {
        self.shared.append(entries, true)
    }

    /// Like [`append`](Self::append) for entries that nobody waits for: durable with the next commit, and
    /// within a second.
    ///
    /// # Errors
    /// As `append`.
    pub fn append_lazily(&self, entries: Vec<Vec<u8>>) -> Result<u64, JournalError> {
        self.shared.append(entries, false)
    }

    /// Commits at once what could have waited: somebody waits for it now.
    pub fn urge(&self) {
        self.shared.urge();
    }

    /// The highest number of an entry that will survive a power cut, with all before it.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.shared.durable()
    }

    /// Blocks until entry `seq` is durable.
    ///
    /// # Errors
    /// `NeverQueued`, or the failure that ended the writer.
    pub fn wait_durable(&self, seq: u64) -> Result<(), JournalError> {
        self.shared.wait_durable(seq)
    }

    /// Has `f` called by the writer thread after each commit, when the writer fails or ends, and when
    /// there is disk space again. It must not block, and must not close the journal.
    pub fn notify(&self, f: Box<dyn Fn() + Send + Sync>) {
        self.shared.on_commit(f);
    }

    /// Queues a blob and returns its name, the SHA-256 of its bytes in hexadecimal digits. It is durable no
    /// later than any entry that is appended after it, and within a second.
    ///
    /// # Errors
    /// `Closed`, or the failure that ended the writer.
    pub fn put_blob(&self, bytes: Vec<u8>) -> Result<String, JournalError> {
        let digest = Hash::of(&bytes);
        self.shared.put_blob(digest, bytes)?;
        Ok(digest.to_string())
    }

    /// Queues more output of a stream. It is durable with the next commit, and within a second.
    ///
    /// # Errors
    /// `Closed`, or the failure that ended the writer.
    pub fn append_stream(&self, stream: &str, bytes: Vec<u8>) -> Result<(), JournalError> {
        self.shared.append_stream(stream, &bytes)
    }

    /// Queues the deletion of a blob; the chain does not depend on it. An unknown name is no error.
    ///
    /// # Errors
    /// `Closed`, or the failure that ended the writer.
    pub fn delete_blob(&self, digest: &str) -> Result<(), JournalError> {
        Hash::from_hex(digest).map_or(Ok(()), |digest| self.shared.delete_blob(digest))
    }

    /// Queues the deletion of a stream; the chain does not depend on it. Later output starts it anew.
    ///
    /// # Errors
    /// `Closed`, or the failure that ended the writer.
    pub fn delete_stream(&self, stream: &str) -> Result<(), JournalError> {
        self.shared.delete_stream(stream)
    }

    /// Commits everything that is queued now, and blocks until it is durable.
    ///
    /// # Errors
    /// `Closed`, or the failure that ended the writer.
    pub fn flush(&self) -> Result<(), JournalError> {
        self.shared.flush()
    }

    /// Why the writer ended, if it did; everything is refused since.
    #[must_use]
    pub fn failure(&self) -> Option<JournalError> {
        self.shared.failure()
    }

    /// Whether little disk is left: the reserve is used, and new work should wait until it is whole again.
    #[must_use]
    pub fn low_disk(&self) -> bool {
        self.shared.low_disk()
    }

    /// Whether so much is queued that callers who can wait should, before queueing more makes them.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.shared.is_crowded()
    }

    /// Up to `limit` durable entries after number `after`, in order.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn entries(&self, after: u64, limit: usize) -> Result<Vec<StoredEntry>, JournalError> {
        self.reader.entries(after, limit)
    }

    /// The bytes of a blob; `None` when there is none of this name, or no longer.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not those the name was made from; `Io`.
    pub fn blob(&self, digest: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.settle();
        self.reader.blob(digest)
    }

    /// Up to `limit` bytes of a stream from byte `offset` on; empty at its end, and for one that is not there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn stream(&self, name: &str, offset: u64, limit: usize) -> Result<Vec<u8>, JournalError> {
        self.settle();
        self.reader.stream(name, offset, limit)
    }

    /// How many bytes a stream has; 0 for one that is not there.
    ///
    /// # Errors
    /// `Corrupt` or `Io`.
    pub fn stream_length(&self, name: &str) -> Result<u64, JournalError> {
        self.settle();
        self.reader.stream_length(name)
    }

    /// Commits what is queued, ends the writer and gives the journal free.
    ///
    /// # Errors
    /// The failure that ended the writer, if it did not end well.
    pub fn close(mut self) -> Result<(), JournalError> {
        self.end();
        match self.shared.failure() {
            None | Some(JournalError::Closed) => Ok(()),
            Some(failure) => Err(failure),
        }
    }

    /// Has reads see what was queued before them. When the writer has failed they see what there is.
    fn settle(&self) {
        let _ = self.shared.flush();
    }

    fn end(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != thread::current().id()
        {
            let _ = writer.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
