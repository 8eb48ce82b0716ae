//! Who may do what: who asks, the elector, and the candidates. What each of them needs is what artifacts/rbac.yaml grants.

use std::collections::BTreeSet;

use election_core::LeaseKey;
use futures::future::try_join_all;
use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::Finding;
use crate::cluster::{Cluster, Error};
use crate::electors::electors_lease;

/// A user, and where it needs rights.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// `system:serviceaccount:NAMESPACE:NAME`, or any other name.
    pub(crate) user: String,
    /// Whether somebody said that it is this user; if not, a lack of rights may only mean that it is another one.
    pub(crate) named: bool,
}

/// Something that somebody needs to be allowed.
#[derive(Clone, Debug)]
struct Need {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    /// `None` for all of them.
    namespace: Option<String>,
    name: Option<String>,
}

impl Need {
    fn lease(verb: &'static str, namespace: Option<&str>, name: Option<&str>) -> Self {
        Self {
            group: "coordination.k8s.io",
            resource: "leases",
            verb,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }

    fn event(verb: &'static str, namespace: Option<&str>) -> Self {
        Self {
            group: "events.k8s.io",
            resource: "events",
            verb,
            namespace: namespace.map(str::to_owned),
            name: None,
        }
    }

    fn attributes(&self) -> ResourceAttributes {
        ResourceAttributes {
            group: Some(self.group.to_owned()),
            resource: Some(self.resource.to_owned()),
            verb: Some(self.verb.to_owned()),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            ..ResourceAttributes::default()
        }
    }

    /// What it is about, without the verb.
    fn of_what(&self) -> String {
        let name = self
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!(" {name:?}"));
        let place = self.namespace.as_ref().map_or_else(
            || "in all namespaces".to_owned(),
            |namespace| format!("in namespace {namespace}"),
        );
        format!("{}.{}{name} {place}", self.resource, self.group)
    }
}

