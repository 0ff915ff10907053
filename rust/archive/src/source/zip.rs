//! Reads zips without trusting them: the central directory, and members one at a time.
//!
//! Refused whole: names that leave the archive, links, encrypted members, members that overlap (the known
//! way to reach a ratio of millions), compression that we do not know, sizes that do not hold.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::{Budget, FREE, RATIO, Window, bomb};
use crate::error::{Error, Trouble};

/// More members than this is an attack on memory, not an export.
const MEMBERS: u64 = 500_000;
const END: &[u8] = b"PK\x05\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";
const END_64: &[u8] = b"PK\x06\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// A member as the central directory describes it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) crc: u32,
    pub(crate) size: u64,
    pub(crate) compressed: u64,
    pub(crate) deflated: bool,
    header: u64,
}

/// Little-endian fields of a record, where they are.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> Option<u64> {
        self.0.get(at..at + 2)?.try_into().ok().map(|bytes| u64::from(u16::from_le_bytes(bytes)))
    }

    fn u32(&self, at: usize) -> Option<u64> {
        self.0.get(at..at + 4)?.try_into().ok().map(|bytes| u64::from(u32::from_le_bytes(bytes)))
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.0.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

fn damaged(name: &str, what: &str, offset: u64) -> Error {
    Error::Input(
        Trouble::new(format!("the zip is damaged or was cut off: {what}"))
            .at(format!("{name}:{offset}"))
            .hint("download the export again and import the new file"),
    )
}

fn refused(name: &str, entry: &str, what: &str) -> Error {
    Error::Input(
        Trouble::new(format!("the zip holds a member that no export holds: {what}"))
            .at(format!("{name}:{entry}"))
            .hint("download the export again from the provider; do not unpack this file"),
    )
}

/// The members of a zip in the order of the directory, folders left out.
pub(crate) fn entries(window: &Window, name: &str) -> Result<Vec<Entry>, Error> {
    let (count, size, offset) = directory(window, name)?;
    if count > MEMBERS || size > MEMBERS * 1024 {
        return Err(refused(name, "", "more than half a million members"));
    }
    let bytes = window.bytes(offset, usize::try_from(size).unwrap_or(usize::MAX))?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    let mut ranges = Vec::new();
    for _ in 0..count {
        let at = offset + (bytes.len() - rest.len()) as u64;
        let (entry, used) = entry(rest, name, at)?;
        rest = rest.get(used..).unwrap_or_default();
        ranges.push((entry.header, entry.header.saturating_add(30 + entry.compressed)));
        if !entry.name.ends_with('/') {
            entries.push(entry);
        }
    }
    ranges.sort_unstable();
    let overlap = ranges.windows(2).any(|pair| matches!(pair, [(_, end), (start, _)] if start < end));
    if overlap || ranges.last().is_some_and(|(_, end)| *end > offset) {
        return Err(bomb(name));
    }
    Ok(entries)
}

/// How many members, and where their directory lies: from the record at the end of the file.
fn directory(window: &Window, name: &str) -> Result<(u64, u64, u64), Error> {
    let tail_start = window.length().saturating_sub(66_000);
    let tail = window.bytes(tail_start, 66_000)?;
    let at = memchr::memmem::rfind(&tail, END)
        .ok_or_else(|| damaged(name, "its directory is missing", window.length()))?;
    let end = Fields(tail.get(at..).unwrap_or_default());
    let short = || damaged(name, "its directory is incomplete", tail_start + at as u64);
    end.u16(20).ok_or_else(short)?;
    let mut found = (end.u16(10), end.u32(12), end.u32(16));
    let locator =
        at.checked_sub(20).and_then(|start| tail.get(start..at)).filter(|l| l.starts_with(END_64_LOCATOR));
    if let Some(locator) = locator {
        let start = Fields(locator).u64(8).ok_or_else(short)?;
        let record = window.bytes(start, 56)?;
        if record.starts_with(END_64) {
            let fields = Fields(&record);
            found = (fields.u64(32), fields.u64(40), fields.u64(48));
        }
    }
    let (Some(count), Some(size), Some(offset)) = found else { return Err(short()) };
    if offset.checked_add(size).is_none_or(|end| end > window.length()) {
        return Err(short());
    }
    Ok((count, size, offset))
}

/// The entry at the start of `rest`, and how long its record is.
fn entry(rest: &[u8], zip: &str, at: u64) -> Result<(Entry, usize), Error> {
    let short = || damaged(zip, "its directory is incomplete", at);
    if !rest.starts_with(CENTRAL) {
        return Err(short());
    }
    let fields = Fields(rest);
    let read = || {
        let lengths = (fields.u16(28)?, fields.u16(30)?, fields.u16(32)?);
        Some((
            fields.u16(8)?,
            fields.u16(10)?,
            fields.u32(16)?,
            fields.u32(20)?,
            fields.u32(24)?,
            lengths,
            fields.u32(38)?,
            fields.u32(42)?,
        ))
    };
    let (flags, method, crc, compressed, size, (name, extra, comment), attributes, header) =
        read().ok_or_else(short)?;
    let length = usize::try_from(46 + name + extra + comment).map_err(|_| short())?;
    let (name, extra) = (usize::try_from(name).unwrap_or(0), usize::try_from(extra).unwrap_or(0));
    let raw_name = rest.get(46..46 + name).ok_or_else(short)?;
    let extra = rest.get(46 + name..46 + name + extra).ok_or_else(short)?;
    let name = String::from_utf8_lossy(raw_name).into_owned();
    check(zip, &name, flags, method, attributes)?;
    let [size, compressed, header] = wide([size, compressed, header], extra).ok_or_else(short)?;
    let crc = u32::try_from(crc).unwrap_or_default();
    Ok((Entry { name, crc, size, compressed, deflated: method == 8, header }, length))
}

fn check(zip: &str, name: &str, flags: u64, method: u64, attributes: u64) -> Result<(), Error> {
    let drive = name.chars().nth(1) == Some(':');
    if name.starts_with(['/', '\\'])
        || drive
        || name.split(['/', '\\']).any(|part| part == "..")
        || name.contains('\0')
    {
        return Err(refused(zip, name, "a name that leaves its folder"));
    }
    if (attributes >> 16) & 0o170_000 == 0o120_000 {
        return Err(refused(zip, name, "a symbolic link"));
    }
    if flags & 1 != 0 {
        let trouble = Trouble::new("the zip is encrypted").at(format!("{zip}:{name}"));
        return Err(Error::Input(trouble.hint("unpack it with its password and import the folder")));
    }
    if method != 0 && method != 8 {
        let trouble =
            Trouble::new(format!("the zip uses compression method {method}")).at(format!("{zip}:{name}"));
        return Err(Error::Input(trouble.hint("unpack it and import the folder")));
    }
    Ok(())
}

/// Fields that did not fit 32 bits stand in an extra record, in this order.
fn wide(fields: [u64; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    if fields.iter().all(|field| *field != 0xffff_ffff) {
        return Some(fields);
    }
    while extra.len() >= 4 {
        let head = Fields(extra);
        let (tag, length) = (head.u16(0)?, usize::try_from(head.u16(2)?).ok()?);
        let body = extra.get(4..4 + length)?;
        if tag == 1 {
            let mut at = 0;
            let mut found = fields;
            for field in &mut found {
                if *field == 0xffff_ffff {
                    *field = Fields(body).u64(at)?;
                    at += 8;
                }
            }
            return Some(found);
        }
        extra = extra.get(4 + length..)?;
    }
    None
}

/// The compressed bytes of a member.
fn data(window: &Window, entry: &Entry, zip: &str) -> Result<Window, Error> {
    let header = window.bytes(entry.header, 30)?;
    let fields = Fields(&header);
    let lengths = (fields.u16(26), fields.u16(28));
    let (true, (Some(name), Some(extra))) = (header.starts_with(LOCAL), lengths) else {
        return Err(damaged(zip, "a member's header is missing", entry.header));
    };
    let start = entry.header + 30 + name + extra;
    window.part(start, entry.compressed).ok_or_else(|| damaged(zip, "a member reaches beyond the end", start))
}

/// A stored member as a window of its own, to look into a zip inside a zip without copying it.
pub(crate) fn stored(window: &Window, entry: &Entry, zip: &str) -> Result<Option<Window>, Error> {
    if entry.deflated { Ok(None) } else { data(window, entry, zip).map(Some) }
}

pub(crate) fn open(
    window: &Window,
    entry: &Entry,
    budget: &Arc<Budget>,
    name: &str,
) -> Result<Box<dyn Read + Send>, Error> {
    if entry.size > FREE && entry.size / RATIO > entry.compressed {
        return Err(bomb(name));
    }
    let data = data(window, entry, name)?;
    let source: Box<dyn Read + Send> = if entry.deflated {
        Box::new(DeflateDecoder::new(BufReader::with_capacity(64 * 1024, data)))
    } else {
        Box::new(data)
    };
    let budget = Arc::clone(budget);
    Ok(Box::new(Checked {
        source,
        crc: Crc::new(),
        read: 0,
        entry: entry.clone(),
        budget,
        name: name.to_owned(),
    }))
}

/// Holds a member to its declared size and checksum, and to the budget.
struct Checked {
    source: Box<dyn Read + Send>,
    crc: Crc,
    read: u64,
    entry: Entry,
    budget: Arc<Budget>,
    name: String,
}

impl Read for Checked {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let fail = |error: Error| io::Error::other(error);
        let count = match self.source.read(out) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(_) => return Err(fail(damaged(&self.name, "its compressed data is broken", self.read))),
        };
        self.crc.update(out.get(..count).unwrap_or_default());
        self.read += count as u64;
        if !self.budget.spend(count as u64) {
            return Err(fail(bomb(&self.name)));
        }
        if self.read > self.entry.size {
            return Err(fail(damaged(&self.name, "a member is longer than it says", self.read)));
        }
        let ended = count == 0 && !out.is_empty();
        if ended && (self.read != self.entry.size || self.crc.sum() != self.entry.crc) {
            return Err(fail(damaged(&self.name, "a checksum does not match", self.read)));
        }
        Ok(count)
    }
}
