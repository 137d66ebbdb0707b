//! Keys as `SubjectPublicKeyInfo` and PKCS#8: bytes as RFC 9881, RFC 9909 and RFC 9935 fix them, read by other
//! implementations, and an error of its own for each way in which they can be wrong.

use ml_kem::KeyExport;
use pkcs8::der::AnyRef;
use pkcs8::spki::AssociatedAlgorithmIdentifier;
use pkcs8::{DecodePrivateKey as _, DecodePublicKey};
use tyto_pqc::{Error, mldsa, mlkem, slhdsa};

use crate::bytes::hex;

/// The identifiers of RFC 9881 section 2, RFC 9909 section 3 and RFC 9935 section 3.
const ML_KEM: &str = "06096086480165030404";
const SIGNATURES: &str = "06096086480165030403";

type Read = dyn Fn(&[u8]) -> Result<Vec<u8>, Error>;

/// One algorithm's ways to read keys, as functions of the DER that return the public key.
struct Reader {
    name: &'static str,
    identifier: Vec<u8>,
    public: Box<Read>,
    private: Box<Read>,
    public_der: Vec<u8>,
    private_der: Vec<u8>,
    /// What `privateKey` holds before the key itself.
    private_prefix: Vec<u8>,
    key: Vec<u8>,
}

fn identifier(arc: &str, last: u8) -> Vec<u8> {
    [hex(arc), vec![last]].concat()
}

fn ml_dsa(set: mldsa::ParameterSet) -> Reader {
    let key = mldsa::SigningKey::generate_for(set).unwrap();
    Reader {
        name: set.name(),
        identifier: identifier(SIGNATURES, 17 + set as u8),
        public: Box::new(move |der| Ok(mldsa::VerifyingKey::from_spki_for(set, der)?.as_bytes().to_vec())),
        private: Box::new(move |der| {
            let key = mldsa::SigningKey::from_pkcs8_for(set, der)?;
            Ok(key.verifying_key().as_bytes().to_vec())
        }),
        public_der: key.verifying_key().to_spki().unwrap(),
        private_der: key.to_pkcs8().unwrap().to_vec(),
        private_prefix: hex("8020"),
        key: key.verifying_key().as_bytes().to_vec(),
    }
}

fn slh_dsa(set: slhdsa::ParameterSet) -> Reader {
    let key = slhdsa::SigningKey::generate(set).unwrap();
    Reader {
        name: set.name(),
        identifier: identifier(SIGNATURES, 20 + set as u8),
        public: Box::new(move |der| Ok(slhdsa::VerifyingKey::from_spki(set, der)?.to_bytes())),
        private: Box::new(move |der| {
            Ok(slhdsa::SigningKey::from_pkcs8(set, der)?.verifying_key().to_bytes())
        }),
        public_der: key.verifying_key().to_spki().unwrap(),
        private_der: key.to_pkcs8().unwrap().to_vec(),
        private_prefix: Vec::new(),
        key: key.verifying_key().to_bytes(),
    }
}

fn ml_kem(set: mlkem::ParameterSet) -> Reader {
    let key = mlkem::DecapsulationKey::generate(set).unwrap();
    let length = (set.decapsulation_key_bytes() as u16).to_be_bytes();
    Reader {
        name: set.name(),
        identifier: identifier(ML_KEM, 2 + set as u8),
        public: Box::new(move |der| Ok(mlkem::EncapsulationKey::from_spki(set, der)?.as_bytes().to_vec())),
        private: Box::new(move |der| {
            let key = mlkem::DecapsulationKey::from_pkcs8(set, der)?;
            Ok(key.encapsulation_key().as_bytes().to_vec())
        }),
        public_der: key.encapsulation_key().to_spki().unwrap(),
        private_der: key.to_pkcs8().unwrap().to_vec(),
        private_prefix: [&[0x04, 0x82][..], &length].concat(),
        key: key.encapsulation_key().as_bytes().to_vec(),
    }
}

fn readers() -> Vec<Reader> {
    let fast = [slhdsa::ParameterSet::Shake128f, slhdsa::ParameterSet::Shake192f];
    let ml_dsa = mldsa::ParameterSet::ALL.into_iter().map(ml_dsa);
    ml_dsa
        .chain(fast.into_iter().map(slh_dsa))
        .chain(mlkem::ParameterSet::ALL.into_iter().map(ml_kem))
        .collect()
}

