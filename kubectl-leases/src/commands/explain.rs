//! `kubectl leases explain`: one decision in sentences.

use std::io::Write;

use clap::Args;
use election_core::{LeaseKey, Strategy};

use crate::cli::Found;
use crate::cluster::Error;
use crate::connection::{Connection, Place, lease_name};
use crate::electors::Electors;
use crate::explain::{WhatIf, check, explain, print};
use crate::moment::Moment;
use crate::output::{ObjectFormat, object};
use crate::survey::Survey;
use crate::words::plain;

const HELP: &str = "\
Examples:
  # Why does this one lead?
  kubectl leases explain -n kube-system sample-controller

  # Would a 1.28 take over if it joined?
  kubectl leases explain -n kube-system sample-controller --what-if new=1.28

  # A 1.30 that behaves as 1.29 joins while bravo is gone.
  kubectl leases explain demo --what-if new=1.30/1.29 --what-if bravo=gone

What happens next is played by the elector's own rules from one read, as if
everybody who lives answered at once. What was tried before the read (offers
that nobody took, preemptions that failed) is not known.

Exit code: 0; 1 on errors.";

/// Explain a decision: each candidate's rank and reason, what happens next, what would change it.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Explain {
    /// The lease.
    #[arg(value_name = "LEASE", value_parser = lease_name)]
    name: String,
    /// The namespace. [default: that of the context]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Suppose a candidate: IDENTITY=VERSION[/EMULATION] has just joined, or IDENTITY=gone; may be repeated.
    #[arg(long, visible_alias = "as-of", value_name = "SUPPOSITION")]
    what_if: Vec<WhatIf>,
    /// The form of the output.
    #[arg(short, long, value_enum)]
    output: Option<ObjectFormat>,
    /// The strategy of leases that ask for none, if your elector runs with another one than the default.
    #[arg(long, default_value_t)]
    strategy: Strategy,
    #[command(flatten)]
    connection: Connection,
}

impl Explain {
    pub(crate) async fn run(&self, out: &mut impl Write, err: &mut impl Write) -> Result<Found, Error> {
        let place = Place {
            namespace: self.namespace.clone(),
            all_namespaces: false,
        };
        let session = self.connection.open(&place).await?;
        let (leases, electors) =
            futures::future::try_join(session.cluster.leases(), Electors::ask(&session.cluster)).await?;
        let moment = Moment::of(session.cluster.clock.now(), &leases);
        let survey = Survey::new(&leases, moment, self.strategy);
        let key = LeaseKey::new(&session.namespace, &self.name);
        survey.must_know(&key)?;
        check(&survey, &key, &self.what_if).map_err(Error::Steer)?;
        for warning in survey.warnings_about(&key) {
            writeln!(err, "Warning: {}", plain(&warning))?;
        }
        let explained = explain(&survey, &key, electors, &self.what_if);
        match self.output {
            None => print(out, &explained)?,
            Some(format) => object(out, format, &explained)?,
        }
        Ok(Found::Answer)
    }
}
