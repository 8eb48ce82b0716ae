//! What a step costs: one election with 1,000 candidates, vacant and held. The budget is 50 µs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use election_core::elector::{Election, Rules};
use election_core::{
    IdentityLease, LeaderLease, LeaseKey, LeaseSeconds, Mono, Record, Revision, Uid, Versions, Wall,
};

const NOW: Mono = Mono::from_nanos(1_000_000_000_000);
const CANDIDATES: i64 = 1_000;

fn candidate(index: i64) -> Arc<IdentityLease> {
    let version = format!("1.{}", 30 + index % 3)
        .parse::<election_core::Version>()
        .expect("a version");
    Arc::new(IdentityLease {
        key: LeaseKey::new("default", &format!("sample-controller-7d9f8b6c5d-{index:05}")),
        uid: Uid::new("0c5a3e0e-4f6b-4f0e-9a53-0d2c1a7a1f11"),
        revision: Revision::new("123456"),
        incarnation: Some("6e3bff9c-9a0e-4a0d-8a5c-3b9d1c0c7e55".into()),
        renew_time: Some(Wall::from_micros(index)),
        duration: LeaseSeconds::IDENTITY,
        leads: vec![LeaseKey::new("default", "demo")],
        refused: Vec::new(),
        versions: Ok(Versions {
            binary: version.clone(),
            emulation: version,
        }),
        created: Some(Wall::from_micros(index % 7)),
        owned_by_pod: false,
    })
}

fn election(record: Record) -> Election {
    let mut election = Election::new(LeaseKey::new("default", "demo"), Rules::default(), NOW);
    for index in 0..CANDIDATES {
        election.observe_candidate(NOW, candidate(index));
    }
    election.observe_lease(
        NOW,
        LeaderLease {
            key: LeaseKey::new("default", "demo"),
            uid: Uid::new("u"),
            revision: Revision::new("1"),
            record,
            strategy: None,
            controls: None,
        },
    );
    election
}

fn steps(criterion: &mut Criterion) {
    let stamp = Some(Wall::from_micros(1));
    let held = Record {
        holder: Some("sample-controller-7d9f8b6c5d-00003".into()),
        renew_time: stamp,
        acquire_time: stamp,
        incarnation: Some("i".into()),
        ..Record::default()
    };
    let offered = Record {
        renew_time: None,
        acquire_time: None,
        incarnation: None,
        ..held.clone()
    };
    for (name, record) in [("held", held), ("offered", offered)] {
        let mut election = election(record);
        criterion.bench_function(&format!("step of 1,000 candidates, {name}"), |bencher| {
            bencher.iter(|| black_box(election.step(black_box(NOW + Duration::from_millis(500)))));
        });
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
