use super::files::{DIRECTORY, Files};
use super::layer::Open;
use super::*;
use crate::config::AuditMode;
use std::fs;
use std::path::PathBuf;
use tyto_audit::{Call, Decision, Record, Summary, Verifier};

fn config(adjust: impl FnOnce(&mut AuditConfig)) -> AuditConfig {
    let mut config = AuditConfig { mode: AuditMode::FailClosed, wait_ms: 500, ..AuditConfig::default() };
    adjust(&mut config);
    config
}

fn start(dir: &Path, config: &AuditConfig) -> Result<Audit, Error> {
    Audit::start(config, dir, &Arc::default())
}

fn event(number: u8) -> Event {
    Event::Call(Call {
        tenant: None,
        principal: None,
        credential: None,
        peer: None,
        method: "tyto.test.v1.Test/Call".into(),
        gallery: Some([number; 16]),
        subject: None,
        decision: Decision::Allowed,
        code: Some(0),
        request_digest: None,
        answer_digest: None,
        duration_us: Some(1),
        stream: None,
    })
}

async fn write(audit: &Audit, number: u8) -> Result<(), Error> {
    let place = audit.place().await?;
    audit.write(place, event(number)).await
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "audit")).collect();
    paths.sort_unstable();
    paths
}

/// All records, of a chain that must hold.
fn records(dir: &Path) -> (Vec<Record>, Summary) {
    let mut records = Vec::new();
    let mut verifier = Verifier::new(&[]);
    for path in segments(dir) {
        verifier.segment(&fs::read(path).unwrap(), |record| records.push(record.clone())).unwrap();
    }
    (records, verifier.finish().unwrap())
}

/// The galleries of the calls.
fn numbers(records: &[Record]) -> Vec<u8> {
    records.iter().filter_map(|record| record.event.call()?.gallery).map(|gallery| gallery[0]).collect()
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_was_acknowledged_is_there_and_the_chain_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let audit = start(dir.path(), &config(|_| {})).unwrap();
    for number in 1..=3 {
        write(&audit, number).await.unwrap();
        // Not even a shutdown is needed.
        assert_eq!(numbers(&records(dir.path()).0).last(), Some(&number));
    }
    let anchor = audit.stop(SOON).await.unwrap();
    assert_eq!((anchor.records, audit.written()), (5, 5));
    assert!(matches!(write(&audit, 4).await, Err(Error::AuditUnavailable)));
    let audit = start(dir.path(), &config(|_| {})).unwrap();
    write(&audit, 5).await.unwrap();
    audit.stop(SOON).await.unwrap();
    let (records, summary) = records(dir.path());
    assert_eq!((numbers(&records), summary.starts), (vec![1, 2, 3, 5], 2));
    assert!(matches!(records.last().unwrap().event, Event::Stop));
}

#[tokio::test]
async fn without_the_disk_calls_are_refused_in_time_and_go_on_once_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(|config| config.segment_bytes = 4096);
    let audit = start(dir.path(), &config).unwrap();
    write(&audit, 1).await.unwrap();
    // A folder stands where the next segment belongs, whichever that is.
    let in_the_way: Vec<_> =
        (2..200).map(|first| dir.path().join(DIRECTORY).join(format!("{first:020}.new"))).collect();
    in_the_way.iter().for_each(|path| fs::create_dir(path).unwrap());
    let mut acknowledged = vec![1];
    let refused = loop {
        let number = acknowledged.len() as u8 + 1;
        let begun = std::time::Instant::now();
        match write(&audit, number).await {
            Ok(()) => acknowledged.push(number),
            Err(error) => break (error, begun.elapsed(), number),
        }
    };
    assert!(matches!(refused.0, Error::AuditUnavailable));
    assert!(refused.1 < Duration::from_secs(5), "{:?}", refused.1);
    // Others are refused at once.
    assert!(matches!(audit.place().await.map(drop), Err(Error::AuditUnavailable)));
    in_the_way.iter().for_each(|path| fs::remove_dir(path).unwrap());
    let mut tries = 0;
    while write(&audit, 250).await.is_err() {
        tries += 1;
        assert!(tries < 100, "it recovers by itself");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    audit.stop(SOON).await.unwrap();
    let found = numbers(&records(dir.path()).0);
    // The call that was refused happened: its record is there as well.
    acknowledged.extend([refused.2, 250]);
    assert_eq!(found, acknowledged);
    assert!(segments(dir.path()).len() > 1);
}

