//! Elections: who is offered the lease, who is left alone, and what people can see of it.

use std::time::Duration;

use crate::world::{DEMO, World, hand_written, holder_of, options, pass, renew_time_of};

#[tokio::test(start_paused = true)]
async fn the_best_hand_written_candidate_is_offered_the_lease() {
    let world = World::new();
    world.create(hand_written("alpha", "1.30")).await;
    world.create(hand_written("bravo", "1.29")).await;
    let _elector = world.elector(options());
    world.until_holder(DEMO, "bravo").await;
    let lease = world.get(DEMO).await.expect("the lease");
    assert_eq!(renew_time_of(&lease), None, "an offer is no acceptance");
    pass(Duration::from_secs(60)).await;
    assert_eq!(
        world.get(DEMO).await.as_ref().and_then(holder_of).as_deref(),
        Some("bravo"),
        "the offer stays"
    );
}
