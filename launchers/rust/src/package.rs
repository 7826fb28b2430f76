//! A package whose seal holds: steps 1 to 3 in order (format.md section 8).

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::json;
use crate::locate::{Image, Package, locate};
use crate::metadata;
use crate::plan::{self, Plan, Slot};
use crate::{hex, seal};

pub struct Sealed {
    pub package: Package,
    pub plan: Plan,
    /// The signed bytes.
    pub json: Vec<u8>,
    /// SHA-256 of the signed bytes, in hex.
    pub identity: String,
    /// Verified keys, the first signer first.
    pub signers: Vec<[u8; 32]>,
}

impl Sealed {
    /// Nothing of the metadata is looked at before its signature holds.
    pub fn open(image: Image) -> Result<Sealed> {
        let path = image.path.clone();
        Sealed::check(image).map_err(|failure| failure.with("file", path.display()))
    }

    fn check(image: Image) -> Result<Sealed> {
        let package = locate(image)?;
        let document = metadata::read(&package)?;
        let signers = seal::verify(&package, &document.json)?;
        let parsed = json::parse(&document.json).map_err(|detail| Failure::new("PSPF_METADATA").with("detail", detail))?;
        let mut plan = plan::read(&parsed)?;
        drop(parsed);
        seal::bind(&package, &mut plan, document.stored_form)?;
        let identity = hex::encode(&Sha256::digest(&document.json));
        Ok(Sealed { package, plan, json: document.json, identity, signers })
    }

    /// A slot by its id, else by its number.
    pub fn find_slot(&self, name: &str) -> Option<(usize, &Slot)> {
        let slots = &self.plan.slots;
        let number = slots.iter().position(|slot| slot.id == name).or_else(|| name.parse().ok())?;
        slots.get(number).map(|slot| (number, slot))
    }

    pub fn slot_names(&self) -> String {
        listed(self.plan.slots.iter().map(|slot| slot.id.as_str()))
    }
}

/// Names for a message.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "(none)".into() } else { names.join(", ") }
}
