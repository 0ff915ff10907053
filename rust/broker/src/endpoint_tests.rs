use super::*;

fn endpoint(secure: bool, host: &str, port: u16, prefix: &str) -> Endpoint {
    Endpoint { secure, host: host.to_owned(), port, prefix: prefix.to_owned() }
}

#[test]
fn base_urls_are_read() {
    for (url, expected, again) in [
        ("https://api.example.com", endpoint(true, "api.example.com", 443, ""), "https://api.example.com"),
        (
            "HTTPS://API.Example.com/v1/",
            endpoint(true, "api.example.com", 443, "/v1"),
            "https://api.example.com/v1",
        ),
        (
            "http://127.0.0.1:11434/v1",
            endpoint(false, "127.0.0.1", 11434, "/v1"),
            "http://127.0.0.1:11434/v1",
        ),
        ("http://[::1]:8080", endpoint(false, "::1", 8080, ""), "http://[::1]:8080"),
        ("http://[0:0::1]/a", endpoint(false, "::1", 80, "/a"), "http://[::1]/a"),
        ("http://my_box:443", endpoint(false, "my_box", 443, ""), "http://my_box:443"),
    ] {
        let read = Endpoint::parse(url).unwrap();
        assert_eq!(read, expected);
        assert_eq!(read.url(), again);
    }
}

#[test]
fn urls_that_two_readers_could_read_differently_are_refused() {
    for url in [
        "",
        "api.example.com",
        "ftp://a",
        "https//a",
        "https:///a",
        "https://",
        "https://:443",
        "https://a:",
        "https://a:0",
        "https://a:65536",
        "https://a:+80",
        "https://a:8 0",
        "https://a:80:90",
        "https://u@a",
        "https://u:p@a",
        "https://a\\@b",
        "https://a?b",
        "https://a#b",
        "https://a/b?c",
        "https://a/b#c",
        "https://a/../b",
        "https://a/./b",
        "https://a/%2e%2e/b",
        "https://a//b",
        "https://a b",
        "https://a/b c",
        "https://ä.example",
        "https://a..b",
        "https://.a",
        "https://-a",
        "https://a-",
        "https://[::1",
        "https://[::1]a",
        "https://::1",
        "https://[::1%25eth0]",
        "https://127.1",
        "https://0x7f.1",
        "https://2130706433",
        "https://127.0.0.1.",
        "https://0177.0.0.1",
        "https://256.0.0.1",
        "https://a.0x1",
        "https://a\r\nb",
        "https://a/\r\nHost:b",
        "https://a\0",
        "https://a,b",
        "https://a;b",
        "https://*",
    ] {
        assert!(Endpoint::parse(url).is_err(), "{url:?} was taken");
    }
}

#[test]
fn paths_stay_beneath_the_base() {
    let base = Endpoint::parse("https://a/v1").unwrap();
    assert_eq!(base.target("/chat/completions"), Ok("/v1/chat/completions".to_owned()));
    for path in [
        "", "x", "/", "/..", "/a/../b", "/a//b", "//a", "/a?b", "/a#b", "/a b", "/a%2f", "/a\\b", "/ä",
        "/a\r\n",
    ] {
        assert!(base.target(path).is_err(), "{path:?} was taken");
    }
}