#[tokio::test]
async fn at_best_effort_nobody_waits_and_what_finds_no_room_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(|config| {
        config.mode = AuditMode::BestEffort;
        config.queued_records = 10;
    });
    let audit = start(dir.path(), &config).unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(audit.place().await.unwrap());
    }
    for number in 0..5 {
        write(&audit, number).await.unwrap();
    }
    for (number, place) in held.into_iter().enumerate() {
        audit.submit(place, event(100 + number as u8));
    }
    audit.stop(SOON).await.unwrap();
    let (records, summary) = records(dir.path());
    assert_eq!((summary.dropped, numbers(&records)), (5, (100..110).collect()));
}

#[tokio::test]
async fn what_a_crash_left_of_a_record_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let audit = start(dir.path(), &config(|_| {})).unwrap();
    write(&audit, 1).await.unwrap();
    write(&audit, 2).await.unwrap();
    audit.stop(SOON).await.unwrap();
    let path = segments(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    // The last record and half of the one before.
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    let audit = start(dir.path(), &config(|_| {})).unwrap();
    write(&audit, 3).await.unwrap();
    audit.stop(SOON).await.unwrap();
    let (found, _) = records(dir.path());
    assert_eq!(numbers(&found), [1, 3]);
    let cut = found.iter().find_map(|record| match record.event {
        Event::Start { cut_bytes, .. } if cut_bytes > 0 => Some(cut_bytes),
        _ => None,
    });
    let aside = fs::read_dir(dir.path().join(DIRECTORY)).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = aside.filter(|path| path.to_string_lossy().contains("cut-")).collect();
    assert_eq!(fs::read(&aside[0]).unwrap().len() as u64, cut.unwrap());
}

#[tokio::test]
async fn old_segments_go_and_what_is_kept_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(|config| {
        config.segment_bytes = 4096;
        config.retained_bytes = 10_000;
    });
    let audit = start(dir.path(), &config).unwrap();
    for number in 0..200 {
        write(&audit, number).await.unwrap();
    }
    let anchor = audit.stop(SOON).await.unwrap();
    let bytes: u64 = segments(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes < 20_000, "{bytes}");
    let (found, summary) = records(dir.path());
    assert!(summary.first > 0 && numbers(&found).last() == Some(&199));
    // The newest anchor proves all that is kept.
    let mut verifier = Verifier::new(&[anchor]);
    for path in segments(dir.path()) {
        verifier.segment(&fs::read(path).unwrap(), |_| {}).unwrap();
    }
    assert_eq!(verifier.finish().unwrap().confirmed, Some(summary.records));
}

#[tokio::test]
async fn records_that_are_too_old_go() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(|config| config.retained_days = 2);
    let (mut files, _) = Files::open(&dir.path().join(DIRECTORY), &config).unwrap();
    let day = 24 * 3600 * 1000;
    for number in 0..5_u64 {
        let now = 1_000 * day + number * day;
        files.rotate_if_due(now).unwrap();
        let (mut chain, mut bytes) = (files.chain().clone(), Vec::new());
        if let Some(kept_from) = files.plan_retirement(now) {
            chain.append(now, &Event::Retention { kept_from }, &mut bytes).unwrap();
        }
        chain.append(now, &event(number as u8), &mut bytes).unwrap();
        files.append(&bytes, &chain, true).unwrap();
        files.retire();
    }
    assert_eq!(numbers(&records(dir.path()).0), [2, 3, 4]);
}

#[tokio::test]
async fn a_server_whose_anchored_records_are_gone_does_not_start() {
    let (dir, app) = crate::fixture::app(|_| {}).await;
    let anchor = app.audit.flush(SOON).await.unwrap();
    let entry = anchors::submit(&app, anchor).await.unwrap();
    anchors::keep(&app, entry, Duration::from_mins(1)).await.unwrap();
    app.audit.stop(SOON).await.unwrap();
    let audit = start(dir.path(), &config(|_| {})).unwrap();
    audit.stop(SOON).await.unwrap();
    let path = segments(dir.path()).remove(0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..90]).unwrap();
    let refused = start(dir.path(), &config(|_| {})).map(|_| ());
    assert!(matches!(refused, Err(Error::AuditCutOff { records: 0, anchored: 1 })), "{refused:?}");
}

#[tokio::test]
async fn a_call_that_is_given_up_is_recorded() {
    let (dir, app) = crate::fixture::app(|config| config.audit.mode = AuditMode::FailClosed).await;
    let open = Open::of_test(app.audit.clone()).await;
    drop(open);
    app.audit.stop(SOON).await.unwrap();
    let (records, _) = records(dir.path());
    assert!(records.iter().any(|record| record.event.call().is_some_and(|call| call.code == Some(1))));
}
