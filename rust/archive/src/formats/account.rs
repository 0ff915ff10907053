//! The account file of an export: `user.json` of ChatGPT, an element of `users.json` of Claude.

use serde::Deserialize;

use crate::json::Text;
use crate::record::{Kind, Piece, Record};

pub(crate) const FORMAT: Account = Account;

pub(crate) struct Account;

#[derive(Deserialize)]
struct Person<'a> {
    #[serde(borrow, default)]
    id: Text<'a>,
    #[serde(borrow, default)]
    uuid: Text<'a>,
    #[serde(borrow, default)]
    email: Text<'a>,
    #[serde(borrow, default)]
    email_address: Text<'a>,
}

impl super::Format for Account {
    fn name(&self) -> &'static str {
        "account"
    }

    /// Both vendors' account files are read here; which one it was does not change what is kept.
    fn provider(&self) -> &'static str {
        "account"
    }

    fn recognises(&self, keys: &super::Keys) -> bool {
        let chatgpt = keys.has("email") && keys.has("id") && !keys.has("mapping");
        chatgpt || (keys.has("email_address") && keys.has("uuid"))
    }

    fn record(&self, json: &str) -> Result<Record, String> {
        let person: Person<'_> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let native = person.id.owned().or_else(|| person.uuid.owned()).ok_or("an account without id")?;
        let mut record = Record::new(Kind::Account, native);
        record.account = person.email.owned().or_else(|| person.email_address.owned());
        Ok(record)
    }

    fn pieces(&self, _: &str) -> Vec<Piece> {
        Vec::new()
    }
}
