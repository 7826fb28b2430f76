//! Names out of archives and metadata (format.md section 6): checked, never repaired, except for `.` parts and repeated or
//! trailing slashes.

pub const MAX_NAME: usize = 4096;
/// The launcher's own state below a work environment.
pub const RESERVED: &str = ".sealift";

/// The relative path that `name` stands for, `""` for the root itself; the error says what is wrong with it.
pub fn check(name: &str) -> Result<String, &'static str> {
    if name.is_empty() {
        return Err("the name is empty");
    }
    if name.len() > MAX_NAME {
        return Err("the name is longer than 4,096 bytes");
    }
    if name.contains('\0') {
        return Err("the name holds a NUL character");
    }
    if name.contains('\\') {
        return Err("the name holds a backslash");
    }
    if name.starts_with('/') {
        return Err("the name is absolute");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let first = parts.first().copied().unwrap_or_default();
    if first.len() >= 2 && first.as_bytes()[0].is_ascii_alphabetic() && first.as_bytes()[1] == b':' {
        return Err("the name begins with a drive letter");
    }
    if parts.contains(&"..") {
        return Err("the name holds a `..` part");
    }
    // Folded: a file system that ignores case would put `.Sealift` in the same place.
    if first.eq_ignore_ascii_case(RESERVED) {
        return Err("the name lies in .sealift, which belongs to the launcher");
    }
    Ok(parts.join("/"))
}

/// The same for names that are equal when case is ignored.
pub fn fold(path: &str) -> String {
    if path.is_ascii() { path.to_ascii_lowercase() } else { path.chars().flat_map(char::to_lowercase).collect() }
}

/// Everything before the last part; `""` at the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, last)| last)
}

/// `a/b`, where either may be empty.
pub fn join(a: &str, b: &str) -> String {
    match (a, b) {
        ("", _) => b.to_string(),
        (_, "") => a.to_string(),
        _ => format!("{a}/{b}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_leave_the_root_is_refused() {
        for bad in ["", "/etc", "../x", "a/../../x", "a/..", "C:/x", "c:x", "a\\b", "a\0b", ".sealift/ready", "./.SEALIFT"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check(&"x".repeat(4097)).is_err());
    }

    #[test]
    fn dots_and_slashes_are_normalised() {
        for (name, path) in
            [("./a//b/", "a/b"), (".", ""), ("./", ""), ("a/./b", "a/b"), ("..a/b..", "..a/b.."), ("a/.sealift", "a/.sealift")]
        {
            assert_eq!(check(name).unwrap(), path);
        }
    }

    #[test]
    fn paths_come_apart_and_together() {
        assert_eq!((parent("a/b/c"), last("a/b/c")), ("a/b", "c"));
        assert_eq!((parent("a"), last("a")), ("", "a"));
        assert_eq!((join("", "a"), join("a", ""), join("a", "b")), ("a".into(), "a".into(), "a/b".into()));
        assert_eq!(fold("Straße/Ärger"), "straße/ärger");
    }
}
