//! Facts that nobody decided.

use agentos_abi::*;

use crate::nonsense_tests::Nonsense;

impl Nonsense {
    fn born(&mut self) -> Born {
        let given = |own: &mut Self| Derivation {
            capability: own.capability(),
            from: own.some(Self::capability),
            grant: own.grant(),
        };
        Born { pid: self.pid(), capabilities: self.list(3, given) }
    }

    fn refusal(&mut self) -> Refusal {
        Refusal { stage: self.one(&[Stage::Rule, Stage::Label]), name: self.text(), message: self.text() }
    }

    /// A fact that nobody decided.
    pub(crate) fn fact(&mut self) -> Fact {
        match self.dice.roll(47) {
            0 => Fact::Epoch { epoch: self.number(), root: self.some(Self::born) },
            1..=5 => self.queued(),
            6 => Fact::Parked { request: self.request(), of: self.pid() },
            7 => Fact::Promised { request: self.request(), of: self.pid() },
            8 => {
                Fact::Asked { request: self.request(), question: self.refusal(), deadline_us: self.number() }
            }
            9 => Fact::Approved {
                request: self.request(),
                standing: self.chance(2),
                deadline_us: self.some(Self::number),
            },
            10 => Fact::Rules { digest: self.text(), count: self.small() },
            11 => Fact::Rule { rule: Box::new(self.rule()) },
            12..=17 => self.go(),
            18 => Fact::Passed {
                pid: self.pid(),
                action: self.action(),
                by: self.list(2, Self::capability),
                moves: self.moves(),
            },
            19 => Fact::Denied {
                pid: self.pid(),
                key: self.text(),
                request: self.some(Self::request),
                action: self.action(),
                stage: Stage::Ticket,
                name: self.text(),
                message: self.text(),
            },
            20 => Fact::Withdrawn { request: self.request() },
            21 => Fact::Progress { ticket: self.ticket(), cost: self.cost() },
            22 => Fact::Extended { ticket: self.ticket(), estimate: self.cost() },
            23 => Fact::Cancelling { ticket: self.ticket() },
            24 => Fact::Orphaned { ticket: self.ticket(), until_us: self.number() },
            25 | 26 => Fact::Completed {
                ticket: self.ticket(),
                outcome: self.outcome(),
                cost: self.cost(),
                labels: self.labels(),
                charge: self.some(Self::number),
            },
            27 => Fact::Signalled { pid: self.pid(), signal: self.signal() },
            28 => Fact::Closing { pid: self.pid(), status: self.status() },
            29 => Fact::Exited { pid: self.pid(), status: self.status() },
            30 => Fact::Restarting {
                supervisor: self.pid(),
                members: self.list(3, Self::pid),
                due_us: self.number(),
            },
            31 => Fact::Restarted { pid: self.pid(), born: self.born() },
            32 => Fact::GivenUp { pid: self.pid() },
            33..=35 => Fact::Derived {
                capability: self.capability(),
                from: self.capability(),
                to: self.pid(),
                grant: self.grant(),
            },
            36 => Fact::Revoked { capability: self.capability() },
            37 => Fact::Lane { lane: self.text(), capacity: self.small(), rates: self.rates() },
            38 => Fact::Pressure { lane: self.text(), places: self.small(), until_us: self.number() },
            39 => Fact::Awaiting { pid: self.pid(), awaited: self.awaited(), until_us: self.number() },
            40 => {
                Fact::Received { pid: self.pid(), message: self.ticket(), awaited: self.some(Self::awaited) }
            }
            41 => Fact::Waited { pid: self.pid(), child: self.pid(), status: self.status() },
            42 => Fact::Forgone { pid: self.pid(), awaited: self.awaited(), refusal: self.refusal() },
            43 | 44 => Fact::Timer { id: self.text(), due_us: self.some(Self::number) },
            45 => Fact::Due { id: self.text() },
            _ => Fact::Put { kind: self.text(), id: self.text(), body: self.text() },
        }
    }

    fn moves(&mut self) -> Vec<Move> {
        self.list(1, |own| Move { rule: own.text(), met: own.small() })
    }

    fn queued(&mut self) -> Fact {
        Fact::Queued {
            request: self.request(),
            pid: self.pid(),
            key: self.text(),
            action: self.action(),
            estimate: self.cost(),
            parent: self.some(Self::ticket),
            lane: self.some(Self::text),
            recovery: self.recovery(),
            deadline_us: self.some(Self::number),
            client: self.chance(2),
            digest: self.some(Self::text),
            question: if self.chance(4) { Some(self.refusal()) } else { None },
            unattended: self.chance(2),
            priority: self.priority(),
            order_us: self.number(),
            parked: self.some(Self::pid),
        }
    }

    fn go(&mut self) -> Fact {
        Fact::Go {
            ticket: self.ticket(),
            request: self.some(Self::request),
            pid: self.pid(),
            key: self.text(),
            action: self.action(),
            estimate: self.cost(),
            parent: self.some(Self::ticket),
            lane: self.some(Self::text),
            recovery: self.recovery(),
            client: self.chance(2),
            charge: self.number(),
            by: self.list(2, Self::capability),
            child: self.some(Self::born),
            moves: self.moves(),
        }
    }
}
