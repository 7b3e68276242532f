//! The software driver reports misuse that a real one leaves silent: there is none.

use softcuda::reports;

use crate::common::calls::{DEVICE_CALLS, WORLD_CALLS};
use crate::common::world::World;
use crate::common::{child, device};

#[test]
fn no_public_call_misuses_the_driver() {
    child::run("reports::no_public_call_misuses_the_driver", child::same_environment, || {
        let world = World::new(device());
        for call in DEVICE_CALLS {
            (call.run)(&world.device).unwrap_or_else(|error| panic!("{}: {error}", call.name));
            assert_eq!(reports(), [], "{}", call.name);
        }
        for call in WORLD_CALLS {
            (call.run)(&world).unwrap_or_else(|error| panic!("{}: {error}", call.name));
            assert_eq!(reports(), [], "{}", call.name);
        }
        drop(world);
        assert_eq!(reports(), [], "dropping");
    });
}
