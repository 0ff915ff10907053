//! Lenient JSON fields. Exports change without notice: a field of an unexpected type is a missing field,
//! never a lost conversation. Text is borrowed from the input wherever it holds no escape.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::time::{self, Micros};

/// A string, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Option<Cow<'a, str>>);

/// A moment written as seconds, as seconds in a string, or as ISO 8601.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Option<Micros>);

/// True, or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) bool);

/// A number that tells zero from everything else.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Weight(pub(crate) Option<f64>);

/// A list of what is expected; elements and values of another type are left out.
#[derive(Clone, Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a> Text<'a> {
    pub(crate) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text, if there is any in it.
    pub(crate) fn filled(&self) -> Option<&str> {
        self.get().filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn owned(&self) -> Option<String> {
        self.filled().map(str::to_owned)
    }
}

/// Ignores what a lenient visitor has no use for, whole.
macro_rules! ignore_the_rest {
    ($($method:ident($kind:ty)),*) => {
        $(fn $method<E>(self, _: $kind) -> Result<Self::Value, E> { Ok(Default::default()) })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok(Default::default()) }
    };
    (map) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
    };
    (seq) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Default::default())
        }
    };
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(text))))
    }

    ignore_the_rest!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64));
    ignore_the_rest!(map);
    ignore_the_rest!(seq);
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextVisitor)
    }
}

struct TimeVisitor;

impl<'de> Visitor<'de> for TimeVisitor {
    type Value = Time;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a time")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Time(time::parse(text)))
    }

    fn visit_f64<E>(self, seconds: f64) -> Result<Self::Value, E> {
        Ok(Time(time::from_seconds(seconds)))
    }

    fn visit_u64<E>(self, seconds: u64) -> Result<Self::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "seconds of this era are far below 2^53")]
        Ok(Time(time::from_seconds(seconds as f64)))
    }

    ignore_the_rest!(visit_bool(bool), visit_i64(i64));
    ignore_the_rest!(map);
    ignore_the_rest!(seq);
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TimeVisitor)
    }
}

struct FlagVisitor;

impl<'de> Visitor<'de> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("true or false")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Flag(value))
    }

    ignore_the_rest!(visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    ignore_the_rest!(map);
    ignore_the_rest!(seq);
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(FlagVisitor)
    }
}

struct WeightVisitor;

impl<'de> Visitor<'de> for WeightVisitor {
    type Value = Weight;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Weight(Some(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Weight(Some(if value == 0 { 0.0 } else { 1.0 })))
    }

    ignore_the_rest!(visit_bool(bool), visit_i64(i64), visit_str(&str));
    ignore_the_rest!(map);
    ignore_the_rest!(seq);
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WeightVisitor)
    }
}

struct ListVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            list.push(element);
        }
        Ok(List(list))
    }

    ignore_the_rest!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    ignore_the_rest!(map);
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ListVisitor(std::marker::PhantomData))
    }
}

/// An object, or what its absence means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maybe<T>(pub(crate) T);

struct MaybeVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for MaybeVisitor<T> {
    type Value = Maybe<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Maybe)
    }

    ignore_the_rest!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str));
    ignore_the_rest!(seq);
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MaybeVisitor(std::marker::PhantomData))
    }
}

/// Where `part` lies inside `whole`, in bytes. `part` must be borrowed from `whole`.
pub(crate) fn span(whole: &str, part: &str) -> (usize, usize) {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    (start, start + part.len())
}

/// Half a surrogate pair (`\ud83d` alone), as careless cutting leaves it, is no text. It is replaced by
/// `\ufffd`, which has the same length, so places in the text stay true. Returns how many there were.
pub(crate) fn mend_surrogates(json: &str) -> (Cow<'_, str>, usize) {
    let mut mended: Option<Vec<u8>> = None;
    let mut count = 0;
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(found) = memmem::find(bytes.get(at..).unwrap_or_default(), b"\\u") {
        let start = at + found;
        let slashes =
            bytes.get(..start).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 1 {
            // The backslash is itself escaped: this is the text `\u`, not an escape.
            at = start + 2;
            continue;
        }
        let unit = code_unit(bytes, start);
        let pair = matches!(unit, Some(0xd800..=0xdbff))
            && matches!(code_unit(bytes, start + 6), Some(0xdc00..=0xdfff));
        at = start + if pair { 12 } else { 6 };
        if !pair && matches!(unit, Some(0xd800..=0xdfff)) {
            count += 1;
            let copy = mended.get_or_insert_with(|| bytes.to_vec());
            if let Some(escape) = copy.get_mut(start..start + 6) {
                escape.copy_from_slice(b"\\ufffd");
            }
        }
    }
    match mended.map(String::from_utf8) {
        Some(Ok(text)) => (Cow::Owned(text), count),
        _ => (Cow::Borrowed(json), 0),
    }
}

fn code_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
