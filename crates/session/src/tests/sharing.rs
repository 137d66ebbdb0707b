//! Several processes that serve one session: what they share, and what they never do.

use std::collections::HashSet;

use super::flipped;
use super::world::*;
use crate::*;

use tyto_pqc::Secret32;

fn state_key() -> StateKey {
    StateKey::new(&Secret32::from_bytes([0x77; 32]), NOW).unwrap()
}

/// A client's session and two processes that loaded the server's from the same bytes.
fn two_processes() -> (ClientSession, [ServerSession; 2], MemoryAdmission) {
    let (client, server, admission) = sessions();
    let state = server.export(&state_key(), NOW).unwrap();
    let load = || ServerSession::import(&state_key(), &name(AUDIENCE), client.id(), &state, NOW).unwrap();
    let both = [load(), load()];
    (client, both, admission)
}

#[test]
fn a_stored_session_is_the_same_session() {
    let (client, [first, second], admission) = two_processes();
    for server in [&first, &second] {
        assert_eq!((server.id(), server.suite()), (client.id(), client.suite()));
        assert_eq!(server.principal(), client.principal());
        assert_eq!(server.credential(), &CredentialId::Mac(name("tk_4f2a")));
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
            let mut served = pending.admit(&AdmitsAll, NOW).unwrap();
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
        let mut sealer = pending.admit(&AdmitsAll, NOW).unwrap().answers;
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

/// A session that its admission has forgotten stays forgotten, however often its state is loaded: what was recorded is not
/// served again.
#[test]
fn a_forgotten_session_cannot_be_opened_again() {
    let (client, [first, second], admission) = two_processes();
    let (mut requests, _) = client.begin(METHOD, NOW).unwrap();
    let record = requests.seal(Kind::Data, b"recorded", NOW).unwrap();
    assert!(first.receive(METHOD, record.clone(), NOW).unwrap().admit(&admission, NOW).is_ok());
    admission.close(first.id());
    let unknown = Some(Error::NotAdmitted(Refusal::UnknownSession));
    for server in [&first, &second] {
        let pending = server.receive(METHOD, record.clone(), NOW).unwrap();
        assert_eq!(pending.admit(&admission, NOW).err(), unknown);
    }
    // Nor does a store that begins anew know it, or one that knows a session of that id.
    let anew = super::world::admission();
    let pending = first.receive(METHOD, record.clone(), NOW).unwrap();
    assert_eq!(pending.admit(&anew, NOW).err(), unknown);
    let opening = Opening {
        session: first.id(),
        principal: name(PRINCIPAL),
        is_anonymous: false,
        max_rpcs: MAX,
        expires_at_ms: first.expires_at_ms(),
    };
    anew.open(opening, NOW).unwrap();
    let pending = first.receive(METHOD, record, NOW).unwrap();
    assert_eq!(pending.admit(&anew, NOW).err(), unknown);
}

#[test]
fn stored_state_that_was_altered_or_swapped_does_not_load() {
    let (client, server, _) = sessions();
    let state = server.export(&state_key(), NOW).unwrap();
    assert!(state.len() <= MAX_STATE_BYTES);
    let load = |key: &StateKey, audience: &str, id, bytes: &[u8]| {
        ServerSession::import(key, &name(audience), id, bytes, NOW).err()
    };
    let (key, id) = (state_key(), client.id());
    assert_eq!(load(&key, AUDIENCE, id, &state), None);
    for bit in 0..8 * state.len() {
        assert_eq!(load(&key, AUDIENCE, id, &flipped(&state, bit)), Some(Error::State), "bit {bit}");
    }
    for length in 0..state.len() {
        assert_eq!(load(&key, AUDIENCE, id, &state[..length]), Some(Error::State));
    }
    assert_eq!(load(&key, AUDIENCE, id, &vec![0; MAX_STATE_BYTES + 1]), Some(Error::State));
    assert_eq!(load(&key, "other.example", id, &state), Some(Error::State), "of another service");
    assert_eq!(load(&key, AUDIENCE, SessionId::from_bytes([1; 16]), &state), Some(Error::State));
    let other_key = StateKey::new(&Secret32::from_bytes([0x78; 32]), NOW).unwrap();
    assert_eq!(load(&other_key, AUDIENCE, id, &state), Some(Error::State));
}

/// What is stored does not outlive the session, nor the key what it may store.
#[test]
fn stored_state_and_its_key_expire() {
    let (client, server, _) = sessions();
    let state = server.export(&state_key(), NOW).unwrap();
    let load = |key: &StateKey, now_ms| {
        ServerSession::import(key, &name(AUDIENCE), client.id(), &state, now_ms).err()
    };
    let end = server.expires_at_ms();
    assert_eq!(load(&state_key(), end - 1), None);
    assert_eq!(load(&state_key(), end), Some(Error::SessionExpired));
    let made_at = |ms| StateKey::new(&Secret32::from_bytes([0x77; 32]), ms).unwrap();
    let oldest = NOW - MAX_STATE_KEY_AGE_MS;
    assert!(server.export(&made_at(oldest + 1), NOW).is_ok());
    assert_eq!(server.export(&made_at(oldest), NOW).err(), Some(Error::StateKeyExpired));
    let early = NOW + MAX_CLOCK_SKEW_MS;
    assert!(server.export(&made_at(early), NOW).is_ok());
    assert_eq!(server.export(&made_at(early + 1), NOW).err(), Some(Error::StateKeyExpired));
    let oldest = oldest - 1000 * u64::from(MAX_LIFETIME_S);
    assert_eq!(load(&made_at(oldest + 1), NOW), None);
    assert_eq!(load(&made_at(oldest), NOW), Some(Error::StateKeyExpired));
}
