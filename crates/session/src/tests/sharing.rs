//! Several processes that serve one session: what they share, and what they never do.

use std::collections::HashSet;

use super::flipped;
use super::world::*;
use crate::*;

use tyto_pqc::Secret32;

fn state_key() -> StateKey {
    StateKey::new(&Secret32::from_bytes([0x77; 32])).unwrap()
}

/// A client's session and two processes that loaded the server's from the same bytes.
fn two_processes() -> (ClientSession, [ServerSession; 2], MemoryAdmission) {
    let (client, server, admission) = sessions();
    let state = server.export(&state_key()).unwrap();
    let load = || ServerSession::import(&state_key(), client.id(), &state, NOW).unwrap();
    let both = [load(), load()];
    (client, both, admission)
}

#[test]
fn a_stored_session_is_the_same_session() {
    let (client, [first, second], admission) = two_processes();
    for server in [&first, &second] {
        assert_eq!((server.id(), server.suite()), (client.id(), client.suite()));
        assert_eq!((server.principal(), server.max_rpcs()), (client.principal(), MAX));
        assert_eq!(server.expires_at_ms(), client.expires_at_ms());
        let mut call = call(&client, server, &admission);
        let answer = call.served.answers.seal(Kind::End, b"answer", NOW).unwrap();
        assert_eq!(opened(&mut call.answers, &answer), Ok((Kind::End, b"answer".to_vec())));
    }
}

/// Two processes, even with one and the same RPC, where admission failed to keep one of them away: what they seal was
/// never sealed with the same key and nonce. Sealed zeros are the key stream itself.
#[test]
fn two_processes_never_share_a_key_and_a_nonce() {
    let (client, servers, _) = two_processes();
    let mut streams = HashSet::new();
    let mut sealed = 0;
    for _ in 0..8 {
        let (mut requests, _) = client.begin(METHOD, NOW).unwrap();
        let first = requests.seal(Kind::Data, &[0; 16], NOW).unwrap();
        streams.insert(first[34..50].to_vec());
        for server in servers.iter().chain(&servers) {
            let pending = server.receive(METHOD, first.clone(), NOW).unwrap();
            let mut served = pending.resolve(Ok(())).unwrap();
            for count in 0..20 {
                let record = served.answers.seal(Kind::Data, &[0; 16], NOW).unwrap();
                let head = if count == 0 { 18 } else { 2 };
                streams.insert(record[head..head + 16].to_vec());
                sealed += 1;
            }
        }
        sealed += 1;
    }
    assert_eq!(streams.len(), sealed, "two records have one key stream");
}

/// The client takes one answer, from one process: the records of the other do not fit in between.
#[test]
fn answers_of_two_processes_do_not_mix() {
    let (client, servers, _) = two_processes();
    let (mut requests, mut answers) = client.begin(METHOD, NOW).unwrap();
    let first = requests.seal(Kind::Data, b"", NOW).unwrap();
    let [here, there] = servers.each_ref().map(|server| {
        let pending = server.receive(METHOD, first.clone(), NOW).unwrap();
        let mut sealer = pending.resolve(Ok(())).unwrap().answers;
        [b"one", b"two"].map(|text| sealer.seal(Kind::Data, text, NOW).unwrap())
    });
    assert!(opened(&mut answers, &here[0]).is_ok());
    assert_eq!(opened(&mut answers, &there[1]), Err(Error::RecordRefused));
}

#[test]
fn an_rpc_is_served_by_one_of_two_processes() {
    let (client, servers, admission) = two_processes();
    for winner in [0, 1] {
        let (mut requests, _) = client.begin(METHOD, NOW).unwrap();
        let first = requests.seal(Kind::Data, b"", NOW).unwrap();
        let pending = |at: usize| servers[at].receive(METHOD, first.clone(), NOW).unwrap();
        let (one, other) = (pending(winner), pending(1 - winner));
        assert!(one.admit(&admission, NOW).is_ok());
        assert_eq!(other.admit(&admission, NOW).err(), Some(Error::NotAdmitted(Refusal::Repeated)));
    }
}

#[test]
fn stored_state_that_was_altered_or_swapped_does_not_load() {
    let (client, server, _) = sessions();
    let state = server.export(&state_key()).unwrap();
    assert!(state.len() <= MAX_STATE_BYTES);
    let load = |key: &StateKey, id, bytes: &[u8], now| ServerSession::import(key, id, bytes, now).err();
    assert_eq!(load(&state_key(), client.id(), &state, NOW), None);
    for bit in 0..8 * state.len() {
        let altered = flipped(&state, bit);
        assert_eq!(load(&state_key(), client.id(), &altered, NOW), Some(Error::State), "bit {bit}");
    }
    for length in 0..state.len() {
        assert_eq!(load(&state_key(), client.id(), &state[..length], NOW), Some(Error::State));
    }
    let other_id = SessionId::from_bytes([1; 16]);
    assert_eq!(load(&state_key(), other_id, &state, NOW), Some(Error::State));
    let other_key = StateKey::new(&Secret32::from_bytes([0x78; 32])).unwrap();
    assert_eq!(load(&other_key, client.id(), &state, NOW), Some(Error::State));
    let end = server.expires_at_ms();
    assert_eq!(load(&state_key(), client.id(), &state, end - 1), None);
    assert_eq!(load(&state_key(), client.id(), &state, end), Some(Error::SessionExpired));
}
