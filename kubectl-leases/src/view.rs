//! What is said about a coordinated lease, in the form in which `-o json` and `-o yaml` print it.
//!
//! How it is found out is in `survey.rs`. Fields that are not known are absent.

use clap::ValueEnum;
use serde::Serialize;

use crate::moment::TimeSource;

/// The version of this form.
pub const API_VERSION: &str = "coordinated-election.io/v1alpha1";

/// Several leases.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseStatusList {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `LeaseStatusList`.
    pub kind: &'static str,
    /// The leases, by namespace and name.
    pub items: Vec<LeaseStatus>,
}

impl LeaseStatusList {
    /// A list of these.
    #[must_use]
    pub const fn new(items: Vec<LeaseStatus>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "LeaseStatusList",
            items,
        }
    }
}

/// The name of an object, as objects of Kubernetes have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
}

/// A coordinated lease at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseStatus {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `LeaseStatus`.
    pub kind: &'static str,
    /// Where objects of Kubernetes have their names: for templates that are used to it.
    pub metadata: Metadata,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// One of the five states, `Missing`, or `Deleted` in the last line about a lease that is gone.
    pub state: String,
    /// What is remarkable about the state.
    pub conditions: Vec<Condition>,
    /// What people ask of the election, by whom and when, as it stands on the lease.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
    /// Who holds the lease, or is offered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Its versions, as its identity lease says them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionPair>,
    /// The nominated successor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_holder: Option<String>,
    /// The number of grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u32>,
    /// The fencing token of the term is this one or a lower one. It is the resource version of the acceptance, and each
    /// write since then has replaced that on the lease; only the leader itself still knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fencing_token_at_most: Option<String>,
    /// When the term began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquire_time: Option<String>,
    /// How long ago that was, by the time of `observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_seconds: Option<u64>,
    /// When it was offered, as far as the server has noted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer_time: Option<String>,
    /// How long ago that was, by the time of `observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_seconds_ago: Option<u64>,
    /// When it was last renewed, by the clock of who renewed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_time: Option<String>,
    /// How long ago that was, by the time of `observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed_seconds_ago: Option<u64>,
    /// For how long the holder may still be silent: an estimate, because an elector goes by what it has seen itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
    /// How long the lease is good for after a renewal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_duration_seconds: Option<u32>,
    /// The rule of choice.
    pub strategy: StrategyView,
    /// What an elector would do now, as far as one moment shows it.
    pub decision: Statement,
    /// Why.
    pub reason: Statement,
    /// The candidates, the best first.
    pub candidates: Vec<CandidateStatus>,
    /// When the lease was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// How long ago that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// When somebody deleted the lease, if it is there only because of its finalizers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<String>,
    /// What has to be removed before the lease is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// At which version the lease was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// When all this was read.
    pub observed: Observed,
}

/// What is remarkable about the state of a lease. `ValueEnum` lists the words, so that none is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub enum Condition {
    /// Nobody renewed it in time: an estimate by the server's time.
    Expired,
    /// A successor is nominated and has not asked for the lease yet.
    Nominated,
    /// The holder was asked to give way.
    Ending,
    /// The holder was asked to give way longer ago than its lease lasts, and goes on renewing.
    Overdue,
    /// Nobody preempts the holder, because somebody asked for that.
    OnHold,
    /// Somebody asked for one candidate to lead whenever it can.
    Pinned,
    /// Somebody asked one process to lead only if nobody else can.
    SteppingDown,
    /// An ordinary client holds it, which the elector does not disturb.
    OrdinaryHolder,
    /// It was offered, and nobody accepted in time.
    Unanswered,
    /// Nobody who offers itself could lead.
    NoElectableCandidate,
    /// Somebody could lead for a while already, and no elector has done anything about it.
    Unattended,
    /// Somebody deleted it, and it is there only until its finalizers are removed.
    Deleting,
    /// Nobody offers itself for it and no elector has granted it: a program elects its leader by itself.
    NotCoordinated,
}

impl Condition {
    /// The word in a table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nominated => "Nominated",
            Self::Ending => "Ending",
            Self::Overdue => "Overdue",
            Self::Expired => "Expired",
            Self::OnHold => "OnHold",
            Self::Pinned => "Pinned",
            Self::SteppingDown => "SteppingDown",
            Self::OrdinaryHolder => "OrdinaryHolder",
            Self::Unanswered => "Unanswered",
            Self::NoElectableCandidate => "Stuck",
            Self::Unattended => "Unattended",
            Self::Deleting => "Deleting",
            Self::NotCoordinated => "NotCoordinated",
        }
    }

    /// Whether somebody should do something about it.
    #[must_use]
    pub const fn is_problem(self) -> bool {
        match self {
            Self::Overdue
            | Self::Expired
            | Self::OrdinaryHolder
            | Self::Unanswered
            | Self::NoElectableCandidate
            | Self::Unattended
            | Self::Deleting => true,
            Self::Nominated
            | Self::Ending
            | Self::OnHold
            | Self::Pinned
            | Self::SteppingDown
            | Self::NotCoordinated => false,
        }
    }
}

