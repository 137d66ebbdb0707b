//! What the record layer refuses. Each test begins with a stream that is right.

use super::flipped;
use super::world::*;
use crate::*;

/// Three requests after the first, the last of which is the end.
fn requests(call: &mut Call) -> [Vec<u8>; 3] {
    let kinds = [(Kind::Data, "one"), (Kind::Data, "two"), (Kind::End, "")];
    kinds.map(|(kind, text)| call.requests.seal(kind, text.as_bytes(), NOW).unwrap())
}

fn answers(call: &mut Call) -> [Vec<u8>; 3] {
    let kinds = [(Kind::Data, "one"), (Kind::Data, "two"), (Kind::End, "status")];
    kinds.map(|(kind, text)| call.served.answers.seal(kind, text.as_bytes(), NOW).unwrap())
}

const REFUSED: Result<(Kind, Vec<u8>), Error> = Err(Error::RecordRefused);

/// Opens records of a new stream, whose records `pick` chooses from: the last result, in each direction.
fn last_of(pick: impl Fn(&[Vec<u8>; 3]) -> Vec<Vec<u8>>) -> [Result<(Kind, Vec<u8>), Error>; 2] {
    let (client, server, admission) = sessions();
    let mut call = call(&client, &server, &admission);
    let (sent, answered) = (pick(&requests(&mut call)), pick(&answers(&mut call)));
    let last = |opener: &mut Opener, records: Vec<Vec<u8>>| {
        let mut results: Vec<_> = records.iter().map(|record| opened(opener, record)).collect();
        let last = results.pop().unwrap();
        assert!(results.iter().all(Result::is_ok));
        last
    };
    [last(&mut call.served.requests, sent), last(&mut call.answers, answered)]
}

#[test]
fn a_stream_opens_in_both_directions() {
    let (client, server, admission) = sessions();
    let mut call = call(&client, &server, &admission);
    let (sent, answered) = (requests(&mut call), answers(&mut call));
    let expected = |end: &str| {
        [(Kind::Data, b"one".to_vec()), (Kind::Data, b"two".to_vec()), (Kind::End, end.into())].map(Ok)
    };
    assert_eq!(sent.map(|record| opened(&mut call.served.requests, &record)), expected(""));
    assert_eq!(answered.map(|record| opened(&mut call.answers, &record)), expected("status"));
    assert_eq!((call.served.requests.finish(), call.answers.finish()), (Ok(()), Ok(())));
}

/// Every bit of the first request, of the first answer, and of a record within each stream.
#[test]
fn an_altered_record_is_refused() {
    let (client, server, _) = sessions();
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"first request", NOW).unwrap();
    for bit in 0..8 * first.len() {
        assert!(server.receive(METHOD, flipped(&first, bit), NOW).is_err(), "bit {bit} of the first request");
    }
    client.set_rpcs_left(u32::MAX);
    let mut call = seeded_call(&client, &server);
    let (sent, answered) = (requests(&mut call), answers(&mut call));
    for position in 0..3 {
        let (request, answer) = (&sent[position], &answered[position]);
        let at_position = || {
            let mut call = seeded_call(&client, &server);
            sent[..position].iter().for_each(|record| _ = opened(&mut call.served.requests, record).unwrap());
            answered[..position].iter().for_each(|record| _ = opened(&mut call.answers, record).unwrap());
            (call.served.requests, call.answers)
        };
        for bit in 0..8 * request.len() {
            let (mut opener, _) = at_position();
            assert!(opened(&mut opener, &flipped(request, bit)).is_err(), "request {position}, bit {bit}");
            // Nothing more is opened, not even what is right.
            assert_eq!(opened(&mut opener, request), Err(Error::StreamOver));
        }
        for bit in 0..8 * answer.len() {
            let (_, mut opener) = at_position();
            assert!(opened(&mut opener, &flipped(answer, bit)).is_err(), "answer {position}, bit {bit}");
            assert_eq!(opened(&mut opener, answer), Err(Error::StreamOver));
        }
    }
}

#[test]
fn a_dropped_record_is_refused() {
    assert_eq!(last_of(|all| vec![all[0].clone(), all[2].clone()]), [REFUSED, REFUSED]);
    // Without the first answer, what it brings is taken from the second.
    let [request, answer] = last_of(|all| vec![all[1].clone()]);
    assert!(request == REFUSED && answer.is_err());
}

