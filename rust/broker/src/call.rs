//! One model call, from its order to `done`.

use std::sync::Arc;
use std::time::Instant;

use crate::connection::{Connection, Patience, failure};
use crate::emitter::Emitter;
use crate::event::{Event, append};
use crate::failure::{Failure, Kind};
use crate::http::{Progress, Response, request_head};
use crate::message::{ModelCall, Timeouts};
use crate::reply::Reply;
use crate::session::Provider;

/// How much of an error reply is read.
const ERROR_LIMIT: usize = 64 << 10;

/// Perform `order` for `provider`, and report everything through `emitter`.
pub(crate) fn perform(
    order: &ModelCall,
    body: &[u8],
    provider: Option<Arc<Provider>>,
    emitter: &mut Emitter,
) {
    let outcome = match provider {
        Some(provider) => {
            emitter.protect(&provider.key);
            Exchange::new(order, &provider).run(body, emitter)
        }
        None => Err(Failure::new(
            Kind::NoCredential,
            format!("this session has no credential for the provider `{}`", order.provider),
        )),
    };
    emitter.finish(outcome);
}

struct Exchange<'a> {
    order: &'a ModelCall,
    provider: &'a Provider,
    began: Instant,
}

impl<'a> Exchange<'a> {
    fn new(order: &'a ModelCall, provider: &'a Provider) -> Self {
        Self { order, provider, began: Instant::now() }
    }

    fn run(&self, body: &[u8], emitter: &mut Emitter) -> Result<(), Failure> {
        let head = self.head(body.len())?;
        let host = self.provider.endpoint.host.as_str();
        let mut connection = self.connect(emitter)?;
        let sent = connection
            .write_all(&head, self.patience(Timeouts::idle))
            .and_then(|()| connection.write_all(body, self.patience(Timeouts::idle)));
        drop(head);
        let response = Response::read(&mut connection, host, self.patience(Timeouts::first_byte));
        // A server may refuse a request before it has read all of it: its reply says more than our error.
        let mut response = match (sent, response) {
            (_, Ok(response)) => response,
            (Err(error), Err(_)) => return Err(failure(&error, host, "while the request was sent")),
            (Ok(()), Err(error)) => return Err(error),
        };
        let (status, request_id) = (response.head.status, response.head.request_id.take());
        append(emitter.events(), Event::Started { status, request_id });
        emitter.flush();
        if !(200..300).contains(&status) {
            return Err(self.refusal(&mut connection, &mut response));
        }
        self.stream(&mut connection, &mut response, emitter)?;
        self.keep(connection, response, emitter);
        Ok(())
    }

    /// The request's head, after the checks that the request may be made at all.
    fn head(&self, length: usize) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
        let endpoint = &self.provider.endpoint;
        let elsewhere =
            self.order.host.as_ref().is_some_and(|host| !host.eq_ignore_ascii_case(&endpoint.host))
                || self.order.port.is_some_and(|port| port != endpoint.port);
        if elsewhere {
            return Err(Failure::new(
                Kind::Refused,
                format!(
                    "the ticket is for another host than the session's base URL, {}",
                    endpoint.authority()
                ),
            ));
        }
        let target = endpoint.target(&self.order.path);
        let target = target.map_err(|reason| Failure::new(Kind::Refused, reason))?;
        request_head(self.provider, &target, &self.order.headers, length)
    }

    fn connect(&self, emitter: &Emitter) -> Result<Connection, Failure> {
        if let Some(connection) = self.provider.idle.take() {
            emitter.call.admit(connection.socket())?;
            return Ok(connection);
        }
        let timeouts = &self.order.timeouts;
        let end = self.began + timeouts.connect().min(timeouts.total());
        let tls = self.provider.tls()?;
        Connection::dial(&self.provider.endpoint, tls, end, |socket| emitter.call.admit(socket))
    }

    fn stream(
        &self,
        connection: &mut Connection,
        response: &mut Response,
        emitter: &mut Emitter,
    ) -> Result<(), Failure> {
        let mut reply = Reply::new(self.provider.wire);
        let mut bytes = Vec::new();
        let host = self.provider.endpoint.host.as_str();
        while !reply.is_complete() {
            bytes.clear();
            match response.more(connection, host, self.patience(Timeouts::idle), &mut bytes)? {
                Progress::Data => reply.push(&bytes, emitter.events())?,
                Progress::End { whole } => return reply.end(whole, emitter.events()),
            }
            if !reply.is_complete() {
                emitter.flush();
            }
        }
        Ok(())
    }

    /// The failure that an error reply stands for.
    fn refusal(&self, connection: &mut Connection, response: &mut Response) -> Failure {
        let status = response.head.status;
        if (300..400).contains(&status) && response.head.redirected {
            let message = "the provider redirects elsewhere, which is not followed; is the base URL right?";
            return Failure { status: Some(status), ..Failure::new(Kind::Http, message) };
        }
        let host = self.provider.endpoint.host.as_str();
        let mut body = Vec::new();
        // Whatever came of the body says more than why the rest did not.
        while body.len() < ERROR_LIMIT {
            match response.more(connection, host, self.patience(Timeouts::connect), &mut body) {
                Ok(Progress::Data) => {}
                Ok(Progress::End { .. }) | Err(_) => break,
            }
        }
        Failure::from_reply(status, response.head.retry_after, &body)
    }

    /// Report the end now, then see whether the connection can serve the next call.
    fn keep(&self, mut connection: Connection, mut response: Response, emitter: &mut Emitter) {
        emitter.finish(Ok(()));
        let patience =
            Patience { step: std::time::Duration::from_millis(250), ..self.patience(Timeouts::idle) };
        let mut rest = Vec::new();
        let host = self.provider.endpoint.host.as_str();
        let ended = response.more(&mut connection, host, patience, &mut rest);
        if matches!(ended, Ok(Progress::End { whole: true })) && response.is_reusable() {
            emitter.call.release();
            self.provider.idle.give(connection);
        }
    }

    fn patience(&self, step: impl Fn(&Timeouts) -> std::time::Duration) -> Patience {
        let timeouts = &self.order.timeouts;
        Patience { step: step(timeouts), end: self.began + timeouts.total() }
    }
}
