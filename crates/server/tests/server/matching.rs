//! Verification and identification, with whole queries and with tickets, and what is attested of them.

use crate::support::{Fixture, Matching, Model, channel, identify, replies, subject, verify};
use tonic::Code;
use tyto_api::content;
use tyto_api::matching::{IdentifyPart, Probe, SlotResult, VerifyAnswer};
use tyto_api::proto::matching::v1 as proto;
use tyto_attest::digest::{DigestKind, blocks_root, salted};
use tyto_attest::{MatchResult, Operation, Statement};
use tyto_kernels::Poly;
use tyto_pqc::digest::sha3_256;
use tyto_scheme::TicketId;
use tyto_scheme::query::{Kind, Target};
use tyto_server::RunningServer;

/// Two blocks, subject 1 in both of them, subject 2 in the first.
async fn populated(fixture: &mut Fixture, seed: u64, dimension: u32, stride: u32) -> Model {
    let mut model = Model::create(&mut fixture.galleries, seed, dimension, stride).await;
    model.provision(&mut fixture.galleries, 2).await;
    model.enrol(&mut fixture.galleries, 0, &[(3, subject(1)), (4, subject(2)), (0, subject(1))]).await;
    model.enrol(&mut fixture.galleries, 1, &[(100, subject(1))]).await;
    model
}

/// What the model expects for a subject.
fn results(model: &Model, queries: &[Vec<Poly>], who: u8) -> Vec<SlotResult> {
    let mut results = Vec::new();
    for (ordinal, block) in model.blocks.iter().enumerate() {
        let scores = [0, 1].map(|j| model.coefficients(ordinal, &queries[j]));
        for (&slot, _) in block.filled.iter().filter(|(_, filled)| filled.0 == subject(who)) {
            let [coefficient, check] = scores.each_ref().map(|scores| scores[usize::from(slot)]);
            results.push(SlotResult { block: block.id, version: block.version, slot, coefficient, check });
        }
    }
    results
}

