//! Every kind of call, sealed, against a server that takes no other; and what of it stands on the wire.

use super::{Way, client, rig};
use tonic::{Code, Request};
use tyto_api::proto::attest::v1::{AttestMode, AttestRequest, Document, ListKeysRequest};
use tyto_api::proto::gallery::v1::DescribeGalleryRequest;
use tyto_client::{IdentifyOptions, ProbeBy, VerifyOptions};
use tyto_tests::Rng;
use tyto_tests::rig::{gallery, subject, template};

/// Unary calls, an upload, streamed answers and the two-way stream of an enrolment, through the client that tenants use.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_does_in_a_day_works_in_a_sealed_session() {
    let rig = rig(|_| ()).await;
    let client = client(&rig).await;
    for (name, stride) in [("one to many", 1), ("one to one", 64)] {
        let gallery = gallery(&client, name, 64, stride).await;
        let mut rng = Rng(7);
        let people: Vec<_> = (0..40).map(|n| (subject(n), template(&gallery, &mut rng))).collect();
        gallery.enrol(people.clone(), &|_| ()).await.unwrap();
        for probe_by in [ProbeBy::WholeQuery, ProbeBy::Ticket] {
            let (who, probe) = &people[3];
            let verified = gallery.verify_with(who, probe, VerifyOptions { probe_by }).await.unwrap();
            assert_eq!(verified.templates[0].score, probe.inner_product(probe));
            assert!(verified.attestation.unwrap().statement.is_some(), "attested and verified");
            if stride == 1 {
                let options = IdentifyOptions { probe_by, ..Default::default() };
                let found = gallery.identify(probe, options).await.unwrap();
                assert_eq!(*found.candidates[0].subject, *who);
                assert_eq!(found.compared, 40);
            }
        }
        assert_eq!(gallery.remove(&subject(3)).await.unwrap(), 1);
        assert!(gallery.verify(&subject(3), &people[3].1).await.is_err());
        assert_eq!(gallery.stat().await.unwrap().templates, 39);
    }
    assert_eq!(client.galleries().await.unwrap().len(), 2);
}

fn document(label: &str) -> AttestRequest {
    let document = Document { algorithm: "sha3-256".into(), digest: vec![7; 32].into(), label: label.into() };
    AttestRequest {
        mode: AttestMode::Immediate.into(),
        audience: "planted audience".into(),
        nonce: vec![9; 32].into(),
        documents: vec![document],
    }
}

fn has(bytes: &[u8], planted: &[u8]) -> bool {
    bytes.windows(planted.len()).any(|window| window == planted)
}

/// Messages, answers, metadata and the text of an error: all of it stands on the wire of a plain call, none of a sealed one.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_planted_stands_on_the_wire() {
    let open = rig(|config| config.session.required = false).await;
    let mut clear_answer = Vec::new();
    for is_sealed in [false, true] {
        let way = Way::to(&open).await;
        let plain = tyto_sealed::Sealed::new(way.between.stand(super::channel(&open).await), None);
        let (mut attest, mut gallery) = if is_sealed {
            (way.attest(), way.gallery())
        } else {
            (
                tyto_api::proto::attest::v1::attest_service_client::AttestServiceClient::new(plain.clone()),
                tyto_api::proto::gallery::v1::gallery_service_client::GalleryServiceClient::new(plain),
            )
        };
        let mut request = Request::new(document("planted label"));
        request.metadata_mut().insert("x-planted", "planted-token".parse().unwrap());
        let entry = attest.attest(request).await.unwrap().into_inner().attested.remove(0).entry;
        let unknown = DescribeGalleryRequest { gallery_id: vec![0x5a; 16].into() };
        let status = gallery.describe_gallery(unknown).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status}");
        clear_answer = if is_sealed { clear_answer } else { entry[..64].to_vec() };
        let planted: [&[u8]; 6] = [
            b"planted label",
            b"planted audience",
            b"planted-token",
            &[0x5a; 16],
            &entry[entry.len() - 200..],
            &percent_encoded(status.message()),
        ];
        let bytes = way.between.bytes();
        for planted in planted {
            assert_eq!(has(&bytes, planted), !is_sealed, "{:?}", String::from_utf8_lossy(planted));
        }
    }
    assert!(!clear_answer.is_empty());
}

/// As gRPC writes a status message into a header; the text here has nothing but blanks to encode.
fn percent_encoded(text: &str) -> Vec<u8> {
    text.replace(' ', "%20").into_bytes()
}

/// A deadline reaches the service through the layers, and cuts a call off.
#[tokio::test(flavor = "multi_thread")]
async fn deadlines_are_honoured() {
    let rig = rig(|config| config.transparency.checkpoint_interval_ms = 1000).await;
    let way = Way::to(&rig).await;
    way.attest().list_keys(ListKeysRequest::default()).await.unwrap();
    let mut request = Request::new(tyto_api::proto::attest::v1::GetReceiptRequest {
        leaf_hash: vec![1; 32].into(),
        wait_ms: 60_000,
    });
    request.set_timeout(std::time::Duration::from_millis(400));
    let began = std::time::Instant::now();
    assert!(way.attest().get_receipt(request).await.is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "it did not wait for a minute");
}
