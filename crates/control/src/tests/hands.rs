//! What tests do to an instance beforehand.

use domain::{ProviderKeyId, Timestamp};
use serde_json::{Value, json};

use super::{KEY, OTHER_KEY, Person, World, data, path};

impl World {
    /// Who a logged-in person is to the store.
    pub(super) async fn principal(&self, person: &Person) -> store::Principal {
        let sessions = data(self.get(&person.session, "/api/v1/sessions").await);
        let current = sessions.iter().find(|session| session["current"] == true);
        let session = current.expect("the session that asks")["id"].as_str();
        store::Principal::Session {
            user: person.id.parse().expect("an id"),
            session: session.expect("a text").parse().expect("an id"),
        }
    }

    /// Gives the person's account another plan.
    pub(super) async fn subscribe(&self, root: &Person, person: &Person, plan: &str) {
        let path = format!("/api/v1/admin/accounts/{}/subscription", person.account);
        let body = json!({ "plan": plan });
        self.put(&root.session, &path, body).await.expect(200);
    }

    /// Changes settings of the instance.
    pub(super) async fn settings(&self, root: &Person, changes: Value) {
        let path = "/api/v1/admin/settings";
        self.patch(&root.session, path, changes).await.expect(200);
    }

    /// Switches something of a provider.
    pub(super) async fn switch(&self, root: &Person, provider: &str, changes: Value) {
        let path = format!("/api/v1/admin/providers/{provider}");
        self.patch(&root.session, &path, changes).await.expect(200);
    }

    /// Adds a platform key.
    pub(super) async fn platform_key(&self, root: &Person, provider: &str) {
        let path = "/api/v1/admin/platform-keys";
        let body = json!({"provider": provider, "key": OTHER_KEY});
        self.post(&root.session, path, body).await.expect(201);
    }

    /// Adds an own key of the person's workspace and returns its id.
    pub(super) async fn own_key(&self, person: &Person, provider: &str, label: &str) -> String {
        let body = json!({"provider": provider, "label": label, "key": KEY});
        let stored = self.post(&person.session, &path(person), body).await;
        let stored = stored.expect(201).json();
        stored["id"].as_str().expect("an id").to_owned()
    }

    /// The next probe fails so.
    pub(super) fn next_probe(&self, failure: vault::ProbeFailure) {
        let mut script = self.probe.script.lock().expect("not poisoned");
        script.push_back(failure);
    }

    /// The key failed lately, as far as the data plane knows.
    pub(super) fn put_to_sleep(&self, key: ProviderKeyId, until: Timestamp) {
        let mut sleeping = self.probe.sleeping.lock().expect("not poisoned");
        sleeping.insert(key, until);
    }
}
