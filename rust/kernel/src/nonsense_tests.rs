//! Calls and facts out of thin air: stale and invented names, numbers at both ends, texts that are too long or
//! crooked, things that contradict one another. `fuzz_tests` feeds them to the kernel.

use agentos_abi::*;

use crate::driven::Dice;

const TEXTS: [&str; 18] = [
    "",
    "a",
    "b",
    "n",
    "t",
    "exec",
    "model:a",
    "/",
    "/a",
    "/a/b",
    "/a/../b",
    "a//b",
    "refs/heads/x",
    ".",
    "\0",
    ".a.b",
    "a.b",
    "ä \u{202e}\"\\\u{1f600}",
];
const KINDS: [&str; 4] = ["call", "use_secret", "spawn", "no such kind"];

pub(crate) struct Nonsense {
    pub(crate) dice: Dice,
    /// Every name that was ever seen, whatever it named.
    pub(crate) names: Vec<u64>,
}

impl Nonsense {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), names: vec![0, 1 << 32] }
    }

    pub(crate) fn note(&mut self, fact: &Fact) {
        match fact {
            Fact::Go { ticket, child, .. } => {
                self.names.push(ticket.0);
                if let Some(born) = child {
                    self.names.push(born.pid.0);
                    self.names.extend(born.capabilities.iter().map(|given| given.capability.0));
                }
            }
            Fact::Queued { request, .. } => self.names.push(request.0),
            Fact::Derived { capability, .. } => self.names.push(capability.0),
            Fact::Restarted { born, .. } => self.names.push(born.pid.0),
            _ => {}
        }
        if self.names.len() > 40 {
            self.names.drain(2..12);
        }
    }

    pub(crate) fn chance(&mut self, of: u64) -> bool {
        self.dice.roll(of) == 0
    }

    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.dice.roll(of.len() as u64) as usize].clone()
    }

    pub(crate) fn some<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(2).then(|| make(self))
    }

    pub(crate) fn list<T>(&mut self, most: u64, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let most = if self.chance(40) { most * 20 } else { most };
        (0..self.dice.roll(most + 1)).map(|_| make(self)).collect()
    }

    /// A name in use, one that was, one that may come, or none that can be.
    pub(crate) fn name(&mut self) -> u64 {
        match self.dice.roll(12) {
            0 => self.dice.roll(u64::MAX),
            1 => u64::MAX,
            2 => self.dice.roll(4),
            3 => self.one(&self.names.clone()).wrapping_add(1),
            4 => self.one(&self.names.clone()).wrapping_add(1 << 32),
            _ => self.one(&self.names.clone()),
        }
    }

    pub(crate) fn pid(&mut self) -> Pid {
        Pid(self.name())
    }

    pub(crate) fn ticket(&mut self) -> TicketId {
        TicketId(self.name())
    }

    pub(crate) fn request(&mut self) -> RequestId {
        RequestId(self.name())
    }

    pub(crate) fn capability(&mut self) -> CapabilityId {
        CapabilityId(self.name())
    }

    pub(crate) fn number(&mut self) -> u64 {
        match self.dice.roll(8) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - self.dice.roll(1_000),
            3 => self.dice.roll(u64::MAX),
            4 => 1 << self.dice.roll(64),
            _ => self.dice.roll(100),
        }
    }

    pub(crate) fn small(&mut self) -> u32 {
        if self.chance(6) { self.number() as u32 } else { self.dice.roll(4) as u32 }
    }

    pub(crate) fn port(&mut self) -> u16 {
        self.one(&[0, 1, 443, u16::MAX])
    }

    pub(crate) fn text(&mut self) -> String {
        if self.chance(30) {
            let length = self.one(&[64, 128, 129, 240, 800, 1_700, 5_000]);
            let unit = self.one(&["x", "/x", "\u{1}", "\"", "ß"]);
            return unit.repeat(length / unit.len());
        }
        self.one(&TEXTS).to_owned()
    }

    pub(crate) fn cost(&mut self) -> Cost {
        let mut amount = || if self.chance(2) { 0 } else { self.number() };
        Cost { usd_micros: amount(), tokens: amount(), wall_us: amount(), turns: amount() }
    }

    pub(crate) fn limit(&mut self) -> Limit {
        let mut amount = || self.some(Self::number);
        Limit { usd_micros: amount(), tokens: amount(), wall_us: amount(), turns: amount() }
    }

    pub(crate) fn rates(&mut self) -> Rates {
        let mut rate = || self.some(Self::number);
        Rates { requests_per_minute: rate(), tokens_per_minute: rate(), usd_micros_per_minute: rate() }
    }

    pub(crate) fn pattern(&mut self) -> Pattern {
        if self.chance(2) { Pattern::Any } else { Pattern::Is(self.text()) }
    }

    pub(crate) fn rights(&mut self) -> Rights {
        self.one(&[Rights::Read, Rights::Write, Rights::ReadWrite])
    }

    pub(crate) fn scope(&mut self) -> Scope {
        match self.dice.roll(16) {
            0 | 1 => Scope::Everything,
            2 => Scope::Path { path: self.text(), rights: self.rights() },
            3 => Scope::Host { host: self.pattern(), port: self.port() },
            4 => Scope::Model { model: self.pattern() },
            5 => Scope::Tool { tool: self.pattern() },
            6 => Scope::Exec,
            7 | 8 => Scope::Spawn,
            9 => Scope::Secret { name: self.pattern() },
            10 => Scope::Mailbox { name: self.pattern() },
            11 => Scope::Memory { space: self.pattern(), rights: self.rights() },
            12 => Scope::Publish { repository: self.pattern(), reference: self.text() },
            13 => Scope::Process { name: self.pattern() },
            14 => Scope::Endorse,
            _ => Scope::Declassify,
        }
    }

    pub(crate) fn grant(&mut self) -> Grant {
        let expires_us = if self.chance(4) { Some(self.number()) } else { None };
        let uses = if self.chance(3) { Some(self.number()) } else { None };
        Grant { scope: self.scope(), expires_us, uses }
    }

    pub(crate) fn child(&mut self) -> ChildSpec {
        let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
        let supervises = self.chance(3).then(|| Supervision {
            strategy: self.one(&strategies),
            restarts: self.small(),
            within_us: self.number(),
            pause_us: self.number(),
            longest_us: self.number(),
        });
        ChildSpec {
            name: self.text(),
            grants: self.list(3, Self::grant),
            budget: if self.chance(2) { self.limit() } else { Limit::default() },
            group: self.chance(3).then(|| GroupSpec { weight: self.small(), concurrency: self.small() }),
            isolated: self.chance(2),
            supervises,
            restart: self.one(&[Restart::Never, Restart::OnFailure, Restart::Always]),
            mailbox: self
                .some(|own| MailboxSpec { messages: own.small(), bytes: own.number() })
                .unwrap_or_default(),
        }
    }

    pub(crate) fn action(&mut self) -> Action {
        match self.dice.roll(18) {
            0 => Action::Model { model: self.text(), host: self.text(), port: self.port() },
            1 => Action::Exec { command: self.text(), mandate: self.list(3, Self::scope) },
            2 => Action::Read { path: self.text() },
            3 => Action::Write { path: self.text() },
            4 => Action::Connect { host: self.text(), port: self.port() },
            5 => self.message(),
            6..=9 => Action::Spawn { child: Box::new(self.child()) },
            10 => Action::UseSecret { name: self.text() },
            11 => Action::Remember { space: self.text() },
            12 => Action::Recall { space: self.text() },
            13 => Action::Publish { repository: self.text(), reference: self.text() },
            14 => self.one(&[Action::Endorse, Action::Declassify]),
            _ => Action::Call { tool: self.text() },
        }
    }

    pub(crate) fn message(&mut self) -> Action {
        let text = self.text();
        let content = if self.chance(2) {
            Content::Text { text }
        } else {
            Content::Blob { digest: text, size: self.number() }
        };
        Action::Send {
            mailbox: self.text(),
            to: self.some(Self::pid),
            content,
            reply_to: self.some(Self::ticket),
        }
    }

    pub(crate) fn awaited(&mut self) -> Awaited {
        match self.chance(2) {
            true => Awaited::Message { from: self.some(Self::pid) },
            false => Awaited::Exit { child: self.pid() },
        }
    }

    pub(crate) fn labels(&mut self) -> Labels {
        Labels {
            secrecy: self.one(&[Secrecy::Public, Secrecy::Private, Secrecy::Secret]),
            integrity: self.one(&[Integrity::Trusted, Integrity::Untrusted]),
        }
    }

    pub(crate) fn outcome(&mut self) -> Outcome {
        self.one(&[Outcome::Ok, Outcome::Error, Outcome::Cancelled, Outcome::Lost])
    }

    pub(crate) fn status(&mut self) -> ExitStatus {
        use ExitStatus::*;
        self.one(&[Done, Failed, Cancelled, Killed, Lost])
    }

    pub(crate) fn signal(&mut self) -> Signal {
        self.one(&[Signal::Suspend, Signal::Resume, Signal::Cancel, Signal::Kill])
    }

    pub(crate) fn recovery(&mut self) -> Recovery {
        self.one(&[Recovery::Pure, Recovery::Repeatable, Recovery::Keyed, Recovery::Once])
    }

    pub(crate) fn priority(&mut self) -> Priority {
        self.one(&[Priority::Low, Priority::Normal, Priority::High, Priority::Critical])
    }

    pub(crate) fn matcher(&mut self) -> Matcher {
        let texts = |own: &mut Self| if own.chance(6) { own.list(2, Self::text) } else { Vec::new() };
        Matcher {
            action: self.list(1, |own| own.one(&KINDS).to_owned()),
            process: texts(self),
            path: texts(self),
            host: texts(self),
            port: Vec::new(),
            name: texts(self),
            reference: texts(self),
            secrecy: None,
            integrity: None,
        }
    }

    pub(crate) fn rule(&mut self) -> Rule {
        let example = |own: &mut Self| Example {
            action: own.action(),
            process: own.text(),
            labels: own.labels(),
            history: own.list(2, Self::action),
        };
        Rule {
            name: self.text(),
            effect: self.one(&[Effect::Ask, Effect::Deny]),
            reason: self.text(),
            when: self.matcher(),
            except: self.list(1, Self::matcher),
            after: self.list(1, Self::matcher),
            until: self.some(Self::matcher),
            catches: self.list(2, example),
            spares: self.list(2, example),
        }
    }

    /// A rule that holds against its examples, so that it is taken.
    pub(crate) fn sound_rule(&mut self) -> Rule {
        let call = |tool: &str| Example {
            action: Action::Call { tool: tool.to_owned() },
            process: String::new(),
            labels: Labels::BOTTOM,
            history: Vec::new(),
        };
        let name = self.one(&["t", "a"]);
        let when =
            Matcher { action: vec!["call".to_owned()], name: vec![name.to_owned()], ..Matcher::default() };
        Rule {
            name: format!("no {name}"),
            effect: self.one(&[Effect::Ask, Effect::Deny]),
            reason: "so it is".to_owned(),
            when,
            except: Vec::new(),
            after: Vec::new(),
            until: None,
            catches: vec![call(name)],
            spares: vec![call("other")],
        }
    }

    pub(crate) fn rules(&mut self) -> Vec<Rule> {
        if self.chance(2) { self.list(2, Self::rule) } else { vec![self.sound_rule()] }
    }

    pub(crate) fn call(&mut self) -> Call {
        match self.dice.roll(50) {
            0 => Call::Epoch,
            1..=17 => self.asking(),
            18 => Call::Pass { pid: self.pid(), action: self.action() },
            19 => Call::Withdraw { request: self.request() },
            20 | 21 => {
                Call::Answer { request: self.request(), approve: self.chance(2), standing: self.chance(2) }
            }
            22 => Call::Rules { rules: self.rules(), digest: self.text() },
            23 => Call::Progress { ticket: self.ticket(), cost: self.cost() },
            24 => Call::Extend { ticket: self.ticket(), estimate: self.cost() },
            25 => Call::Cancel { ticket: self.ticket() },
            26..=29 => Call::Complete {
                ticket: self.ticket(),
                outcome: self.outcome(),
                cost: self.cost(),
                labels: self.labels(),
            },
            30 | 31 => Call::Exit { pid: self.pid(), status: self.status() },
            32 | 33 => Call::Signal { by: self.pid(), pid: self.pid(), signal: self.signal() },
            34..=36 => Call::Derive {
                pid: self.pid(),
                capability: self.capability(),
                to: self.pid(),
                grant: self.grant(),
            },
            37 => Call::Revoke { pid: self.pid(), capability: self.capability() },
            38 => Call::Lane { lane: self.text(), capacity: self.small(), rates: self.rates() },
            39 => Call::Pressure { lane: self.text(), retry_after_us: self.number() },
            44 | 45 => Call::Receive {
                pid: self.pid(),
                from: self.some(Self::pid),
                deadline_us: self.some(Self::number),
            },
            46 => Call::Wait { pid: self.pid(), child: self.pid(), deadline_us: self.some(Self::number) },
            47 => Call::Forgo { pid: self.pid(), awaited: self.awaited() },
            48 => Call::Timer { id: self.text(), due_us: self.some(Self::number) },
            40 => Call::Put { kind: self.text(), id: self.text(), body: self.text() },
            _ => Call::Tick,
        }
    }

    pub(crate) fn asking(&mut self) -> Call {
        Call::Request {
            pid: self.pid(),
            key: if self.chance(6) { self.text() } else { format!("k{}", self.dice.roll(10_000)) },
            action: self.action(),
            estimate: if self.chance(2) { Cost::ZERO } else { self.cost() },
            parent: self.some(Self::ticket),
            lane: self.some(Self::text),
            recovery: self.recovery(),
            deadline_us: if self.chance(4) { Some(self.number()) } else { None },
            priority: self.priority(),
            client: self.chance(2),
            digest: if self.chance(4) { Some(self.text()) } else { None },
            unattended: self.chance(4),
        }
    }
}
