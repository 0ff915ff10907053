use super::*;

fn all(text: &str) -> Option<String> {
    Query::parse(text).all()
}

#[test]
fn words_phrases_prefixes_and_exclusions() {
    assert_eq!(all("reverse string").unwrap(), r#""reverse" AND "string""#);
    assert_eq!(all(r#"say "hello world" -moon"#).unwrap(), r#"("say" AND "hello world") NOT ("moon")"#);
    assert_eq!(all("migrat*").unwrap(), r#""migrat" *"#);
    assert_eq!(all("the cat").unwrap(), r#""cat""#, "common words do not decide");
    assert_eq!(all("to be").unwrap(), r#""to" AND "be""#, "unless there are no others");
    assert_eq!(Query::parse("a reverse string").any().unwrap(), r#""reverse" OR "string""#);
}

#[test]
fn nothing_to_look_for_is_none() {
    for text in ["", "   ", "\"\"", "-", "--- *** ()", "\"", "-moon"] {
        assert_eq!(all(text), None, "{text}");
    }
}

#[test]
fn no_text_is_a_syntax_error() {
    let db = rusqlite::Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE t USING fts5(text)").unwrap();
    for text in [
        "AND",
        "NEAR(a b)",
        "a:b",
        "col:*",
        "\"unclosed phrase",
        "x^2 + (y",
        "'; DROP TABLE t; --",
        "- - -a",
        "*",
        "NOT NOT",
        "日本語 テスト",
        "C++ c#",
        "\u{0}",
        "{a b}: c",
        "-\"a b\" c",
    ] {
        let query = Query::parse(text);
        for expression in [query.all(), query.any()].into_iter().flatten() {
            let found: Result<i64, _> =
                db.query_row("SELECT count(*) FROM t WHERE t MATCH ?1", [&expression], |row| row.get(0));
            assert!(found.is_ok(), "{text} -> {expression}");
        }
    }
}
