//! The reading thread: members to elements to records.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::{Event, Gate, IN_FLIGHT, Job, LARGEST, reader};
use crate::error::{Error, Trouble};
use crate::formats::{self, Format};
use crate::json;
use crate::sniff;
use crate::source::{Member, Place};
use crate::split::{Element, Splitter};
use crate::store::files;
use crate::store::write::{self, Incoming};

/// A pasted text is a few pages, never megabytes.
const LONGEST_TEXT: u64 = 4 << 20;
/// Files of ChatGPT's exports that say more about the conversations and the files beside them.
const SIDE_FILES: [&str; 5] = [
    "conversation_asset_file_names.json",
    "library_files.json",
    "message_feedback.json",
    "model_comparisons.json",
    "shared_conversations.json",
];
/// Elements looked at before a file counts as no conversations at all.
const PATIENCE: u32 = 16;

/// Why the reading ends early.
enum Stop {
    /// The storing thread is gone, or the person stopped it.
    Quiet,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What a JSON file turned out to be.
enum Found {
    Ours,
    Other {
        looks: String,
        error: Option<Error>,
        /// Where its elements start, the first few of them.
        strange: Vec<String>,
    },
}

struct Reading<'a> {
    job: &'a Job,
    gate: &'a Gate,
    send: &'a SyncSender<Event>,
    known: Option<Connection>,
}

/// Bytes that will be read as JSON.
pub(super) fn expected(members: &[Member]) -> u64 {
    members.iter().filter(|member| is_document(member, members)).map(|member| member.size).sum()
}

/// JSON by name; a file that was given alone may be called anything.
fn is_document(member: &Member, members: &[Member]) -> bool {
    member.is_json() || members.len() == 1
}

pub(super) fn members(members: &[Member], folder: &Path, job: &Job, gate: &Gate, send: &SyncSender<Event>) {
    let reading = Reading { job, gate, send, known: reader(folder) };
    if let Err(Stop::Failed(error)) = reading.all(members, folder) {
        // A closed channel means that the other side knows already.
        let _closed = send.send(Event::Failed(error));
    }
}

impl Reading<'_> {
    fn all(&self, members: &[Member], folder: &Path) -> Result<(), Stop> {
        let mut others = Vec::new();
        let mut recognised = false;
        let mut looks = Vec::new();
        let mut unread = Vec::new();
        for member in members {
            if !is_document(member, members) {
                others.push(member);
                continue;
            }
            match self.document(member).map_err(|stop| at(stop, member))? {
                Found::Ours => recognised = true,
                Found::Other { error: Some(error), looks, .. } if is_damage(member, members, &looks) => {
                    return Err(at(error.into(), member));
                }
                Found::Other { looks: words, strange, .. } => {
                    looks.push(format!("{}: {words}", member.name));
                    others.push(member);
                    unread.extend(
                        strange.into_iter().filter(|_| is_named(member)).map(|at| (at, words.clone())),
                    );
                }
            }
        }
        if !recognised {
            return Err(unknown(members, &looks).into());
        }
        for (place, words) in unread {
            self.dropped("not_recognised", 1, place, Some(words))?;
        }
        for member in others.into_iter().filter(|member| is_asset(member)) {
            self.go_on()?;
            let (digest, size) =
                files::keep(folder, member.open()?).map_err(|error| error.at(&member.name))?;
            self.send(Event::File { name: member.name.clone(), digest, size })?;
        }
        Ok(())
    }

    /// A short text that is no JSON but an element as a whole.
    fn plain_text(&self, member: &Member, name: &Arc<str>) -> Result<bool, Stop> {
        if member.size > LONGEST_TEXT {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        member.open()?.read_to_end(&mut bytes).map_err(Error::from)?;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(false) };
        let Some(format) = formats::recognise_text(&text) else { return Ok(false) };
        self.element(format, text, name, 0)?;
        Ok(true)
    }

    fn document(&self, member: &Member) -> Result<Found, Stop> {
        let name: Arc<str> = member.name.as_str().into();
        let mut splitter = Splitter::new(member.open()?, LARGEST);
        let mut format: Option<&'static dyn Format> = None;
        let mut looks = String::from("JSON without elements");
        let mut strange = Vec::new();
        let mut counted = 0;
        loop {
            self.go_on()?;
            let element = match splitter.next() {
                Ok(Some(element)) => element,
                Ok(None) => break,
                Err(_) if format.is_none() && self.plain_text(member, &name)? => return Ok(Found::Ours),
                Err(error) if format.is_none() => {
                    let looks = if strange.is_empty() { sniff::member(member) } else { looks };
                    return Ok(Found::Other { looks, error: Some(error), strange });
                }
                Err(error) => return Err(error.into()),
            };
            let end = element.offset + element.bytes.len() as u64;
            self.job.counters.read.fetch_add(end.saturating_sub(counted), Ordering::Relaxed);
            counted = end;
            let place = format!("{name}:{}", element.offset);
            if element.oversized {
                self.dropped("too_large", 1, place, Some("one element is over a gigabyte".into()))?;
                continue;
            }
            let offset = element.offset;
            let text = self.text(element, &place)?;
            format = format.or_else(|| formats::recognise(&text));
            match format {
                Some(format) => self.element(format, text, &name, offset)?,
                None => {
                    looks = sniff::element(&text);
                    strange.push(place);
                    if strange.len() >= PATIENCE as usize {
                        break;
                    }
                }
            }
        }
        self.job.counters.read.fetch_add(member.size.saturating_sub(counted), Ordering::Relaxed);
        if format.is_none() {
            return Ok(Found::Other { looks, error: None, strange });
        }
        for place in strange {
            self.dropped("not_recognised", 1, place, None)?;
        }
        Ok(Found::Ours)
    }

    /// The element as text. Bytes that are no UTF-8 are replaced, which is a loss and reported as one.
    fn text(&self, element: Element, place: &str) -> Result<String, Stop> {
        String::from_utf8(element.bytes).or_else(|error| {
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            self.dropped(
                "invalid_utf8",
                1,
                place.to_owned(),
                Some("bytes that are no text were replaced".into()),
            )?;
            Ok(text)
        })
    }

    fn element(
        &self,
        format: &'static dyn Format,
        raw: String,
        name: &Arc<str>,
        offset: u64,
    ) -> Result<(), Stop> {
        let digest: [u8; 32] = Sha256::digest(raw.as_bytes()).into();
        if let Some(revision) = self.known_revision(&digest) {
            return self.send(Event::Known { revision, member: Arc::clone(name) });
        }
        let place = || format!("{name}:{offset}");
        let parsed = {
            let (json, halves) = json::mend_surrogates(&raw);
            if halves > 0 {
                self.send(Event::Noted { reason: "lone_surrogate", count: halves as u64, place: place() })?;
            }
            let parsed = format.record(&json).map(|record| (format, record));
            parsed.or_else(|reason| match formats::recognise(&json) {
                Some(other) if other.name() != format.name() => {
                    other.record(&json).map(|record| (other, record))
                }
                Some(_) => Err(reason),
                None => Err(format!("{} ({})", sniff::element(&json), reason)),
            })
        };
        let (format, record) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => return self.dropped("malformed", 1, place(), Some(reason)),
        };
        for (reason, count) in &record.dropped {
            self.dropped(reason, *count as u64, place(), None)?;
        }
        // A large one passes alone, and is compressed piece by piece where it is stored.
        let large = raw.len() > IN_FLIGHT;
        let chunks = if large { Vec::new() } else { write::pack(&raw) };
        let size = raw.len();
        self.gate.enter(size);
        let incoming =
            Incoming { format: format.name(), provider: format.provider(), record, raw, digest, chunks };
        self.send(Event::Element { incoming: Box::new(incoming), member: Arc::clone(name) })?;
        if large {
            self.gate.drain();
        }
        Ok(())
    }

    fn known_revision(&self, digest: &[u8; 32]) -> Option<i64> {
        let mut query =
            self.known.as_ref()?.prepare_cached("SELECT id FROM revision WHERE digest = ?1").ok()?;
        query.query_row([digest], |row| row.get(0)).optional().ok()?
    }

    fn dropped(
        &self,
        reason: &'static str,
        count: u64,
        place: String,
        detail: Option<String>,
    ) -> Result<(), Stop> {
        self.send(Event::Dropped { reason, count, place, detail })
    }

    fn send(&self, event: Event) -> Result<(), Stop> {
        self.send.send(event).map_err(|_| Stop::Quiet)
    }

    fn go_on(&self) -> Result<(), Stop> {
        if self.job.cancel.load(Ordering::Relaxed) { Err(Stop::Quiet) } else { Ok(()) }
    }
}

