//! A kernel under test, with its journal: driven as a daemon would.

use agentos_abi::*;

use crate::Kernel;

/// A kernel with its journal, driven as a daemon would.
#[derive(Default)]
pub(crate) struct Driven {
    pub(crate) kernel: Kernel,
    pub(crate) journal: Vec<Entry>,
    pub(crate) events: Vec<Event>,
    pub(crate) now_us: u64,
    pub(crate) keys: u64,
}

impl Driven {
    pub(crate) fn new() -> (Self, Pid) {
        let mut driven = Self::default();
        driven.call(Call::Epoch);
        let root = driven.kernel.state().root().expect("an epoch bears the root");
        (driven, root)
    }

    pub(crate) fn call(&mut self, call: Call) -> Reply {
        self.now_us += 1;
        let step = self.kernel.step(self.now_us, &call);
        self.journal.extend(step.entries);
        self.events.extend(step.events);
        step.reply
    }

    pub(crate) fn request(
        &mut self,
        pid: Pid,
        action: Action,
        estimate: Cost,
        lane: Option<&str>,
    ) -> Decision {
        self.keys += 1;
        let key = format!("k{}", self.keys);
        self.ask(pid, &key, action, estimate, lane)
    }

    pub(crate) fn ask(
        &mut self,
        pid: Pid,
        key: &str,
        action: Action,
        estimate: Cost,
        lane: Option<&str>,
    ) -> Decision {
        let call = Call::Request {
            pid,
            key: key.to_owned(),
            action,
            estimate,
            parent: None,
            lane: lane.map(str::to_owned),
            recovery: Recovery::Repeatable,
            deadline_us: None,
            priority: Priority::Normal,
            client: false,
            digest: None,
            unattended: false,
        };
        match self.call(call) {
            Reply::Decided { decision } => decision,
            other => panic!("not a decision: {other:?}"),
        }
    }

    pub(crate) fn spawn(
        &mut self,
        parent: Pid,
        grants: Vec<Scope>,
        budget: Limit,
        group: Option<GroupSpec>,
    ) -> Pid {
        let grants = grants.into_iter().map(Grant::from).collect();
        let name = "child".to_owned();
        self.bear(parent, ChildSpec { name, grants, budget, group, ..ChildSpec::default() })
    }

    /// Starts a child with exactly this specification.
    pub(crate) fn bear(&mut self, parent: Pid, child: ChildSpec) -> Pid {
        match self.request(parent, Action::Spawn { child: Box::new(child) }, Cost::ZERO, None) {
            Decision::Go { child: Some(pid), .. } => pid,
            other => panic!("no child: {other:?}"),
        }
    }

    /// A child of `parent` that may use any mailbox and any tool, with a mailbox for so many messages.
    pub(crate) fn member(&mut self, parent: Pid, name: &str, messages: u32) -> Pid {
        let grants = [Scope::Mailbox { name: Pattern::Any }, any_tool(), Scope::Spawn].map(Grant::from);
        let mailbox = MailboxSpec { messages, ..MailboxSpec::default() };
        let child =
            ChildSpec { name: name.to_owned(), grants: grants.to_vec(), mailbox, ..ChildSpec::default() };
        match self.request(parent, Action::Spawn { child: Box::new(child) }, Cost::ZERO, None) {
            Decision::Go { child: Some(pid), .. } => pid,
            other => panic!("no child: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, from: Pid, to: &str, text: &str) -> Decision {
        let content = Content::Text { text: text.to_owned() };
        let action = Action::Send { mailbox: to.to_owned(), to: None, content, reply_to: None };
        self.request(from, action, Cost::ZERO, None)
    }

    pub(crate) fn receive(&mut self, pid: Pid, from: Option<Pid>) -> Reply {
        self.call(Call::Receive { pid, from, deadline_us: None })
    }

    /// The text of the oldest message that waits for `pid`, which must be there.
    pub(crate) fn text(&mut self, pid: Pid, from: Option<Pid>) -> String {
        match self.receive(pid, from) {
            Reply::Received { message } => text(&message),
            other => panic!("no message: {other:?}"),
        }
    }

    pub(crate) fn complete(&mut self, ticket: TicketId, cost: Cost) {
        assert_eq!(
            self.call(Call::Complete { ticket, outcome: Outcome::Ok, cost, labels: Labels::BOTTOM }),
            Reply::Done
        );
    }

    pub(crate) fn view(&self, pid: Pid) -> ProcessView {
        self.kernel.state().processes().find(|row| row.pid == pid).expect("in the table")
    }

    /// The state that recovery gets from the journal.
    pub(crate) fn recovered(&self) -> Kernel {
        let mut kernel = Kernel::default();
        for entry in &self.journal {
            kernel.recover(entry);
        }
        kernel
    }

    /// The journal cut off after any entry goes on as it did: what follows is in the state.
    pub(crate) fn check_prefixes(&self, name: &str) {
        let mut kernel = Kernel::default();
        for (at, entry) in self.journal.iter().enumerate() {
            kernel.recover(entry);
            let next = &self.journal[at + 1..];
            let same = next.iter().take_while(|later| later.at_us == entry.at_us).count();
            let mut cut = Kernel::default();
            self.journal[..=at].iter().for_each(|entry| cut.recover(entry));
            assert_eq!(cut, kernel);
            assert_eq!(cut.step(entry.at_us, &Call::Tick).entries, next[..same], "{name} from {at}");
        }
    }

    /// The last decision that an event brought for `request`.
    pub(crate) fn decided(&self, wanted: RequestId) -> Option<&Decision> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Decided { request, decision, .. } if *request == wanted => Some(decision),
            _ => None,
        })
    }
}

pub(crate) fn usd(usd_micros: u64) -> Cost {
    Cost { usd_micros, ..Cost::ZERO }
}

pub(crate) fn ceiling(usd_micros: u64) -> Limit {
    Limit { usd_micros: Some(usd_micros), ..Limit::default() }
}

pub(crate) fn tool() -> Action {
    Action::Call { tool: "t".to_owned() }
}

pub(crate) fn any_tool() -> Scope {
    Scope::Tool { tool: Pattern::Any }
}

pub(crate) fn ticket(decision: &Decision) -> TicketId {
    match decision {
        Decision::Go { ticket, .. } => *ticket,
        other => panic!("not go: {other:?}"),
    }
}

pub(crate) fn stage(decision: &Decision) -> Stage {
    match decision {
        Decision::Deny { refusal } => refusal.stage,
        other => panic!("not denied: {other:?}"),
    }
}

pub(crate) fn text(message: &Message) -> String {
    match &message.content {
        Content::Text { text } => text.clone(),
        Content::Blob { digest, .. } => digest.clone(),
    }
}

/// Why a call was wrong.
pub(crate) fn refused(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused { refusal } => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Why a request was denied.
pub(crate) fn denied(decision: &Decision) -> &Refusal {
    match decision {
        Decision::Deny { refusal } => refusal,
        other => panic!("not denied: {other:?}"),
    }
}

pub(crate) fn waiting(decision: &Decision) -> RequestId {
    match decision {
        Decision::Wait { request, .. } => *request,
        other => panic!("not waiting: {other:?}"),
    }
}

/// How many random calls each comparison with a naive model makes: few while one works on the kernel, 10^6 and
/// 10^7 by `make property` and `make nightly`.
pub(crate) fn random_calls(usually: u64) -> u64 {
    std::env::var("AGENTOS_RANDOM_CALLS").map_or(usually, |calls| calls.parse().expect("a number"))
}

/// Splitmix64: a seeded walk needs no more.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.roll(from.len() as u64) as usize])
    }
}
