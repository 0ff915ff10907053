//! How long a value is as JSON, without writing it: an entry that is too long for the journal has to be refused
//! before it is applied.

use std::fmt::{Display, Error};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// The bytes of `value` in the compact JSON of `serde_json`. INVARIANT: exact for everything in this crate
/// (no floats, no byte strings), which a test holds it to.
#[must_use]
pub fn json_bytes<T: Serialize>(value: &T) -> usize {
    let mut counted = Counted { bytes: 0, is_first: true };
    match value.serialize(&mut counted) {
        Ok(()) => counted.bytes,
        Err(Error) => usize::MAX,
    }
}

struct Counted {
    bytes: usize,
    /// Nothing precedes the next element of the innermost list or object.
    is_first: bool,
}

impl Counted {
    fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        self.add(2 + text.bytes().map(written).sum::<usize>())
    }

    fn number(&mut self, number: u64) -> Result<(), Error> {
        self.add(number.checked_ilog10().map_or(1, |digits| 1 + digits as usize))
    }

    fn open(&mut self, bytes: usize) -> Result<&mut Self, Error> {
        self.add(bytes)?;
        self.is_first = true;
        Ok(self)
    }

    fn close(&mut self, bytes: usize) -> Result<(), Error> {
        self.is_first = false;
        self.add(bytes)
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let comma = usize::from(!std::mem::replace(&mut self.is_first, false));
        self.add(comma)?;
        value.serialize(&mut *self)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.element(key)?;
        self.add(1)?;
        value.serialize(&mut *self)
    }
}

/// The bytes that one byte of a text takes: quotes and control characters are escaped.
fn written(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
        0..=0x1f => 6,
        _ => 1,
    }
}

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            self.number(u64::from(value))
        })*
    };
}

macro_rules! signed {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Result<(), Error> {
            self.add(usize::from(value < 0))?;
            self.number(u64::from(value.unsigned_abs()))
        })*
    };
}

impl Serializer for &mut Counted {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);
    signed!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.add(if value { 4 } else { 5 })
    }

    // What this crate does not have is not counted wrongly: it is refused.
    fn serialize_f32(self, _: f32) -> Result<(), Error> {
        Err(Error)
    }

    fn serialize_f64(self, _: f64) -> Result<(), Error> {
        Err(Error)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Error> {
        Err(Error)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.add(4)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.add(4)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.add(4)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.open(1)?.field(variant, value)?;
        self.close(1)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Error> {
        self.open(1)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Error> {
        self.open(1)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        self.open(1)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.text(variant)?;
        self.open(3)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Error> {
        self.open(1)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Error> {
        self.open(1)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Error> {
        self.text(variant)?;
        self.open(3)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.text(&value.to_string())
    }
}

macro_rules! elements {
    ($($list:ident, $method:ident, $closing:literal);*) => {
        $(impl $list for &mut Counted {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.element(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close($closing)
            }
        })*
    };
}

macro_rules! fields {
    ($($object:ident, $closing:literal);*) => {
        $(impl $object for &mut Counted {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.field(key, value)
            }

            fn end(self) -> Result<(), Error> {
                self.close($closing)
            }
        })*
    };
}

elements!(
    SerializeSeq, serialize_element, 1;
    SerializeTuple, serialize_element, 1;
    SerializeTupleStruct, serialize_field, 1;
    SerializeTupleVariant, serialize_field, 2
);
fields!(SerializeStruct, 1; SerializeStructVariant, 2);

impl SerializeMap for &mut Counted {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.element(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.add(1)?;
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Error> {
        self.close(1)
    }
}
