//! What a probe saw: result codes and small words, nothing that varies between runs or machines.

use crate::code::Code;
use crate::driver::Driver;

/// The outcome of a probe, a list of codes and words.
#[derive(Debug)]
pub(crate) struct Outcome(Vec<Part>);

#[derive(Debug)]
enum Part {
    Code(Code),
    Word(String),
}

impl Outcome {
    /// What `probe` sees in each case, one after the other.
    pub(crate) fn each<T>(cases: impl IntoIterator<Item = T>, probe: impl FnMut(T) -> Self) -> Self {
        Self(cases.into_iter().map(probe).flat_map(|outcome| outcome.0).collect())
    }

    /// Adds `next` behind what is there.
    pub(crate) fn and(mut self, next: impl Into<Self>) -> Self {
        self.0.extend(next.into().0);
        self
    }

    /// The outcome as it is printed, codes by the driver's names for them.
    pub(crate) fn render(&self, driver: &Driver) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|part| match part {
                Part::Code(code) => driver.code_name(*code),
                Part::Word(word) => word.clone(),
            })
            .collect();
        parts.join(", ")
    }
}

impl From<Code> for Outcome {
    fn from(code: Code) -> Self {
        Self(vec![Part::Code(code)])
    }
}

impl From<&str> for Outcome {
    fn from(word: &str) -> Self {
        Self(vec![Part::Word(word.to_owned())])
    }
}

impl From<String> for Outcome {
    fn from(word: String) -> Self {
        Self(vec![Part::Word(word)])
    }
}

impl<const N: usize> From<[Code; N]> for Outcome {
    fn from(codes: [Code; N]) -> Self {
        Self(codes.into_iter().map(Part::Code).collect())
    }
}

/// A word that tells whether what was expected to hold does.
pub(crate) fn verdict(holds: bool, word: &str) -> Outcome {
    if holds { word.into() } else { format!("not {word}").into() }
}
