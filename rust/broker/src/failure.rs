//! Why a model call failed, and how a provider's error reply is read.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::Value;

/// Longest message that is passed on, in bytes.
const MESSAGE_LIMIT: usize = 2_000;
/// A provider that asks for a longer wait than a day is taken to ask for a day.
const RETRY_LIMIT: Duration = Duration::from_secs(86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An HTTP status that is none of the below.
    Http,
    /// Too many requests; `retry_after_ms` says when to come back, if the provider did.
    RateLimit,
    /// The account has no credit or quota left; waiting does not help.
    Quota,
    /// The provider is overloaded or being restarted.
    Overloaded,
    /// The key was refused.
    Auth,
    /// The provider does not accept this request.
    Invalid,
    /// No connection: name not resolved, refused, unreachable, closed before the reply.
    Network,
    /// The reply began and did not end as its format prescribes.
    BrokenStream,
    Tls,
    Timeout,
    /// What answered is no model server: nothing was used, and asking again brings the same.
    NoModel,
    /// The session has submitted no credential for this provider.
    NoCredential,
    /// The broker itself refuses: the call would leave its session's base URL.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    pub kind: Kind,
    /// HTTP status, when there was a reply.
    pub status: Option<u16>,
    pub message: String,
    /// The provider's own name for the error.
    pub code: Option<String>,
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = bounded(message.into());
        Self { kind, status: None, message, code: None, retry_after_ms: None }
    }

    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self::new(Kind::BrokenStream, message)
    }

    /// The failure that an error reply stands for.
    pub(crate) fn from_reply(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let detail = serde_json::from_slice::<Value>(body)
            .map_or_else(|_| Detail::from_text(body), |value| Detail::from_json(&value));
        let message = match detail.message {
            text if text.is_empty() => format!("the provider answered with HTTP status {status}"),
            text => text,
        };
        Self {
            kind: kind_of_status(status, detail.code.as_deref()),
            status: Some(status),
            message: bounded(message),
            code: detail.code.map(bounded),
            retry_after_ms: retry_after.map(milliseconds),
        }
    }

    /// The failure that an error event in the middle of a stream stands for.
    pub(crate) fn from_event(value: &Value) -> Self {
        let detail = Detail::from_json(value);
        let message = match detail.message {
            text if text.is_empty() => "the provider broke the reply off without a reason".to_owned(),
            text => text,
        };
        let kind = detail.code.as_deref().and_then(kind_of_code).unwrap_or(match detail.status {
            Some(status) => kind_of_status(status, None),
            None => Kind::Http,
        });
        Self {
            kind,
            status: detail.status,
            message: bounded(message),
            code: detail.code.map(bounded),
            retry_after_ms: None,
        }
    }
}

/// What providers say in an error body, in the shapes that are met: `{"error": {"message", "type", "code"}}`,
/// `{"error": "…"}`, `{"message": …}`, `{"detail": …}`, or a list of such.
#[derive(Default)]
struct Detail {
    message: String,
    code: Option<String>,
    status: Option<u16>,
}

impl Detail {
    fn from_json(value: &Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let inner = value.get("error").unwrap_or(value);
        let message = ["message", "detail", "error_description", "error"]
            .iter()
            .find_map(|name| inner.get(*name))
            .unwrap_or(inner);
        let named = |name: &str| inner.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        // OpenAI's types are broad where its codes are exact.
        let exact = named("code").filter(|code| kind_of_code(code).is_some());
        let kind = named("type").filter(|kind| *kind != "invalid_request_error");
        let code = exact.or(kind).or_else(|| named("code")).or_else(|| named("type"));
        let number = ["code", "status"].iter().find_map(|name| inner.get(*name).and_then(Value::as_u64));
        Self {
            message: message.as_str().map_or_else(|| message.to_string(), str::to_owned),
            code: code.map(str::to_owned),
            status: number.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code)),
        }
    }

    fn from_text(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        // A page for a browser tells a person in a terminal nothing.
        let message = if text.starts_with('<') { String::new() } else { text.to_owned() };
        Self { message, ..Self::default() }
    }
}

fn kind_of_status(status: u16, code: Option<&str>) -> Kind {
    if let Some(kind @ Kind::Quota) = code.and_then(kind_of_code) {
        return kind;
    }
    match status {
        401 | 403 => Kind::Auth,
        402 => Kind::Quota,
        429 => Kind::RateLimit,
        503 | 529 => Kind::Overloaded,
        408 | 504 => Kind::Timeout,
        400 | 404 | 405 | 409 | 413 | 415 | 422 => Kind::Invalid,
        _ => Kind::Http,
    }
}

fn kind_of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "rate_limit_error" | "rate_limit_exceeded" | "too_many_requests" => Kind::RateLimit,
        "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" => Kind::Quota,
        "overloaded_error" | "server_overloaded" | "unavailable_error" => Kind::Overloaded,
        "authentication_error" | "permission_error" | "invalid_api_key" => Kind::Auth,
        "invalid_request_error" | "not_found_error" | "request_too_large" | "context_length_exceeded" => {
            Kind::Invalid
        }
        "timeout_error" => Kind::Timeout,
        _ => return None,
    })
}

/// How long the provider asks to wait: `retry-after-ms`, else `Retry-After` in seconds or as a date.
pub(crate) fn retry_after(
    milliseconds: Option<&str>,
    value: Option<&str>,
    now: SystemTime,
) -> Option<Duration> {
    let finite = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let limited = |seconds: f64| Duration::from_secs_f64(seconds.min(RETRY_LIMIT.as_secs_f64()));
    if let Some(wait) = milliseconds.and_then(finite) {
        return Some(limited(wait / 1000.0));
    }
    let value = value?;
    if let Some(seconds) = finite(value) {
        return Some(limited(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(RETRY_LIMIT))
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// The text without control characters, cut at the limit.
fn bounded(text: String) -> String {
    let mut kept = String::new();
    for letter in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + letter.len_utf8() > MESSAGE_LIMIT {
            kept.push('…');
            break;
        }
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
