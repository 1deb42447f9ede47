//! Role records in the store of a broker that has no calls for them yet, and in files.

use std::sync::Arc;

use loosely::{Batch, MemoryStore, Notice, Role, Store, WiringObject};

use crate::support::{StockEvents, on_store, subscription};

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
