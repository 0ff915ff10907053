use super::*;

fn reply(status: u16, body: &str) -> (Kind, String, Option<String>) {
    let failure = Failure::from_reply(status, None, body.as_bytes());
    assert_eq!(failure.status, Some(status));
    (failure.kind, failure.message, failure.code)
}

#[test]
fn error_bodies_of_all_shapes_give_their_message() {
    let text = |text: &str| Some(text.to_owned());
    for (body, code) in [
        (r#"{"type":"error","error":{"type":"not_found_error","message":"why"}}"#, text("not_found_error")),
        (
            r#"{"error":{"message":"why","type":"invalid_request_error","code":"model_not_found"}}"#,
            text("model_not_found"),
        ),
        (
            r#"{"error":{"message":"why","type":"invalid_request_error","code":null}}"#,
            text("invalid_request_error"),
        ),
        (r#"{"error":{"code":404,"message":"why","status":"NOT_FOUND"}}"#, None),
        (r#"[{"error":{"code":404,"message":"why"}}]"#, None),
        (r#"{"error":"why"}"#, None),
        (r#"{"object":"error","message":"why","type":"NotFoundError","code":404}"#, text("NotFoundError")),
        (r#"{"detail":"why"}"#, None),
        ("why\n", None),
    ] {
        assert_eq!(reply(404, body), (Kind::Invalid, "why".to_owned(), code), "{body}");
    }
}

#[test]
fn empty_bodies_and_web_pages_give_the_status() {
    for body in ["", "<html>lots of it</html>"] {
        assert_eq!(reply(502, body).1, "the provider answered with HTTP status 502");
    }
}

#[test]
fn quota_is_told_from_rate_limits() {
    assert_eq!(reply(429, r#"{"error":{"message":"m","type":"insufficient_quota"}}"#).0, Kind::Quota);
    assert_eq!(
        reply(429, r#"{"error":{"message":"m","code":"insufficient_quota","type":"x"}}"#).0,
        Kind::Quota
    );
    assert_eq!(reply(429, "").0, Kind::RateLimit);
    assert_eq!(reply(402, "").0, Kind::Quota);
}

#[test]
fn messages_are_bounded_and_on_one_line() {
    let (_, message, _) = reply(500, &format!("a\nb\u{1b}[31m{}", "ä".repeat(5000)));
    assert!(message.starts_with("a b [31mä"));
    assert!(message.len() <= MESSAGE_LIMIT + '…'.len_utf8());
}

#[test]
fn waits_are_read_in_all_forms() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let seconds = |n| Some(Duration::from_secs(n));
    for (milliseconds, value, expected) in [
        (None, None, None),
        (None, Some("7"), seconds(7)),
        (None, Some(" 0.5 "), Some(Duration::from_millis(500))),
        (Some("1500"), Some("7"), Some(Duration::from_millis(1500))),
        (None, Some("Sun, 06 Nov 1994 08:50:07 GMT"), seconds(30)),
        (None, Some("Sun, 06 Nov 1994 08:49:00 GMT"), seconds(0)),
        (None, Some("999999999999"), seconds(86_400)),
        (None, Some("-3"), None),
        (None, Some("inf"), None),
        (None, Some("soon"), None),
    ] {
        assert_eq!(retry_after(milliseconds, value, now), expected, "{milliseconds:?} {value:?}");
    }
}
