//! Handles as values: 64 bytes, in whichever form they travel. Looks at no driver.

use std::collections::HashSet;
use std::fmt::Debug;

use cuda_streams::{Error, IpcEventHandle, IpcKind, IpcMemHandle};
use serde::de::value::{Error as ValueError, SeqDeserializer};
use serde::{Deserialize as _, Serialize, de::DeserializeOwned};

/// 0, 1, 2 and so on.
fn bytes() -> [u8; 64] {
    std::array::from_fn(|index| u8::try_from(index).expect("64 bytes"))
}

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
                   202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

/// T174: a handle comes from 64 bytes and from nothing else. (There is no `Default`, and no field to set.)
#[test]
fn t174_a_handle_is_made_of_64_bytes() {
    let handle = IpcEventHandle::try_from(&bytes()[..]).unwrap();
    assert_eq!((handle, *handle.as_bytes()), (IpcEventHandle::from_bytes(bytes()), bytes()));
    assert_eq!((IpcEventHandle::from(bytes()), <[u8; 64]>::from(handle)), (handle, bytes()));
    assert_eq!(handle.as_ref(), bytes());
    let long = [0; 65];
    for length in (0..=65).filter(|length| *length != 64) {
        let error = IpcEventHandle::try_from(&long[..length]).unwrap_err();
        assert_eq!(error, Error::HandleLength { what: IpcKind::Event, bytes: length });
        assert_eq!(error.to_string(), format!("interprocess event handles have 64 bytes, not {length}"));
        let error = IpcMemHandle::try_from(&long[..length]).unwrap_err();
        assert_eq!(error, Error::HandleLength { what: IpcKind::Memory, bytes: length });
        assert_eq!(error.code(), None);
    }
}

/// T176: equal bytes are equal handles. Whether the event blocks is none of them: it is said when the handle is opened.
#[test]
fn t176_handles_are_equal_as_their_bytes_are() {
    let all = (0..64).map(|index| {
        let mut other = bytes();
        other[index] ^= 1;
        IpcMemHandle::from_bytes(other)
    });
    let all: HashSet<_> = all.chain([IpcMemHandle::from_bytes(bytes()), IpcMemHandle::from_bytes(bytes())]).collect();
    assert_eq!(all.len(), 65);
    assert!(all.contains(&IpcMemHandle::from_bytes(bytes())));
}

#[test]
fn a_handle_is_shown_as_digits_and_not_spilled() {
    let handle = IpcEventHandle::from_bytes(bytes());
    assert_eq!(handle.to_string(), HEX);
    assert_eq!(format!("{handle:?}"), "IpcEventHandle(0001020304050607…)");
    assert_eq!(format!("{:?}", IpcMemHandle::from_bytes(bytes())), "IpcMemHandle(0001020304050607…)");
}

/// T250
#[test]
fn t250_a_handle_travels_through_every_kind_of_format() {
    fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(handle: &T) {
        let text = serde_json::to_string(handle).unwrap();
        assert_eq!(text, format!("\"{HEX}\""), "digits, in formats for people");
        assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *handle);
        assert_eq!(serde_json::from_str::<T>(&text.to_uppercase()).unwrap(), *handle);
        assert_eq!(serde_json::from_value::<T>(serde_json::to_value(handle).unwrap()).unwrap(), *handle);

        let binary = postcard::to_stdvec(handle).unwrap();
        assert_eq!(binary.len(), 1 + 64, "a length and the bytes");
        assert_eq!(postcard::from_bytes::<T>(&binary).unwrap(), *handle);
    }
    check(&IpcEventHandle::from_bytes(bytes()));
    check(&IpcMemHandle::from_bytes(bytes()));
    // Formats without bytes have lists of them.
    let list = SeqDeserializer::<_, ValueError>::new(bytes().into_iter());
    assert_eq!(IpcEventHandle::deserialize(list).unwrap(), IpcEventHandle::from_bytes(bytes()));
}

#[test]
fn what_is_no_handle_is_not_deserialized() {
    let refused = |text: &str| serde_json::from_str::<IpcEventHandle>(text).unwrap_err().to_string();
    for digits in [0, 1, 126, 127, 129, 130] {
        let error = refused(&format!("{:?}", "a".repeat(digits)));
        assert!(error.contains(&format!("invalid length {digits}")) && error.contains("64 bytes"), "{error}");
    }
    for text in [format!("g{}", &HEX[1..]), format!("+{}", &HEX[1..]), format!("{}ä", &HEX[2..])] {
        let error = refused(&format!("{text:?}"));
        assert!(error.contains("no hexadecimal digit"), "{error}");
    }
    for text in ["7", "null", "[]", "{}"] {
        assert!(refused(text).contains("invalid type"), "{text}");
    }
    for length in [0, 63, 65] {
        let mut binary = vec![u8::try_from(length).unwrap()];
        binary.resize(1 + length, 7);
        assert!(postcard::from_bytes::<IpcMemHandle>(&binary).is_err(), "{length} bytes");
        let list = SeqDeserializer::<_, ValueError>::new(std::iter::repeat_n(7_u8, length));
        let error = IpcMemHandle::deserialize(list).unwrap_err().to_string();
        assert!(error.contains(&format!("invalid length {length}")), "{error}");
    }
}