/// Offsets inside a member become `member:offset`.
fn at(stop: Stop, member: &Member) -> Stop {
    match stop {
        Stop::Failed(Error::Input(mut trouble)) => {
            let offset = trouble.place.take();
            let numeric =
                offset.as_ref().is_some_and(|place| place.bytes().all(|byte| byte.is_ascii_digit()));
            trouble.place = match offset {
                Some(offset) if numeric => Some(format!("{}:{offset}", member.name)),
                Some(place) => Some(place),
                None => Some(member.name.clone()),
            };
            Stop::Failed(Error::Input(trouble))
        }
        other => other,
    }
}

/// Whether a file that cannot be read as JSON is a broken export rather than no export: one that an export
/// stands on by its name, or that starts like JSON and was given alone.
fn is_damage(member: &Member, members: &[Member], looks: &str) -> bool {
    let alone = members.len() == 1;
    if alone { looks == sniff::BROKEN } else { is_named(member) }
}

/// Whether it has the name of a file that an export stands on.
fn is_named(member: &Member) -> bool {
    let base = member.base().to_lowercase();
    ["conversations", "memories", "projects"].iter().any(|name| base.starts_with(name))
}

/// What to keep beside the conversations: all of a zip, but of a folder only what exports call their files,
/// because a folder may hold anything of the person's.
fn is_asset(member: &Member) -> bool {
    let base = member.base().to_lowercase();
    if base == "chat.html" || base == ".ds_store" {
        return false;
    }
    let named = base.starts_with("file-") || base.starts_with("file_") || base.ends_with(".dat");
    let shelved =
        ["dalle-generations/", "textdocs/", "user-"].iter().any(|shelf| member.name.contains(shelf));
    matches!(member.place, Place::Zipped { .. }) || named || shelved || SIDE_FILES.contains(&base.as_str())
}

fn unknown(members: &[Member], looks: &[String]) -> Error {
    let what = match (members, looks) {
        ([_], [one]) => {
            format!("this looks like {}", one.split_once(": ").map_or(one.as_str(), |(_, looks)| looks))
        }
        (_, []) => {
            let names: Vec<&str> = members.iter().map(|member| member.base()).take(5).collect();
            format!(
                "there is no conversation in it, only {} files such as {}",
                members.len(),
                names.join(", ")
            )
        }
        (_, several) => format!(
            "no file in it is one: {}",
            several.iter().take(3).cloned().collect::<Vec<_>>().join("; ")
        ),
    };
    let place = members.first().map_or("", |member| member.name.split(':').next().unwrap_or(""));
    Error::Input(
        Trouble::new(format!("not an export that agentos knows: {what}"))
            .at(place)
            .hint("give the zip, folder or conversations.json that ChatGPT or Claude sent you"),
    )
}