/// DER of a tag and its content.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=127 => vec![short as u8],
        medium @ 128..=255 => vec![0x81, medium as u8],
        long => [&[0x82][..], &(long as u16).to_be_bytes()].concat(),
    };
    [&[tag][..], &length, content].concat()
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    tlv(0x30, &[tlv(0x30, algorithm), tlv(0x03, &[&[0], key].concat())].concat())
}

fn pkcs8(algorithm: &[u8], octets: &[u8]) -> Vec<u8> {
    tlv(0x30, &[hex("020100"), tlv(0x30, algorithm), tlv(0x04, octets)].concat())
}

impl Reader {
    /// The content of `privateKey`.
    fn private_octets(&self) -> &[u8] {
        let header = pkcs8(&self.identifier, &[]).len();
        let at = (header..self.private_der.len())
            .find(|&at| pkcs8(&self.identifier, &self.private_der[at..]) == self.private_der);
        &self.private_der[at.unwrap()..]
    }
}

#[test]
fn encodings_are_those_of_the_standards() {
    for reader in readers() {
        assert_eq!(reader.public_der, spki(&reader.identifier, &reader.key), "{}", reader.name);
        assert!(reader.private_octets().starts_with(&reader.private_prefix), "{}", reader.name);
        assert_eq!((reader.public)(&reader.public_der).as_ref(), Ok(&reader.key));
        assert_eq!((reader.private)(&reader.private_der).as_ref(), Ok(&reader.key));
    }
}

fn read_by_ml_dsa<P>(reader: &Reader)
where
    P: ml_dsa::MlDsaParams + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>>,
{
    let public = ml_dsa::VerifyingKey::<P>::from_public_key_der(&reader.public_der).unwrap();
    assert_eq!(public.encode()[..], reader.key);
    let private = ml_dsa::SigningKey::<P>::from_pkcs8_der(&reader.private_der).unwrap();
    assert_eq!(private.expanded_key().verifying_key().encode()[..], reader.key);
}

fn read_by_slh_dsa<P: slh_dsa::ParameterSet>(reader: &Reader) {
    let public = slh_dsa::VerifyingKey::<P>::from_public_key_der(&reader.public_der).unwrap();
    assert_eq!(public.to_bytes()[..], reader.key);
    let private = slh_dsa::SigningKey::<P>::from_pkcs8_der(&reader.private_der).unwrap();
    assert_eq!(private.to_bytes()[..], *reader.private_octets());
}

/// Its private keys are read in the seed form only, which ours have not.
fn read_by_ml_kem<K: DecodePublicKey + KeyExport>(reader: &Reader) {
    assert_eq!(K::from_public_key_der(&reader.public_der).unwrap().to_bytes()[..], reader.key);
}

#[test]
fn other_implementations_read_them() {
    for reader in readers() {
        match reader.name {
            "ML-DSA-44" => read_by_ml_dsa::<ml_dsa::MlDsa44>(&reader),
            "ML-DSA-65" => read_by_ml_dsa::<ml_dsa::MlDsa65>(&reader),
            "ML-DSA-87" => read_by_ml_dsa::<ml_dsa::MlDsa87>(&reader),
            "SLH-DSA-SHAKE-128f" => read_by_slh_dsa::<slh_dsa::Shake128f>(&reader),
            "SLH-DSA-SHAKE-192f" => read_by_slh_dsa::<slh_dsa::Shake192f>(&reader),
            "ML-KEM-768" => read_by_ml_kem::<ml_kem::EncapsulationKey768>(&reader),
            "ML-KEM-1024" => read_by_ml_kem::<ml_kem::EncapsulationKey1024>(&reader),
            other => panic!("{other} was read by nobody else"),
        }
    }
}

#[test]
fn keys_of_other_algorithms_are_refused_by_name() {
    let readers = readers();
    for (i, reader) in readers.iter().enumerate() {
        for (j, other) in readers.iter().enumerate().filter(|&(j, _)| j != i) {
            for found in [(reader.public)(&other.public_der), (reader.private)(&other.private_der)] {
                let Err(Error::WrongKeyAlgorithm { algorithm, found }) = found else {
                    panic!("{i} {j}: {found:?}");
                };
                assert_eq!(algorithm, reader.name);
                assert_eq!(found.as_bytes(), &other.identifier[2..]);
            }
        }
    }
}

