//! Typed access to members of the metadata, with the path of the member for the error message.

use std::fmt::Display;

use crate::failure::{Failure, Result};
use crate::json::Json;
use crate::plan::{Command, Pairs};

pub struct Field<'j> {
    pub value: Option<&'j Json<'j>>,
    pub path: String,
}

impl<'j> Field<'j> {
    pub fn get(&self, key: &str) -> Field<'j> {
        let path = if self.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.path) };
        Field { value: self.value.and_then(|value| value.get(key)), path }
    }

    pub fn wrong(&self, detail: impl Display) -> Failure {
        Failure::field(&self.path, detail)
    }

    fn expected(&self, what: &str) -> Failure {
        match self.value {
            Some(value) => self.wrong(format!("{}, not {what}", value.kind())),
            None => self.wrong("missing"),
        }
    }

    pub fn text(&self) -> Result<Option<&'j str>> {
        match self.value {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.expected("a string")),
        }
    }

    /// The text, or `default` where it is absent and may be.
    pub fn text_or(&self, default: &str, required: bool) -> Result<String> {
        match self.text()? {
            Some(text) => Ok(text.to_string()),
            None if required => Err(self.expected("a string")),
            None => Ok(default.to_string()),
        }
    }

    pub fn int(&self) -> Result<Option<u64>> {
        match self.value {
            None => Ok(None),
            Some(Json::Int(number)) => Ok(Some(*number)),
            Some(_) => Err(self.expected("a whole number")),
        }
    }

    pub fn required_int(&self, required: bool) -> Result<u64> {
        match self.int() {
            Ok(Some(number)) => Ok(number),
            Ok(None) | Err(_) if !required => Ok(0),
            Ok(None) => Err(self.expected("a whole number")),
            Err(failure) => Err(failure),
        }
    }

    pub fn bool(&self) -> Result<bool> {
        match self.value {
            None => Ok(false),
            Some(Json::Bool(value)) => Ok(*value),
            Some(_) => Err(self.expected("a boolean")),
        }
    }

    pub fn list(&self) -> Result<Vec<Field<'j>>> {
        let item = |(i, value)| Field { value: Some(value), path: format!("{}[{i}]", self.path) };
        match self.value {
            None => Ok(Vec::new()),
            Some(Json::List(list)) => Ok(list.iter().enumerate().map(item).collect()),
            Some(_) => Err(self.expected("an array")),
        }
    }

    pub fn map(&self) -> Result<Vec<(String, Field<'j>)>> {
        let member = |(key, value): &'j (std::borrow::Cow<'j, str>, Json<'j>)| {
            (key.to_string(), Field { value: Some(value), path: format!("{}.{key}", self.path) })
        };
        match self.value {
            None => Ok(Vec::new()),
            Some(Json::Map(members)) => Ok(members.iter().map(member).collect()),
            Some(_) => Err(self.expected("an object")),
        }
    }

    pub fn texts(&self) -> Result<Vec<String>> {
        self.list()?.iter().map(|item| item.text_or("", true)).collect()
    }

    pub fn pairs(&self) -> Result<Pairs> {
        self.map()?.iter().map(|(name, value)| Ok((name.clone(), value.text_or("", true)?))).collect()
    }

    /// Words or text.
    pub fn command(&self) -> Result<Command> {
        match self.value {
            Some(Json::List(_)) => Ok(Command::Argv(self.texts()?)),
            Some(Json::Text(text)) => Ok(Command::Text(text.to_string())),
            _ => Err(self.expected("an array of words or a string")),
        }
    }

    /// 64 hex digits after `prefix`; the empty string counts as absent.
    pub fn hex_digest(&self, prefix: &str) -> Result<Option<[u8; 32]>> {
        let Some(text) = self.text()?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let digest = text.strip_prefix(prefix).and_then(crate::hex::decode32);
        digest.map(Some).ok_or_else(|| self.wrong("not 64 hex digits of a SHA-256"))
    }
}
