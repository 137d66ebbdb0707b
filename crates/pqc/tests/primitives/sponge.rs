//! SHA3-256 and KMAC256 against published vectors and OpenSSL.

use crate::bytes::{bit_flips, hex};
use tyto_pqc::digest::{Hasher, sha3_256, sha3_256_many};
use tyto_pqc::kmac::{Kmac256, mac16, verify16};

fn sample_key() -> Vec<u8> {
    (0x40..=0x5f).collect()
}

fn sample_data() -> Vec<u8> {
    (0..200).collect()
}

const TAGGED: &[u8] = b"My Tagged Application";

/// NIST "SHA3-256" example values: 0, 24 and 1600 bits.
#[test]
fn sha3_256_known_answers() {
    let cases: [(&[u8], &str); 3] = [
        (b"", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
        (b"abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        (&[0xa3; 200], "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787"),
    ];
    for (message, digest) in cases {
        assert_eq!(sha3_256(&[message]).to_vec(), hex(digest));
    }
}

#[test]
fn sha3_256_does_not_depend_on_the_cuts() {
    let data = sample_data();
    for cut in 0..data.len() {
        let (head, tail) = data.split_at(cut);
        let mut hasher = Hasher::new();
        hasher.update(head);
        hasher.update(tail);
        assert_eq!(hasher.finalize(), sha3_256(&[&data]));
        assert_eq!(sha3_256(&[head, tail]), sha3_256(&[&data]));
    }
}

/// NIST `KMAC_samples.pdf`, samples 4 to 6 (samples 1 to 3 are KMAC128, which this crate has not).
#[test]
fn kmac256_nist_samples() {
    let data = sample_data();
    let cases: [(&[u8], &[u8], &str); 3] = [
        (
            &data[..4],
            TAGGED,
            "20C570C31346F703C9AC36C61C03CB64C3970D0CFC787E9B79599D273A68D2F7
             F69D4CC3DE9D104A351689F27CF6F5951F0103F33F4F24871024D9C27773A8DD",
        ),
        (
            &data,
            b"",
            "75358CF39E41494E949707927CEE0AF20A3FF553904C86B08F21CC414BCFD691
             589D27CF5E15369CBBFF8B9A4C2EB17800855D0235FF635DA82533EC6B759B69",
        ),
        (
            &data,
            TAGGED,
            "B58618F71F92E1D56C1B8C55DDD7CD188B97B4CA4D99831EB2699A837DA2E4D9
             70FBACFDE50033AEA585F1A2708510C32D07880801BD182898FE476876FC8965",
        ),
    ];
    for (message, customization, expected) in cases {
        let mut mac = Kmac256::new(&sample_key(), customization);
        mac.update(message);
        let mut out = [0; 64];
        mac.finalize(&mut out);
        assert_eq!(out.to_vec(), hex(expected));
    }
}

/// A key, an output and a customization string that each need more than one block and more than one
/// length byte. Expected values: `openssl mac ... KMAC256 | openssl dgst -sha3-256` (OpenSSL 3.0).
#[test]
fn kmac_beyond_one_block_agrees_with_openssl() {
    let key: Vec<u8> = (0..300_u32).map(|i| (7 * i) as u8).collect();
    let mut out = [0; 300];

    let mut mac = Kmac256::new(&key, b"tyto");
    mac.update(&sample_data());
    mac.finalize(&mut out);
    assert_eq!(
        sha3_256(&[&out]).to_vec(),
        hex("324d152ea51ccea73ba14f8be768894984464d1cbcbeead3cf932f406a02b4cc")
    );

    let mut mac = Kmac256::new(&key, &[b'c'; 200]);
    mac.update(&sample_data());
    mac.finalize(&mut out);
    assert_eq!(
        sha3_256(&[&out]).to_vec(),
        hex("8fea975f09e00dbe1efa742e39660ce53c95a182f2e0aa537b6afe0637717735")
    );
}

#[test]
fn mac16_agrees_with_openssl_and_rejects_every_change() {
    let (key, message) = (sample_key(), [0, 1, 2, 3]);
    let tag = mac16(&key, b"tyto", &[&message]);
    assert_eq!(tag.to_vec(), hex("C358AA3E54EF132F291188F7A50E6C79"));

    assert!(verify16(&key, b"tyto", &[&message], &tag));
    assert!(verify16(&key, b"tyto", &[&message[..1], &message[1..]], &tag));
    assert!(!verify16(&key, b"tytp", &[&message], &tag));
    assert!(!verify16(&key, b"tyto", &[&message[..3]], &tag));
    assert!(!verify16(&key, b"tyto", &[&message], &tag[..15]));
    assert!(!verify16(&key, b"tyto", &[&message], &[]));
    for flipped in bit_flips(&tag) {
        assert!(!verify16(&key, b"tyto", &[&message], &flipped));
    }
    for flipped in bit_flips(&key) {
        assert!(!verify16(&flipped, b"tyto", &[&message], &tag));
    }
}

#[test]
fn many_digests_are_those_of_each_input() {
    let data: Vec<u8> = (0..=255).collect();
    for count in [0, 1, 7, 8, 9, 40] {
        // Lengths from 0 to 255, so that inputs of one and of two blocks stand side by side.
        let inputs: Vec<_> = (0..count).map(|i| &data[..i * 131 % 256]).collect();
        let found = sha3_256_many(inputs.iter().map(|input| [&b"prefix"[..], input]));
        let expected: Vec<_> = inputs.iter().map(|input| sha3_256(&[b"prefix", input])).collect();
        assert_eq!(found, expected, "{count} inputs");
    }
}