/// Every order of three records but their own: the first that is out of place is refused, and nothing is opened after it.
#[test]
fn reordered_records_are_refused() {
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (client, server, admission) = sessions();
        let mut call = call(&client, &server, &admission);
        let (sent, answered) = (requests(&mut call), answers(&mut call));
        let in_place = order.iter().enumerate().take_while(|(at, record)| at == *record).count();
        let play = |opener: &mut Opener, records: &[Vec<u8>; 3]| -> Vec<_> {
            order.iter().map(|record| opened(opener, &records[*record])).collect()
        };
        let (requests, answers) =
            (play(&mut call.served.requests, &sent), play(&mut call.answers, &answered));
        assert!(requests[..in_place].iter().chain(&answers[..in_place]).all(Result::is_ok), "{order:?}");
        assert_eq!(requests[in_place], REFUSED, "{order:?}");
        // Of the answers, the first brings what its key is made with, and another has no such thing.
        assert!(answers[in_place].is_err(), "{order:?}");
        for late in requests[in_place + 1..].iter().chain(&answers[in_place + 1..]) {
            assert_eq!(*late, Err(Error::StreamOver), "{order:?}");
        }
        assert_eq!(call.served.requests.finish(), Err(Error::Truncated));
    }
}

#[test]
fn a_duplicated_record_is_refused() {
    let [request, answer] = last_of(|all| vec![all[0].clone(), all[0].clone()]);
    assert!(request == REFUSED && answer == REFUSED);
    assert_eq!(last_of(|all| vec![all[0].clone(), all[1].clone(), all[1].clone()]), [REFUSED, REFUSED]);
    let over = || Err(Error::StreamOver);
    let twice_the_end = |all: &[Vec<u8>; 3]| all.iter().chain(&all[2..]).cloned().collect();
    assert_eq!(last_of(twice_the_end), [over(), over()]);
}

/// A stream that just stops, at whatever record, and a record that is cut at whatever byte.
#[test]
fn a_truncated_stream_or_record_is_refused() {
    for kept in 0..=2 {
        let (client, server, admission) = sessions();
        let mut call = call(&client, &server, &admission);
        let (sent, answered) = (requests(&mut call), answers(&mut call));
        sent[..kept].iter().for_each(|record| _ = opened(&mut call.served.requests, record).unwrap());
        answered[..kept].iter().for_each(|record| _ = opened(&mut call.answers, record).unwrap());
        assert!(!call.served.requests.has_ended() && !call.answers.has_ended());
        assert_eq!(call.served.requests.finish(), Err(Error::Truncated), "{kept} records");
        assert_eq!(call.answers.finish(), Err(Error::Truncated), "{kept} records");
    }
    let (client, server, _) = sessions();
    client.set_rpcs_left(u32::MAX);
    let mut call = seeded_call(&client, &server);
    let (sent, answered) = (requests(&mut call), answers(&mut call));
    for length in 0..sent[0].len() {
        let mut opener = seeded_call(&client, &server).served.requests;
        assert!(opened(&mut opener, &sent[0][..length]).is_err(), "{length} bytes of a request");
    }
    for length in 0..answered[0].len() {
        let mut opener = seeded_call(&client, &server).answers;
        assert!(opened(&mut opener, &answered[0][..length]).is_err(), "{length} bytes of an answer");
    }
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    for length in 0..first.len() {
        assert!(server.receive(METHOD, first[..length].to_vec(), NOW).is_err(), "{length} bytes");
    }
}

/// A message cannot be passed off as an end, nor an end as a message.
#[test]
fn another_kind_is_refused() {
    assert_eq!(last_of(|all| vec![all[0].clone(), flipped(&all[1], 8)]), [REFUSED, REFUSED]);
    assert_eq!(last_of(|all| vec![all[0].clone(), all[1].clone(), flipped(&all[2], 8)]), [REFUSED, REFUSED]);
}

#[test]
fn a_record_of_another_method_is_refused() {
    let (client, server, _) = sessions();
    for other in [
        "/tyto.matching.v1/Identify",
        "/tyto.matching.v1/Verif",
        "/tyto.matching.v1/Verify2",
        "/tyto.matching.v2/Verify",
        "/",
    ] {
        let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
        let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
        let refused = server.receive(other, first, NOW).err();
        assert_eq!(refused, Some(Error::RecordRefused), "{other}");
    }
}

