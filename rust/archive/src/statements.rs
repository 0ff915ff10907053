//! Sentences about a person: cutting them out of prose, and telling what kind they are.

/// Sentences of a paragraph with their places in characters. A full stop ends one only before white space
/// and something that starts a sentence, so `v1.2`, `e.g. this` and `Dr. no` stay whole more often than not.
pub(crate) fn sentences(text: &str) -> Vec<(usize, usize, &str)> {
    let mut found = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let mut start = 0;
        let marks: Vec<(usize, char)> = line.char_indices().collect();
        for window in marks.windows(3) {
            if let [(_, stop @ ('.' | '!' | '?')), (space, gap), (next, first)] = window
                && gap.is_whitespace()
                && (first.is_uppercase() || first.is_numeric() || *first == '"')
                && !(*stop == '.' && abbreviated(line.get(start..*space).unwrap_or("")))
            {
                push(&mut found, line, start, *next, offset);
                start = *next;
            }
        }
        push(&mut found, line, start, line.len(), offset);
        offset += marks.len();
    }
    found
}

fn abbreviated(sentence: &str) -> bool {
    let word = sentence.trim_end_matches('.').rsplit(char::is_whitespace).next().unwrap_or("");
    word.chars().count() == 1
        || ["Dr", "Mr", "Mrs", "Ms", "St", "e.g", "i.e", "vs", "etc", "No"].contains(&word)
}

/// Adds `line[start..end]` without its white space and bullet, in characters of the whole text.
fn push<'a>(
    found: &mut Vec<(usize, usize, &'a str)>,
    line: &'a str,
    start: usize,
    end: usize,
    offset: usize,
) {
    let Some(part) = line.get(start..end) else { return };
    let trimmed = part.trim_start().trim_start_matches(['-', '*', '•']).trim();
    if trimmed.is_empty() || trimmed.chars().all(|c| c == '#' || c == '*') {
        return;
    }
    let (from, _) = crate::json::span(line, trimmed);
    let before = line.get(..from).map_or(0, |before| before.chars().count());
    let first = offset + before;
    found.push((first, first + trimmed.chars().count(), trimmed));
}

/// The type of a memory by the words it opens with. Rough, but it only sorts: nothing is dropped by it.
pub(crate) fn kind(text: &str) -> &'static str {
    let lower = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&[
        "always ",
        "never ",
        "respond ",
        "responses ",
        "answer in ",
        "from now on",
        "should be addressed",
        "wants answers",
        "call me",
    ]) {
        "instruction"
    } else if has(&[
        "prefer",
        " likes ",
        " loves ",
        " dislikes ",
        " hates ",
        "favorite",
        "favourite",
        " enjoys ",
    ]) {
        "preference"
    } else if has(&[
        "wife", "husband", "daughter", " son ", "'s son", "partner", "mother", "father", "sister", "brother",
        "friend", " dog", " cat ",
    ]) {
        "relationship"
    } else if has(&[
        "name is",
        "lives in",
        "is from ",
        "years old",
        "was born",
        "works as",
        "works at",
        "is a ",
        "is an ",
    ]) {
        "identity"
    } else if has(&["wants to ", "plans to ", "is planning", "goal", "aims to ", "hopes to "]) {
        "goal"
    } else if has(&["working on", "is building", "is developing", "project", "is writing"]) {
        "project"
    } else if has(&["knows ", "proficient", "experienced", "is learning", "fluent", "skilled"]) {
        "skill"
    } else if has(&["uses ", "laptop", "operating system", "editor"]) {
        "environment"
    } else {
        "fact"
    }
}

/// What makes two statements the same: case and spacing do not.
pub(crate) fn normal(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that gives orders to a model rather than telling something about a person: it may have been planted
/// by a page that the chatbot read, so it waits for review and is never exported.
pub(crate) fn is_planted(text: &str) -> bool {
    let normal = normal(text);
    let orders = [
        "ignore all",
        "ignore any",
        "ignore previous",
        "ignore the previous",
        "ignore your",
        "disregard previous",
        "disregard all",
        "disregard your",
    ];
    let targets = [
        "system prompt",
        "hidden instruction",
        "exfiltrate",
        "send all conversation",
        "do not tell the user",
        "without telling the user",
        "without the user knowing",
    ];
    orders.iter().chain(&targets).any(|sign| normal.contains(sign))
}

/// Text that holds a credential: kept, but never exported.
pub(crate) fn is_secret(text: &str) -> bool {
    let token = |prefix: &str, length: usize| {
        text.match_indices(prefix).any(|(at, _)| {
            let rest = text.get(at + prefix.len()..).unwrap_or("");
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).count() >= length
        })
    };
    token("sk-", 16)
        || token("ghp_", 20)
        || token("github_pat_", 20)
        || token("AKIA", 16)
        || token("xoxb-", 10)
        || token("AIza", 30)
        || text.contains("-----BEGIN ")
        || token("eyJhbGciOi", 20)
}

#[cfg(test)]
#[path = "statements_tests.rs"]
mod tests;
