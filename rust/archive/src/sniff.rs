//! Says what an input looks like when it is no export that we can read.

use std::io::Read;

use crate::formats::Keys;
use crate::source::Member;

/// Exports of others that can be told by their keys but not be read yet.
const OTHERS: [(&str, &[&str]); 6] = [
    ("a DeepSeek export", &["mapping", "inserted_at"]),
    ("a Grok export", &["conversation", "responses"]),
    ("a Google Takeout activity log", &["header", "products"]),
    ("a Letta agent file", &["agents", "blocks"]),
    ("a Portable AI Memory store", &["schema", "memories"]),
    ("a LibreChat export", &["conversationId", "messages"]),
];

const MAGIC: [(&[u8], &str); 11] = [
    (b"\xff\xfe", "text in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16: save it as UTF-8"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"BZh", "a bzip2 file: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd file: unpack it first"),
];

/// How a file looks that starts like JSON and is none.
pub(crate) const BROKEN: &str = "broken JSON";

/// A few words on a JSON element.
pub(crate) fn element(json: &str) -> String {
    let keys = Keys::of(json);
    if let (true, Err(error)) = (json.starts_with('{'), serde_json::from_str::<serde::de::IgnoredAny>(json)) {
        return format!("{BROKEN}: {error}");
    }
    if keys.0.is_empty() {
        return "JSON without objects".into();
    }
    if let Some((name, _)) = OTHERS.iter().find(|(_, signs)| signs.iter().all(|sign| keys.has(sign))) {
        return format!("{name}, which cannot be read yet");
    }
    let some: Vec<&str> = keys.0.iter().map(String::as_str).take(6).collect();
    format!("JSON objects with the keys {}", some.join(", "))
}

/// A few words on a file that is no JSON.
pub(crate) fn member(member: &Member) -> String {
    let mut start = Vec::new();
    let read = member.open().map(|reader| reader.take(512).read_to_end(&mut start));
    if !matches!(read, Ok(Ok(_))) {
        return "a file that cannot be read".into();
    }
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
        return (*name).into();
    }
    let text = String::from_utf8_lossy(&start).to_lowercase();
    let text = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    match text {
        "" => "an empty file".into(),
        html if html.starts_with("<!doctype html") || html.starts_with("<html") => {
            "a web page; exports have one beside the JSON: give the whole zip".into()
        }
        json if json.starts_with(['{', '[']) => BROKEN.into(),
        other if other.contains('\u{fffd}') || other.contains('\0') => "a binary file".into(),
        _ => "plain text".into(),
    }
}
