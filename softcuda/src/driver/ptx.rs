//! As much of PTX as a driver without a GPU needs: versions, and the entries with their parameters.

use super::codes::{self, Code};
use super::raw::ParamKind;
use super::{profile, version as cuda};

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The compute capability that it was compiled for, as one number.
    pub(super) target: i32,
    /// The class of each parameter, or the text of a declaration that is none of them.
    pub(super) params: Vec<Result<ParamKind, String>>,
}

/// Why a text is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) why: String,
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal { code: codes::INVALID_PTX, why: why.into() }
}

/// What PTX this driver takes.
#[derive(Clone, Copy)]
struct Newest {
    version: (u32, u32),
    capability: (i32, i32),
}

/// Reads a module's entries.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Refusal> {
    parse_for(Newest { version: cuda::get().newest_ptx, capability: profile::compute_capability() }, text)
}

fn parse_for(newest: Newest, text: &str) -> Result<Vec<Entry>, Refusal> {
    let text = without_comments(text);
    let mut tokens = Tokens::new(&text);
    let target = check_header(newest, &mut tokens)?;
    let mut entries = Vec::new();
    let mut depth = 0_usize;
    while let Some(token) = tokens.next() {
        match token {
            ".entry" => {
                let name = tokens.next().ok_or_else(|| invalid(".entry without a name"))?;
                if entries.iter().any(|entry: &Entry| entry.name == name) {
                    return Err(invalid(format!("there are two entries `{name}`")));
                }
                entries.push(Entry { name: name.to_owned(), target, params: parse_params(&mut tokens)? });
            }
            "{" => depth += 1,
            "}" => depth = depth.checked_sub(1).ok_or_else(|| invalid("a brace too many is closed"))?,
            _ => {}
        }
    }
    if depth == 0 { Ok(entries) } else { Err(invalid("a brace is not closed")) }
}

/// `.version`, `.target` and `.address_size`, which begin every module; the last may be left out. Answers the target.
fn check_header(newest: Newest, tokens: &mut Tokens<'_>) -> Result<i32, Refusal> {
    let version = directive(tokens, ".version").map_err(|refusal| Refusal { code: codes::INVALID_IMAGE, ..refusal })?;
    let newer = match version.split_once('.').map(|(major, minor)| (major.parse(), minor.parse())) {
        Some((Ok(major), Ok(minor))) => (major, minor) > newest.version,
        _ => return Err(invalid(format!("{version:?} is no PTX version"))),
    };
    if newer {
        let why = format!("PTX {version} is newer than {}.{}, the newest supported", newest.version.0, newest.version.1);
        return Err(Refusal { code: codes::UNSUPPORTED_PTX_VERSION, why });
    }
    let target = check_target(newest, directive(tokens, ".target")?)?;
    while tokens.take_if(",") {
        tokens.next();
    }
    if tokens.take_if(".address_size") {
        match tokens.next() {
            Some("64") => {}
            other => return Err(invalid(format!(".address_size is {}, not 64", other.unwrap_or_default()))),
        }
    }
    Ok(target)
}

/// `sm_` and a compute capability that the devices have or exceed.
fn check_target(newest: Newest, target: &str) -> Result<i32, Refusal> {
    let capability = target.strip_prefix("sm_").map(|digits| digits.trim_end_matches(['a', 'f']).parse::<i32>());
    let (major, minor) = newest.capability;
    match capability {
        Some(Ok(capability)) if capability <= major * 10 + minor => Ok(capability),
        _ => Err(invalid(format!(".target {target} is not for devices of compute capability {major}.{minor}"))),
    }
}

/// The word after the directive `name`, which must come next.
fn directive<'text>(tokens: &mut Tokens<'text>, name: &str) -> Result<&'text str, Refusal> {
    if !tokens.take_if(name) {
        return Err(invalid(format!("{name} is missing")));
    }
    tokens.next().ok_or_else(|| invalid(format!("nothing follows {name}")))
}

