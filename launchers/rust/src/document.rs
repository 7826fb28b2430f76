//! JSON answers of CLI mode, written member by member in a fixed order.

use crate::json::quote;

pub struct Document(String);

impl Document {
    /// `{"schema":"sealift.launcher.<command>/1","ok":…`
    pub fn new(command: &str, ok: bool) -> Self {
        let mut document = Document::object();
        document.text("schema", &format!("sealift.launcher.{command}/1")).bool("ok", ok);
        document
    }

    pub fn object() -> Self {
        Document("{".into())
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(&mut self.0, key);
        self.0.push(':');
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        quote(&mut self.0, value);
        self
    }

    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.raw(key, &value.to_string())
    }

    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key);
        self.0.push_str(json);
        self
    }

    pub fn list(&mut self, key: &str, items: impl Iterator<Item = String>) -> &mut Self {
        let joined = items.collect::<Vec<_>>().join(",");
        self.raw(key, &format!("[{joined}]"))
    }

    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.0) + "}"
    }
}

/// One string as JSON.
pub fn string(text: &str) -> String {
    let mut out = String::new();
    quote(&mut out, text);
    out
}
