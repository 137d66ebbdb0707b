//! Every single bit of every handshake message: whichever is flipped on the way, the handshake fails.
//!
//! The normal run flips every bit of one handshake, and one in [`SAMPLE`] of the others; with `TYTO_SOAK=1` every bit of
//! all.

use super::world::*;
use super::{flipped, soak};
use crate::*;

/// Odd and prime to 8, so that all bits of bytes take part.
const SAMPLE: usize = 61;

fn bits(message: &[u8], every: bool) -> impl Iterator<Item = usize> {
    (0..8 * message.len()).step_by(if every || soak() { 1 } else { SAMPLE })
}

/// The last of the four steps that is reached by a handshake whose messages `alter` may change.
fn play(world: &World, who: Who, alter: impl Fn(usize, &[u8]) -> Vec<u8>) -> Result<ClientSession, Error> {
    let (client, hello) = world.seeded_start();
    let hello = alter(0, &hello);
    // A signature over an altered hello is the library's: that is faster than one that repeats.
    let real = hello != world.seeded_start().1;
    let (server, answer) =
        if real { world.server.answer(&hello, NOW)? } else { world.seeded_answer(&hello)? };
    let (client, finish) = world.seeded_finish(client, &alter(1, &answer), who)?;
    // The session of the last time has the same id.
    world.admission.close(server.session_id());
    let (_, accepted) = world.accept(server, &alter(2, &finish), who)?;
    client.receive(&alter(3, &accepted), NOW)
}

/// What an altered message may be refused for: by whom it is received, or at last by whom it was sent.
fn fits(place: usize, error: &Error) -> bool {
    let by_form = |read: Part| match error {
        Error::Malformed { part, .. } | Error::Version { part, .. } => *part == read,
        _ => false,
    };
    match place {
        0 => {
            let seen = matches!(error, Error::OtherSuite { .. } | Error::NoCommonSuite | Error::Audience);
            seen || by_form(Part::ClientHello) || *error == Error::ServerSignature
        }
        1 => {
            let unsigned = matches!(error, Error::ServerSignature | Error::UntrustedServer { .. });
            unsigned || by_form(Part::ServerHello) || *error == Error::Finished { part: Part::ServerHello }
        }
        2 => by_form(Part::ClientFinish) || *error == Error::NotAuthentic { part: Part::ClientFinish },
        _ => by_form(Part::Accepted) || *error == Error::NotAuthentic { part: Part::Accepted },
    }
}

fn every_flip_fails(list: &[Suite], who: Who, every: bool) {
    let world = World::new(list);
    let (_, _, flights) = world.seeded_connect(who);
    assert!(play(&world, who, |_, message| message.to_vec()).is_ok());
    let Flights { client_hello, server_hello, client_finish, accepted } = &flights;
    for (place, message) in [client_hello, server_hello, client_finish, accepted].into_iter().enumerate() {
        for bit in bits(message, every) {
            let alter = |at: usize, message: &[u8]| {
                if at == place { flipped(message, bit) } else { message.to_vec() }
            };
            let error = play(&world, who, alter).err();
            assert!(
                error.as_ref().is_some_and(|error| fits(place, error)),
                "message {place}, bit {bit}: {error:?}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_with_an_api_key() {
    every_flip_fails(&BOTH[1..], Who::ApiKey, true);
}

#[test]
fn flipped_bits_with_a_signature() {
    every_flip_fails(&BOTH[1..], Who::Signer, false);
}

#[test]
fn flipped_bits_with_the_larger_suite() {
    every_flip_fails(&BOTH, Who::ApiKey, false);
}

#[test]
fn flipped_bits_without_a_credential() {
    every_flip_fails(&BOTH[1..], Who::Nobody, false);
}
