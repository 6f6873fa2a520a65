use proptest::prelude::{prop_assert_eq, proptest};

use super::*;

fn https_only(text: &str) -> Result<String, BaseUrlError> {
    canonical_base_url(text, Loopback::HttpsOnly)
}

#[test]
fn allowed_spellings_become_the_only_one() {
    for (text, canonical) in [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("https://api.openai.com", "https://api.openai.com"),
        ("https://api.openai.com/", "https://api.openai.com"),
        ("HTTPS://API.OpenAI.com:443/V1", "https://api.openai.com/V1"),
        (
            "https://host.example:8443/a/b",
            "https://host.example:8443/a/b",
        ),
        ("https://host.example:65535", "https://host.example:65535"),
        ("https://192.0.2.7/v1", "https://192.0.2.7/v1"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        (
            "https://xn--bcher-kva.example",
            "https://xn--bcher-kva.example",
        ),
        (
            "https://a.example/p;v=1,2~x.y-z_(a)",
            "https://a.example/p;v=1,2~x.y-z_(a)",
        ),
    ] {
        assert_eq!(https_only(text).as_deref(), Ok(canonical), "{text}");
        assert_eq!(
            https_only(canonical).as_deref(),
            Ok(canonical),
            "{text} again"
        );
    }
}

#[test]
fn deviating_spellings_are_refused() {
    // T47
    use BaseUrlError::{Character, Credentials, Form, Length, Port, QueryOrFragment, Scheme};
    let long = format!("https://a.example/{}", "x".repeat(MAX_BYTES));
    for (text, error) in [
        ("", Form),
        ("api.openai.com/v1", Form),
        ("//api.openai.com", Form),
        ("https:", Form),
        ("https://", Form),
        ("https:///a.example", Form),
        ("https:a.example", Form),
        ("https:/a.example", Form),
        ("https:/\\evil.example", Character),
        ("https:\\\\evil.example", Character),
        ("https://good.example\\@evil.example", Character),
        ("https://good.example\\.evil.example", Character),
        ("http://api.openai.com/v1", Scheme),
        ("http://127.0.0.1:8080", Scheme),
        ("http://localhost:8080", Scheme),
        ("ftp://a.example", Scheme),
        ("file:///etc/passwd", Scheme),
        ("gopher://a.example", Scheme),
        ("ws://a.example", Scheme),
        ("wss://a.example", Scheme),
        ("javascript:alert(1)", Scheme),
        ("data:text/plain,x", Scheme),
        ("unix:/run/x.sock", Scheme),
        ("env:KEK", Scheme),
        ("os.environ/X", Form),
        ("${X}", Character),
        ("https://user@a.example", Credentials),
        ("https://user:pass@a.example", Credentials),
        ("https://:@a.example", Credentials),
        ("https://@a.example", Credentials),
        ("https://good.example@evil.example", Credentials),
        ("https://a.example/@x", Credentials),
        ("https://a.example?x=1", QueryOrFragment),
        ("https://a.example/v1?", QueryOrFragment),
        ("https://a.example#f", QueryOrFragment),
        ("https://a.example/v1#", QueryOrFragment),
        ("https://a.example/\tv1", Character),
        ("https://a.exa\nmple", Character),
        ("https://a.example/v1\r\n", Character),
        (" https://a.example", Character),
        ("https://a.example ", Character),
        ("https://a.example/\0", Character),
        ("https://a.example/%00", Character),
        ("https://a.example/%2e%2e/x", Character),
        ("https://a%2eexample", Character),
        ("https://аpi.openai.com", Character),
        ("https://api。openai。com", Character),
        ("https://ａ.example", Character),
        ("https://a.example/é", Character),
        ("https://a.example/\"x\"", Character),
        ("https://a.example/<x>", Character),
        ("https://xn--.example", Form),
        ("https://xn--a-ecp.ru", Form),
        ("https://a..example", Form),
        ("https://a.example.", Form),
        ("https://.", Form),
        ("https://a.example:", Form),
        ("https://a.example:0443", Form),
        ("https://a.example:08443", Form),
        ("https://a.example:+443", Form),
        ("https://a.example:65536", Form),
        ("https://a.example:-1", Form),
        ("https://a.example:http", Form),
        ("https://a.example:0", Port),
        ("https://a.example:22", Port),
        ("https://a.example:25/v1", Port),
        ("https://a.example:6379", Port),
        ("https://a.example//", Form),
        ("https://a.example//v1", Form),
        ("https://a.example/v1//", Form),
        ("https://a.example/./v1", Form),
        ("https://a.example/a/../v1", Form),
        ("https://a.example/..", Form),
        ("https://a.example/v1/.", Form),
        ("https://2130706433", Form),
        ("https://0x7f000001", Form),
        ("https://0177.0.0.1", Form),
        ("https://127.1", Form),
        ("https://127.0.0.1.", Form),
        ("https://1.2.3.4.5", Form),
        ("https://256.0.0.1", Form),
        ("https://[::ffff:127.0.0.1]", Form),
        ("https://[0:0:0:0:0:0:0:1]", Form),
        ("https://[2001:DB8::1", Form),
        ("https://[fe80::1%25eth0]", Character),
        ("https://a_b|c.example", Character),
        ("https://a.example,b.example", Form),
        (&long, Length),
    ] {
        assert_eq!(https_only(text), Err(error), "{text:?}");
    }
}

#[test]
fn http_is_for_this_machine_only_and_only_where_allowed() {
    let allowed = |text: &str| canonical_base_url(text, Loopback::AllowHttp);
    for (text, canonical) in [
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("http://127.8.9.10:80/", "http://127.8.9.10"),
        ("http://LOCALHOST:8000", "http://localhost:8000"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ] {
        assert_eq!(allowed(text).as_deref(), Ok(canonical), "{text}");
        assert_eq!(https_only(text), Err(BaseUrlError::Scheme), "{text}");
    }
    for text in [
        "http://localhost.evil.example",
        "http://evil.localhost",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://0.0.0.0:8000",
        "http://[::]:8000",
        "http://[::ffff:7f00:1]:8000",
        "http://host.docker.internal:11434",
        "http://128.0.0.1",
    ] {
        assert_eq!(allowed(text), Err(BaseUrlError::Scheme), "{text}");
    }
}

#[test]
fn errors_show_no_part_of_the_text() {
    let error = https_only("https://user:sk-secret@a.example").expect_err("refused");
    assert!(!error.to_string().contains("sk-secret"));
}

proptest! {
    #[test]
    fn the_canonical_text_is_what_the_parser_prints(text in "[Hh]ttps?:[/\\\\]{1,3}[a-zA-Z0-9.:@\\[\\]-]{1,20}[a-z/.%?#@:]{0,20}") {
        if let Ok(canonical) = canonical_base_url(&text, Loopback::AllowHttp) {
            let parsed = Url::parse(&text).expect("accepted means parsed");
            prop_assert_eq!(parsed.as_str().strip_suffix('/').unwrap_or(parsed.as_str()), &canonical);
            prop_assert_eq!(canonical_base_url(&canonical, Loopback::AllowHttp), Ok(canonical));
        }
    }
}
