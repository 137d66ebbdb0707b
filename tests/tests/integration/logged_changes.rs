//! What the log says about changes of galleries: compared with what was sent, and opened by whoever made them.

use crate::attest::{PATIENCE, client_of, connect, start};
use std::sync::{Arc, Mutex};
use tyto_api::content;
use tyto_api::gallery::Mutation;
use tyto_api::proto::gallery::v1 as gallery_proto;
use tyto_client::Error;
use tyto_client::attest::Claim;
use tyto_client::attest::digest::{DigestKind, blocks_root, salted};
use tyto_pqc::digest::sha3_256;
use tyto_tests::Rng;
use tyto_tests::dishonest::{Fault, Proxy};
use tyto_tests::rig::{Rig, gallery, subject, template};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_made_a_change_can_show_what_the_log_says_of_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let state = directory.path().join("client");
    let server = start(&directory.path().join("server")).await;
    let proxy = Proxy::start(&format!("http://{}", server.local_addr())).await;
    let client = connect(proxy.endpoint().to_owned(), Some(&state)).await;
    let faces = gallery(&client, "faces", 16, 16).await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let watch = move |request: &mut gallery_proto::EnrolRequest| seen.lock().unwrap().push(request.clone());
    proxy.commit(Fault { enrol_request: Some(Box::new(watch)), ..Fault::default() });
    let person = (subject(0), template(&faces, &mut Rng(8)));
    faces.enrol([person.clone()], &|_| ()).await.unwrap();
    faces.remove(&person.0).await.unwrap();
    client.delete_gallery("faces").await.unwrap();

    let auditor = client_of(&server, Some(&state)).await;
    let changes = auditor.logged_changes(faces.id()).await.unwrap();
    let kinds: Vec<_> = changes.iter().map(|change| change.statement.claim.kind()).collect();
    assert_eq!(kinds, ["create-gallery", "provision", "enrol", "remove", "delete-gallery"]);
    for change in &changes {
        let (bundle, _) = auditor.bundle(&change.content, PATIENCE).await.unwrap().expect("in the log");
        assert_eq!(bundle.content, change.content);
    }
    let digests = |at: usize| match &changes[at].statement.claim {
        Claim::Gallery(change) => (change.request_digest, change.gallery_state_digest),
        other => panic!("{other:?}"),
    };
    let mutation = Mutation::from_enrol(sent.lock().unwrap()[0].clone()).unwrap();
    let mut request = Vec::new();
    content::change::mutation(&mutation, &mut request);
    let block = &mutation.changes[0];
    let root = blocks_root(&[(block.block.0, block.base_version + 1)]);
    let mut state = Vec::new();
    let manifest = sha3_256(&[&mutation.manifest.sealed]);
    content::gallery_state(mutation.manifest.version, &manifest, &root, &mut state);
    let salt = &changes[2].salt;
    let opened =
        (salted(DigestKind::Request, salt, &request), salted(DigestKind::GalleryState, salt, &state));
    assert_eq!((opened, &changes[2].state), (digests(2), &state));
    let deletion = [b"D", &faces.id().0[..]].concat();
    assert_eq!(salted(DigestKind::Request, &changes[4].salt, &deletion), digests(4).0);
    server.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_leaves_a_change_out_of_its_log_or_lies_about_it_there_is_refused() {
    let rig = Rig::start().await;
    let proxy = Proxy::start(&rig.endpoint()).await;
    let client = connect(proxy.endpoint().to_owned(), None).await;
    let faces = gallery(&client, "faces", 16, 16).await;
    let lies: [fn(&mut gallery_proto::EnrolResponse); 2] = [
        |answer| answer.logged = None,
        |answer| answer.logged.as_mut().expect("an entry").salt = vec![7; 32].into(),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        proxy.commit(Fault { enrol_response: Some(Box::new(lie)), ..Fault::default() });
        let person = (subject(number), template(&faces, &mut Rng(number as u64)));
        let Err(Error::Enrolment { source, .. }) = faces.enrol([person], &|_| ()).await else {
            panic!("refused")
        };
        assert!(source.is_refusal(), "{source}");
        match number {
            0 => assert!(matches!(*source, Error::EntryMissing { .. }), "{source}"),
            _ => assert!(matches!(*source, Error::EntryMismatch { field: "request digest", .. }), "{source}"),
        }
    }
}
