use super::*;

#[test]
fn the_window_is_around_the_words() {
    let text = format!("{} the quick migration of databases {}", "filler ".repeat(200), "noise ".repeat(200));
    let (shown, (start, end)) = window(&text, &["migrati".into(), "databa".into()]);
    assert!(shown.contains("quick migration of databases"), "{shown}");
    assert!(shown.chars().count() <= SHOWN + 60);
    let cut: String = text.chars().skip(start).take(end - start).collect();
    assert_eq!(cut, shown, "the span is the text shown");
}

#[test]
fn short_texts_are_shown_whole() {
    assert_eq!(window("héllo", &[]), ("héllo".to_owned(), (0, 5)));
}

#[test]
fn a_text_without_spaces_or_hits_is_cut() {
    let (shown, _) = window(&"x".repeat(5000), &["y".into()]);
    assert!(shown.len() <= SHOWN);
}
