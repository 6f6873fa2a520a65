//! Copies of template keys.

use domain::record::{DataKeyRecord, KeyContext};
use domain::{AccountId, KeyOwner, ProviderKeyId};

use super::support::{KEY, World, context, now, workspace};
use crate::RotateError;

/// An account's template and the place for its copy.
struct Copy {
    world: World,
    from: KeyContext,
    from_key: DataKeyRecord,
    to: KeyContext,
    to_key: DataKeyRecord,
    template: Vec<u8>,
}

impl Copy {
    fn new() -> Self {
        let world = World::new();
        let from = context(account());
        let to = KeyContext {
            key: ProviderKeyId::from_bytes([3; 16]),
            ..context(workspace(7))
        };
        let data_key = |owner| now(world.rotator.new_data_key(owner)).expect("a data key");
        let (from_key, to_key) = (data_key(from.owner), data_key(to.owner));
        let template = world.plain(KEY, &from, &from_key);
        Self {
            world,
            from,
            from_key,
            to,
            to_key,
            template,
        }
    }

    fn made(&self, to: &KeyContext, to_key: &DataKeyRecord) -> Result<Vec<u8>, RotateError> {
        self.made_of(&self.from, &self.from_key, to, to_key)
    }

    fn made_of(
        &self,
        from: &KeyContext,
        from_key: &DataKeyRecord,
        to: &KeyContext,
        to_key: &DataKeyRecord,
    ) -> Result<Vec<u8>, RotateError> {
        let rotator = &self.world.rotator;
        now(rotator.rebind_envelope(&self.template, from, from_key, to, to_key))
    }
}

fn account() -> KeyOwner {
    KeyOwner::Account(AccountId::from_bytes([6; 16]))
}

#[test]
fn a_copy_opens_as_the_workspaces_key_only_and_the_template_stays() {
    let copy = Copy::new();
    let made = copy.made(&copy.to, &copy.to_key).expect("copied");
    assert_ne!(made, copy.template);
    let open = |envelope: &[u8], context: &KeyContext, key: &DataKeyRecord| {
        copy.world.open_in(envelope, context, key).ok()
    };
    let key = Some(KEY.to_vec());
    assert_eq!(open(&made, &copy.to, &copy.to_key), key);
    assert_eq!(open(&made, &copy.from, &copy.from_key), None);
    assert_eq!(open(&made, &copy.from, &copy.to_key), None);
    assert_eq!(open(&made, &copy.to, &copy.from_key), None);
    assert_eq!(open(&copy.template, &copy.from, &copy.from_key), key);
    assert_eq!(open(&copy.template, &copy.to, &copy.to_key), None);

    // Of two copies neither opens as the other.
    let again = copy.made(&copy.to, &copy.to_key).expect("copied");
    assert_ne!(again, made);
}

#[test]
fn a_copy_goes_where_the_template_went() {
    let copy = Copy::new();
    let edits: [fn(&mut KeyContext); 3] = [
        |context| context.provider = "mistral".parse().expect("a provider id"),
        |context| context.base_url = "https://attacker.example/v1".to_owned(),
        |context| context.auth_header = "x-api-key".to_owned(),
    ];
    for edit in edits {
        let mut to = copy.to.clone();
        edit(&mut to);
        assert_eq!(copy.made(&to, &copy.to_key), Err(RotateError::Integrity));
        // The template's own context, edited to match, does not open.
        let mut from = copy.from.clone();
        edit(&mut from);
        let made = copy.made_of(&from, &copy.from_key, &to, &copy.to_key);
        assert_eq!(made, Err(RotateError::Integrity));
    }
}

#[test]
fn a_copy_takes_the_data_keys_of_both_owners() {
    let copy = Copy::new();
    let foreign = now(copy.world.rotator.new_data_key(workspace(8))).expect("a data key");
    let stolen = DataKeyRecord {
        owner: copy.to.owner,
        ..foreign.clone()
    };
    for to_key in [&foreign, &copy.from_key, &stolen] {
        assert_eq!(copy.made(&copy.to, to_key), Err(RotateError::Integrity));
    }
    let another = now(copy.world.rotator.new_data_key(account())).expect("a data key");
    for from_key in [&copy.to_key, &another] {
        let made = copy.made_of(&copy.from, from_key, &copy.to, &copy.to_key);
        assert_eq!(made, Err(RotateError::Integrity));
    }
}

#[test]
fn only_an_accounts_key_is_copied_and_only_into_a_workspace() {
    let copy = Copy::new();
    let instance = KeyOwner::Instance(copy.world.deployment.id);
    for (from, to) in [
        (instance, workspace(7)),
        (workspace(8), workspace(7)),
        (account(), account()),
        (account(), instance),
    ] {
        let world = &copy.world;
        let data_key = |owner| now(world.rotator.new_data_key(owner)).expect("a data key");
        let (from_key, to_key) = (data_key(from), data_key(to));
        let (from, to) = (context(from), context(to));
        let envelope = world.plain(KEY, &from, &from_key);
        let rotator = &world.rotator;
        let made = now(rotator.rebind_envelope(&envelope, &from, &from_key, &to, &to_key));
        assert_eq!(made, Err(RotateError::Integrity));
    }
}

#[test]
fn an_edited_template_is_not_copied() {
    let mut copy = Copy::new();
    for at in [0, 30, copy.template.len() - 1] {
        copy.template[at] ^= 1;
        let made = copy.made(&copy.to, &copy.to_key);
        assert_eq!(made, Err(RotateError::Integrity), "byte {at}");
        copy.template[at] ^= 1;
    }
    assert!(copy.made(&copy.to, &copy.to_key).is_ok());
}
