use super::*;

type Events = Vec<(String, String)>;

fn parse(pieces: &[&[u8]], finish: bool) -> Result<Events, TooLong> {
    let mut parser = Parser::default();
    let mut events = Events::new();
    let mut collect = |name: &[u8], data: &[u8]| {
        events.push((String::from_utf8_lossy(name).into(), String::from_utf8_lossy(data).into()));
        Ok::<(), TooLong>(())
    };
    for piece in pieces {
        parser.push(piece, &mut collect)?;
    }
    if finish {
        parser.finish(&mut collect)?;
    }
    Ok(events)
}

fn events(expected: &[(&str, &str)]) -> Events {
    expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect()
}

const STREAM: &str = "\u{feff}: comment\n\nevent: first\ndata: {\"ä\": 1}\n\ndata: two\ndata:lines\nid: 7\nretry: 3\n\n\
    event: without data\n\n:\ndata\n\nerror: {\"bad\": 1}\n\ndata:  spaced \n\n";

fn expected() -> Events {
    events(&[
        ("first", "{\"ä\": 1}"),
        ("message", "two\nlines"),
        ("message", ""),
        ("error", "{\"bad\": 1}"),
        ("message", " spaced "),
    ])
}

#[test]
fn every_split_gives_the_same_events() {
    for newline in ["\n", "\r\n", "\r"] {
        let stream = STREAM.replace('\n', newline);
        let bytes = stream.as_bytes();
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            assert_eq!(parse(&[left, right], false).unwrap(), expected(), "{newline:?} split at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parse(&single, false).unwrap(), expected(), "{newline:?} byte by byte");
    }
}

#[test]
fn three_pieces_give_the_same_events() {
    let bytes = STREAM.replace('\n', "\r\n").into_bytes();
    for first in (0..bytes.len()).step_by(3) {
        for second in (first..bytes.len()).step_by(5) {
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(parse(&pieces, false).unwrap(), expected(), "split at {first} and {second}");
        }
    }
}

#[test]
fn unfinished_event_is_reported_only_at_a_known_end() {
    let pieces: &[&[u8]] = &[b"data: one\n\ndata: [DONE]"];
    assert_eq!(parse(pieces, false).unwrap(), events(&[("message", "one")]));
    assert_eq!(parse(pieces, true).unwrap(), events(&[("message", "one"), ("message", "[DONE]")]));
}

#[test]
fn name_does_not_outlive_its_event() {
    let stream: &[&[u8]] = &[b"event: a\ndata: 1\n\ndata: 2\n\n"];
    assert_eq!(parse(stream, false).unwrap(), events(&[("a", "1"), ("message", "2")]));
}

#[test]
fn endless_line_is_refused() {
    let piece = vec![b'a'; 1 << 20];
    let pieces: Vec<&[u8]> = std::iter::repeat_n(piece.as_slice(), 17).collect();
    assert_eq!(parse(&pieces, false), Err(TooLong));
}

#[test]
fn endless_event_is_refused() {
    let piece = [b"data: ".as_slice(), &vec![b'a'; 1 << 20], b"\n"].concat();
    let pieces: Vec<&[u8]> = std::iter::repeat_n(piece.as_slice(), 17).collect();
    assert_eq!(parse(&pieces, false), Err(TooLong));
}

#[test]
fn error_of_the_receiver_stops_the_parser() {
    let mut parser = Parser::default();
    let mut seen = 0;
    let result = parser.push(b"data: 1\n\ndata: 2\n\n", |_: &[u8], _: &[u8]| {
        seen += 1;
        Err(TooLong)
    });
    assert_eq!((result, seen), (Err(TooLong), 1));
}
