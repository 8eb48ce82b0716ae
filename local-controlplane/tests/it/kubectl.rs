//! The real `kubectl`, over TLS. Where it is not installed, this says so and checks nothing.

use local_controlplane::{ControlPlane, ServeOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

struct Kubectl {
    dir: tempfile::TempDir,
}

impl Kubectl {
    fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.arg("--cache-dir").arg(self.dir.path().join("cache"));
        command
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .kill_on_drop(true);
        command
    }

    async fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.expect("kubectl runs")
    }

    /// Standard output of a command that succeeds.
    async fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that fails.
    async fn fail(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "kubectl {arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn is_installed() -> bool {
    let version = std::process::Command::new("kubectl")
        .args(["version", "--client"])
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

fn has_line(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| {
        let found: Vec<&str> = line.split_whitespace().collect();
        found.len() >= words.len()
            && words
                .iter()
                .zip(&found)
                .all(|(word, found)| *word == "_" || word == found)
    })
}

const LEASE: &str = "apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: alpha
  annotations: {coordination.k8s.io/can-lead-leases: default/x}
spec: {holderIdentity: alpha, leaseDurationSeconds: 15}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_everything_as_it_is_used_to() {
    if !is_installed() {
        println!("SKIPPED: kubectl is not on PATH");
        return;
    }
    let plane = ControlPlane::new();
    let server = plane.serve(ServeOptions::default()).await.unwrap();
    let controllers = tokio::spawn(plane.run_controllers());
    let kubectl = Kubectl {
        dir: tempfile::tempdir().unwrap(),
    };
    server.write_kubeconfig(&kubectl.kubeconfig()).unwrap();

    leases(&kubectl).await;
    custom_resources(&kubectl).await;
    deployments(&kubectl).await;

    controllers.abort();
    server.shutdown().await;
    assert!(plane.requests().count(|key| key.client.starts_with("kubectl")) > 30);
}

async fn leases(kubectl: &Kubectl) {
    assert!(kubectl.run(&["version"]).await.contains("local-controlplane"));
    assert!(has_line(
        &kubectl.run(&["api-resources"]).await,
        &["leases", "coordination.k8s.io/v1", "true", "Lease"]
    ));
    let file = kubectl.file("lease.yaml", LEASE);
    assert!(kubectl.run(&["apply", "-f", &file]).await.contains("created"));
    assert!(kubectl.run(&["apply", "-f", &file]).await.contains("unchanged"));
    kubectl.file("lease.yaml", &LEASE.replace("15", "20"));
    assert!(kubectl.run(&["apply", "-f", &file]).await.contains("configured"));
    let table = kubectl.run(&["get", "leases"]).await;
    assert!(
        has_line(&table, &["NAME", "HOLDER", "AGE"]) && has_line(&table, &["alpha", "alpha"]),
        "{table}"
    );
    assert!(
        kubectl
            .run(&["get", "lease", "alpha", "-o", "yaml"])
            .await
            .contains("leaseDurationSeconds: 20")
    );

    watch_changes(kubectl).await;

    let patch = r#"{"spec":{"holderIdentity":"bravo"}}"#;
    assert!(
        kubectl
            .run(&["patch", "lease", "alpha", "--type=merge", "-p", patch])
            .await
            .contains("patched")
    );
    assert!(
        kubectl
            .run(&["patch", "lease", "alpha", "-p", patch])
            .await
            .contains("no change")
    );
    kubectl.run(&["annotate", "lease", "alpha", "a=b"]).await;
    kubectl.run(&["label", "lease", "alpha", "team=red"]).await;
    assert!(
        kubectl
            .run(&["get", "leases", "-l", "team=red", "-o", "name"])
            .await
            .contains("alpha")
    );
    let described = kubectl.run(&["describe", "lease", "alpha"]).await;
    assert!(
        described.contains("Holder Identity") && described.contains("bravo"),
        "{described}"
    );
    kubectl
        .run(&[
            "wait",
            "--for=jsonpath={.spec.holderIdentity}=bravo",
            "lease/alpha",
            "--timeout=10s",
        ])
        .await;
    assert!(
        kubectl
            .run(&["explain", "lease.spec"])
            .await
            .contains("holderIdentity")
    );
    edit(kubectl).await;
    assert!(
        kubectl
            .run(&["delete", "lease", "alpha"])
            .await
            .contains("deleted")
    );
    assert!(
        kubectl
            .fail(&["get", "lease", "alpha"])
            .await
            .contains("(NotFound)")
    );
}