/// `( .param ..., .param ... )`, if there is a list.
fn parse_params(tokens: &mut Tokens<'_>) -> Result<Vec<Result<ParamKind, String>>, Refusal> {
    let mut params = Vec::new();
    if !tokens.take_if("(") {
        return Ok(params);
    }
    let mut declaration = Vec::new();
    loop {
        match tokens.next() {
            None => return Err(invalid("a parameter list does not end")),
            Some(end @ ("," | ")")) => {
                if !declaration.is_empty() {
                    params.push(param_kind(&declaration));
                }
                declaration.clear();
                if end == ")" {
                    return Ok(params);
                }
            }
            Some(word) => declaration.push(word),
        }
    }
}

/// The class of one declaration, `.param .type [.ptr ...] name`.
fn param_kind(declaration: &[&str]) -> Result<ParamKind, String> {
    let other = || declaration.join(" ");
    if declaration.first() != Some(&".param") || declaration.contains(&"[") {
        return Err(other());
    }
    let is_pointer = declaration.contains(&".ptr");
    match declaration.get(1).copied() {
        Some(".u64" | ".s64" | ".b64") if is_pointer => Ok(ParamKind::Pointer),
        _ if is_pointer => Err(other()),
        Some(".u8" | ".s8" | ".b8") => Ok(ParamKind::Int8),
        Some(".u16" | ".s16" | ".b16") => Ok(ParamKind::Int16),
        Some(".u32" | ".s32" | ".b32") => Ok(ParamKind::Int32),
        Some(".u64" | ".s64" | ".b64") => Ok(ParamKind::Int64),
        Some(".f32") => Ok(ParamKind::F32),
        Some(".f64") => Ok(ParamKind::F64),
        _ => Err(other()),
    }
}

/// Whether a twin that takes `twin` can stand for a parameter that PTX declares as `declared`.
pub(super) fn fits(declared: ParamKind, twin: ParamKind) -> bool {
    // Compilers declare most pointers as plain 64-bit integers.
    declared == twin || (declared, twin) == (ParamKind::Int64, ParamKind::Pointer)
}

/// How many bytes a parameter has.
pub(super) fn size(kind: ParamKind) -> usize {
    match kind {
        ParamKind::Int8 => 1,
        ParamKind::Int16 => 2,
        ParamKind::Int32 | ParamKind::F32 => 4,
        ParamKind::Int64 | ParamKind::F64 | ParamKind::Pointer => 8,
    }
}

/// The text with a space for each comment, `/* */` and `//`, and without what stands in quotes.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'/' | b'"')) {
        kept.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(quoted) = rest.strip_prefix('"') {
            quoted.find('"').map_or(rest.len(), |end| end + 2)
        } else {
            1
        };
        kept.push(' ');
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Words, and each punctuation mark by itself.
struct Tokens<'text> {
    rest: &'text str,
}

impl<'text> Tokens<'text> {
    fn new(text: &'text str) -> Self {
        Self { rest: text.trim_ascii_start() }
    }

    /// By bytes: PTX is ASCII.
    fn peek(&self) -> Option<(&'text str, &'text str)> {
        let is_mark = |byte: u8| matches!(byte, b'(' | b')' | b'{' | b'}' | b'[' | b']' | b',' | b';' | b':');
        let bytes = self.rest.as_bytes();
        let end = if is_mark(*bytes.first()?) {
            1
        } else {
            bytes.iter().position(|&byte| byte.is_ascii_whitespace() || is_mark(byte)).unwrap_or(bytes.len())
        };
        Some(self.rest.split_at(end))
    }

    /// Takes the next token if it is `wanted`.
    fn take_if(&mut self, wanted: &str) -> bool {
        let is_it = self.peek().is_some_and(|(token, _)| token == wanted);
        if is_it {
            self.next();
        }
        is_it
    }
}

impl<'text> Iterator for Tokens<'text> {
    type Item = &'text str;

    fn next(&mut self) -> Option<&'text str> {
        let (token, rest) = self.peek()?;
        self.rest = rest.trim_ascii_start();
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Entry>, Refusal> {
        parse_for(Newest { version: (9, 0), capability: (9, 0) }, text)
    }

