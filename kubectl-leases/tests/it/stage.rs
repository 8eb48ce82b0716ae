//! A control plane on a socket whose time stands still at the moment of the fixtures, and the plugin run against it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{HeaderValue, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use kubectl_leases::cli::{self, Terminal};
use local_controlplane::{ApiService, ControlPlane, simulate_wall};
use serde_json::Value;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

use crate::fixtures::NOW;

/// The `Date` of every answer, until another one is told.
const DATE: &str = "Fri, 01 May 2026 12:00:00 GMT";

/// What stands in every answer.
type Date = Arc<Mutex<HeaderValue>>;

/// A cluster to run the plugin against.
pub(crate) struct Stage {
    pub(crate) plane: ControlPlane,
    kubeconfig: tempfile::NamedTempFile,
    addr: SocketAddr,
    date: Date,
}

/// An output that can be read while it is written.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a command has printed, and its exit code.
pub(crate) struct Ended {
    pub(crate) code: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// A cluster with these leases, each written when it says that it was renewed.
    pub(crate) async fn with(leases: Vec<Lease>) -> Self {
        let plane = ControlPlane::new();
        grant(&plane).await;
        for lease in leases {
            put(&plane, lease).await;
        }
        simulate_wall(now());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let date = Arc::new(Mutex::new(HeaderValue::from_static(DATE)));
        #[expect(clippy::disallowed_methods, reason = "the server of this test")]
        tokio::spawn(serve(listener, plane.service(), date.clone()));
        let mut kubeconfig = tempfile::NamedTempFile::new().unwrap();
        write!(
            kubeconfig,
            "{{apiVersion: v1, kind: Config, current-context: c,
              clusters: [{{name: c, cluster: {{server: 'http://{addr}'}}}}], users: [{{name: u, user: {{}}}}],
              contexts: [{{name: c, context: {{cluster: c, user: u}}}}]}}"
        )
        .unwrap();
        Self {
            plane,
            kubeconfig,
            addr,
            date,
        }
    }

    /// Lets every answer from now on have this time.
    pub(crate) fn tell_time(&self, now: Timestamp) {
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        *self.date.lock().unwrap() = HeaderValue::from_str(&date).unwrap();
    }

    /// Runs the plugin.
    pub(crate) async fn run(&self, args: &str) -> Ended {
        self.run_words(&args.split_whitespace().collect::<Vec<_>>()).await
    }

    /// The same with words that may be empty, or have spaces in them.
    pub(crate) async fn run_words(&self, words: &[&str]) -> Ended {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let kubeconfig = self.kubeconfig.path().to_str().unwrap();
        let args = std::iter::once("kubectl-leases")
            .chain(words.iter().copied())
            .chain(["--kubeconfig", kubeconfig]);
        let code = cli::run(args.map(Into::into), Terminal::default(), &mut out, &mut err).await;
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&self.addr.to_string(), "127.0.0.1:6443")
        };
        let code = format!("{code:?}");
        let digits = code.chars().filter(char::is_ascii_digit).collect::<String>();
        Ended {
            code: digits,
            stdout: text(out),
            stderr: text(err),
        }
    }

    /// What kubectl is told when somebody presses Tab; the last word is the one under the cursor.
    pub(crate) async fn complete(&self, words: &[&str]) -> Vec<String> {
        let kubeconfig = self.kubeconfig.path().to_str().unwrap();
        let mut args: Vec<std::ffi::OsString> = vec!["/usr/bin/kubectl_complete-leases".into()];
        args.extend(words.iter().map(Into::into));
        if words.len() > 1 {
            args.insert(2, format!("--kubeconfig={kubeconfig}").into());
        }
        let (mut out, mut err) = (Vec::new(), Vec::new());
        cli::run(args, Terminal::default(), &mut out, &mut err).await;
        String::from_utf8(out)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Runs a command that goes on without end, until the story is over and the output is as wanted; what it has printed.
    pub(crate) async fn run_during(
        &self,
        args: &str,
        story: impl Future<Output = ()>,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let (printed, mut err) = (Printed::default(), Vec::new());
        let kubeconfig = self.kubeconfig.path().to_str().unwrap();
        let args = std::iter::once("kubectl-leases")
            .chain(args.split_whitespace())
            .chain(["--kubeconfig", kubeconfig]);
        let mut out = printed.clone();
        let running = cli::run(args.map(Into::into), Terminal::default(), &mut out, &mut err);
        let story = async {
            story.await;
            while !wanted(&printed.text()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = running => panic!("it should go on: {ended:?}"),
            () = story => {}
        }
        assert_eq!(String::from_utf8(err).unwrap(), "");
        printed.text()
    }

    /// The kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self) -> &str {
        self.kubeconfig.path().to_str().unwrap()
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many watches were asked for.
    pub(crate) fn watches(&self) -> u64 {
        self.plane.requests().count(|request| request.verb == "watch")
    }

    /// What a terminal shows: the command, everything that it prints, and the exit code unless it is 0.
    pub(crate) async fn screen(&self, args: &str) -> String {
        let ended = self.run(args).await;
        let mut screen = format!("$ kubectl leases {args}\n{}{}", ended.stdout, ended.stderr);
        if ended.code != "0" {
            screen.push_str(&format!("(exit code {})\n", ended.code));
        }
        screen
    }
}

/// Fails unless docs/operating.md shows this screen under this name; writes it there when UPDATE_DOCS is set.
pub(crate) fn documented(name: &str, screen: &str) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operating.md");
    let text = std::fs::read_to_string(file).unwrap();
    let begin = format!("<!-- screen: {name} -->\n```console\n");
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("docs/operating.md has no screen {name}"))
        + begin.len();
    let end = start + text[start..].find("```\n").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, format!("{}{screen}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(
        &text[start..end],
        screen,
        "UPDATE_DOCS=1 cargo test -p kubectl-leases -- --test-threads 1"
    );
}