async fn watch_changes(kubectl: &Kubectl) {
    let mut watching = kubectl.command(&["get", "leases", "--watch"]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert!(has_line(&next().await, &["NAME", "HOLDER"]));
    assert!(has_line(&next().await, &["alpha", "alpha"]));
    kubectl
        .run(&[
            "patch",
            "lease",
            "alpha",
            "--type=merge",
            "-p",
            r#"{"spec":{"holderIdentity":"carol"}}"#,
        ])
        .await;
    assert!(has_line(&next().await, &["alpha", "carol"]));
    watching.kill().await.unwrap();
}

/// `kubectl edit`, with a program in the place of a person.
async fn edit(kubectl: &Kubectl) {
    let editor = kubectl.file("editor.sh", "sed -i s/bravo/dave/ \"$1\"\n");
    let output = kubectl
        .command(&["edit", "lease", "alpha"])
        .env("KUBE_EDITOR", format!("sh {editor}"))
        .output()
        .await;
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let holder = kubectl
        .run(&["get", "lease", "alpha", "-o", "jsonpath={.spec.holderIdentity}"])
        .await;
    assert_eq!(holder, "dave");
}

async fn custom_resources(kubectl: &Kubectl) {
    let definition = kubectl.file("crd.yaml", &crate::support::definition().to_string());
    kubectl.run(&["apply", "-f", &definition]).await;
    kubectl
        .run(&[
            "wait",
            "--for=condition=Established",
            "crd/foos.example.com",
            "--timeout=10s",
        ])
        .await;
    let text = "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: a}\nspec: {deploymentName: d, replicas: 2}\n";
    let file = kubectl.file("foo.yaml", text);
    kubectl.run(&["apply", "-f", &file]).await;
    kubectl.file("foo.yaml", &text.replace("replicas: 2", "replicas: 3"));
    assert!(kubectl.run(&["apply", "-f", &file]).await.contains("configured"));
    let table = kubectl.run(&["get", "foos"]).await;
    assert!(
        has_line(&table, &["NAME", "REPLICAS", "AGE"]) && has_line(&table, &["a", "3"]),
        "{table}"
    );
    kubectl.file("foo.yaml", &text.replace("replicas: 2", "replicas: 99"));
    assert!(
        kubectl
            .fail(&["apply", "-f", &file])
            .await
            .contains("spec.replicas")
    );
    kubectl.run(&["delete", "crd", "foos.example.com"]).await;
}

async fn deployments(kubectl: &Kubectl) {
    let deployment = kubectl.file(
        "deployment.yaml",
        &crate::deployments::deployment("d", 2).to_string(),
    );
    kubectl.run(&["apply", "-f", &deployment]).await;
    kubectl
        .run(&["rollout", "status", "deployment/d", "--timeout=10s"])
        .await;
    kubectl
        .run(&[
            "wait",
            "--for=condition=Available",
            "deployment/d",
            "--timeout=10s",
        ])
        .await;
    kubectl.run(&["scale", "deployment", "d", "--replicas=3"]).await;
    kubectl
        .run(&["rollout", "status", "deployment/d", "--timeout=10s"])
        .await;
    let table = kubectl.run(&["get", "deployments"]).await;
    assert!(has_line(&table, &["d", "3/3", "3", "3"]), "{table}");
    // These come as protobuf from newer versions.
    kubectl.run(&["create", "namespace", "work"]).await;
    kubectl
        .run(&["create", "serviceaccount", "worker", "--namespace=work"])
        .await;
    kubectl
        .run(&[
            "create",
            "configmap",
            "settings",
            "--namespace=work",
            "--from-literal=a=b",
        ])
        .await;
    kubectl
        .run(&[
            "create",
            "deployment",
            "web",
            "--image=web:1",
            "--replicas=2",
            "--namespace=work",
        ])
        .await;
    assert_eq!(
        kubectl.run(&["auth", "can-i", "delete", "leases"]).await.trim(),
        "yes"
    );
    assert!(kubectl.run(&["auth", "whoami"]).await.contains("admin"));
    kubectl
        .run(&["delete", "namespace", "work", "--timeout=20s"])
        .await;
}
