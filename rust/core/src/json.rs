//! What decoders of JSON let pass: a name that stands twice in one object.

use memchr::{memchr2, memchr3};

/// Objects of up to so many names are compared pair by pair.
const FEW: usize = 12;

/// The first name that an object of a JSON text holds twice, as it is read, in the order in which objects
/// end.
///
/// One pass that looks at quotation marks and braces alone; numbers and what is inside of strings are
/// passed over. A text that is no JSON may have any answer.
#[must_use]
pub fn repeated_name(text: &[u8]) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = Vec::new(); // of all open objects
    let mut begins: Vec<usize> = Vec::new(); // where those of each begin
    let mut at = 0;
    while let Some(step) = memchr3(b'"', b'{', b'}', &text[at..]) {
        at += step + 1;
        match text[at - 1] {
            b'{' => begins.push(names.len()),
            b'}' => {
                let begin = begins.pop()?;
                if let Some(name) = repeated(&mut names[begin..]) {
                    return Some(name);
                }
                names.truncate(begin);
            }
            _ => {
                let end = end_of_string(text, at)?;
                let after = text[end + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
                if after == Some(&b':') {
                    names.push(&text[at..end]);
                }
                at = end + 1;
            }
        }
    }
    None
}

/// Where a string ends that begins at `at`, behind its quotation mark; `None` where it does not.
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2; // an escape; of those with digits the rest is passed over as text
    }
}

/// A name that stands twice among those of one object.
fn repeated(names: &mut [&[u8]]) -> Option<Vec<u8>> {
    if names.iter().any(|name| name.contains(&b'\\')) {
        let mut read: Vec<Vec<u8>> = names.iter().map(|name| unescaped(name)).collect();
        read.sort_unstable();
        return read.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
    }
    if names.len() <= FEW {
        let again = |place: &usize| names[..*place].contains(&names[*place]);
        return (1..names.len()).find(again).map(|place| names[place].to_vec());
    }
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_vec())
}

/// The text that a string with escapes stands for, in UTF-8; halves of surrogate pairs stay as they are written.
fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut read = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'\\' {
            read.push(byte);
            continue;
        }
        let Some((&kind, behind)) = rest.split_first() else { break };
        rest = behind;
        match kind {
            b'b' => read.push(8),
            b'f' => read.push(12),
            b'n' => read.push(b'\n'),
            b'r' => read.push(b'\r'),
            b't' => read.push(b'\t'),
            b'u' => rest = unit(rest, &mut read),
            other => read.push(other),
        }
    }
    read
}

/// Read what follows `\u`: four digits, or twelve bytes for a pair of surrogates.
fn unit<'a>(rest: &'a [u8], read: &mut Vec<u8>) -> &'a [u8] {
    let digits =
        |bytes: Option<&[u8]>| u32::from_str_radix(std::str::from_utf8(bytes?).ok()?, 16).ok();
    let Some(first) = digits(rest.get(..4)) else { return rest };
    let second = if (0xD800..0xDC00).contains(&first) && rest.get(4..6) == Some(b"\\u") {
        digits(rest.get(6..10)).filter(|low| (0xDC00..0xE000).contains(low))
    } else {
        None
    };
    let (code, used) = match second {
        Some(low) => (0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00), 10),
        None => (first, 4),
    };
    match char::from_u32(code) {
        Some(letter) => read.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        None => read.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
    }
    &rest[used..]
}

#[cfg(test)]
mod tests {
    use super::repeated_name;

    fn found(text: &str) -> Option<String> {
        repeated_name(text.as_bytes()).map(|name| String::from_utf8(name).expect("UTF-8"))
    }

    #[test]
    fn a_name_that_stands_twice_in_one_object_is_found() {
        assert_eq!(found(r#"{"a": 1, "b": 2, "a": 3}"#).as_deref(), Some("a"));
        assert_eq!(found(r#"[{"a": {"b": 1, "b" : 2}}]"#).as_deref(), Some("b"));
        assert_eq!(found("{\"a\"\n:1,\"a\"\t:1}").as_deref(), Some("a"));
        assert_eq!(found(r#"{"": 1, "": 2}"#).as_deref(), Some(""));
        let many: Vec<String> = (0..40).map(|n| format!("\"n{}\": {n}", n % 39)).collect();
        assert_eq!(found(&format!("{{{}}}", many.join(","))).as_deref(), Some("n0"));
    }

    #[test]
    fn names_are_those_of_one_object_and_no_values() {
        for text in [
            r#"{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}"#,
            r#"{"a": "a", "b": "a", "c": ["a", "a"]}"#,
            r#"{"a": "\"a\": 1, {\"a\": 2}"}"#,
            r#"{"a": "}{", "b": "\\"}"#,
            r#"["a", "a"]"#,
            "{}",
            "[]",
            "1",
            "\"a\"",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_compared_as_they_are_read() {
        assert_eq!(found(r#"{"a\n": 1, "a\u000A": 2}"#).as_deref(), Some("a\n"));
        assert_eq!(found(r#"{"\ud83d\ude00": 1, "😀": 2}"#).as_deref(), Some("😀"));
        assert_eq!(found(r#"{"\u0061": 1, "a": 2}"#).as_deref(), Some("a"));
        assert_eq!(found(r#"{"a\\": 1, "a\/": 2, "a": 3}"#), None);
        assert_eq!(found(r#"{"\ud800": 1, "\ud801": 2}"#), None);
    }

    #[test]
    fn what_is_no_json_does_not_stop_anybody() {
        for text in
            ["}", "{\"a", "{\"a\\", "\"\\u", "{\"\\u12", "{\"\\ud83d\\u\":1}", "{{{", "{\"\\\":}"]
        {
            let _ = found(text);
        }
    }
}
