//! The archive from outside: what goes in, what is seen, what comes out again.
#![expect(clippy::string_slice, reason = "test data is cut at places known to be boundaries")]
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Archive, Error, Input, Job, Question, Report};

struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("archive-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn archive(&self) -> Archive {
        Archive::open(&self.0.join("archive")).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn import(archive: &mut Archive, path: &Path) -> Result<Report, Error> {
    archive.import(&Job { inputs: vec![Input::Path(path.to_owned())], ..Job::default() })
}

fn turn(id: &str, parent: &str, role: &str, text: &str, time: u32) -> String {
    format!(
        r#""{id}":{{"id":"{id}","parent":"{parent}","children":[],"message":{{"id":"{id}","author":{{"role":"{role}"}},"create_time":{time},"content":{{"content_type":"text","parts":["{text}"]}}}}}}"#
    )
}

fn chat(id: &str, updated: u32, current: &str, turns: &[String]) -> String {
    format!(
        r#"{{"id":"{id}","title":"Talk {id}","create_time":1700000000,"update_time":{updated},"current_node":"{current}","mapping":{{"root":{{"id":"root","parent":null,"children":[],"message":null}},{}}}}}"#,
        turns.join(",")
    )
}

fn ask(archive: &Archive, text: &str) -> Vec<String> {
    let question = Question { text: text.into(), limit: 10, ..Question::default() };
    archive.search(&question).unwrap().into_iter().map(|hit| hit.text).collect()
}

#[test]
fn an_export_goes_in_is_found_and_goes_out() {
    let home = Home::new("roundtrip");
    let mut archive = home.archive();
    let turns = [
        turn("u", "root", "user", "How do I reverse strings?", 10),
        turn("a", "u", "assistant", "Use slicing", 11),
    ];
    let path = home.file("c.json", &format!("[{}]", chat("one", 20, "a", &turns)));
    let report = import(&mut archive, &path).unwrap();
    assert_eq!((report.conversations.new, report.messages.new, report.source.as_str()), (1, 2, "chatgpt"));
    assert_eq!(ask(&archive, "reversing string"), ["How do I reverse strings?"]);
    assert_eq!(ask(&archive, "talk"), ["How do I reverse strings?"], "the title finds it");
    let again = import(&mut archive, &path).unwrap();
    assert_eq!((again.conversations.unchanged, again.written, &again.import), (1, false, &report.import));
    let undone = archive.undo(report.import.as_deref().unwrap()).unwrap();
    assert_eq!((undone.conversations, undone.messages), (1, 2));
    assert!(ask(&archive, "reverse").is_empty());
    assert_eq!(archive.records().unwrap().len(), 0);
}

#[test]
fn a_longer_export_adds_and_undoing_it_brings_the_shorter_back() {
    let home = Home::new("grow");
    let mut archive = home.archive();
    let first = [turn("u", "root", "user", "Tell me about otters", 10)];
    let more = [first[0].clone(), turn("a", "u", "assistant", "Otters hold hands", 11)];
    let short = home.file("short.json", &format!("[{}]", chat("one", 20, "u", &first)));
    let long = home.file("long.json", &format!("[{}]", chat("one", 30, "a", &more)));
    import(&mut archive, &short).unwrap();
    let before = archive.show(&archive.records().unwrap()[0].id).unwrap();
    let grown = import(&mut archive, &long).unwrap();
    assert_eq!((grown.conversations.updated, grown.messages.new, grown.messages.updated), (1, 1, 0));
    assert_eq!(ask(&archive, "hold hands"), ["Otters hold hands"]);
    archive.undo(grown.import.as_deref().unwrap()).unwrap();
    assert_eq!(archive.show(&archive.records().unwrap()[0].id).unwrap(), before);
    assert!(ask(&archive, "hands").is_empty());
}

#[test]
fn an_older_export_after_a_newer_one_changes_nothing_that_is_seen() {
    let home = Home::new("older");
    let (mut forwards, mut backwards) = (home.archive(), Archive::open(&home.0.join("second")).unwrap());
    let first =
        [turn("u", "root", "user", "Old words", 10), turn("gone", "u", "assistant", "A lost answer", 11)];
    let later = [turn("u", "root", "user", "New words", 10)];
    let old = home.file("old.json", &format!("[{}]", chat("one", 20, "gone", &first)));
    let new = home.file("new.json", &format!("[{}]", chat("one", 30, "u", &later)));
    for path in [&old, &new] {
        import(&mut forwards, path).unwrap();
    }
    for path in [&new, &old] {
        import(&mut backwards, path).unwrap();
    }
    let id = &forwards.records().unwrap()[0].id;
    assert_eq!(forwards.show(id).unwrap(), backwards.show(id).unwrap());
    assert_eq!(ask(&backwards, "words"), ["New words"]);
    assert_eq!(ask(&backwards, "lost answer"), ["A lost answer"], "what the newer export lacks is kept");
}

#[test]
fn what_two_imports_brought_stays_until_both_are_undone() {
    let home = Home::new("shared");
    let mut archive = home.archive();
    let one = chat("one", 20, "u", &[turn("u", "root", "user", "shared words", 10)]);
    let two = chat("two", 20, "u", &[turn("u", "root", "user", "lonely words", 10)]);
    let first = import(&mut archive, &home.file("a.json", &format!("[{one}]"))).unwrap();
    let second = import(&mut archive, &home.file("b.json", &format!("[{one},{two}]"))).unwrap();
    archive.undo(first.import.as_deref().unwrap()).unwrap();
    assert_eq!(ask(&archive, "shared"), ["shared words"]);
    archive.undo(second.import.as_deref().unwrap()).unwrap();
    assert!(archive.records().unwrap().is_empty() && ask(&archive, "words").is_empty());
}

#[test]
fn a_truncated_export_leaves_nothing() {
    let home = Home::new("truncated");
    let mut archive = home.archive();
    let whole = format!("[{}]", chat("one", 20, "u", &[turn("u", "root", "user", "words", 10)]));
    let path = home.file("cut.json", &format!("{},{}", &whole[..whole.len() - 1], &whole[1..60]));
    let Err(Error::Input(trouble)) = import(&mut archive, &path) else { panic!("it must be refused") };
    assert!(trouble.place.unwrap().starts_with("cut.json:"));
    assert!(archive.records().unwrap().is_empty() && archive.imports().unwrap().is_empty());
}

#[test]
fn one_malformed_element_costs_itself() {
    let home = Home::new("malformed");
    let mut archive = home.archive();
    let good = chat("one", 20, "u", &[turn("u", "root", "user", "fine words", 10)]);
    let path = home.file("c.json", &format!(r#"[{good},{{"id":"two"}},{{"mapping":7}},"x"]"#));
    let report = import(&mut archive, &path).unwrap();
    assert_eq!((report.conversations.new, report.dropped[0].count), (1, 3));
    assert_eq!(report.dropped[0].places[0], format!("c.json:{}", good.len() + 2));
}

#[test]
fn a_stopped_import_is_finished_by_the_same_import() {
    let home = Home::new("stopped");
    let mut archive = home.archive();
    let chats: Vec<String> = (0..40)
        .map(|n| chat(&format!("c{n}"), 20, "u", &[turn("u", "root", "user", &format!("word{n}"), 10)]))
        .collect();
    let path = home.file("c.json", &format!("[{}]", chats.join(",")));
    let job = Job { inputs: vec![Input::Path(path.clone())], ..Job::default() };
    job.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(archive.import(&job), Err(Error::Interrupted { .. })));
    let report = import(&mut archive, &path).unwrap();
    assert_eq!(report.conversations.new + report.conversations.unchanged, 40);
    assert_eq!(archive.records().unwrap().len(), 40);
    assert_eq!(archive.imports().unwrap().len(), 1);
}

#[test]
fn a_second_import_at_the_same_time_is_refused() {
    let home = Home::new("busy");
    let mut archive = home.archive();
    let other = home.archive();
    let _held = other.lock().unwrap();
    let path = home.file("c.json", "[]");
    assert!(matches!(import(&mut archive, &path), Err(Error::Busy(_))));
}

#[test]
fn an_undone_import_leaves_no_words_behind() {
    let home = Home::new("words");
    let mut archive = home.archive();
    let stays = chat("stays", 20, "u", &[turn("u", "root", "user", "ordinary words", 10)]);
    let goes = chat("goes", 20, "u", &[turn("u", "root", "user", "about Xylqvortz and ordinary", 10)]);
    let files: Vec<PathBuf> = ["a.json", "b.json"]
        .into_iter()
        .zip([stays, goes])
        .map(|(name, text)| home.file(name, &format!("[{text}]")))
        .collect();
    let holds_word = |home: &Home| {
        ["archive.db", "archive.db-wal"].iter().any(|name| {
            let bytes = fs::read(home.0.join("archive").join(name)).unwrap_or_default().to_ascii_lowercase();
            bytes.windows(9).any(|window| window == b"xylqvortz")
        })
    };
    for kept in [true, false] {
        if kept {
            import(&mut archive, &files[0]).unwrap();
        }
        let second = import(&mut archive, &files[1]).unwrap().import.unwrap();
        assert!(holds_word(&home), "else this test would show nothing");
        archive.undo(&second).unwrap();
        assert!(!holds_word(&home), "beside another import: {kept}");
        assert_eq!(ask(&archive, "ordinary").len(), usize::from(kept));
        for row in archive.imports().unwrap() {
            archive.undo(&row.import).unwrap();
        }
    }
    import(&mut archive, &files[1]).unwrap();
    assert_eq!(ask(&archive, "xylqvortz").len(), 1, "an emptied index takes words again");
}
