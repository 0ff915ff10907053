//! How an enum is written and read as an object with its tag beside its fields: `{"type": "read", "path": "/a"}`.
//!
//! The tag stands first, as it is always written, so that the fields are read straight to where they belong.
//! With serde's own `tag` all of them go through a buffer, with `flatten` through another: that took most of a
//! recovery's time. The derived code does the rest; `remote = "Self"` leaves its functions for `tagged!` to call.

use std::fmt::Display;

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, Impossible, SerializeStruct, SerializeStructVariant};
use serde::{Deserializer, Serialize, Serializer, forward_to_deserialize_any};

/// The field that holds the tag.
const TAG: &str = "type";

/// Makes `Serialize` and `Deserialize` of an enum that derives both with `remote = "Self"`.
macro_rules! tagged {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, $crate::tagged::Written::new(to))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        out.write_str("an object whose first field is its `type`")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, fields: A) -> Result<$name, A::Error> {
                        $name::deserialize($crate::tagged::Read(fields))
                    }
                }

                from.deserialize_map(Fields)
            }
        }
    };
}

pub(crate) use tagged;

/// Reads an enum from the fields of an object that are still to come: its tag, then what the variant has.
pub(crate) struct Read<A>(pub(crate) A);

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Read<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Read<A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(mut self, seed: S) -> Result<(S::Value, Self), A::Error> {
        expect_key(&mut self.0, TAG)?;
        Ok((self.0.next_value_seed(seed)?, self))
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Read<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        match self.0.next_key::<String>()? {
            Some(field) => {
                Err(de::Error::custom(format_args!("unknown field `{field}`, there are no fields")))
            }
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        seed.deserialize(de::value::MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        Err(de::Error::invalid_type(de::Unexpected::Map, &visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

/// Takes the next key of an object, which has to be `wanted`.
pub(crate) fn expect_key<'de, A: MapAccess<'de>>(
    fields: &mut A,
    wanted: &'static str,
) -> Result<(), A::Error> {
    match fields.next_key_seed(Key(wanted))? {
        Some(()) => Ok(()),
        None => Err(de::Error::missing_field(wanted)),
    }
}

struct Key(&'static str);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the field `{}` here", self.0)
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<(), E> {
        if key == self.0 { Ok(()) } else { Err(E::invalid_value(de::Unexpected::Str(key), &self)) }
    }
}

/// Writes an enum as an object: the tag, then what the variant has; `at_us` before both, where it is given.
pub(crate) struct Written<S> {
    to: S,
    at_us: Option<u64>,
}

impl<S: Serializer> Written<S> {
    pub(crate) fn new(to: S) -> Self {
        Self { to, at_us: None }
    }

    pub(crate) fn at(to: S, at_us: u64) -> Self {
        Self { to, at_us: Some(at_us) }
    }

    fn open(self, name: &'static str, tag: &'static str, len: usize) -> Result<S::SerializeStruct, S::Error> {
        let mut object = self.to.serialize_struct(name, len + 1 + usize::from(self.at_us.is_some()))?;
        if let Some(at_us) = self.at_us {
            object.serialize_field("at_us", &at_us)?;
        }
        object.serialize_field(TAG, tag)?;
        Ok(object)
    }
}

/// The fields of a variant, on their way into its object.
pub(crate) struct Fields<O>(O);

impl<O: SerializeStruct> SerializeStructVariant for Fields<O> {
    type Ok = O::Ok;
    type Error = O::Error;

    fn serialize_field<T: ?Sized + Serialize>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), O::Error> {
        self.0.serialize_field(key, value)
    }

    fn end(self) -> Result<O::Ok, O::Error> {
        self.0.end()
    }
}

/// What the derived code of an enum of unit and struct variants never calls.
macro_rules! refused {
    ($($method:ident($($kind:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $kind),*) -> Result<$ok, S::Error> {
            Err(S::Error::custom("only enums with named fields have a tag"))
        })*
    };
}

impl<S: Serializer> Serializer for Written<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Fields<S::SerializeStruct>;

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        tag: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.open(name, tag, 0)?.end()
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        tag: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.open(name, tag, len).map(Fields)
    }

    refused! {
        serialize_bool(bool) -> S::Ok;
        serialize_i8(i8) -> S::Ok;
        serialize_i16(i16) -> S::Ok;
        serialize_i32(i32) -> S::Ok;
        serialize_i64(i64) -> S::Ok;
        serialize_u8(u8) -> S::Ok;
        serialize_u16(u16) -> S::Ok;
        serialize_u32(u32) -> S::Ok;
        serialize_u64(u64) -> S::Ok;
        serialize_f32(f32) -> S::Ok;
        serialize_f64(f64) -> S::Ok;
        serialize_char(char) -> S::Ok;
        serialize_str(&str) -> S::Ok;
        serialize_bytes(&[u8]) -> S::Ok;
        serialize_none() -> S::Ok;
        serialize_unit() -> S::Ok;
        serialize_unit_struct(&'static str) -> S::Ok;
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        self.serialize_unit_struct(name)
    }

    fn collect_str<T: ?Sized + Display>(self, _: &T) -> Result<S::Ok, S::Error> {
        self.serialize_unit()
    }
}

#[cfg(test)]
#[path = "tagged_tests.rs"]
mod tests;
