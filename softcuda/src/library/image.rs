//! The driver's shared object before it is loaded: functions can be left out of it.

use std::collections::BTreeSet;

/// Takes their names from exported functions, so that nobody finds them. Calls inside the library go
/// by address.
///
/// # Errors
///
/// If there is no such function, or if the image is no shared object of this machine's kind.
pub(super) fn leave_out(image: &mut [u8], names: &BTreeSet<String>) -> Result<(), String> {
    let symbols = Symbols::find(image).ok_or("the image of the software driver cannot be read")?;
    let mut places = Vec::new();
    for name in names {
        let place = symbols.places.iter().find(|place| symbols.name(image, **place) == Some(name.as_bytes()));
        places.push(*place.ok_or_else(|| format!("the software driver has no function {name} to be left out"))?);
    }
    for place in places {
        // The string table begins with an empty name.
        image[place..place + size_of::<u32>()].fill(0);
    }
    Ok(())
}

/// The dynamic symbols of a 64-bit little-endian ELF file, by its section headers.
struct Symbols {
    /// Where each symbol's record begins; its first field is its name's place among the strings.
    places: Vec<usize>,
    strings: Section,
}

/// Where something is in the file, in bytes.
#[derive(Clone, Copy)]
struct Section {
    start: usize,
    bytes: usize,
}

impl Symbols {
    fn find(image: &[u8]) -> Option<Self> {
        const CLASS_64_LITTLE_ENDIAN: [u8; 6] = *b"\x7fELF\x02\x01";
        const DYNAMIC_SYMBOLS: u32 = 11;
        const SYMBOL_BYTES: usize = 24;
        if bytes::<6>(image, 0)? != CLASS_64_LITTLE_ENDIAN {
            return None;
        }
        let (headers, size, count) = (offset(image, 0x28)?, half(image, 0x3a)?, half(image, 0x3c)?);
        let header = |index: usize| headers.checked_add(size.checked_mul(index)?);
        let kind = |index: &usize| header(*index).and_then(|at| word(image, at + 4)) == Some(DYNAMIC_SYMBOLS);
        let symbols = header((0..count).find(kind)?)?;
        let strings = header(usize::try_from(word(image, symbols + 0x28)?).ok()?)?;
        let Section { start, bytes } = Section::of(image, symbols)?;
        Some(Self { places: (start..start + bytes).step_by(SYMBOL_BYTES).collect(), strings: Section::of(image, strings)? })
    }

    /// The name of the symbol whose record begins at `place`.
    fn name<'image>(&self, image: &'image [u8], place: usize) -> Option<&'image [u8]> {
        let strings = &image[self.strings.start..][..self.strings.bytes];
        strings.get(usize::try_from(word(image, place)?).ok()?..)?.split(|byte| *byte == 0).next()
    }
}

impl Section {
    /// The section with this header, if the file has all of it.
    fn of(image: &[u8], header: usize) -> Option<Self> {
        let section = Self { start: offset(image, header + 0x18)?, bytes: offset(image, header + 0x20)? };
        image.get(section.start..)?.get(..section.bytes)?;
        Some(section)
    }
}

fn bytes<const N: usize>(image: &[u8], at: usize) -> Option<[u8; N]> {
    image.get(at..)?.get(..N)?.try_into().ok()
}

fn half(image: &[u8], at: usize) -> Option<usize> {
    bytes(image, at).map(|bytes| usize::from(u16::from_le_bytes(bytes)))
}

fn word(image: &[u8], at: usize) -> Option<u32> {
    bytes(image, at).map(u32::from_le_bytes)
}

fn offset(image: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes(image, at)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::IMAGE;
    use super::*;
    use crate::versions::later_than;

    fn names(image: &[u8]) -> BTreeSet<String> {
        let symbols = Symbols::find(image).expect("the image");
        let name = |place| String::from_utf8(symbols.name(image, place).expect("a name").to_vec()).expect("UTF-8");
        symbols.places.iter().map(|place| name(*place)).collect()
    }

    #[test]
    fn what_is_left_out_has_no_name_and_nothing_else_changes() {
        let mut image = IMAGE.to_vec();
        let left_out = BTreeSet::from(["cuEventElapsedTime".to_owned(), "cuStreamGetId".to_owned()]);
        leave_out(&mut image, &left_out).expect("both are there");
        assert_eq!(names(&image), &names(IMAGE) - &left_out);
    }

    #[test]
    fn every_function_that_came_late_is_there() {
        let there = names(IMAGE);
        let missing: Vec<_> = later_than(0).filter(|name| !there.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_is_not_there_cannot_be_left_out() {
        let wanted = BTreeSet::from(["cuInit".to_owned(), "cuNoSuchFunction".to_owned()]);
        let mut image = IMAGE.to_vec();
        let refused = leave_out(&mut image, &wanted);
        assert_eq!(refused, Err("the software driver has no function cuNoSuchFunction to be left out".to_owned()));
        assert_eq!(image, IMAGE);
    }

    #[test]
    fn a_file_that_is_cut_off_or_of_another_kind_is_refused() {
        let wanted = BTreeSet::from(["cuInit".to_owned()]);
        for length in [0, 5, 0x30, 0x3d, IMAGE.len() / 2] {
            assert!(leave_out(&mut IMAGE[..length].to_vec(), &wanted).is_err(), "{length}");
        }
        let mut of_32_bits = IMAGE.to_vec();
        of_32_bits[4] = 1;
        assert!(leave_out(&mut of_32_bits, &wanted).is_err());
    }
}
