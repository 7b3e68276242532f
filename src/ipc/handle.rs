//! What goes from process to process: 64 bytes that name an event or an allocation.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, IpcKind, Result};

/// A handle's length in bytes.
const BYTES: usize = 64;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident of $what:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(transparent)]
        pub struct $name([u8; BYTES]);

        impl $name {
            /// The bytes that another process had from [`as_bytes`](Self::as_bytes). Whether they name
            /// something turns out when the handle is opened.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; BYTES]) -> Self {
                Self(bytes)
            }

            /// The bytes, to be sent to another process of this machine.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; BYTES] {
                &self.0
            }
        }

        /// # Errors
        ///
        /// [`Error::HandleLength`] unless these are 64 bytes.
        impl TryFrom<&[u8]> for $name {
            type Error = Error;

            fn try_from(bytes: &[u8]) -> Result<Self> {
                let length = |_| Error::HandleLength { what: IpcKind::$what, bytes: bytes.len() };
                bytes.try_into().map(Self).map_err(length)
            }
        }

        impl From<[u8; BYTES]> for $name {
            fn from(bytes: [u8; BYTES]) -> Self {
                Self(bytes)
            }
        }

        impl From<$name> for [u8; BYTES] {
            fn from(handle: $name) -> Self {
                handle.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        /// As 128 hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        /// Of 128 hexadecimal digits, as it is displayed.
        ///
        /// # Errors
        ///
        /// [`Error::HandleText`].
        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                digits(text).map(Self).ok_or(Error::HandleText { what: IpcKind::$what })
            }
        }

        /// The first bytes only: whoever has them all can open it.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                hex(&self.0[..8], f)?;
                f.write_str("…)")
            }
        }

        /// 64 bytes; in formats for people 128 hexadecimal digits.
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serialized::bytes(deserializer).map(Self)
            }
        }
    )*};
}

handles! {
    /// Names an event in another process: [`Event::ipc_handle`](crate::Event::ipc_handle) exports one,
    /// [`Event::from_ipc_handle`](crate::Event::from_ipc_handle) opens it.
    ///
    /// ```
    /// use cuda_streams::IpcEventHandle;
    ///
    /// let received = [7; 64];
    /// let handle = IpcEventHandle::from_bytes(received);
    /// assert_eq!(IpcEventHandle::try_from(&received[..])?, handle);
    /// assert!(IpcEventHandle::try_from(&received[1..]).is_err());
    /// # Ok::<(), cuda_streams::Error>(())
    /// ```
    #[doc(alias = "CUipcEventHandle")]
    IpcEventHandle of Event;

    /// Names an allocation in another process: [`IpcMemory::ipc_handle`](crate::IpcMemory::ipc_handle) exports
    /// one, [`IpcMemory::open`](crate::IpcMemory::open) opens it.
    ///
    /// ```
    /// use cuda_streams::IpcMemHandle;
    ///
    /// let handle = IpcMemHandle::from_bytes([0xab; 64]);
    /// assert_eq!(handle.to_string(), "ab".repeat(64));
    /// assert_eq!(handle.to_string().parse(), Ok(handle));
    /// assert_eq!(format!("{handle:?}"), "IpcMemHandle(abababababababab…)");
    /// ```
    #[doc(alias = "CUipcMemHandle")]
    IpcMemHandle of Memory;
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// The bytes of as many pairs of hexadecimal digits.
fn digits(text: &str) -> Option<[u8; BYTES]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != BYTES || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(bytes)
}

#[cfg(feature = "serde")]
mod serialized {
    use std::fmt;

    use serde::Deserializer;
    use serde::de::{Error, SeqAccess, Unexpected, Visitor};

    use super::BYTES;

    struct Bytes;

    pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; BYTES], D::Error> {
        if deserializer.is_human_readable() { deserializer.deserialize_str(Bytes) } else { deserializer.deserialize_bytes(Bytes) }
    }

    impl<'de> Visitor<'de> for Bytes {
        type Value = [u8; BYTES];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{BYTES} bytes, or as many pairs of hexadecimal digits")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            let is_long_enough = text.len() == 2 * BYTES;
            super::digits(text).ok_or_else(|| {
                if is_long_enough {
                    E::invalid_value(Unexpected::Other("no hexadecimal digit"), &self)
                } else {
                    E::invalid_length(text.len(), &self)
                }
            })
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut bytes = [0; BYTES];
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = list.next_element()?.ok_or_else(|| Error::invalid_length(index, &self))?;
            }
            match list.next_element::<u8>()? {
                None => Ok(bytes),
                Some(_) => Err(Error::invalid_length(BYTES + 1, &self)),
            }
        }
    }
}
