//! What co-signatures may be, and what a verdict says of them.

use tyto_attest::{
    Checkpoint, CosignatureStatus, Error, MAX_PUBLISHED_CHECKPOINT_BYTES, Part, Receipt, Signer, Verdict,
    verify,
};
use tyto_pqc::slhdsa::{ParameterSet, SigningKey};

use crate::sample;
use crate::world::{self, CHECKPOINT_AT, COSIGNED_AT, NOW, SIZE, log_key, witness_key};

const SKEW: u64 = 300_000;

fn checkpoint() -> Checkpoint {
    Checkpoint::sign(world::head(b"the entry", SIZE), log_key()).unwrap()
}

fn cosigned(time_unix_ms: u64, key: &dyn Signer) -> Checkpoint {
    let mut checkpoint = checkpoint();
    checkpoint.add_cosignature(checkpoint.cosign(time_unix_ms, key).unwrap()).unwrap();
    checkpoint
}

fn verdict(checkpoint: &Checkpoint) -> Verdict {
    verify(&checkpoint.encode(), &world::roots(), Some(NOW))
}

#[test]
fn only_checks_that_were_made_are_listed() {
    let listed = |checkpoint: &Checkpoint| {
        let checks = verdict(checkpoint).checks;
        checks
            .into_iter()
            .filter(|check| check.part == Part::Cosignature)
            .map(|check| check.name)
            .collect::<Vec<_>>()
    };
    assert!(listed(&checkpoint()).is_empty());
    assert!(listed(&cosigned(COSIGNED_AT, &sample::untrusted_key())).is_empty(), "its key is unknown");
    let made = ["purpose", "algorithm-of-key", "signature"];
    assert_eq!(listed(&cosigned(COSIGNED_AT, witness_key())), made);
}

#[test]
fn a_co_signature_whose_time_contradicts_checkpoint_or_verifier_does_not_count() {
    let cases = [
        (CHECKPOINT_AT - SKEW - 1, CosignatureStatus::NotBelieved),
        (CHECKPOINT_AT - SKEW, CosignatureStatus::Counts),
        (NOW + SKEW, CosignatureStatus::Counts),
        (NOW + SKEW + 1, CosignatureStatus::NotBelieved),
    ];
    for (time, expected) in cases {
        let verified = verdict(&cosigned(time, witness_key())).outcome.unwrap();
        assert_eq!(verified.log.unwrap().cosignatures[0].status, expected, "{time}");
    }
}

#[test]
fn a_checkpoint_takes_only_as_many_co_signatures_as_its_receipts_can_hold() {
    let large = SigningKey::generate(ParameterSet::Shake256f).unwrap();
    let mut checkpoint = checkpoint();
    let cosignature = checkpoint.cosign(COSIGNED_AT, &large).unwrap();
    let refused = loop {
        if let Err(refused) = checkpoint.add_cosignature(cosignature.clone()) {
            break refused;
        }
    };
    let max_bytes = MAX_PUBLISHED_CHECKPOINT_BYTES;
    assert!(
        matches!(refused, Error::TooLarge { part: Part::Checkpoint, max_bytes: max, .. } if max == max_bytes)
    );
    assert_eq!(checkpoint.cosignatures().len(), 4);
    assert_eq!(Checkpoint::parse(&checkpoint.encode()), Ok(checkpoint.clone()));
    let receipt = Receipt::new(checkpoint, 0, vec![[0xff; 32]; 128]);
    assert_eq!(Receipt::parse(&receipt.encode()), Ok(receipt));
}

#[test]
fn copies_of_a_checkpoint_share_their_co_signatures() {
    let first = cosigned(COSIGNED_AT, witness_key());
    let mut copy = Checkpoint::parse(&first.encode()).unwrap();
    copy.add_cosignature(first.cosign(COSIGNED_AT + 1, &sample::untrusted_key()).unwrap()).unwrap();
    copy.add_cosignature(first.cosign(COSIGNED_AT + 2, witness_key()).unwrap()).unwrap();
    let mut joined = first.clone();
    joined.join_cosignatures(&copy).unwrap();
    let times: Vec<_> = joined.cosignatures().iter().map(tyto_attest::Cosignature::time_unix_ms).collect();
    assert_eq!(times, [COSIGNED_AT, COSIGNED_AT + 1], "one by each key, the first that was there");
    let other = joined.join_cosignatures(&checkpoint());
    assert_eq!(other, Err(Error::InvalidSignature { part: Part::Checkpoint }), "another signature");
}