    const HEADER: &str = ".version 7.0\n.target sm_50, debug\n.address_size 64\n";

    fn params(list: &str) -> Vec<Result<ParamKind, String>> {
        let entries = parse(&format!("{HEADER}.visible .entry k({list}) {{ ret; }}")).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name.as_str(), entries[0].target), ("k", 50));
        entries[0].params.clone()
    }

    #[test]
    fn parameters_have_the_class_of_their_type() {
        assert_eq!(
            params(".param .u32 n, .param .f32 a, .param .b64 x, .param .u64 .ptr .global .align 16 y, .param .s8 c"),
            [ParamKind::Int32, ParamKind::F32, ParamKind::Int64, ParamKind::Pointer, ParamKind::Int8].map(Ok)
        );
    }

    #[test]
    fn an_array_is_kept_as_text() {
        assert_eq!(params(".param .align 8 .b8 x[16]"), [Err(".param .align 8 .b8 x [ 16 ]".to_owned())]);
    }

    #[test]
    fn an_entry_needs_no_list() {
        assert_eq!(params(""), []);
        let text = format!("{HEADER}.entry a\n{{ ret; }}\n.visible .entry b() {{ ret; }}");
        let names: Vec<_> = parse(&text).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn comments_and_quotes_hide_what_they_hold() {
        let text = format!("// .entry no()\n/* .version */{HEADER}.file 1 \".entry no(\" /* .entry no */\n.entry yes()");
        let entries = parse(&text).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].name, "yes");
    }

    fn refusal(text: &str) -> Option<Code> {
        parse(text).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_header_must_be_complete() {
        for text in ["", "not ptx", ".target sm_50 .address_size 64"] {
            assert_eq!(refusal(text), Some(codes::INVALID_IMAGE), "{text:?}");
        }
        for text in [".version 7.0", ".version 7.0 .address_size 64", ".version x .target sm_50"] {
            assert_eq!(refusal(text), Some(codes::INVALID_PTX), "{text:?}");
        }
        assert_eq!(refusal(HEADER), None);
        assert_eq!(refusal(".version 7.0 .target sm_50 .entry k() { ret; }"), None);
    }

    #[test]
    fn a_target_must_be_one_that_the_device_runs() {
        for (target, code) in
            [("sm_90a", None), ("sm_50", None), ("sm_100", Some(codes::INVALID_PTX)), ("compute_50", Some(codes::INVALID_PTX))]
        {
            assert_eq!(refusal(&format!(".version 8.0 .target {target}")), code, "{target}");
        }
    }

    #[test]
    fn a_pointer_has_64_bits() {
        assert_eq!(params(".param .u64 .ptr .global .align 4 p"), [Ok(ParamKind::Pointer)]);
        assert_eq!(params(".param .u32 .ptr p"), [Err(".param .u32 .ptr p".to_owned())]);
    }

    #[test]
    fn an_entry_is_there_once() {
        let entry = |name| format!(".entry {name}() {{ ret; }} ");
        assert_eq!(refusal(&format!("{HEADER}{}{}", entry("k"), entry("l"))), None);
        assert_eq!(refusal(&format!("{HEADER}{}{}", entry("k"), entry("k"))), Some(codes::INVALID_PTX));
    }

    #[test]
    fn braces_must_match() {
        for body in ["{ ret;", "ret; }", "{ { ret; }"] {
            assert_eq!(refusal(&format!("{HEADER}.entry k() {body}")), Some(codes::INVALID_PTX), "{body}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_its_own_code() {
        for (version, newer) in [("9.0", false), ("9.1", true), ("10.0", true), ("8.9", false)] {
            let code = refusal(&format!(".version {version}\n.target sm_90\n.address_size 64"));
            assert_eq!(code, newer.then_some(codes::UNSUPPORTED_PTX_VERSION), "{version}");
        }
    }

    #[test]
    fn a_list_without_an_end_is_invalid() {
        assert_eq!(refusal(&format!("{HEADER}.entry k(.param .u32 n")), Some(codes::INVALID_PTX));
    }
}