/// The two versions of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionPair {
    /// What it behaves as.
    pub emulation: String,
    /// What it is.
    pub binary: String,
}

/// Which strategy, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StrategyView {
    /// Its name.
    pub name: &'static str,
    /// Whether the lease asks for it. If not, this is the flag of the plugin, and the elector may be told otherwise.
    pub from_lease: bool,
}

/// Something for machines and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// A word that stays the same.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

/// A candidate for a lease.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// Who it is.
    pub identity: String,
    /// Its versions, if they can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionPair>,
    /// Where it stands.
    pub standing: Statement,
    /// Whether it could lead: alive by the server's time, with readable versions.
    pub live: bool,
    /// Whether it was written by hand: no process stands behind it that could be watched.
    pub hand_written: bool,
    /// When it renewed its identity lease, by its own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_time: Option<String>,
    /// How long ago that was, by the time of `observed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed_seconds_ago: Option<u64>,
}

/// Candidates of several leases.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateList {
    /// [`API_VERSION`].
    pub api_version: &'static str,
    /// `CandidateStatusList`.
    pub kind: &'static str,
    /// The candidates, by lease, the best first.
    pub items: Vec<CandidateRow>,
}

impl CandidateList {
    /// A list of these.
    #[must_use]
    pub const fn new(items: Vec<CandidateRow>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "CandidateStatusList",
            items,
        }
    }
}

/// A candidate with the lease that it offers itself for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CandidateRow {
    /// The identity lease of the candidate.
    pub metadata: Metadata,
    /// The namespace of both.
    pub namespace: String,
    /// The lease that it offers itself for.
    pub lease: String,
    /// Its place among those that could lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
    /// What is said about it.
    #[serde(flatten)]
    pub candidate: CandidateStatus,
}

impl CandidateRow {
    /// The candidates of a lease, the best first.
    #[must_use]
    pub fn of(status: &LeaseStatus) -> Vec<Self> {
        let mut live = 0;
        let mut row = |candidate: &CandidateStatus| {
            live += usize::from(candidate.live);
            Self {
                metadata: Metadata {
                    name: candidate.identity.clone(),
                    namespace: status.namespace.clone(),
                },
                namespace: status.namespace.clone(),
                lease: status.name.clone(),
                rank: candidate.live.then_some(live),
                candidate: candidate.clone(),
            }
        };
        status.candidates.iter().map(&mut row).collect()
    }
}

/// When something was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where it comes from.
    pub source: TimeSource,
}

impl LeaseStatus {
    /// The state with what is remarkable about it, as `kubectl get nodes` writes it.
    #[must_use]
    pub fn state_words(&self) -> String {
        let words = self.conditions.iter().map(|condition| condition.as_str());
        std::iter::once(self.state.as_str())
            .chain(words)
            .collect::<Vec<_>>()
            .join(",")
    }

    /// That it was deleted and what keeps it, in words; `None` when nobody deleted it.
    #[must_use]
    pub fn deletion(&self) -> Option<String> {
        let deleted = self.deletion_timestamp.as_ref()?;
        Some(format!(
            "at {deleted}; it is there, and its election goes on, until its finalizers are removed: {}",
            self.finalizers.join(", ")
        ))
    }

    /// Whether somebody should do something about it. A lease that is not coordinated is nobody's concern here.
    #[must_use]
    pub fn is_problem(&self) -> bool {
        !self.conditions.contains(&Condition::NotCoordinated)
            && self.conditions.iter().any(|condition| condition.is_problem())
    }

    /// Whether it is in this state, or this is remarkable about it; upper and lower case are the same.
    #[must_use]
    pub fn is(&self, word: &str) -> bool {
        let conditions = self.conditions.iter().map(|condition| condition.as_str());
        std::iter::once(self.state.as_str())
            .chain(conditions)
            .any(|known| known.eq_ignore_ascii_case(word))
    }

    /// How many candidates could lead, and how many there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (
            self.candidates.iter().filter(|candidate| candidate.live).count(),
            self.candidates.len(),
        )
    }

    /// Whether the two say the same, whatever time has passed between them.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        self.timeless() == other.timeless()
    }

    /// Without anything that changes only because time passes, or because somebody who lives says so.
    fn timeless(&self) -> Self {
        let mut status = self.clone();
        let observed = Observed {
            time: None,
            source: TimeSource::Unknown,
        };
        (
            status.renew_time,
            status.renewed_seconds_ago,
            status.expires_in_seconds,
        ) = (None, None, None);
        status.held_seconds = None;
        (status.offer_time, status.offered_seconds_ago) = (None, None);
        (status.age_seconds, status.resource_version, status.observed) = (None, None, observed);
        status.fencing_token_at_most = None;
        status.decision.message.clear();
        status.reason.message.clear();
        for candidate in &mut status.candidates {
            (candidate.renew_time, candidate.renewed_seconds_ago) = (None, None);
            candidate.standing.message.clear();
        }
        status
    }
}
