//! Roles: defined, removed, in the store, and in files.

use std::sync::Arc;

use loosely::{Batch, ErrorKind, MemoryStore, Notice, Role, Store, WiringObject};

use crate::support::{StockEvents, on_store, quiet, subscription};

/// What a store holds of a role: JSON behind its mark, which every build can read.
fn put(store: &Arc<dyn Store>, name: &str, value: &str) {
    let mut batch = Batch::new();
    batch.put(format!("rr{name}"), format!("\x02{value}"));
    store.commit(batch).unwrap();
}

#[test]
fn role_comes_and_goes_beside_the_wiring_and_is_told_as_a_change() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(Arc::clone(&store));
    let stocks = broker.publisher::<dyn StockEvents>().unwrap();
    let record = subscription("a", "x").requires_role("traders");
    broker.store(&record.build().unwrap()).unwrap();
    let before = broker.revision();

    let members = r#"[{"Principal":"ann"},{"Role":"desk"}]"#;
    let traders = format!(r#"{{"V1":{{"description":null,"members":{members}}}}}"#);
    put(&store, "traders", &traders);
    put(&store, "traders", &traders);
    for broker in [&broker, &on_store(Arc::clone(&store))] {
        assert_eq!(broker.notices(), Vec::<Notice>::new());
        assert_eq!(broker.subscriptions("ALL").unwrap().len(), 1);
    }
    let mut batch = Batch::new();
    batch.delete("rrtraders");
    store.commit(batch).unwrap();
    assert_eq!(stocks.price_changed("MSFT", 1.0).failed(), 1);

    let changes = broker.changes_since(before).unwrap();
    assert_eq!(changes.len(), 3);
    for change in &changes {
        let WiringObject::Role(name) = change.object() else {
            panic!("{change:?} is not of the role");
        };
        assert_eq!(name.as_str(), "traders");
    }
}

#[test]
fn role_that_cannot_be_read_is_quarantined_and_the_rest_is_served() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    put(&store, "traders", r#"{"V9":{}}"#);
    let broker = on_store(store);
    let notices = broker.notices();
    assert!(
        matches!(&notices[..], [Notice::Quarantined { key, .. }] if key == b"rrtraders"),
        "{notices:?}"
    );
    let record = subscription("a", "x").build().unwrap();
    broker.store(&record).unwrap();
}

#[test]
fn role_is_written_and_read_as_people_do() {
    let role: Role = toml::from_str(
        r#"
            name = "traders"
            description = "who may trade"
            principals = ["bob", "ann"]
            roles = ["desk"]
        "#,
    )
    .unwrap();
    let expected = Role::new("traders")
        .with_description("who may trade")
        .with_principal("ann")
        .with_principal("bob")
        .with_role("desk");
    assert_eq!(role, expected);
    let json = serde_json::to_string(&role).unwrap();
    assert_eq!(serde_json::from_str::<Role>(&json).unwrap(), role);
    let small = serde_json::to_string(&Role::new("nobody")).unwrap();
    assert_eq!(small, r#"{"name":"nobody"}"#);
    let typo = r#"{"name": "a", "principels": []}"#;
    assert!(serde_json::from_str::<Role>(typo).is_err());
}

#[test]
fn defined_role_is_read_replaced_at_its_revision_and_removed() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let broker = on_store(Arc::clone(&store));
    let desk = Role::new("desk").with_principal("ann");
    broker.define_role(&desk).unwrap();
    let traders = Role::new("traders").with_role("desk").with_role("absent");
    let revision = broker.define_role(&traders).unwrap();
    for broker in [&broker, &on_store(Arc::clone(&store))] {
        let names: Vec<_> = broker
            .roles()
            .iter()
            .map(|it| it.name().to_owned())
            .collect();
        assert_eq!(names, ["desk", "traders"]);
        let read = broker.role("traders").unwrap();
        assert_eq!(read.revision(), Some(revision));
        assert!(read.roles().eq(["absent", "desk"]));
    }

    let read = broker.role("desk").unwrap();
    broker
        .define_role(&read.clone().with_principal("bob"))
        .unwrap();
    let error = broker.define_role(&read.with_principal("eve")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("\"desk\""), "{error}");
    assert!(broker.role("desk").unwrap().principals().eq(["ann", "bob"]));

    assert!(broker.remove_role("desk").unwrap());
    assert!(!broker.remove_role("desk").unwrap());
    assert_eq!(broker.role("desk"), None);
    assert_eq!(
        broker.remove_role(" ").unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn circle_of_roles_is_refused_with_its_way_named() {
    let broker = quiet();
    for role in [
        Role::new("traders").with_role("desk"),
        Role::new("desk").with_role("night shift"),
    ] {
        broker.define_role(&role).unwrap();
    }
    let error = broker
        .define_role(&Role::new("night shift").with_role("traders"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "the role \"night shift\" would go in a circle: night shift has traders has desk has \
         night shift"
    );
    assert_eq!(broker.role("night shift"), None);
    let error = broker
        .define_role(&Role::new("a").with_role("a"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn role_that_cannot_be_read_is_replaced_and_removed() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    put(&store, "traders", r#"{"V9":{}}"#);
    put(&store, "desk", r#"{"V9":{}}"#);
    let broker = on_store(store);
    broker.define_role(&Role::new("traders")).unwrap();
    assert!(broker.remove_role("desk").unwrap());
    assert_eq!(broker.roles().len(), 1);
}
