//! POSIX shell words (quotes and backslashes, nothing else of a shell), for commands that are one text.

/// Splits `text`; the error says what is open at its end.
pub fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => single(&mut chars, word.get_or_insert_default())?,
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                None => return Err("it ends with a backslash"),
                Some('\n') => (),
                Some(c) => word.get_or_insert_default().push(c),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single(chars: &mut std::str::Chars, word: &mut String) -> Result<(), &'static str> {
    for c in chars {
        match c {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
    Err("a single quote is open")
}

fn double(chars: &mut std::str::Chars, word: &mut String) -> Result<(), &'static str> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some('\n') => (),
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a double quote is open")
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_and_backslashes_follow_posix() {
        let cases: [(&str, &[&str]); 10] = [
            ("", &[]),
            ("  a  b\tc\n", &["a", "b", "c"]),
            ("'a b' \"c d\"", &["a b", "c d"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("''  \"\"", &["", ""]),
            (r"a\ b \'", &["a b", "'"]),
            (r#""a\"b\\c\d\$" 'x\y'"#, &[r#"a"b\c\d$"#, r"x\y"]),
            ("a\\\nb \"c\\\nd\"", &["ab", "cd"]),
            ("{workenv}/bin/x --n=\"1 2\"", &["{workenv}/bin/x", "--n=1 2"]),
            ("é '日 本'", &["é", "日 本"]),
        ];
        for (text, words) in cases {
            assert_eq!(split(text).unwrap(), words, "{text:?}");
        }
    }

    #[test]
    fn open_ends_are_errors() {
        for bad in ["'a", "\"a", "a\\", "\"a\\", "\"a\\\""] {
            assert!(split(bad).is_err(), "{bad:?}");
        }
    }
}