#[tokio::test]
async fn verification_answers_every_template_of_the_subject_for_both_queries() {
    let mut fixture = Fixture::start().await;
    // Off the async threads, and on them.
    for (dimension, stride) in [(8, 1), (8, 8), (16, 16), (40, 16)] {
        let mut model = populated(&mut fixture, u64::from(dimension + stride), dimension, stride).await;
        let queries = model.queries(Kind::Verify);
        let mut request = model.verification(subject(1), model.whole(&queries));
        let answer = verify(&mut fixture.matching, request.clone()).await.unwrap();
        assert_eq!(answer.results, results(&model, &queries, 1));
        assert_eq!(answer.snapshot.manifest_version, model.manifest.version);
        assert_eq!(answer.snapshot.sealed_manifest.as_ref(), Some(&model.manifest.sealed));
        let records: Vec<_> = answer.records.iter().map(|r| (r.block, r.version, r.sealed.clone())).collect();
        let expected: Vec<_> = model.blocks.iter().map(|b| (b.id, b.version, b.record.clone())).collect();
        assert_eq!(records, expected);
        assert!(answer.ticket.is_none() && answer.attestation.is_none());

        // The client that saw the enrolment before the last lacks one record; the one that saw all lacks nothing.
        request.known_manifest_version = model.manifest.version - 1;
        let answer = verify(&mut fixture.matching, request.clone()).await.unwrap();
        assert_eq!(answer.records.iter().map(|r| r.block).collect::<Vec<_>>(), [model.blocks[1].id]);
        request.known_manifest_version = model.manifest.version;
        let answer = verify(&mut fixture.matching, request.clone()).await.unwrap();
        assert!(answer.records.is_empty() && answer.snapshot.sealed_manifest.is_none());

        request.subject = subject(77);
        assert_eq!(verify(&mut fixture.matching, request).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_ticket_answers_one_request_and_its_repetitions() {
    let mut fixture = Fixture::start().await;
    let mut model = populated(&mut fixture, 5, 8, 8).await;
    let pads = model.queries(Kind::Verify);
    let ticket = model.ticket(&mut fixture.matching, Kind::Verify, &pads).await;
    let (usage, queries) = model.ticket_use(ticket, &pads);
    let mut request = model.verification(subject(1), Probe::Ticket(usage.clone()));
    request.attestation = Some(model.attestation());
    let answer = verify(&mut fixture.matching, request.clone()).await.unwrap();
    assert_eq!(answer.results, results(&model, &queries, 1));
    assert_eq!(answer.ticket, Some(usage.clone()));

    // Later changes do not show in a repetition, and neither does a restart.
    model.enrol(&mut fixture.galleries, 0, &[(9, subject(1))]).await;
    assert_eq!(verify(&mut fixture.matching, request.clone()).await.unwrap(), answer);
    fixture = fixture.restart().await;
    assert_eq!(verify(&mut fixture.matching, request.clone()).await.unwrap(), answer);

    let other_content: [fn(&mut tyto_api::matching::Verify, &Model); 4] = [
        |request, _| request.subject = subject(2),
        |request, _| request.known_manifest_version = 1,
        |request, _| request.attestation = None,
        |request, _| {
            if let Probe::Ticket(usage) = &mut request.probe {
                usage.tag[0] ^= 1;
            }
        },
    ];
    for change in other_content {
        let mut other = request.clone();
        change(&mut other, &model);
        let refused = verify(&mut fixture.matching, other).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("used for another request"), "{}", refused.message());
    }
}

#[tokio::test]
async fn what_can_be_refused_without_a_ticket_does_not_use_it_up() {
    let mut fixture = Fixture::start().await;
    let mut model = populated(&mut fixture, 6, 8, 8).await;
    let other = populated(&mut fixture, 7, 8, 8).await;
    let pads = model.queries(Kind::Verify);
    let ticket = model.ticket(&mut fixture.matching, Kind::Verify, &pads).await;
    let (usage, queries) = model.ticket_use(ticket, &pads);
    let good = model.verification(subject(2), Probe::Ticket(usage.clone()));
    let client = &mut fixture.matching;

    let mut elsewhere = good.clone();
    elsewhere.gallery = other.parameters.gallery;
    assert_eq!(verify(client, elsewhere).await.unwrap_err().code(), Code::NotFound);
    let mut single = usage.clone();
    single.deltas = single.deltas.slice(..single.deltas.len() / 2);
    let wrong_kind = identify(client, model.identification(Probe::Ticket(single.clone()))).await.unwrap_err();
    assert_eq!(wrong_kind.code(), Code::FailedPrecondition);
    let refused = verify(client, model.verification(subject(2), Probe::Ticket(single))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("ticket.deltas"), "{}", refused.message());
    let mut unknown = usage.clone();
    unknown.ticket = TicketId([1; 16]);
    let refused = verify(client, model.verification(subject(2), Probe::Ticket(unknown))).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    let answer = verify(client, good.clone()).await.unwrap();
    assert_eq!(answer.results, results(&model, &queries, 2));
}

#[tokio::test]
async fn a_ticket_spent_on_an_unknown_subject_stays_spent() {
    let mut fixture = Fixture::start().await;
    let mut model = populated(&mut fixture, 8, 16, 16).await;
    let pads = model.queries(Kind::Verify);
    let ticket = model.ticket(&mut fixture.matching, Kind::Verify, &pads).await;
    let (usage, _) = model.ticket_use(ticket, &pads);
    for _ in 0..2 {
        let nobody = model.verification(subject(50), Probe::Ticket(usage.clone()));
        assert_eq!(verify(&mut fixture.matching, nobody).await.unwrap_err().code(), Code::NotFound);
    }
    let somebody = model.verification(subject(1), Probe::Ticket(usage));
    let refused = verify(&mut fixture.matching, somebody).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn an_unused_ticket_survives_a_restart_and_is_not_taken_twice() {
    let mut fixture = Fixture::start().await;
    let mut model = populated(&mut fixture, 9, 8, 1).await;
    let pads = model.queries(Kind::Identify);
    let (ticket, messages) = model.ticket_messages(Kind::Identify, &pads);
    for _ in 0..2 {
        let repeated = tokio_stream::iter(messages.clone());
        fixture.matching.upload_ticket(repeated).await.expect("an identical repetition succeeds");
    }
    fixture = fixture.restart().await;
    let (usage, queries) = model.ticket_use(ticket, &pads);
    let request = model.identification(Probe::Ticket(usage));
    let parts = identify(&mut fixture.matching, request.clone()).await.unwrap();
    model.assert_identified(&parts, &queries[0]);
    assert_eq!(identify(&mut fixture.matching, request).await.unwrap(), parts);
    let again = fixture.matching.upload_ticket(tokio_stream::iter(messages)).await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn identification_answers_all_blocks_in_order_with_the_records_that_the_client_lacks() {
    let mut fixture = Fixture::start_with(|config| config.identification.threads = 2).await;
    let mut model = populated(&mut fixture, 10, 8, 8).await;
    // Enough for a batch on each of the threads.
    model.provision(&mut fixture.galleries, 40).await;
    let queries = model.queries(Kind::Identify);
    let mut request = model.identification(model.whole(&queries));
    request.known_manifest_version = 3;
    let parts = identify(&mut fixture.matching, request).await.unwrap();
    model.assert_identified(&parts, &queries[0]);
    let IdentifyPart::Header { snapshot, ticket: None, blocks_total: 42 } = &parts[0] else {
        panic!("{:?}", parts[0])
    };
    assert_eq!(snapshot.manifest_version, model.manifest.version);
    assert!(parts.len() > 3, "batches are sent one by one");
    for (i, (reply, block)) in replies(&parts).iter().zip(&model.blocks).enumerate() {
        assert_eq!((reply.block, reply.version), (block.id, block.version));
        // Block 0 last changed with manifest 3, the others later.
        assert_eq!(reply.sealed_record.as_ref(), (i > 0).then_some(&block.record));
    }
}

#[tokio::test]
async fn an_empty_gallery_is_identified_against_with_an_empty_answer() {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 11, 8, 8).await;
    let queries = model.queries(Kind::Identify);
    let parts = identify(&mut fixture.matching, model.identification(model.whole(&queries))).await.unwrap();
    assert_eq!(parts.len(), 2);
    model.assert_identified(&parts, &queries[0]);
}

#[tokio::test]
async fn a_client_that_goes_away_finds_the_answer_of_its_ticket_later() {
    let mut fixture = Fixture::start().await;
    let mut model = Model::create(&mut fixture.galleries, 12, 2, 1).await;
    // Some 2 MB of answer: more than the server's queue and the transport take without a reader.
    model.provision(&mut fixture.galleries, 500).await;
    let pads = model.queries(Kind::Identify);
    let ticket = model.ticket(&mut fixture.matching, Kind::Identify, &pads).await;
    let (usage, queries) = model.ticket_use(ticket, &pads);
    let mut request = model.identification(Probe::Ticket(usage));
    request.attestation = Some(model.attestation());
    let mut answers =
        fixture.matching.identify(proto::IdentifyRequest::from(request.clone())).await.unwrap().into_inner();
    let first = IdentifyPart::try_from(answers.message().await.unwrap().unwrap()).unwrap();
    drop(answers);
    let parts = identify(&mut fixture.matching, request).await.unwrap();
    assert_eq!(parts[0], first);
    model.assert_identified(&parts, &queries[0]);
}

#[tokio::test]
async fn callers_that_do_not_read_hold_nobody_up_and_get_their_answers_when_they_do() {
    let mut fixture = Fixture::start_with(|config| config.identification.concurrent = 1).await;
    let mut model = Model::create(&mut fixture.galleries, 15, 2, 1).await;
    // Some 2 MB of answer: more than the server's queue and the transport take without a reader.
    model.provision(&mut fixture.galleries, 500).await;
    let queries = model.queries(Kind::Identify);
    let request = model.identification(model.whole(&queries));
    let mut unread = Vec::new();
    for _ in 0..9 {
        // Streams of one connection would wait for each other's readers.
        let mut client = Matching::new(channel(&fixture.server).await);
        let request = proto::IdentifyRequest::from(request.clone());
        unread.push(client.identify(request).await.unwrap().into_inner());
    }
    let parts = identify(&mut fixture.matching, request).await.unwrap();
    model.assert_identified(&parts, &queries[0]);
    for mut answers in unread {
        let mut parts = Vec::new();
        while let Some(part) = answers.message().await.unwrap() {
            parts.push(IdentifyPart::try_from(part).unwrap());
        }
        model.assert_identified(&parts, &queries[0]);
    }
}

#[tokio::test]
async fn an_attested_verification_says_what_was_done() {
    let mut fixture = Fixture::start_with(|config| config.issuer = "tyto test".into()).await;
    let mut model = populated(&mut fixture, 13, 16, 16).await;
    let queries = model.queries(Kind::Verify);
    let mut request = model.verification(subject(2), model.whole(&queries));
    let wanted = model.attestation();
    request.attestation = Some(wanted.clone());
    let answer = verify(&mut fixture.matching, request.clone()).await.unwrap();
    let (statement, salt) = opened(&fixture.server, answer.attestation.as_ref());
    assert_eq!(result_of(&statement).operation, Operation::Verify);
    assert_eq!((statement.issuer.as_str(), statement.audience.as_str()), ("tyto test", "door 4"));
    assert_eq!((statement.nonce.unwrap(), result_of(&statement).ticket_id), (wanted.nonce, None));
    assert_eq!((result_of(&statement).blocks_matched, result_of(&statement).blocks_total), (1, 2));
    assert_eq!(
        result_of(&statement).blocks_root,
        blocks_root(&[(model.blocks[0].id.0, model.blocks[0].version)])
    );
    assert_state(&model, &statement, &salt);
    let mut content = Vec::new();
    content::request(Target::Subject(subject(2)), &request.probe, &mut content);
    assert_eq!(result_of(&statement).request_digest, salted(DigestKind::Request, &salt, &content));
    assert_verify_result(&answer, &statement, &salt);
    let mut content = Vec::new();
    let block = &model.blocks[0];
    content::record(block.id, block.version, &sha3_256(&[&block.record]), &mut content);
    assert_eq!(result_of(&statement).records_digest, salted(DigestKind::Records, &salt, &content));
}

fn assert_verify_result(answer: &VerifyAnswer, statement: &Statement, salt: &[u8; 32]) {
    let mut content = Vec::new();
    answer.results.iter().for_each(|result| content::slot_result(result, &mut content));
    assert_eq!(result_of(statement).result_digest, salted(DigestKind::Result, salt, &content));
}

#[tokio::test]
async fn an_attested_identification_says_what_was_done() {
    let mut fixture = Fixture::start().await;
    let mut model = populated(&mut fixture, 14, 8, 1).await;
    let pads = model.queries(Kind::Identify);
    let ticket = model.ticket(&mut fixture.matching, Kind::Identify, &pads).await;
    let (usage, _) = model.ticket_use(ticket, &pads);
    let mut request = model.identification(Probe::Ticket(usage));
    request.attestation = Some(model.attestation());
    let parts = identify(&mut fixture.matching, request.clone()).await.unwrap();
    let Some(IdentifyPart::Trailer { attestation, .. }) = parts.last() else { panic!("no trailer") };
    let (statement, salt) = opened(&fixture.server, attestation.as_ref());
    assert_eq!(
        (result_of(&statement).operation, result_of(&statement).ticket_id),
        (Operation::Identify, Some(ticket.0))
    );
    assert_eq!((result_of(&statement).blocks_matched, result_of(&statement).blocks_total), (2, 2));
    assert_eq!(result_of(&statement).blocks_root, root(&model));
    assert_state(&model, &statement, &salt);
    let mut content = Vec::new();
    content::request(Target::Gallery, &request.probe, &mut content);
    assert_eq!(result_of(&statement).request_digest, salted(DigestKind::Request, &salt, &content));
    let (mut result, mut records) = (Vec::new(), Vec::new());
    for reply in replies(&parts) {
        content::block_reply(&reply, &mut result);
        let digest = sha3_256(&[&reply.sealed_record.unwrap()]);
        content::record(reply.block, reply.version, &digest, &mut records);
    }
    assert_eq!(result_of(&statement).result_digest, salted(DigestKind::Result, &salt, &result));
    assert_eq!(result_of(&statement).records_digest, salted(DigestKind::Records, &salt, &records));
}

fn root(model: &Model) -> [u8; 32] {
    blocks_root(&model.blocks.iter().map(|block| (block.id.0, block.version)).collect::<Vec<_>>())
}

fn opened(
    server: &RunningServer,
    attestation: Option<&tyto_api::matching::Attestation>,
) -> (Statement, [u8; 32]) {
    let attestation = attestation.expect("an attestation was asked for");
    (
        tyto_attest::verify_attestation(&attestation.cose_sign1, server.trusted_keys()).unwrap(),
        attestation.salt,
    )
}

fn result_of(statement: &Statement) -> &MatchResult {
    statement.match_result().expect("the statement is about a match")
}

fn assert_state(model: &Model, statement: &Statement, salt: &[u8; 32]) {
    assert_eq!(result_of(statement).gallery_id, model.parameters.gallery.0);
    assert_eq!(result_of(statement).manifest_version, model.manifest.version);
    assert_eq!(result_of(statement).reply_bits, model.parameters.layout.reply_bits());
    let mut content = Vec::new();
    let manifest = sha3_256(&[&model.manifest.sealed]);
    content::gallery_state(model.manifest.version, &manifest, &root(model), &mut content);
    assert_eq!(result_of(statement).gallery_state_digest, salted(DigestKind::GalleryState, salt, &content));
}