#[test]
fn parameters_are_refused() {
    for reader in readers() {
        let with_null = [&reader.identifier[..], &[0x05, 0x00]].concat();
        let error = Err(Error::KeyParametersPresent { algorithm: reader.name });
        assert_eq!((reader.public)(&spki(&with_null, &reader.key)), error);
        assert_eq!((reader.private)(&pkcs8(&with_null, reader.private_octets())), error);
    }
}

#[test]
fn trailing_bytes_are_counted() {
    for reader in readers() {
        for trailing_bytes in [1, 40] {
            let error = |what| Err(Error::TrailingKeyBytes { algorithm: reader.name, what, trailing_bytes });
            let with = |der: &[u8]| [der, &vec![0; trailing_bytes]].concat();
            assert_eq!((reader.public)(&with(&reader.public_der)), error("SubjectPublicKeyInfo"));
            assert_eq!((reader.private)(&with(&reader.private_der)), error("PKCS#8"));
        }
    }
}

#[test]
fn wrong_lengths_and_structures_are_malformed() {
    let malformed = |found: Result<Vec<u8>, Error>, reader: &Reader| match found {
        Err(Error::MalformedKey { algorithm, .. }) => assert_eq!(algorithm, reader.name),
        other => panic!("{}: {other:?}", reader.name),
    };
    for reader in readers() {
        let (key, octets) = (&reader.key[..], reader.private_octets());
        for wrong in [&key[1..], &[key, &[0]].concat(), &[]] {
            malformed((reader.public)(&spki(&reader.identifier, wrong)), &reader);
        }
        for wrong in [&octets[..octets.len() - 1], &[octets, &[0]].concat(), &[]] {
            malformed((reader.private)(&pkcs8(&reader.identifier, wrong)), &reader);
        }
        for length in 0..reader.public_der.len() {
            malformed((reader.public)(&reader.public_der[..length]), &reader);
        }
        for length in 0..reader.private_der.len() {
            malformed((reader.private)(&reader.private_der[..length]), &reader);
        }
        // Unused bits in the bit string, and attributes after the private key.
        let unused_bit = tlv(0x03, &[&[1], &key[..key.len() - 1], &[0]].concat());
        let structure = tlv(0x30, &[tlv(0x30, &reader.identifier), unused_bit].concat());
        malformed((reader.public)(&structure), &reader);
        let private = [hex("020100"), tlv(0x30, &reader.identifier), tlv(0x04, octets)].concat();
        malformed((reader.private)(&tlv(0x30, &[private, hex("a000")].concat())), &reader);
    }
}

/// The forms of RFC 9881 section 6 and RFC 9935 section 6 that are not read are told from nonsense.
#[test]
fn other_forms_of_private_keys_are_named() {
    for reader in readers() {
        let (expected, forms) = match reader.name {
            name if name.starts_with("ML-DSA") => ("seed", [tlv(0x04, &[1; 4032]), tlv(0x30, &[])]),
            name if name.starts_with("ML-KEM") => ("expandedKey", [tlv(0x80, &[1; 64]), tlv(0x30, &[])]),
            _ => continue,
        };
        for form in forms {
            let error = Err(Error::UnsupportedKeyForm { algorithm: reader.name, expected });
            assert_eq!((reader.private)(&pkcs8(&reader.identifier, &form)), error);
        }
    }
}

/// What this crate does not sign with, it says so of, also when a key is read.
#[test]
fn sha2_keys_are_for_verification() {
    let set = slhdsa::ParameterSet::Sha2_128s;
    let key = slhdsa::VerifyingKey::from_bytes(set, &[7; 32]).unwrap();
    let der = key.to_spki().unwrap();
    assert_eq!(der, spki(&identifier(SIGNATURES, 20), &[7; 32]));
    assert_eq!(slhdsa::VerifyingKey::from_spki(set, &der), Ok(key));
    let private = pkcs8(&identifier(SIGNATURES, 20), &[7; 64]);
    let error = Error::CannotSign { algorithm: set.name() };
    assert_eq!(slhdsa::SigningKey::from_pkcs8(set, &private).err(), Some(error));
}
