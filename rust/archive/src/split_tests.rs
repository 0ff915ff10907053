#![expect(clippy::string_slice, reason = "test data is cut at places known to be boundaries")]
use super::*;

/// Hands out one byte at a time, so that every boundary falls somewhere.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
        out[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn split(text: &str) -> Result<Vec<(u64, String)>, String> {
    let collect = |mut splitter: Splitter<Box<dyn Read>>| {
        let mut found = Vec::new();
        loop {
            match splitter.next() {
                Ok(Some(element)) => found.push((element.offset, String::from_utf8(element.bytes).unwrap())),
                Ok(None) => return Ok(found),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    let bytes = text.as_bytes().to_vec();
    let leaked: &'static [u8] = Box::leak(bytes.into_boxed_slice());
    let whole = collect(Splitter::new(Box::new(leaked), 1 << 20));
    let dropwise = collect(Splitter::new(Box::new(Drops(leaked)), 1 << 20));
    assert_eq!(whole, dropwise, "boundaries must not matter");
    whole
}

fn elements(text: &str) -> Vec<String> {
    split(text).unwrap().into_iter().map(|(_, element)| element).collect()
}

#[test]
fn arrays_wrappers_and_sequences_are_split() {
    assert_eq!(
        elements(r#" [ {"a":[1,"]"]} , 7, "x\"]" ,null]"#),
        [r#"{"a":[1,"]"]}"#, "7", r#""x\"]""#, "null"]
    );
    assert_eq!(elements("[]"), [""; 0]);
    assert_eq!(
        elements(r#"{"v":1,"conversations":[{"a":1},{"b":2}],"rest":{"c":[3]}}"#),
        [r#"{"a":1}"#, r#"{"b":2}"#]
    );
    assert_eq!(elements("{\"a\":1}\n{\"b\":2}\n"), [r#"{"a":1}"#, r#"{"b":2}"#]);
    assert_eq!(elements("\u{feff}[{}]"), ["{}"], "a byte order mark is skipped");
    assert_eq!(elements(r#"{"title":"\"conversations\":[","n":{"conversations":[1]}}"#).len(), 1);
}

#[test]
fn offsets_point_at_the_element() {
    let text = "[ {\"a\":1},\n  {\"b\":2}]";
    for (offset, element) in split(text).unwrap() {
        assert!(text[usize::try_from(offset).unwrap()..].starts_with(&element));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for whole in [r#"[{"a":"b\"c"},{"d":[1,{"e":"\u00e9"}]}]"#, r#"{"conversations":[{"a":1}],"z":0}"#] {
        for end in 1..whole.len() {
            if whole.is_char_boundary(end) {
                assert!(split(&whole[..end]).is_err(), "{}", &whole[..end]);
            }
        }
        assert!(split(whole).is_ok());
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in ["", "hello", "<html>", "[1 2]", "[,]", "[1,]", "[] x", "{\"a\" 1}", "[{}]]"] {
        assert!(split(text).is_err(), "{text}");
    }
}

#[test]
fn an_oversized_element_is_skipped_without_being_held() {
    let text = format!("[{{\"a\":\"{}\"}},{{\"b\":1}}]", "x".repeat(1000));
    let mut splitter = Splitter::new(text.as_bytes(), 100);
    let first = splitter.next().unwrap().unwrap();
    assert!(first.oversized && first.bytes.len() <= 100);
    let second = splitter.next().unwrap().unwrap();
    assert_eq!((second.oversized, second.bytes), (false, b"{\"b\":1}".to_vec()));
}

#[test]
fn deep_nesting_costs_no_stack() {
    let text = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert_eq!(Splitter::new(text.as_bytes(), 1 << 24).next().unwrap().unwrap().bytes.len(), 2_000_000);
}