/// With its own id a record of another session is seen for what it is; with this session's id it does not open.
#[test]
fn a_record_of_another_session_is_refused() {
    let (client, server, admission) = sessions();
    let (other_client, other_server, other_admission) = sessions();
    let (mut sealer, _) = other_client.begin(METHOD, NOW).unwrap();
    let mut first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    assert_eq!(server.receive(METHOD, first.clone(), NOW).err(), Some(Error::OtherSession));
    first[2..18].copy_from_slice(server.id().as_bytes());
    assert_eq!(server.receive(METHOD, first, NOW).err(), Some(Error::RecordRefused));

    let mut here = call(&client, &server, &admission);
    let mut there = call(&other_client, &other_server, &other_admission);
    let (sent, answered) = (requests(&mut there), answers(&mut there));
    assert_eq!(opened(&mut here.served.requests, &sent[0]), REFUSED);
    assert_eq!(opened(&mut here.answers, &answered[0]), REFUSED);
}

#[test]
fn a_record_of_another_rpc_is_refused() {
    let (client, server, admission) = sessions();
    let mut here = call(&client, &server, &admission);
    let mut there = call(&client, &server, &admission);
    let (sent, answered) = (requests(&mut there), answers(&mut there));
    assert_eq!(opened(&mut here.served.requests, &sent[0]), REFUSED);
    assert_eq!(opened(&mut here.answers, &answered[0]), REFUSED);
    // Nor is the beginning of one RPC taken for that of another.
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let mut first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    first[18..34].copy_from_slice(here.served.id.as_bytes());
    assert_eq!(server.receive(METHOD, first, NOW).err(), Some(Error::RecordRefused));
}

/// A client's records come back to it as answers, and a server's as requests, with a beginning of the right form.
#[test]
fn a_record_of_the_other_direction_is_refused() {
    let (client, server, admission) = sessions();
    let mut here = call(&client, &server, &admission);
    let (sent, answered) = (requests(&mut here), answers(&mut here));
    opened(&mut here.answers, &answered[0]).unwrap();
    assert_eq!(opened(&mut here.answers, &sent[0]), REFUSED);
    assert_eq!(opened(&mut here.served.requests, &answered[1]), REFUSED);

    let (mut sealer, mut answers) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    assert_eq!(opened(&mut answers, &first), REFUSED);
    let as_request = [&first[..34], &answered[0][18..]].concat();
    assert_eq!(server.receive(METHOD, as_request, NOW).err(), Some(Error::RecordRefused));
}

/// What was opened is nobody's before it is admitted, and is wiped if it never is.
#[test]
fn content_that_is_not_admitted_is_wiped() {
    let (client, server, admission) = sessions();
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"planted content", NOW).unwrap();
    let mut buffer = first.clone();
    drop(server.receive(METHOD, &mut buffer[..], NOW).unwrap());
    assert_eq!(buffer, vec![0; first.len()], "dropped");
    for refusal in [Refusal::Repeated, Refusal::Undecided] {
        let mut buffer = first.clone();
        let pending = server.receive(METHOD, &mut buffer[..], NOW).unwrap();
        assert!(pending.admit(&RefusesAll(refusal), NOW).is_err());
        assert_eq!(buffer, vec![0; first.len()], "{refusal}");
    }
    let mut buffer = first.clone();
    let served = server.receive(METHOD, &mut buffer[..], NOW).unwrap().admit(&admission, NOW).unwrap();
    let plaintext = served.opened.plaintext.clone();
    drop(served);
    assert_eq!(&buffer[plaintext], b"planted content", "what is admitted is there");
    // A record that does not open leaves nothing either.
    let mut buffer = flipped(&first, 8 * first.len() - 1);
    assert!(server.receive(METHOD, &mut buffer[..], NOW).is_err());
    assert!(!buffer.windows(7).any(|window| window == b"planted"));
}

/// A client's clock that went back before its session, and a server's that is behind by more than clocks may differ.
#[test]
fn before_its_beginning_a_session_carries_nothing() {
    let (client, server, _) = sessions();
    assert_eq!(client.begin(METHOD, NOW - 1).err(), Some(Error::SessionExpired));
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::End, b"", NOW).unwrap();
    assert!(server.receive(METHOD, first.clone(), NOW - MAX_CLOCK_SKEW_MS).is_ok());
    let refused = server.receive(METHOD, first, NOW - MAX_CLOCK_SKEW_MS - 1).err();
    assert_eq!(refused, Some(Error::SessionExpired));
}

#[test]
fn an_rpc_id_is_served_once() {
    let (client, server, admission) = sessions();
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    let served = server.receive(METHOD, first.clone(), NOW).unwrap().admit(&admission, NOW);
    assert!(served.is_ok());
    let again = server.receive(METHOD, first, NOW).unwrap().admit(&admission, NOW).err();
    assert_eq!(again, Some(Error::NotAdmitted(Refusal::Repeated)));
}

