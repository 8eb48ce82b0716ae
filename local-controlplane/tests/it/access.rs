//! Users: from a test, from a token, and from a file. What they may do is checked by the suite.

use crate::support::{LEASES, Server, lease, reopened};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use local_controlplane::{ControlPlane, ServeOptions, User};
use serde_json::{Value, json};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Lets somebody list leases in the namespace `default`.
async fn let_list(server: &Server, subject: Value) {
    let rule = json!({"verbs": ["list"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]});
    let role = json!({"metadata": {"name": "lister"}, "rules": [rule]});
    let roles = format!("{RBAC}/namespaces/default/roles");
    server.post(&roles, &role).await.expect(201);
    let binding = json!({
        "metadata": {"name": "lister"}, "roleRef": {"kind": "Role", "name": "lister"}, "subjects": [subject],
    });
    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    server.post(&bindings, &binding).await.expect(201);
}

async fn lists(client: Client) -> Result<usize, u16> {
    let leases: Api<Lease> = Api::namespaced(client, "default");
    match leases.list(&ListParams::default()).await {
        Ok(list) => Ok(list.items.len()),
        Err(kube::Error::Api(status)) => Err(status.code),
        Err(error) => panic!("{error}"),
    }
}

/// A name, and the groups.
async fn who(client: Client) -> (String, Vec<String>) {
    let reviews: Api<SelfSubjectReview> = Api::all(client);
    let answer = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .unwrap();
    let info = answer.status.unwrap().user_info.unwrap();
    (info.username.unwrap(), info.groups.unwrap())
}

#[tokio::test]
async fn a_client_of_a_user_may_do_what_is_bound_and_its_requests_are_counted() {
    let plane = ControlPlane::new();
    let admin = Server::of(&plane);
    let jane = || plane.client_of(User::new("jane"));
    assert_eq!(lists(jane()).await, Err(403));
    let_list(&admin, json!({"kind": "User", "name": "jane"})).await;
    admin.lease("x", "alpha").await;
    assert_eq!(lists(jane()).await, Ok(1));
    assert_eq!(lists(plane.client_of(User::new("bob"))).await, Err(403));
    assert_eq!(lists(plane.client()).await, Ok(1));
    // What was refused was not done, and is not counted.
    assert_eq!(plane.requests().by("jane"), 1);
    let service = Server(plane.service_of(User::new("jane")));
    service.post(LEASES, &lease("y", "bravo")).await.expect(403);
    assert_eq!(plane.requests().writes_by("jane"), 0);
}

#[tokio::test]
async fn a_user_is_in_the_groups_that_it_was_made_with() {
    let plane = ControlPlane::new();
    let groups = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect();
    let all = "system:authenticated";
    for (user, name, of) in [
        (User::new("jane"), "jane", groups(&[all])),
        (
            User::new("jane").in_groups(["devs", "ops"]),
            "jane",
            groups(&["devs", "ops", all]),
        ),
        (
            User::new("system:serviceaccount:default:robot"),
            "system:serviceaccount:default:robot",
            groups(&["system:serviceaccounts", "system:serviceaccounts:default", all]),
        ),
        (User::administrator(), "admin", groups(&["system:masters", all])),
    ] {
        assert_eq!(who(plane.client_of(user)).await, (name.to_owned(), of));
    }
    let_list(
        &Server::of(&plane),
        json!({"kind": "ServiceAccount", "name": "robot"}),
    )
    .await;
    let robot =
        |namespace: &str| plane.client_of(User::new(format!("system:serviceaccount:{namespace}:robot")));
    assert_eq!(lists(robot("default")).await, Ok(0));
    assert_eq!(lists(robot("kube-system")).await, Err(403));
}

async fn client(kubeconfig: &str, context: &str) -> Client {
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
        ..KubeConfigOptions::default()
    };
    let file = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(file, &options).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn each_token_is_somebodys_and_the_kubeconfig_has_them_all() {
    let plane = ControlPlane::new();
    let tokens = vec![
        ("1234".to_owned(), User::new("jane").in_groups(["devs"])),
        (
            "no:\"yaml\"".to_owned(),
            User::new("system:serviceaccount:default:robot"),
        ),
    ];
    let options = ServeOptions {
        tokens,
        ..ServeOptions::default()
    };
    let server = plane.serve(options).await.unwrap();
    let_list(&Server::of(&plane), json!({"kind": "Group", "name": "devs"})).await;
    for (context, name, code) in [
        ("local-controlplane", "admin", Ok(0)),
        ("jane", "jane", Ok(0)),
        (
            "system:serviceaccount:default:robot",
            "system:serviceaccount:default:robot",
            Err(403),
        ),
    ] {
        let client = client(server.kubeconfig(), context).await;
        assert_eq!(who(client.clone()).await.0, name);
        assert_eq!(lists(client).await, code, "{context}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn rights_are_kept_in_the_data_folder_and_the_first_ones_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let names = |list: Value| -> Vec<Value> {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["metadata"]["uid"].clone()).collect()
    };
    let plane = ControlPlane::open(folder.path()).unwrap();
    let admin = Server::of(&plane);
    let_list(&admin, json!({"kind": "User", "name": "jane"})).await;
    let basic = format!("{RBAC}/clusterrolebindings/system:basic-user");
    admin.delete(&basic, &Value::Null).await.expect(200);
    let roles = names(admin.get(&format!("{RBAC}/clusterroles")).await.json());
    drop((admin, plane));
    let plane = reopened(folder.path()).await;
    let admin = Server::of(&plane);
    assert_eq!(lists(plane.client_of(User::new("jane"))).await, Ok(0));
    assert_eq!(lists(plane.client_of(User::new("bob"))).await, Err(403));
    assert_eq!(
        names(admin.get(&format!("{RBAC}/clusterroles")).await.json()),
        roles
    );
    admin.get(&basic).await.expect(200);
}

/// The program has a user `guest`, and those of the file that it is given.
#[tokio::test]
async fn the_program_reads_users_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let start = |tokens: &str| {
        std::fs::write(path("tokens.csv"), tokens).unwrap();
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_local-controlplane"));
        program.arg("--kubeconfig").arg(path("kubeconfig"));
        program.arg("--token-auth-file").arg(path("tokens.csv"));
        program.stderr(std::process::Stdio::piped()).kill_on_drop(true);
        program
    };
    let refused = start("secret,jane\n").output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("line 1 of") && said.contains("token,user name,user uid"),
        "{said}"
    );
    let _program = start("secret,jane,1,\"devs,ops\"\n").spawn().unwrap();
    while !path("kubeconfig").is_file() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let kubeconfig = std::fs::read_to_string(path("kubeconfig")).unwrap();
    let (name, groups) = who(client(&kubeconfig, "jane").await).await;
    assert_eq!((name.as_str(), groups.len()), ("jane", 3));
    assert_eq!(lists(client(&kubeconfig, "guest").await).await, Err(403));
}
