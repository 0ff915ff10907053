//! From what a person types to an FTS5 expression: never a syntax error, whatever they type.
//!
//! `"two words"` is a phrase, `word*` a prefix, `-word` excludes. All words must be there; the search falls
//! back to any of them, without the commonest words, when that finds too little.

/// Too common to rank by.
const STOP: [&str; 48] = [
    "a", "about", "an", "and", "are", "as", "at", "be", "by", "can", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "i", "in", "is", "it", "me", "my", "of", "on", "or", "our", "so", "that",
    "the", "their", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "you", "your",
];

/// A question in FTS5's language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    wanted: Vec<String>,
    excluded: Vec<String>,
    /// Lower-case words, for finding the place in a text.
    pub(crate) words: Vec<String>,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
            rest = rest.get(start..).unwrap_or("");
            let negated = rest.starts_with('-');
            let body = if negated { rest.get(1..).unwrap_or("") } else { rest };
            let (term, after) = match body.strip_prefix('"') {
                Some(inner) => inner.split_once('"').unwrap_or((inner, "")),
                None => body.split_at(body.find(char::is_whitespace).unwrap_or(body.len())),
            };
            query.add(term, negated);
            rest = after;
        }
        query
    }

    fn add(&mut self, term: &str, negated: bool) {
        let words: Vec<String> = term
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        if words.is_empty() {
            return;
        }
        let prefix = if term.ends_with('*') { " *" } else { "" };
        let quoted = format!("\"{}\"{prefix}", words.join(" "));
        if negated {
            self.excluded.push(quoted);
        } else {
            self.wanted.push(quoted);
            self.words.extend(words);
        }
    }

    /// All terms. None if there is nothing to look for.
    pub(crate) fn all(&self) -> Option<String> {
        self.expression(&self.content(), " AND ")
    }

    /// Any term, without the commonest words. None where that asks no more than [`Query::all`].
    pub(crate) fn any(&self) -> Option<String> {
        let content = self.content();
        if content.len() < 2 { None } else { self.expression(&content, " OR ") }
    }

    /// The terms that say something; all of them if none does.
    fn content(&self) -> Vec<&str> {
        let bare = |term: &str| term.trim_matches(['"', ' ', '*']).to_owned();
        let telling: Vec<&str> = self
            .wanted
            .iter()
            .map(String::as_str)
            .filter(|term| !STOP.contains(&bare(term).as_str()))
            .collect();
        if telling.is_empty() { self.wanted.iter().map(String::as_str).collect() } else { telling }
    }

    fn expression(&self, terms: &[&str], operator: &str) -> Option<String> {
        if terms.is_empty() {
            return None;
        }
        let wanted = terms.join(operator);
        match self.excluded.as_slice() {
            [] => Some(wanted),
            excluded => Some(format!("({wanted}) NOT ({})", excluded.join(" OR "))),
        }
    }

    /// Words worth showing around, shortened to what survives stemming.
    pub(crate) fn stems(&self) -> Vec<String> {
        let telling = self.words.iter().filter(|word| !STOP.contains(&word.as_str()));
        let stems: Vec<String> = telling.map(|word| stem(word)).collect();
        if stems.is_empty() { self.words.iter().map(|word| stem(word)).collect() } else { stems }
    }
}

/// The start of a word, without the endings that the index ignores.
fn stem(word: &str) -> String {
    let length = word.chars().count();
    let keep = if length > 6 {
        length - 3
    } else if length > 4 {
        length - 1
    } else {
        length
    };
    word.chars().take(keep).collect()
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
