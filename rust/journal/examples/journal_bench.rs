//! Appends acknowledged per second, beside bare SQLite in the same run.
//!
//! `cargo run --release -p agentos-journal --example journal_bench -- FOLDER [SECONDS]` prints one JSON
//! document. Per number of producers, each of which appends 256 bytes and waits until they are durable:
//! - `value`: the journal's acknowledged appends per second, and `batch`, its entries per commit;
//! - `floor`: the same producers with bare SQLite behind them (WAL, synchronous=FULL, one thread that commits
//!   whatever is queued, nothing but inserts), and `ratio`, the median of the rounds' ratios;
//! - `ceiling`: bare SQLite with no producers at all, one loop with as many inserts in each transaction.
//!
//! And for `recovery`: entries replayed per second, each checked, beside reading and hashing the same rows.
//!
//! FOLDER must lie on a real disk: on a file system in memory a sync costs nothing.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use agentos_journal::{Hash, Journal, Options};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ENTRY: usize = 256;
const ROUNDS: usize = 5;
const RECOVERED: usize = 200_000;

/// Entries per second that `producers` threads get acknowledged, and entries per commit.
fn journal_rate(folder: &Path, producers: usize, time: Duration) -> Result<(f64, f64), Failure> {
    let (journal, _) = Journal::open(Some(&folder.join("kernel.db")), Options::default())?;
    journal.append(vec![vec![0; ENTRY]]).and_then(|seq| journal.wait_durable(seq))?;
    let (journal, stop, done) =
        (Arc::new(journal), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let commits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commits);
    journal.notify(Box::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    let start = Instant::now();
    let threads: Vec<_> = (0..producers)
        .map(|_| {
            let (journal, stop, done) = (Arc::clone(&journal), Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || -> Result<(), Failure> {
                while !stop.load(Ordering::Relaxed) {
                    let seq = journal.append(vec![vec![0x5a; ENTRY]])?;
                    journal.wait_durable(seq)?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        })
        .collect();
    thread::sleep(time);
    let appends = done.load(Ordering::Relaxed) as f64;
    let rates = (appends / start.elapsed().as_secs_f64(), appends / commits.load(Ordering::Relaxed) as f64);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| "a producer panicked")??;
    }
    Ok(rates)
}

fn bare(folder: &Path) -> Result<rusqlite::Connection, Failure> {
    let connection = rusqlite::Connection::open(folder.join("bare.db"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch("CREATE TABLE entry (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
    Ok(connection)
}

fn insert<'a>(
    connection: &rusqlite::Connection,
    rows: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<(), Failure> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for row in rows {
        connection.prepare_cached("INSERT INTO entry (body) VALUES (?1)")?.execute([row])?;
    }
    Ok(connection.execute_batch("COMMIT")?)
}

/// Rows per second that bare SQLite commits, `batch` in each transaction.
fn loop_rate(folder: &Path, batch: usize, time: Duration) -> Result<f64, Failure> {
    let connection = bare(folder)?;
    let rows = vec![vec![0x5a; ENTRY]; batch];
    let (start, mut commits) = (Instant::now(), 0);
    while start.elapsed() < time {
        insert(&connection, rows.iter())?;
        commits += 1;
    }
    Ok((commits * batch) as f64 / start.elapsed().as_secs_f64())
}

/// Rows per second that `producers` threads get committed by one thread with bare SQLite.
fn bare_rate(folder: &Path, producers: usize, time: Duration) -> Result<f64, Failure> {
    let connection = bare(folder)?;
    let (sender, receiver) = mpsc::channel::<(Vec<u8>, Arc<AtomicBool>, thread::Thread)>();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    for _ in 0..producers {
        let (sender, stop, done) = (sender.clone(), Arc::clone(&stop), Arc::clone(&done));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let durable = Arc::new(AtomicBool::new(false));
                if sender.send((vec![0x5a; ENTRY], Arc::clone(&durable), thread::current())).is_err() {
                    return;
                }
                while !durable.load(Ordering::Acquire) {
                    thread::park();
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    drop(sender);
    let mut rate = 0.0;
    // Ends when every producer has had its answer and gone.
    while let Ok(first) = receiver.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(receiver.try_iter()).collect();
        insert(&connection, batch.iter().map(|(row, ..)| row))?;
        for (_, durable, producer) in batch {
            durable.store(true, Ordering::Release);
            producer.unpark();
        }
        if rate == 0.0 && start.elapsed() >= time {
            rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
        }
    }
    Ok(rate)
}

/// Runs `measure` in a folder of its own.
fn apart<T>(root: &Path, measure: impl FnOnce(&Path) -> Result<T, Failure>) -> Result<T, Failure> {
    let folder = root.join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    fs::remove_dir_all(&folder)?;
    measured
}

/// Entries per second that come back when the journal is opened and replayed, and the floor: the same rows
/// read and hashed, with nothing checked.
fn recovery_rates(folder: &Path) -> Result<(f64, f64), Failure> {
    let path = folder.join("kernel.db");
    let (journal, _) = Journal::open(Some(&path), Options::default())?;
    for _ in 0..RECOVERED / 1000 {
        journal.append(vec![vec![0x5a; ENTRY]; 1000])?;
    }
    journal.close()?;

    let start = Instant::now();
    let (journal, recovery) = Journal::open(Some(&path), Options::default())?;
    let mut entries = 0_u64;
    recovery.replay(|_, _| {
        entries += 1;
        Ok::<(), Failure>(())
    })?;
    let value = entries as f64 / start.elapsed().as_secs_f64();
    journal.close()?;

    let start = Instant::now();
    let connection = rusqlite::Connection::open(&path)?;
    let mut statement = connection.prepare("SELECT body FROM entry ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        std::hint::black_box(Hash::of(row.get_ref(0)?.as_blob()?));
    }
    Ok((value, entries as f64 / start.elapsed().as_secs_f64()))
}

fn recovery(root: &Path) -> Result<String, Failure> {
    let rounds: Result<Vec<(f64, f64)>, Failure> = (0..3).map(|_| apart(root, recovery_rates)).collect();
    let rounds = rounds?;
    let ratio = median(rounds.iter().map(|(value, floor)| value / floor).collect());
    let (values, floors) = rounds.into_iter().unzip();
    Ok(format!(
        r#"{{"entries":{RECOVERED},"value":{:.0},"floor":{:.0},"ratio":{ratio:.3},"unit":"entries/s"}}"#,
        median(values),
        median(floors),
    ))
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One case as JSON: the medians over rounds in which all were measured in turns.
fn compare(root: &Path, producers: usize, time: Duration) -> Result<String, Failure> {
    let (mut values, mut batches, mut floors) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ratios, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (first, batch) = apart(root, |folder| journal_rate(folder, producers, time))?;
        let bare = || apart(root, |folder| bare_rate(folder, producers, time));
        let floor = (bare()? + bare()?) / 2.0;
        let (second, _) = apart(root, |folder| journal_rate(folder, producers, time))?;
        let value = (first + second) / 2.0;
        values.push(value);
        batches.push(batch);
        floors.push(floor);
        ratios.push(value / floor);
        ceilings.push(apart(root, |folder| loop_rate(folder, producers, time))?);
    }
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.3}")).collect();
    Ok(format!(
        r#"{{"producers":{producers},"batch":{:.1},"value":{:.0},"floor":{:.0},"ratio":{:.3},"ratios":[{}],"ceiling":{:.0},"unit":"appends/s"}}"#,
        median(batches),
        median(values),
        median(floors),
        median(ratios),
        each.join(","),
        median(ceilings),
    ))
}

fn main() -> Result<(), Failure> {
    let mut arguments = env::args().skip(1);
    let root = PathBuf::from(arguments.next().ok_or("usage: journal_bench FOLDER [SECONDS]")?);
    let seconds = arguments.next().map_or(Ok(0.5), |text| text.parse::<f64>())?;
    let time = Duration::from_secs_f64(seconds);
    let cases: Result<Vec<String>, Failure> =
        [1, 8, 64].into_iter().map(|producers| compare(&root, producers, time)).collect();
    let cases = cases?.join(",");
    writeln!(std::io::stdout(), r#"{{"cases":[{cases}],"recovery":{}}}"#, recovery(&root)?)?;
    Ok(())
}