/// Lets the elector and the candidates do what they need, by the manifest that people apply.
async fn grant(plane: &ControlPlane) {
    for manifest in [
        include_str!("../../../artifacts/rbac.yaml"),
        include_str!("../../../artifacts/rbac-people.yaml"),
    ] {
        apply(plane, manifest).await;
    }
}

/// Creates roles and bindings.
pub(crate) async fn apply(plane: &ControlPlane, manifest: &str) {
    for document in manifest.split("\n---\n") {
        let object: Value = serde_yaml::from_str(document).unwrap();
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        let group = match kind.as_str() {
            "serviceaccount" => "/api/v1".to_owned(),
            _ => "/apis/rbac.authorization.k8s.io/v1".to_owned(),
        };
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
        let request =
            http::Request::post(format!("{group}{namespace}/{kind}s")).body(object.to_string().into_bytes());
        plane.client().request::<Value>(request.unwrap()).await.unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Creates a lease three hours ago, and writes it again at the moment that its renew time says. Annotations that were noted
/// at another moment are written at that one, and a lease that was deleted is deleted.
pub(crate) async fn put(plane: &ControlPlane, mut lease: Lease) {
    let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
    let noted = lease
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .find_map(|entry| entry.time.clone());
    let annotated = renewed.and(noted.clone()).map(|time| time.0);
    let written = renewed.map(|time| time.0).or(noted.map(|time| time.0));
    let deleted = lease.metadata.deletion_timestamp.take();
    lease.metadata.managed_fields = None;
    lease.metadata.resource_version = None;
    lease.metadata.uid = None;
    let namespace = lease.metadata.namespace.clone().unwrap();
    let leases: Api<Lease> = Api::namespaced(plane.client_as("test"), &namespace);
    let created = now() - SignedDuration::from_hours(3);
    simulate_wall(created);
    let name = lease.metadata.name.clone().unwrap();
    // Fields are tracked from the beginning or never, so it begins with one.
    let begun = LeaseSpec {
        lease_transitions: Some(0),
        ..LeaseSpec::default()
    };
    let mut blank = Lease {
        spec: Some(begun),
        ..lease.clone()
    };
    let annotations = blank.metadata.annotations.take();
    let mut before = leases.create(&PostParams::default(), &blank).await.unwrap();
    if let Some(annotated) = annotated {
        simulate_wall(annotated);
        before.metadata.annotations = annotations;
        let leases: Api<Lease> = Api::namespaced(plane.client_as("asker"), &namespace);
        before = leases
            .replace(&name, &PostParams::default(), &before)
            .await
            .unwrap();
    }
    simulate_wall(written.unwrap_or(created));
    lease.metadata.resource_version = before.metadata.resource_version;
    leases
        .replace(&name, &PostParams::default(), &lease)
        .await
        .unwrap();
    if let Some(deleted) = deleted {
        simulate_wall(deleted.0);
        leases.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    simulate_wall(now());
}

async fn serve(listener: TcpListener, service: ApiService, date: Date) {
    let dated = ServiceBuilder::new()
        .map_response(move |mut response: http::Response<local_controlplane::ApiBody>| {
            let date = date.lock().unwrap().clone();
            response.headers_mut().insert(header::DATE, date);
            response
        })
        .service(service);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(dated.clone());
        #[expect(clippy::disallowed_methods, reason = "the server of this test")]
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
