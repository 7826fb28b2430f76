//! Step 9, environ: the program's environment (launcher.md, "Environment variables"). Each name once, any bytes as values.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::failure::Result;
use crate::plan::Runtime;
use crate::scope::Scope;
use crate::secret;

pub struct Environ {
    pairs: Vec<(OsString, OsString)>,
    places: HashMap<OsString, usize>,
}

impl Environ {
    /// Of two equal names the first counts, as it does for getenv.
    pub fn new(pairs: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut environ = Environ { pairs: Vec::new(), places: HashMap::new() };
        for (name, value) in pairs {
            if !environ.places.contains_key(&name) {
                environ.set(name, value);
            }
        }
        environ
    }

    pub fn get(&self, name: &OsStr) -> Option<&OsStr> {
        self.places.get(name).map(|at| self.pairs[*at].1.as_os_str())
    }

    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        match self.places.get(&name) {
            Some(at) => self.pairs[*at].1 = value,
            None => {
                self.places.insert(name.clone(), self.pairs.len());
                self.pairs.push((name, value));
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(&OsStr) -> bool) {
        self.pairs.retain(|(name, _)| keep(name));
        self.places = self.pairs.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
    }

    pub fn pairs(&self) -> &[(OsString, OsString)] {
        &self.pairs
    }

    /// `unset` and `map`; what `pass` preserves survives both.
    fn apply(&mut self, rules: &Runtime) {
        let any = |patterns: &[String], name: &OsStr| patterns.iter().any(|pattern| glob(pattern.as_bytes(), name.as_bytes()));
        if !rules.unset.is_empty() {
            self.retain(|name| !any(&rules.unset, name) || any(&rules.pass, name));
        }
        for (from, to) in &rules.map {
            let from = OsStr::new(from);
            if any(&rules.pass, from) {
                continue;
            }
            if let Some(value) = self.get(from).map(OsStr::to_os_string) {
                self.retain(|name| name != from);
                self.set(to, value);
            }
        }
    }
}

/// The environment of the program and of setup commands.
pub fn build(scope: &Scope, started_as: &OsStr) -> Result<Environ> {
    let plan = &scope.sealed.plan;
    let keys = secret::variables(plan);
    let ours = |name: &OsStr| name == "SEALIFT_LAUNCHER_CLI" || name == "FLAVOR_LAUNCHER_CLI" || keys.iter().any(|key| name == *key);
    let mut environ = Environ::new(std::env::vars_os().filter(|(name, _)| !ours(name)));
    environ.apply(&plan.runtime);
    for (name, value) in plan.runtime.set.iter().chain(&plan.workenv_env).chain(&plan.execution_env) {
        environ.set(name, scope.fill(value)?);
    }
    if let Some(port) = scope.port {
        environ.set("PORT", port.to_string());
        environ.set("SEALIFT_PORT", port.to_string());
    }
    let path = &scope.sealed.package.image.path;
    environ.set("SEALIFT_WORKENV", &scope.place.dir);
    environ.set("SEALIFT_PACKAGE", &plan.name);
    environ.set("SEALIFT_VERSION", &plan.version);
    environ.set("SEALIFT_SELF", path);
    environ.set("FLAVOR_WORKENV", &scope.place.dir);
    environ.set("FLAVOR_COMMAND_NAME", path.file_name().unwrap_or_default());
    environ.set("FLAVOR_ORIGINAL_COMMAND", started_as);
    let mut search = scope.place.dir.join("bin").into_os_string();
    if let Some(old) = environ.get(OsStr::new("PATH")).filter(|old| !old.is_empty()) {
        search.push(":");
        search.push(old);
    }
    environ.set("PATH", search);
    Ok(environ)
}

/// `*` and `?` against bytes, in time proportional to both lengths multiplied.
pub fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environ(pairs: &[(&str, &str)]) -> Environ {
        Environ::new(pairs.iter().map(|(n, v)| (n.into(), v.into())))
    }

    #[test]
    fn globs() {
        for (pattern, name) in [("*", ""), ("*", "X"), ("A*", "ABC"), ("*C", "ABC"), ("A?C", "ABC"), ("*B*", "ABC"), ("a*b*c", "aXXbYYc")] {
            assert!(glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in [("", "X"), ("?", ""), ("A*", "BA"), ("A?", "A"), ("a*b*c", "aXXbYYd"), ("A", "a")] {
            assert!(!glob(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        assert!(!glob("*a".repeat(30).as_bytes(), "a".repeat(29).as_bytes()));
    }

    #[test]
    fn preserved_variables_survive_unset_and_map() {
        let mut e = environ(&[("KEEP_A", "1"), ("KEEP_B", "2"), ("DROP", "3"), ("OLD", "4"), ("DROP", "5")]);
        let texts = |list: &[&str]| list.iter().map(|t| t.to_string()).collect();
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        e.apply(&Runtime {
            pass: texts(&["KEEP_*", "OLD"]),
            unset: texts(&["*"]),
            map: pairs(&[("KEEP_A", "X"), ("OLD", "NEW")]),
            set: vec![],
        });
        assert_eq!(e.pairs(), environ(&[("KEEP_A", "1"), ("KEEP_B", "2"), ("OLD", "4")]).pairs());
        e.apply(&Runtime { map: pairs(&[("OLD", "NEW")]), ..Runtime::default() });
        assert_eq!(e.get(OsStr::new("NEW")), Some(OsStr::new("4")));
        assert_eq!(e.get(OsStr::new("OLD")), None);
    }
}
