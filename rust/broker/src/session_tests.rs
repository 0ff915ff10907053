use super::*;

fn submit(session: &Session, body: &str) -> Result<Vec<String>, String> {
    session.submit(body.as_bytes()).map(|names| names.into_iter().map(|name| name.base_url).collect())
}

fn credential(provider: &str, header: &str, key: &str) -> String {
    format!(
        r#"{{"provider":"{provider}","wire":"openai","base_url":"https://a.example/v1","header":"{header}","key":"{key}"}}"#
    )
}

fn submission(credentials: &[String]) -> String {
    format!(r#"{{"credentials":[{}]}}"#, credentials.join(","))
}

#[test]
fn submission_replaces_what_was_there() {
    let session = Session::default();
    let first = submission(&[credential("a", "bearer", "key-a"), credential("b", "none", "")]);
    assert_eq!(submit(&session, &first).unwrap().len(), 2);
    assert_eq!(*session.provider("a").unwrap().key, "key-a");
    submit(&session, &submission(&[credential("c", "x-api-key", "key-c")])).unwrap();
    assert!(session.provider("a").is_none());
    assert!(session.provider("c").is_some());
    session.clear();
    assert!(session.provider("c").is_none());
}

#[test]
fn faulty_submission_takes_nothing_and_repeats_no_key() {
    let good = credential("good", "bearer", "key-good");
    for faulty in [
        credential("a", "bearer", "secret key"),
        credential("a", "bearer", r"secret\r\nHost: b"),
        credential("a", "bearer", "secret-ä"),
        credential("a", "bearer", ""),
        credential("a", "none", "secret"),
        credential("a", "cookie", "secret"),
        credential("good", "bearer", "secret"),
        r#"{"provider":"secret"}"#.to_owned(),
        "secret".to_owned(),
    ] {
        let session = Session::default();
        submit(&session, &submission(&[credential("old", "bearer", "key-old")])).unwrap();
        let error = submit(&session, &submission(&[good.clone(), faulty.clone()])).unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        assert!(session.provider("good").is_none() && session.provider("old").is_some(), "{faulty}");
    }
}

#[test]
fn roots_must_hold_a_certificate() {
    let body = r#"{"credentials":[],"roots":"-----BEGIN NOTHING-----"}"#;
    assert!(submit(&Session::default(), body).is_err());
}