/// Where nobody can tell whether an RPC was served before, it is not served.
#[test]
fn an_rpc_that_cannot_be_decided_fails() {
    let (client, server, _) = sessions();
    let pending = || {
        let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
        let first = sealer.seal(Kind::End, b"", NOW).unwrap();
        server.receive(METHOD, first, NOW).unwrap()
    };
    for refusal in [Refusal::Undecided, Refusal::UnknownSession, Refusal::Full] {
        assert_eq!(pending().admit(&RefusesAll(refusal), NOW).err(), Some(Error::NotAdmitted(refusal)));
    }
    // A store that has lost its state knows no session.
    let lost = pending().admit(&admission(), NOW).err();
    assert_eq!(lost, Some(Error::NotAdmitted(Refusal::UnknownSession)));
}

#[test]
fn an_expired_session_carries_nothing_new_and_finishes_within_the_grace() {
    let (client, server, admission) = sessions();
    let mut under_way = call(&client, &server, &admission);
    let (mut sealer, _) = client.begin(METHOD, server.expires_at_ms() - 1).unwrap();
    let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();

    let end = server.expires_at_ms();
    assert_eq!(client.begin(METHOD, end).err(), Some(Error::SessionExpired));
    assert_eq!(server.receive(METHOD, first.clone(), end).err(), Some(Error::SessionExpired));
    let pending = server.receive(METHOD, first, end - 1).unwrap();
    let refused = pending.admit(&admission, end).err();
    assert_eq!(refused, Some(Error::NotAdmitted(Refusal::UnknownSession)));

    let last = end + RPC_GRACE_MS - 1;
    let mut request = under_way.requests.seal(Kind::Data, b"late", last).unwrap();
    under_way.served.requests.open(&mut request, last).unwrap();
    let mut answer = under_way.served.answers.seal(Kind::Data, b"late", last).unwrap();
    under_way.answers.open(&mut answer, last).unwrap();
    let expired = Some(Error::SessionExpired);
    assert_eq!(under_way.requests.seal(Kind::Data, b"", last + 1).err(), expired);
    assert_eq!(under_way.served.requests.open(&mut request, last + 1).err(), expired);
    assert_eq!(under_way.served.answers.seal(Kind::Data, b"", last + 1).err(), expired);
    assert_eq!(under_way.answers.open(&mut answer, last + 1).err(), expired);
}

#[test]
fn a_session_carries_no_more_rpcs_than_agreed() {
    let (client, server, admission) = sessions();
    for left in (0..MAX).rev() {
        call(&client, &server, &admission);
        assert_eq!(client.rpcs_left(), left);
    }
    assert_eq!(client.begin(METHOD, NOW).err(), Some(Error::SessionExhausted));
    // A client that counts wrongly is refused by the server.
    let (client, server, admission) = sessions();
    client.set_rpcs_left(MAX + 1);
    (0..MAX).for_each(|_| _ = call(&client, &server, &admission));
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::Data, b"first", NOW).unwrap();
    let refused = server.receive(METHOD, first, NOW).unwrap().admit(&admission, NOW).err();
    assert_eq!(refused, Some(Error::NotAdmitted(Refusal::Exhausted)));
}

/// The counter ends where its number does, never again at zero.
#[test]
fn an_exhausted_counter_is_refused() {
    let (client, server, admission) = sessions();
    let mut call = call(&client, &server, &admission);
    call.requests.lane().set_used(u64::MAX - 1, 0);
    call.served.requests.lane().set_used(u64::MAX - 1, 0);
    let last = call.requests.seal(Kind::Data, b"last", NOW).unwrap();
    assert_eq!(opened(&mut call.served.requests, &last), Ok((Kind::Data, b"last".to_vec())));
    assert_eq!(call.requests.seal(Kind::Data, b"one more", NOW).err(), Some(Error::KeyExhausted));
    assert_eq!(call.requests.seal(Kind::Data, b"one more", NOW).err(), Some(Error::StreamOver));
    assert_eq!(opened(&mut call.served.requests, &last), Err(Error::KeyExhausted));
}

/// 2^35 blocks, of which an empty record takes those of its associated data and two.
#[test]
fn an_exhausted_key_is_refused() {
    let (client, server, _) = sessions();
    let (mut call, mut other) =
        (seeded_call(&client, &server), seeded_call(&client, &server).served.requests);
    let empty = (45 + METHOD.len()).div_ceil(16) as u64 + 2;
    call.requests.lane().set_used(7, MAX_KEY_BLOCKS - empty - 1);
    call.served.requests.lane().set_used(7, MAX_KEY_BLOCKS - empty - 1);
    other.lane().set_used(7, MAX_KEY_BLOCKS - empty - 1);
    // One block more than an empty record has: the last that fits.
    let last = call.requests.seal(Kind::Data, &[1; 16], NOW).unwrap();
    assert!(opened(&mut call.served.requests, &last).is_ok());
    assert_eq!(call.requests.seal(Kind::End, b"", NOW).err(), Some(Error::KeyExhausted));
    assert_eq!(opened(&mut other, &[&last[..], &[0]].concat()), Err(Error::KeyExhausted));
}