/// Whether who asks may read what these commands read. Without the first part nothing can be shown; without the others it is
/// less than there is.
///
/// # Errors
/// [`Error`], except that the server refuses to say.
pub(crate) async fn own(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Finding>, Error> {
    let electors = electors_lease();
    let leases = ["get", "list", "watch"].map(|verb| Need::lease(verb, namespace, None));
    let of_electors = Need::lease("get", Some(electors.namespace()), Some(electors.name()));
    let parts: [(Vec<Need>, &str); 3] = [
        (leases.into(), "without it these commands show less than there is"),
        (
            vec![of_electors],
            "without it an elector is judged only by what it leaves undone",
        ),
        (
            vec![Need::event("list", namespace)],
            "without it kubectl leases timeline does not work",
        ),
    ];
    let mut findings = Vec::new();
    for (part, (needs, without)) in parts.into_iter().enumerate() {
        let missing = match missing(cluster, None, needs).await? {
            Err(why) => return Ok(vec![cannot_tell("your rights", &why)]),
            Ok(missing) if missing.is_empty() => continue,
            Ok(missing) => missing.join(", nor "),
        };
        let message = format!("may not {missing}; {without}");
        let advice = format!("ask for a role that grants {missing} (artifacts/rbac-people.yaml has some)");
        findings.push(match part {
            0 => Finding::warning("RightsMissing", "you", message, &advice),
            _ => Finding::note("RightsMissing", "you", message, &advice),
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("Rights", "you", "may read leases and Events"));
    }
    Ok(findings)
}

/// Whether the elector may do its work in these namespaces.
///
/// # Errors
/// [`Error`], except that the server refuses to say.
pub(crate) async fn elector(
    cluster: &Cluster,
    actor: &Actor,
    namespaces: Option<&BTreeSet<String>>,
) -> Result<Finding, Error> {
    let places: Vec<Option<&str>> = match namespaces {
        None => vec![None],
        Some(namespaces) => namespaces
            .iter()
            .map(|namespace| Some(namespace.as_str()))
            .collect(),
    };
    let needs = places.iter().flat_map(|place| {
        let leases = ["get", "list", "watch", "create", "update", "delete"]
            .map(|verb| Need::lease(verb, *place, None));
        let events = ["create", "patch"].map(|verb| Need::event(verb, *place));
        leases.into_iter().chain(events)
    });
    let about = format!("elector ({})", actor.user);
    let missing = missing(cluster, Some(&actor.user), needs.collect()).await?;
    Ok(match missing {
        Err(why) => cannot_tell(&about, &why),
        Ok(missing) if missing.is_empty() => Finding::ok("Rights", about, "may do its work"),
        Ok(missing) => {
            let message = format!("may not {}", missing.join(", nor "));
            if actor.named {
                Finding::problem(
                    "RightsMissing",
                    about,
                    message,
                    "grant it: kubectl apply -f artifacts/rbac.yaml",
                )
            } else {
                let advice = "if the elector runs as another user, name it with --elector-user; else kubectl apply -f \
                              artifacts/rbac.yaml";
                Finding::note("RightsMissing", about, message, advice)
            }
        }
    })
}

/// Whether a candidate may do its part.
///
/// # Errors
/// [`Error`], except that the server refuses to say.
pub(crate) async fn candidate(
    cluster: &Cluster,
    user: &str,
    identity: &str,
    lease: &LeaseKey,
) -> Result<Finding, Error> {
    let namespace = Some(lease.namespace());
    let of_lease =
        ["get", "list", "watch", "update"].map(|verb| Need::lease(verb, namespace, Some(lease.name())));
    let own =
        ["get", "list", "watch", "update", "delete"].map(|verb| Need::lease(verb, namespace, Some(identity)));
    let create = Need::lease("create", namespace, None);
    let needs = of_lease.into_iter().chain(own).chain([create]).collect();
    let about = format!("candidate {identity} ({user})");
    Ok(match missing(cluster, Some(user), needs).await? {
        Err(why) => cannot_tell(&about, &why),
        Ok(missing) if missing.is_empty() => Finding::ok("Rights", about, "may do its part"),
        Ok(missing) => {
            let message = format!("may not {}", missing.join(", nor "));
            let advice = "grant it in a Role like sample-controller-candidate of artifacts/rbac.yaml";
            Finding::problem("RightsMissing", about, message, advice)
        }
    })
}

/// Whose rights were not looked up, and why: candidates that no Pod owns, or that cannot be asked about, and so many that
/// were too many.
pub(crate) fn not_looked_up(unknown: &BTreeSet<&LeaseKey>, too_many: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(first) = unknown.first() {
        let whose = match unknown.len() {
            1 => format!("the user of candidate {first} is"),
            several => format!("the users of {several} candidates, {first} for one, are"),
        };
        let message = format!("{whose} not known: no Pod owns the identity lease, or it may not be read");
        let advice = "name the user that they run as with --candidate-user";
        findings.push(Finding::note("RightsUnknown", "candidates", message, advice));
    }
    if too_many > 0 {
        let message = format!("there are {too_many} more, whose rights were not looked up");
        let advice = "name one lease, as in kubectl leases doctor -n NAMESPACE LEASE";
        findings.push(Finding::note("RightsUnknown", "candidates", message, advice));
    }
    findings
}

fn cannot_tell(about: &str, why: &str) -> Finding {
    let advice = "let somebody look who may create subjectaccessreviews.authorization.k8s.io";
    Finding::note("RightsUnknown", about, format!("cannot be told: {why}"), advice)
}

/// What of this is not allowed, in words; or why that cannot be told.
async fn missing(
    cluster: &Cluster,
    user: Option<&str>,
    needs: Vec<Need>,
) -> Result<Result<Vec<String>, String>, Error> {
    let asked = needs.iter().map(|need| cluster.may(user, need.attributes()));
    let answers = match try_join_all(asked).await {
        Ok(answers) => answers,
        Err(error) => return error.refusal().map(Err),
    };
    let mut refused: Vec<(String, Vec<&str>)> = Vec::new();
    for (need, _) in needs.iter().zip(answers).filter(|(_, allowed)| !allowed) {
        let what = need.of_what();
        match refused.iter_mut().find(|(known, _)| *known == what) {
            Some((_, verbs)) => verbs.push(need.verb),
            None => refused.push((what, vec![need.verb])),
        }
    }
    let phrase = |(what, verbs): (String, Vec<&str>)| format!("{} {what}", verbs.join(", "));
    Ok(Ok(refused.into_iter().map(phrase).collect()))
}
