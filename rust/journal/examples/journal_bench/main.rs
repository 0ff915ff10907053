//! The journal beside the least that the machine needs, in the same run. FOLDER must lie on a real disk: on
//! a file system in memory a sync costs nothing.
//!
//! `journal_bench appends FOLDER TURNS ROUNDS` prints one JSON document: for 1, 8 and 64 producers, each of
//! which appends 256 bytes and waits until they are durable, and for one caller with batches of 256 and 4,096:
//! - `values`: the journal's acknowledged appends per second, a round each, and `commit`, entries per commit;
//! - `floors`: the same with bare SQLite behind (WAL, synchronous=FULL, one thread that commits whatever is
//!   queued, nothing but inserts);
//! - `logs`: the same with a log file of our own (`log.rs`).
//!
//! `journal_bench recover FILE` replays a journal, checking each entry, and `journal_bench floor FILE` reads
//! and hashes the same rows and checks nothing: whoever starts them measures time. Both print what the
//! system says of the process, its peak of memory included.

mod log;
mod rates;

use std::{env, fs, io::Write, path::Path, time::Duration};

use agentos_journal::{Hash, Reader};
use log::Log;
use rates::{Bare, Contender, Load, Ours, Slice};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: journal_bench appends FOLDER TURNS ROUNDS | recover FILE | floor FILE";

/// Short turns: on a shared disk, what a sync costs changes from one second to the next.
const TURN: Duration = Duration::from_millis(100);

/// Entries a second of each contender in one round, and the journal's entries per commit. They take `turns`
/// turns each, there and back, so that none has the better times.
fn round(contenders: &mut [Box<dyn Contender>], load: Load, turns: usize) -> Result<Vec<Slice>, Failure> {
    let mut sums = vec![Slice::default(); contenders.len()];
    for turn in 0..turns {
        let mut order: Vec<usize> = (0..contenders.len()).collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for at in order {
            let (Some(contender), Some(sum)) = (contenders.get_mut(at), sums.get_mut(at)) else { continue };
            let slice = contender.slice(load, TURN)?;
            sum.entries += slice.entries;
            sum.seconds += slice.seconds;
            sum.commits += slice.commits;
        }
    }
    Ok(sums)
}

/// One load as JSON: a number a round for each contender.
fn case(root: &Path, name: &str, load: Load, turns: usize, rounds: usize) -> Result<String, Failure> {
    let folder = root.join(name.replace(' ', "-"));
    fs::create_dir_all(&folder)?;
    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(Ours::open(&folder)?), Box::new(Bare::open(&folder)?), Box::new(Log::create(&folder)?)];
    // Files grow to their working size first.
    round(&mut contenders, load, 2)?;
    let rounds: Result<Vec<Vec<Slice>>, Failure> =
        (0..rounds).map(|_| round(&mut contenders, load, turns)).collect();
    let rounds = rounds?;
    drop(contenders);
    fs::remove_dir_all(&folder)?;
    let list = |at: usize, number: fn(&Slice) -> f64| {
        let shown: Vec<String> =
            rounds.iter().filter_map(|round| Some(format!("{:.1}", number(round.get(at)?)))).collect();
        shown.join(",")
    };
    let rate = |slice: &Slice| slice.entries as f64 / slice.seconds;
    Ok(format!(
        r#"{{"name":"{name}","values":[{}],"floors":[{}],"logs":[{}],"commits":[{}]}}"#,
        list(0, rate),
        list(1, rate),
        list(2, rate),
        list(0, |slice| slice.entries as f64 / slice.commits as f64),
    ))
}

fn appends(root: &Path, turns: usize, rounds: usize) -> Result<String, Failure> {
    let producers = [1, 8, 64].map(|count| (format!("{count} producers"), Load::Producers(count)));
    let batches = [256, 4096].map(|count| (format!("batches of {count}"), Load::Batches(count)));
    let cases: Result<Vec<String>, Failure> =
        producers.iter().chain(&batches).map(|(name, load)| case(root, name, *load, turns, rounds)).collect();
    Ok(format!("[{}]", cases?.join(",")))
}

/// Replays a journal, each entry checked.
fn recover(path: &Path) -> Result<String, Failure> {
    Reader::open(path)?.replay(|_, bytes| {
        std::hint::black_box(bytes);
        Ok::<(), Failure>(())
    })?;
    Ok(fs::read_to_string("/proc/self/status")?)
}

/// Reads and hashes the same bytes, and checks nothing.
fn floor(path: &Path) -> Result<String, Failure> {
    let connection = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare("SELECT seq, version, body, hash FROM entry ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        std::hint::black_box(Hash::of(row.get_ref(2)?.as_blob()?));
    }
    Ok(fs::read_to_string("/proc/self/status")?)
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match words.as_slice() {
        ["appends", folder, turns, rounds] => appends(Path::new(folder), turns.parse()?, rounds.parse()?)?,
        ["recover", path] => recover(Path::new(path))?,
        ["floor", path] => floor(Path::new(path))?,
        _ => return Err(USAGE.into()),
    };
    Ok(writeln!(std::io::stdout(), "{said}")?)
}