#[test]
fn a_record_that_is_too_long_is_refused_by_both_sides() {
    let (client, server, admission) = sessions();
    let mut call = call(&client, &server, &admission);
    let most = vec![0; MAX_RECORD_BYTES];
    let mut record = call.requests.seal(Kind::Data, &most, NOW).unwrap();
    assert_eq!(record.len(), 2 + MAX_RECORD_BYTES + TAG_BYTES);
    assert!(call.served.requests.open(&mut record, NOW).is_ok());
    let too_long = Error::RecordTooLong { actual_bytes: MAX_RECORD_BYTES + 1, max_bytes: MAX_RECORD_BYTES };
    record.push(0);
    assert_eq!(call.served.requests.open(&mut record, NOW), Err(too_long.clone()));
    record.truncate(MAX_RECORD_BYTES + 1);
    assert_eq!(call.requests.seal(Kind::Data, &record, NOW), Err(too_long.clone()));
    assert_eq!(call.requests.seal_in_place(Kind::Data, &mut record, NOW).err(), Some(too_long));
    // Nothing was sealed, so the stream can still say how it ends.
    let mut call = super::world::call(&client, &server, &admission);
    assert!(call.requests.seal(Kind::Data, &record, NOW).is_err());
    let end = call.requests.seal(Kind::End, b"", NOW).unwrap();
    assert_eq!(opened(&mut call.served.requests, &end), Ok((Kind::End, Vec::new())));
}

/// An RPC whose only request is its end; and a stream that goes on after its end is refused.
#[test]
fn an_rpc_may_begin_with_its_end() {
    let (client, server, admission) = sessions();
    let (mut sealer, _) = client.begin(METHOD, NOW).unwrap();
    let first = sealer.seal(Kind::End, b"", NOW).unwrap();
    assert_eq!(sealer.seal(Kind::Data, b"more", NOW), Err(Error::StreamOver));
    let mut served = server.receive(METHOD, first.clone(), NOW).unwrap().admit(&admission, NOW).unwrap();
    assert_eq!((served.opened.kind, served.opened.plaintext.len()), (Kind::End, 0));
    assert!(served.requests.has_ended());
    assert_eq!(served.requests.open(&mut first.clone(), NOW), Err(Error::StreamOver));
}

/// In place: what is sealed lies between head and tag, and the head says how long it is.
#[test]
fn sealing_in_place_gives_the_same_record() {
    let world = World::new(&BOTH[1..]);
    let (client, server, _) = world.seeded_connect(Who::ApiKey);
    let seal = |in_place: bool| {
        let (mut sealer, _) = client.begin_with(&mut super::seeded::Seeded::new("rpc"), METHOD, NOW).unwrap();
        [b"one", b"two"].map(|text| {
            let overhead = sealer.overhead();
            let record = if in_place {
                let mut body = text.to_vec();
                let envelope = sealer.seal_in_place(Kind::Data, &mut body, NOW).unwrap();
                [envelope.head.as_ref(), &body, &envelope.tag].concat()
            } else {
                sealer.seal(Kind::Data, text, NOW).unwrap()
            };
            assert_eq!(record.len(), text.len() + overhead);
            record
        })
    };
    let records = seal(true);
    assert_eq!(records, seal(false));
    assert_eq!(session_of(&records[0]), Ok(server.id()));
}

#[test]
fn methods_are_neither_empty_nor_too_long() {
    let (client, server, _) = sessions();
    let longest = "m".repeat(MAX_METHOD_BYTES);
    let (mut sealer, _) = client.begin(&longest, NOW).unwrap();
    let first = sealer.seal(Kind::End, b"", NOW).unwrap();
    assert!(server.receive(&longest, first.clone(), NOW).is_ok());
    for method in [String::new(), "m".repeat(MAX_METHOD_BYTES + 1)] {
        let refused = Some(Error::Method { actual_bytes: method.len() });
        assert_eq!(client.begin(&method, NOW).err(), refused);
        assert_eq!(server.receive(&method, first.clone(), NOW).err(), refused);
    }
}
