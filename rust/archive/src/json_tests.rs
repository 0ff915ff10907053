#![expect(clippy::string_slice, reason = "test data is cut at places known to be boundaries")]
use super::*;

#[test]
fn fields_of_another_type_are_missing_fields() {
    for junk in ["null", "7", "-1", "1.5", "true", "{\"a\":[1]}", "[{}]"] {
        assert_eq!(serde_json::from_str::<Text<'_>>(junk).unwrap(), Text(None), "{junk}");
    }
    assert_eq!(serde_json::from_str::<Time>("\"soon\"").unwrap(), Time(None));
    assert_eq!(serde_json::from_str::<Time>("[]").unwrap(), Time(None));
    assert!(!serde_json::from_str::<Flag>("\"yes\"").unwrap().0);
    assert!(serde_json::from_str::<List<Text<'_>>>("{}").unwrap().0.is_empty());
}

#[test]
fn text_without_escapes_is_borrowed() {
    assert!(matches!(
        serde_json::from_str::<Text<'_>>("\"plain\"").unwrap(),
        Text(Some(Cow::Borrowed("plain")))
    ));
}

#[test]
fn half_a_surrogate_pair_is_replaced_in_place() {
    let json = r#"["\ud83d\ude00 \ud83d \ude00x \\ud83d é"]"#;
    let (mended, count) = mend_surrogates(json);
    assert_eq!((mended.len(), count), (json.len(), 2));
    let text: Vec<String> = serde_json::from_str(&mended).unwrap();
    assert_eq!(text, ["😀 \u{fffd} \u{fffd}x \\ud83d é"]);
    assert!(matches!(mend_surrogates(r#""\u00e9""#), (Cow::Borrowed(_), 0)));
}

#[test]
fn a_span_finds_its_part() {
    let whole = "hello world";
    assert_eq!(span(whole, &whole[6..]), (6, 11));
}
