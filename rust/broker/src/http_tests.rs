use super::*;

fn head(text: &str) -> Result<Option<(Head, Body, usize)>, Failure> {
    parse_head(text.as_bytes())
}

fn body(text: &str) -> Body {
    head(text).unwrap().unwrap().1
}

fn decode(body: &mut Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, usize), Failure> {
    let (mut decoded, mut used) = (Vec::new(), 0);
    for piece in pieces {
        used += body.decode(piece, &mut decoded)?;
    }
    Ok((decoded, used))
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNKS: &[u8] = b"5\r\nhello\r\n1;note=\"x\"\r\n \r\n00A  \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";

#[test]
fn chunks_are_joined_however_they_arrive() {
    for at in 0..=CHUNKS.len() {
        let mut body = body(CHUNKED);
        let (left, right) = CHUNKS.split_at(at);
        assert_eq!(decode(&mut body, &[left, right]).unwrap(), (b"hello 0123456789".to_vec(), CHUNKS.len()));
        assert!(body.is_over());
    }
    let mut body = body(CHUNKED);
    let single: Vec<&[u8]> = CHUNKS.chunks(1).collect();
    assert_eq!(decode(&mut body, &single).unwrap().0, b"hello 0123456789");
}

#[test]
fn body_that_stops_early_is_not_over() {
    for at in 0..CHUNKS.len() {
        let mut body = body(CHUNKED);
        decode(&mut body, &[&CHUNKS[..at]]).unwrap();
        assert!(!body.is_over(), "cut at {at}");
    }
    let mut body = body("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    decode(&mut body, &[b"ab"]).unwrap();
    assert!(!body.is_over());
    let (decoded, used) = decode(&mut body, &[b"cd"]).unwrap();
    assert_eq!((decoded.as_slice(), used, body.is_over()), (b"c".as_slice(), 1, true));
}

#[test]
fn broken_chunks_are_refused() {
    for chunks in [
        b"5\nhello\r\n".as_slice(),
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"0x5\r\n",
        b"+5\r\n",
        b"5 5\r\n",
        b"2\r\nhello\r\n",
        b"1\r\na\n",
        b"10000000000000000\r\n",
    ] {
        assert!(decode(&mut body(CHUNKED), &[chunks]).is_err(), "{:?}", String::from_utf8_lossy(chunks));
    }
    assert!(decode(&mut body(CHUNKED), &[&[b'1'; LINE_LIMIT + 1]]).is_err());
    let trailers = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(LINE_LIMIT)].concat();
    assert!(decode(&mut body(CHUNKED), &[&trailers]).is_err());
}

#[test]
fn heads_whose_body_has_no_clear_end_are_refused() {
    for headers in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length: -1",
        "Content-Length:",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Encoding: gzip",
    ] {
        assert!(head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n")).is_err(), "{headers}");
    }
}

#[test]
fn heads_say_what_they_say() {
    let text = "HTTP/1.1 429 Slow\r\nRequest-Id: r1\r\nRetry-After: 3\r\nConnection: Close\r\nContent-Length: 0\r\n\r\nrest";
    let (head, body, length) = head(text).unwrap().unwrap();
    assert_eq!((head.status, head.keep_alive, head.redirected), (429, false, false));
    assert_eq!(head.request_id.as_deref(), Some("r1"));
    assert_eq!(head.retry_after, Some(Duration::from_secs(3)));
    assert!(body.is_over());
    assert_eq!(length, text.len() - "rest".len());
}

#[test]
fn connections_are_kept_as_the_version_prescribes() {
    for (text, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: upgrade, close\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        assert_eq!(head(text).unwrap().unwrap().0.keep_alive, expected, "{text}");
    }
}

#[test]
fn callers_headers_carry_neither_authority_nor_framing() {
    assert!(check_header("anthropic-beta", "tools-2024").is_ok());
    for (name, value) in [
        ("Host", "x"),
        ("AUTHORIZATION", "x"),
        ("x-api-key", "x"),
        ("Proxy-Authorization", "x"),
        ("Cookie", "x"),
        ("Content-Length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a", "x\r\nb: c"),
        ("a", "\u{e4}"),
        ("a", "\0"),
    ] {
        assert!(check_header(name, value).is_err(), "{name}: {value}");
    }
}
