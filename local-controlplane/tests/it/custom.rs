//! What a real server does with definitions, and this one does not.

use crate::support::{Server, definition};
use serde_json::json;

#[tokio::test(start_paused = true)]
async fn rules_that_would_not_be_kept_are_refused() {
    let server = Server::new();
    let mut body = definition();
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "true"}]);
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let refused = server.post(path, &body).await.expect(422).json();
    let cause = &refused["details"]["causes"][0];
    let field = "spec.versions[0].schema.openAPIV3Schema.x-kubernetes-validations";
    assert_eq!(cause["field"], field);
}
