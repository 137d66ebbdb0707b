//! `tyto admin review`: one row for each right, and for each principal without one.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;
use tyto_client::access::{PrincipalId, SubjectKind};
use tyto_client::admin::{Admin, Review};

use crate::output::{json, print, write_file};
use crate::{Error, time};

/// Arguments of `admin review`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The form of the report.
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    format: Format,
    /// Where it goes; without it to the standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Forms by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A heading and one line for each row.
    Csv,
    /// One array of objects.
    Json,
}

/// One right, or a principal that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    principal: String,
    name: String,
    operator: bool,
    disabled: bool,
    role: Option<&'static str>,
    /// `all` for the whole tenant.
    gallery: Option<String>,
    grant: Option<String>,
    grant_expires: Option<String>,
    grant_ended: bool,
    /// What the principal can prove itself with, separated by blanks; revoked keys are left out.
    credentials: String,
    last_used: Option<String>,
    /// The first end of a credential that is known: other ends follow from the server's limits on age and disuse.
    credential_expires: Option<String>,
}

fn rows(review: &Review, now_ms: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for principal in &review.principals {
        let (credentials, last_used, credential_expires) = credentials(review, principal.id, now_ms);
        let row = |grant: Option<&tyto_client::access::Grant>| Row {
            principal: principal.id.to_string(),
            name: principal.name.clone(),
            operator: principal.operator,
            disabled: principal.disabled,
            role: grant.map(|grant| grant.role.name()),
            gallery: grant.map(|g| g.gallery.map_or_else(|| "all".to_owned(), |gallery| gallery.to_string())),
            grant: grant.map(|grant| grant.id.to_string()),
            grant_expires: grant.and_then(|grant| grant.expires_ms).map(time::utc),
            grant_ended: grant.is_some_and(|grant| !grant.holds(now_ms)),
            credentials: credentials.clone(),
            last_used: last_used.map(time::utc),
            credential_expires: credential_expires.map(time::utc),
        };
        let before = rows.len();
        rows.extend(
            review.grants.iter().filter(|grant| grant.principal == principal.id).map(|g| row(Some(g))),
        );
        if rows.len() == before {
            rows.push(row(None));
        }
    }
    rows
}

fn credentials(review: &Review, id: PrincipalId, now_ms: u64) -> (String, Option<u64>, Option<u64>) {
    let of_principal = || review.keys.iter().filter(|key| key.principal == id);
    let live = || of_principal().filter(|key| key.revoked_ms.is_none_or(|revoked_ms| revoked_ms > now_ms));
    let mut names: Vec<String> = live().map(|key| format!("key:{}", key.id)).collect();
    for subject in review.subjects.iter().filter(|subject| subject.principal == id) {
        names.push(match subject.kind {
            SubjectKind::Certificate => format!("certificate:{}", subject.subject),
            SubjectKind::Token => format!("token:{}#{}", subject.issuer, subject.subject),
        });
    }
    let last_used = of_principal().filter_map(|key| key.last_used_ms).max();
    let ends = live().filter_map(|key| key.expires_ms.into_iter().chain(key.revoked_ms).min()).min();
    (names.join(" "), last_used, ends)
}

/// A cell that begins like a formula is one to a spreadsheet: names are chosen by others than who reads the report.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t']) { format!("'{text}") } else { text.to_owned() }
}

fn csv(rows: &[Row]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let (name, credentials) = (cell(&row.name), cell(&row.credentials));
        writer.serialize(Row { name, credentials, ..row.clone() })?;
    }
    writer.into_inner().map_err(|error| Error::Io(error.into_error()))
}

/// Makes the report.
///
/// # Errors
/// As [`Admin::review`]; [`Error::Write`].
pub async fn run(args: &Args, admin: &Admin) -> Result<(), Error> {
    let rows = rows(&admin.review().await?, time::now_unix_ms());
    let report = match args.format {
        Format::Csv => csv(&rows)?,
        Format::Json => json(&rows).into_bytes(),
    };
    match &args.out {
        Some(path) => write_file(path, &report),
        None => print(&String::from_utf8_lossy(&report)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tyto_client::access::{ApiKeyId, Grant, GrantId, PrincipalRecord, Role, TenantId};
    use tyto_client::admin::KeyInfo;

    #[test]
    fn a_report_has_a_row_for_each_right_and_one_for_who_has_none() {
        let principal = |n: u8, name: &str| PrincipalRecord {
            id: PrincipalId([n; 16]),
            tenant: TenantId::BUILT_IN,
            name: name.into(),
            operator: false,
            disabled: false,
            created_ms: 1,
        };
        let grant = |n: u8, role, expires_ms| Grant {
            id: GrantId([n; 16]),
            principal: PrincipalId([1; 16]),
            role,
            gallery: None,
            created_ms: 1,
            expires_ms,
        };
        let key = |n: u8, last_used_ms, revoked_ms| KeyInfo {
            id: ApiKeyId([n; 8]),
            principal: PrincipalId([1; 16]),
            created_ms: 1,
            expires_ms: Some(9000 + u64::from(n)),
            last_used_ms,
            revoked_ms,
        };
        let review = Review {
            principals: vec![principal(1, "ada"), principal(2, "=cmd()")],
            keys: vec![key(1, Some(50), None), key(2, Some(70), Some(10))],
            subjects: Vec::new(),
            grants: vec![grant(1, Role::Admin, Some(99)), grant(2, Role::Auditor, None)],
        };
        let rows = rows(&review, 100);
        let roles: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.role, row.grant_ended)).collect();
        assert_eq!(
            roles,
            [("ada", Some("admin"), true), ("ada", Some("auditor"), false), ("=cmd()", None, false)]
        );
        assert_eq!(rows[0].credentials, "key:0101010101010101");
        assert_eq!(rows[0].last_used, Some(time::utc(70)));
        assert_eq!(rows[0].credential_expires, Some(time::utc(9001)));
        let text = String::from_utf8(csv(&rows).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains(",'=cmd(),"), "{text}");
        assert!(json(&rows).contains("\"gallery\": \"all\""));
    }
}
