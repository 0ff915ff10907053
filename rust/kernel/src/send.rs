//! What a send needs before it can go: a size that an entry holds, a receiver that lives, a turn of the budget.

use agentos_abi::message::{MAILBOX_MESSAGES, TEXT_BYTES};
use agentos_abi::{Action, Content, Cost, Pid, Refusal, Stage};

use crate::request::refusal;
use crate::state::State;

/// Each send costs a turn, whatever its estimate says: that is what bounds processes that call each other.
pub(crate) fn charged(action: &Action, estimate: Cost) -> Cost {
    match action {
        Action::Send { .. } => estimate.max(Cost { turns: 1, ..Cost::ZERO }),
        _ => estimate,
    }
}

/// Why a message or the bounds of a mailbox cannot be taken, if they cannot.
pub(crate) fn oversized(action: &Action) -> Option<String> {
    match action {
        Action::Send { content: Content::Text { text }, .. } if written(text) > TEXT_BYTES => Some(format!(
            "its text takes {} bytes; at most {TEXT_BYTES} fit an entry: send a blob",
            written(text)
        )),
        Action::Send { content: Content::Blob { digest, .. }, .. }
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            Some("the digest of a blob is its SHA-256 in 64 hexadecimal digits".to_owned())
        }
        Action::Spawn { child } if child.mailbox.messages > MAILBOX_MESSAGES => {
            Some(format!("a mailbox holds at most {MAILBOX_MESSAGES} messages"))
        }
        _ => None,
    }
}

/// The bytes of a text in JSON, without its quotes.
fn written(text: &str) -> usize {
    let bytes = |char: char| match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        control if control < ' ' => 6,
        other => other.len_utf8(),
    };
    text.chars().map(bytes).sum()
}

/// `action` with its receiver settled, if it is a send by `sender`; or why nobody gets it.
pub(crate) fn addressed(state: &State, sender: Pid, action: &Action) -> Result<Action, Refusal> {
    let Action::Send { mailbox: name, to, content, .. } = action else { return Ok(action.clone()) };
    let refuse = |what: &str, message: String| Err(refusal(Stage::Process, what, message));
    let Some(owner) = to.or_else(|| nearest(state, sender, name)) else {
        return refuse("unknown", format!("there is no process called `{name}` to send to"));
    };
    let Some(process) = state.process(owner).filter(|process| !process.is_ending()) else {
        return refuse("exited", format!("`{name}` has exited, or is about to: nobody reads its mailbox"));
    };
    if process.name != *name {
        return refuse("unknown", format!("that process is called `{}`, not `{name}`", process.name));
    }
    let (size, most) = (content.size(), process.mailbox.spec.bytes);
    if size > most {
        return refuse("mailbox", format!("{size} bytes never fit the mailbox of `{name}`: it takes {most}"));
    }
    let mut settled = action.clone();
    if let Action::Send { to, .. } = &mut settled {
        *to = Some(owner);
    }
    Ok(settled)
}

/// Why nobody reads what a send that waited would put into a mailbox.
pub(crate) fn unread(state: &State, action: &Action) -> Option<Refusal> {
    let owner = receiver(action)?;
    addressed(state, owner, action).err()
}

/// Of all processes called `name`, the one that shares the nearest ancestor with `sender`; the first of equals.
fn nearest(state: &State, sender: Pid, name: &str) -> Option<Pid> {
    let lineage = state.lineage(sender);
    let distance = |pid: &Pid| {
        let meets = |at: &Pid| lineage.iter().position(|mine| mine == at);
        state.lineage(*pid).iter().find_map(meets).unwrap_or(usize::MAX)
    };
    state.names.get(name)?.iter().copied().filter(|pid| *pid != sender).min_by_key(distance)
}

/// The receiver of a send.
pub(crate) fn receiver(action: &Action) -> Option<Pid> {
    match action {
        Action::Send { to, .. } => *to,
        _ => None,
    }
}
