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

/// Two reads and no more: the boundary lies where it is put.
struct Halves<'a>(Vec<&'a [u8]>);

impl Read for Halves<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.0.first().is_some_and(|half| half.is_empty()) {
            self.0.remove(0);
        }
        let Some(half) = self.0.first_mut() else { return Ok(0) };
        let count = half.len().min(out.len());
        out[..count].copy_from_slice(&half[..count]);
        *half = &half[count..];
        Ok(count)
    }
}

fn parts(reader: impl Read) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let mut splitter = Splitter::new(reader, 1 << 20);
    let mut found = Vec::new();
    while let Some(element) = splitter.next().map_err(|error| error.to_string())? {
        found.push((element.offset, element.bytes));
    }
    Ok(found)
}

/// Numbers that look random and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", "", " ", "\n", "\t\r\n "])
    }

    fn value(&mut self, depth: u32) -> String {
        const PLAIN: [&str; 8] = [
            "null",
            "-1.5e3",
            "true",
            r#""""#,
            r#""]}[{,:""#,
            r#""\"\\""#,
            r#""é\ud83d\n""#,
            r#""conversations""#,
        ];
        let count = self.below(4);
        match if depth == 0 { 2 } else { self.below(3) } {
            0 => {
                let all: Vec<String> = (0..count).map(|_| self.value(depth - 1)).collect();
                format!("[{}{}]", self.space(), all.join(&format!("{},", self.space())))
            }
            1 => {
                let key = |chance: &mut Self| chance.pick(&[r#""a""#, r#""conversations""#, r#""\"{""#]);
                let all: Vec<String> = (0..count)
                    .map(|_| {
                        format!("{}{}:{}{}", key(self), self.space(), self.space(), self.value(depth - 1))
                    })
                    .collect();
                format!("{{{}{}}}", all.join(&format!(",{}", self.space())), self.space())
            }
            _ => self.pick(&PLAIN).to_owned(),
        }
    }
}

#[test]
fn any_array_is_split_as_a_parser_would_wherever_its_bytes_are_parted() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let all: Vec<String> =
            (0..chance.below(5)).map(|_| format!("{}{}", chance.space(), chance.value(3))).collect();
        let text = format!("{}[{}{}]{}", chance.space(), all.join(","), chance.space(), chance.space());
        let expected: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&text).unwrap();
        let whole = parts(text.as_bytes()).unwrap();
        let told: Vec<&str> = whole.iter().map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect();
        assert_eq!(told, expected.iter().map(|raw| raw.get()).collect::<Vec<_>>(), "{text}");
        for at in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(at);
            assert_eq!(parts(Halves(vec![first, second])).as_ref(), Ok(&whole), "{text} parted at {at}");
            if at < text.trim_end().len() {
                assert!(parts(first).is_err(), "{text} cut off at {at}");
            }
        }
    }
}

#[test]
fn damaged_bytes_are_an_error_or_elements_and_nothing_worse() {
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    for _ in 0..3000 {
        let mut bytes = format!("[{},{}]", chance.value(3), chance.value(3)).into_bytes();
        for _ in 0..=chance.below(3) {
            let at = usize::try_from(chance.below(bytes.len() as u64)).unwrap();
            bytes[at] = *b"[]{}\",:\\ 0\0\xff\xef".get(usize::try_from(chance.below(13)).unwrap()).unwrap();
        }
        let whole = parts(bytes.as_slice());
        let at = usize::try_from(chance.below(bytes.len() as u64)).unwrap();
        let (first, second) = bytes.split_at(at);
        assert_eq!(parts(Halves(vec![first, second])), whole, "{bytes:?} parted at {at}");
        if let Ok(raw) = serde_json::from_slice::<Vec<serde_json::Value>>(&bytes) {
            assert_eq!(whole.map(|found| found.len()), Ok(raw.len()), "{bytes:?}");
        }
    }
}
