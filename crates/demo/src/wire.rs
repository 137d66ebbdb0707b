//! Sizes and times against what the design says.

use tyto_cli::output::{Table, bytes};

use crate::matching::Tested;
use crate::show::heading;
use crate::site::Galleries;

/// Bytes of a MAC over a ticket's use.
const TAG_BYTES: u64 = 16;

/// A table of sizes, measured beside what the formats alone take, and of times.
pub(crate) async fn describe(galleries: &Galleries, tested: &Tested) -> anyhow::Result<()> {
    heading("sizes and times");
    let wide = *galleries.identification.gallery().layout();
    let narrow = *galleries.verification.gallery().layout();
    let stat = galleries.identification.stat().await?;
    let enrolment = &galleries.identification_enrolment;
    let block = wide.polynomials_bytes() as u64;
    let provisioned = enrolment.blocks_provisioned * block;
    let (delta, delta_narrow) = (wide.delta_bytes() as u64, narrow.delta_bytes() as u64);
    let query = narrow.polynomials_bytes() as u64;
    let (by_ticket, whole) = (&tested.identification_ticket, &tested.identification);
    let (verify_ticket, verify) = (&tested.verification_ticket, &tested.verification);
    let answer = stat.blocks * wide.reply_bytes() as u64;

    let mut table = Table::new(["", "this run", "format alone", "time"]);
    let mut row = |name: &str, measured: String, format: String, time: String| {
        table.row([name.to_owned(), measured, format, time]);
    };
    let none = String::new;
    let seconds = |report: &tyto_client::EnrolReport| format!("{:.2} s", report.elapsed.as_secs_f64());
    row(
        "1:N  server memory, per slot",
        bytes(stat.resident_bytes / stat.slots_total.max(1)),
        bytes(block / wide.slots() as u64),
        none(),
    );
    row(
        "1:N  enrolment, all templates",
        bytes(enrolment.bytes_sent),
        bytes(provisioned + enrolment.enrolled * delta),
        seconds(enrolment),
    );
    row("1:N  probe by ticket", bytes(by_ticket.bytes_sent), bytes(delta + TAG_BYTES), by_ticket.median());
    row("1:N  probe without ticket", bytes(whole.bytes_sent), bytes(block), whole.median());
    row("1:N  answer", bytes(by_ticket.bytes_received), bytes(answer), none());
    let enrolment = &galleries.verification_enrolment;
    row(
        "1:1  enrolment, all templates",
        bytes(enrolment.bytes_sent),
        bytes(enrolment.blocks_provisioned * query + enrolment.enrolled * delta_narrow),
        seconds(enrolment),
    );
    row(
        "1:1  probe by ticket",
        bytes(verify_ticket.bytes_sent),
        bytes(2 * delta_narrow + TAG_BYTES),
        verify_ticket.median(),
    );
    row("1:1  probe without ticket", bytes(verify.bytes_sent), bytes(2 * query), verify.median());
    row("1:1  answer", bytes(verify.bytes_received), "-".to_owned(), none());
    table.text().lines().for_each(|line| println!("  {line}"));
    println!(
        "  This run counts whole messages: ids, digests, the attestation (3.9 KB with each answer) and the"
    );
    println!("  record of each block that changes (10.5 KB each time) come on top of the format alone.");
    Ok(())
}
