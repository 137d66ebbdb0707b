//! Any change to any message, and any bytes at all: refused, and never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::soak;
use super::world::*;
use crate::*;

/// What is done to a message.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Delete(Index, usize),
    /// A piece of it in another place.
    Copy(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Replace(at, bytes)),
        (any::<Index>(), vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1_usize..40).prop_map(|(at, count)| Change::Delete(at, count)),
        (any::<Index>(), any::<Index>(), 1_usize..40).prop_map(|(to, from, n)| Change::Copy(to, from, n)),
    ]
}

fn apply(message: &[u8], change: &Change) -> Vec<u8> {
    let mut out = message.to_vec();
    let end = |at: usize, count: usize| (at + count).min(message.len());
    match change {
        Change::Replace(at, bytes) => {
            let at = at.index(message.len());
            let end = end(at, bytes.len());
            out[at..end].copy_from_slice(&bytes[..end - at]);
        }
        Change::Insert(at, bytes) => {
            let at = at.index(message.len() + 1);
            out.splice(at..at, bytes.iter().copied());
        }
        Change::Delete(at, count) => {
            let at = at.index(message.len());
            out.drain(at..end(at, *count));
        }
        Change::Copy(to, from, count) => {
            let (to, from) = (to.index(message.len()), from.index(message.len()));
            let count = (*count).min(message.len() - to).min(message.len() - from);
            out.copy_within(from..from + count, to);
        }
    }
    out
}

fn config() -> ProptestConfig {
    ProptestConfig::with_cases(if soak() { 5_000 } else { 300 })
}

thread_local! {
    static WORLD: World = World::new(&BOTH[1..]);
}

fn play(
    world: &World,
    who: Who,
    mut pass: impl FnMut(usize, Vec<u8>) -> Vec<u8>,
) -> Result<ClientSession, Error> {
    let (client, hello) = world.seeded_start();
    let (server, answer) = world.server.answer(&pass(0, hello), NOW)?;
    let (client, finish) = world.seeded_finish(client, &pass(1, answer), who)?;
    let (_, accepted) = world.accept(server, &pass(2, finish), who)?;
    client.receive(&pass(3, accepted), NOW)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_changed_message_fails_the_handshake(place in 0_usize..4, who in 0_usize..3, change in change()) {
        let who = EVERYBODY[who];
        let (failed, same) = WORLD.with(|world| {
            let mut same = false;
            let failed = play(world, who, |at, message| {
                if at != place {
                    return message;
                }
                let changed = apply(&message, &change);
                same = changed == message;
                changed
            });
            (failed.is_err(), same)
        });
        prop_assert_eq!(failed, !same);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in vec(any::<u8>(), 0..6000), genuine in 0_usize..60) {
        WORLD.with(|world| {
            let (_, _, flights) = world.seeded_connect(Who::ApiKey);
            // Bytes that go on like a message for a while get further.
            for message in [&flights.client_hello, &flights.server_hello, &flights.client_finish, &flights.accepted] {
                let genuine = genuine.min(message.len() - 1);
                let bytes = [&message[..genuine], &bytes[..]].concat();
                prop_assume!(bytes != *message);
                let (client, hello) = world.seeded_start();
                let (server, answer) = world.seeded_answer(&hello).unwrap();
                let client_only = world.server.answer(&bytes, NOW);
                prop_assert!(client_only.is_err() || bytes.len() > 1000);
                prop_assert!(world.seeded_finish(client, &bytes, Who::ApiKey).is_err());
                prop_assert!(server.receive(&bytes, NOW).is_err());
                let (client, _) = world.seeded_start();
                let (client, _) = world.seeded_finish(client, &answer, Who::ApiKey).unwrap();
                prop_assert!(client.receive(&bytes, NOW).is_err());
                let (client, server, _) = world.seeded_connect(Who::ApiKey);
                let mut call = seeded_call(&client, &server);
                prop_assert!(server.receive(METHOD, bytes.clone(), NOW).is_err());
                prop_assert!(opened(&mut call.answers, &bytes).is_err());
                prop_assert!(opened(&mut call.served.requests, &bytes).is_err());
            }
            Ok(())
        })?;
    }
}
