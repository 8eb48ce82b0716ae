//! What goes, and what stays, when an owner is deleted; and how a namespace goes.

use crate::check::{Need, checks};
use crate::cluster::{CONFIGS, Cluster, LEASES, MERGE, NAMESPACES, eventually, lease};
use serde_json::{Value, json};

checks! {"cascades", needs Some(Need::Controllers);
    dependents_go_when_their_last_owner_is_gone,
    in_the_foreground_the_owner_goes_last,
    orphans_stay,
    a_namespace_is_emptied_and_goes,
}

async fn gone(server: &Cluster, path: &str) {
    let server = server.unrecorded();
    eventually(&format!("{path} is gone"), || async {
        server.get(path).await.code == 404
    })
    .await;
}

/// A config map owned by the given others.
async fn owned(server: &Cluster, name: &str, owners: &[&Value]) -> Value {
    let reference = |owner: &&Value| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true,
        })
    };
    let references: Vec<Value> = owners.iter().map(reference).collect();
    let body = json!({"metadata": {"name": name, "ownerReferences": references}});
    server.post(CONFIGS, &body).await.expect(201).json()
}

async fn owners_of(server: &Cluster, name: &str) -> usize {
    let config = server.unrecorded().get(&format!("{CONFIGS}/{name}")).await.json();
    config["metadata"]["ownerReferences"]
        .as_array()
        .map_or(0, Vec::len)
}

async fn dependents_go_when_their_last_owner_is_gone(server: Cluster) {
    let first = owned(&server, "first", &[]).await;
    let second = owned(&server, "second", &[]).await;
    let child = owned(&server, "child", &[&first]).await;
    owned(&server, "shared", &[&first, &second]).await;
    owned(&server, "grandchild", &[&child]).await;
    let background = json!({"propagationPolicy": "Background"});
    server
        .delete(&format!("{CONFIGS}/first"), &background)
        .await
        .expect(200);
    gone(&server, &format!("{CONFIGS}/child")).await;
    gone(&server, &format!("{CONFIGS}/grandchild")).await;
    eventually("the first owner is forgotten", || async {
        owners_of(&server, "shared").await == 1
    })
    .await;
    server
        .delete(&format!("{CONFIGS}/second"), &Value::Null)
        .await
        .expect(200);
    gone(&server, &format!("{CONFIGS}/shared")).await;
}

async fn in_the_foreground_the_owner_goes_last(server: Cluster) {
    let owner = owned(&server, "owner", &[]).await;
    owned(&server, "child", &[&owner]).await;
    let keep = json!({"metadata": {"finalizers": ["example.com/keep"]}});
    let child = format!("{CONFIGS}/child");
    server.patch(&child, MERGE, &keep).await.expect(200);
    let foreground = json!({"propagationPolicy": "Foreground"});
    let marked = server.delete(&format!("{CONFIGS}/owner"), &foreground).await;
    assert_eq!(
        marked.expect(200).json()["metadata"]["finalizers"],
        json!(["foregroundDeletion"])
    );
    eventually("the child is deleted", || async {
        server.unrecorded().get(&child).await.json()["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    server.get(&format!("{CONFIGS}/owner")).await.expect(200);
    let release = json!({"metadata": {"finalizers": null}});
    server.patch(&child, MERGE, &release).await.expect(200);
    gone(&server, &format!("{CONFIGS}/owner")).await;
}

async fn orphans_stay(server: Cluster) {
    let owner = owned(&server, "owner", &[]).await;
    owned(&server, "orphan", &[&owner]).await;
    let orphan = json!({"propagationPolicy": "Orphan"});
    server
        .delete(&format!("{CONFIGS}/owner"), &orphan)
        .await
        .expect(200);
    gone(&server, &format!("{CONFIGS}/owner")).await;
    server.get(&format!("{CONFIGS}/orphan")).await.expect(200);
    assert_eq!(owners_of(&server, "orphan").await, 0);
}

async fn a_namespace_is_emptied_and_goes(server: Cluster) {
    server.make_other().await;
    let inside = LEASES.replace("{ns}", "{other}");
    let mut kept = lease("kept", "alpha");
    kept["metadata"]["finalizers"] = json!(["example.com/keep"]);
    server.post(&inside, &kept).await.expect(201);
    server.post(&inside, &lease("plain", "alpha")).await.expect(201);
    let path = format!("{NAMESPACES}/{{other}}");
    server.delete(&path, &Value::Null).await.expect(200);
    gone(&server, &format!("{inside}/plain")).await;
    server.get(&path).await.expect(200);
    let release = json!({"metadata": {"finalizers": null}});
    server
        .patch(&format!("{inside}/kept"), MERGE, &release)
        .await
        .expect(200);
    gone(&server, &path).await;
}
