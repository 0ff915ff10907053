use super::decode;

#[test]
fn decodes_the_vectors_of_the_standard() {
    for (text, bytes) in [
        ("", &b""[..]),
        ("Zg==", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("Zm9vYg==", b"foob"),
        ("Zm9vYmE=", b"fooba"),
        ("Zm9vYmFy", b"foobar"),
        ("//79+w==", b"\xff\xfe\xfd\xfb"),
    ] {
        assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
    }
}

#[test]
fn refuses_what_is_not_canonical() {
    for text in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm9-", "é==="] {
        assert_eq!(decode(text), None, "{text}");
    }
}
