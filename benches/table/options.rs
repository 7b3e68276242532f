//! The arguments.

/// What is measured.
pub(crate) struct Options {
    /// A part of the names of the rows.
    pub(crate) rows: String,
    pub(crate) rounds: usize,
}

impl Options {
    /// # Errors
    ///
    /// What is wrong with them, in words.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut options = Self { rows: String::new(), rounds: 3 };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--rows" => options.rows = value()?,
                "--rounds" => {
                    options.rounds = value()?.parse().ok().filter(|rounds| *rounds > 0).ok_or("--rounds needs a number above zero")?;
                }
                other => return Err(format!("unknown argument {other}; there are --rows PATTERN and --rounds N")),
            }
        }
        Ok(options)
    }
}
