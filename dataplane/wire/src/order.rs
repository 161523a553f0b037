//! Network byte order: reads and writes of big-endian fields in a slice, and the views made of them.
//!
//! The `*_at` functions index the slice: their callers have checked its length. The `get_*` functions
//! check for themselves.

use crate::mac::Mac;

/// A value with a fixed place in a header.
pub(crate) trait Value: Copy {
    fn read(bytes: &[u8], at: usize) -> Self;
    fn write(self, bytes: &mut [u8], at: usize);
}

macro_rules! big_endian {
    ($($ty:ty),*) => {$(
        impl Value for $ty {
            #[inline(always)]
            fn read(bytes: &[u8], at: usize) -> $ty {
                let mut array = [0; size_of::<$ty>()];
                array.copy_from_slice(&bytes[at..at + size_of::<$ty>()]);
                <$ty>::from_be_bytes(array)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8], at: usize) {
                bytes[at..at + size_of::<$ty>()].copy_from_slice(&self.to_be_bytes());
            }
        }
    )*};
}

big_endian!(u8, u16, u32, u128);

impl Value for Mac {
    #[inline(always)]
    fn read(bytes: &[u8], at: usize) -> Mac {
        let mut mac = Mac::ZERO;
        mac.0.copy_from_slice(&bytes[at..at + 6]);
        mac
    }

    #[inline(always)]
    fn write(self, bytes: &mut [u8], at: usize) {
        bytes[at..at + 6].copy_from_slice(&self.0);
    }
}

#[inline(always)]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::read(bytes, at)
}

#[inline(always)]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::read(bytes, at)
}

#[inline(always)]
fn get_array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline(always)]
pub(crate) fn get_u16(bytes: &[u8], at: usize) -> Option<u16> {
    get_array(bytes, at).map(u16::from_be_bytes)
}

#[inline(always)]
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> Option<u32> {
    get_array(bytes, at).map(u32::from_be_bytes)
}

#[inline(always)]
pub(crate) fn get_u128(bytes: &[u8], at: usize) -> Option<u128> {
    get_array(bytes, at).map(u128::from_be_bytes)
}

/// Defines `Packet<T>` with a getter and a setter per field of whole bytes, as the RFC's table lists
/// them. The module adds `new_checked` and the fields that share a byte.
macro_rules! view {
    (
        $(#[$doc:meta])*
        $name:ident {
            $( $(#[$field_doc:meta])* $get:ident, $set:ident: $ty:ty = $at:literal; )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<T>(T);

        impl<T: AsRef<[u8]>> $name<T> {
            $(
                $(#[$field_doc])*
                #[inline]
                pub fn $get(&self) -> $ty {
                    <$ty as crate::order::Value>::read(self.0.as_ref(), $at)
                }
            )*

            /// The bytes under the view.
            pub fn into_inner(self) -> T {
                self.0
            }
        }

        impl<T: AsRef<[u8]> + AsMut<[u8]>> $name<T> {
            $(
                #[doc = concat!("Sets [`", stringify!($get), "`](Self::", stringify!($get), ").")]
                #[inline]
                pub fn $set(&mut self, value: $ty) {
                    crate::order::Value::write(value, self.0.as_mut(), $at);
                }
            )*
        }
    };
}

pub(crate) use view;
