//! People by the e-mail address or the id that somebody typed.

use serde_json::Value;

use crate::client::Api;
use crate::failure::{Failure, Sort};

/// A list of people that the server has.
pub(super) struct People<'a> {
    pub(super) path: &'a str,
    /// The field with the user's id.
    pub(super) id: &'static str,
    /// How many are searched.
    pub(super) most: usize,
    /// What is said before the name of somebody who is not there.
    pub(super) missing: &'static str,
    /// The command that shows them.
    pub(super) shown_by: &'static str,
}

impl People<'_> {
    /// The person's e-mail address, and the path in the API.
    pub(super) async fn find(&self, api: &Api, who: &str) -> anyhow::Result<(String, String)> {
        let people = api.list(self.path, &[], self.most).await?;
        let is_meant = |entry: &&Value| {
            entry[self.id] == who
                || entry["email"]
                    .as_str()
                    .is_some_and(|email| email.eq_ignore_ascii_case(who))
        };
        let mut all = people["data"].as_array().into_iter().flatten();
        let Some(found) = all.find(is_meant) else {
            let among = match people["next"].is_string() {
                true => format!(" among the first {}", self.most),
                false => String::new(),
            };
            let message = format!("{} {who}{among}", self.missing);
            let hint = format!("{} shows them", self.shown_by);
            return Err(Failure::new(Sort::Missing, message).hint(hint).into());
        };
        let text = |field: &str| found[field].as_str().unwrap_or("-").to_owned();
        Ok((text("email"), format!("{}/{}", self.path, text(self.id))))
    }
}
