//! What is written is read back; nothing else is read; a chain goes on where it was left.

use proptest::prelude::*;
use tyto_attest::FieldProblem;
use tyto_audit::{Call, Chain, Decision, Error, Event, MAX_RECORD_BYTES, Record, Verifier};

use crate::cases::verify;
use crate::sample::{BEGUN, CHAIN_ID, events, full_call, sample, sparse_call};

fn record(event: Event) -> Record {
    Record { sequence: 1, time_unix_ms: 2, event }
}

#[test]
fn records_are_read_back() {
    for event in events() {
        let record = record(event);
        let bytes = record.encode().unwrap();
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}

#[test]
fn the_longest_record_fits() {
    let (long, digits) = ("é".repeat(128), u64::MAX);
    let call = Call {
        credential: Some(long.clone().into()),
        peer: Some(long.clone()),
        method: long.clone().into(),
        decision: Decision::Denied { reason: long.into() },
        duration_us: Some(digits),
        stream: Some(digits),
        ..full_call()
    };
    let longest = Record { sequence: digits, time_unix_ms: digits, event: Event::End(call) };
    let bytes = longest.encode().unwrap();
    assert!(bytes.len() <= MAX_RECORD_BYTES, "{}", bytes.len());
    assert_eq!(Record::decode(&bytes), Ok(longest));
}

#[test]
fn what_a_kind_of_record_has_must_be_there_and_nothing_else() {
    let no_code = Call { code: None, ..full_call() };
    let streamed = Call { stream: Some(1), ..full_call() };
    let unknown_code = Call { code: Some(17), ..full_call() };
    let long = Call { peer: Some("x".repeat(257)), ..sparse_call() };
    let control = Call { credential: Some("a\nb".into()), ..sparse_call() };
    let cases = [
        (Event::Call(no_code.clone()), "code", FieldProblem::WrongType),
        (Event::Call(streamed.clone()), "stream", FieldProblem::NotNull),
        (Event::Begin(streamed), "code", FieldProblem::NotNull),
        (Event::End(full_call()), "stream", FieldProblem::WrongType),
        (Event::Call(unknown_code), "code", FieldProblem::OutOfRange { max: 16, actual: 17 }),
        (Event::Call(long), "peer", FieldProblem::TooLong { max_bytes: 256, actual_bytes: 257 }),
        (Event::Call(control), "credential", FieldProblem::ControlCharacter),
    ];
    let mut chain = Chain::new(CHAIN_ID);
    for (event, field, problem) in cases {
        let mut segment = chain.segment().encode();
        let (length, before) = (segment.len(), chain.clone());
        assert_eq!(chain.append(0, &event, &mut segment), Err(Error::Field { field, problem }));
        assert_eq!((segment.len(), &chain), (length, &before), "nothing was written");
    }
}

#[test]
fn a_chain_goes_on_behind_the_last_whole_record() {
    let segment = sample().segments.remove(0);
    let whole = Chain::resume(&segment).unwrap();
    assert_eq!((whole.chain.records(), whole.whole_bytes), (3, segment.len()));
    assert_eq!(whole.first_time_unix_ms, Some(BEGUN));
    for cut in 0..segment.len() {
        let Ok(mut resumed) = Chain::resume(&segment[..cut]) else { continue };
        let mut repaired = segment[..resumed.whole_bytes].to_vec();
        let records = resumed.chain.records();
        resumed.chain.append(BEGUN + 9000, &Event::Stop, &mut repaired).unwrap();
        assert_eq!(verify(&[repaired], &[resumed.chain.anchor()]).unwrap().records, records + 1, "{cut}");
    }
}

#[test]
fn time_does_not_go_back() {
    let mut chain = Chain::new(CHAIN_ID);
    let mut segment = chain.segment().encode();
    for now in [BEGUN, BEGUN - 60_000, BEGUN + 1] {
        chain.append(now, &Event::Stop, &mut segment).unwrap();
    }
    let mut times = Vec::new();
    Verifier::new(&[]).segment(&segment, |record| times.push(record.time_unix_ms)).unwrap();
    assert_eq!(times, [BEGUN, BEGUN, BEGUN + 1]);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_record_and_no_chain(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let record = Record::decode(&bytes);
        if let Ok(record) = &record {
            prop_assert_eq!(record.encode().unwrap(), bytes.clone());
        }
        prop_assert!(verify(&[bytes], &[]).is_err());
    }
}
