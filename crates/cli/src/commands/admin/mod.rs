//! `tyto admin`: who may do what at a server.

pub mod review;

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use tyto_client::access::{
    ApiKeyId, Grant, GrantId, PrincipalId, PrincipalRecord, Role, SubjectKind, SubjectRecord, TenantId,
    TenantRecord,
};
use tyto_client::admin::{AddGrant, Admin, CreatedAdmin, IssuedKey, KeyInfo};
use tyto_client::scheme::GalleryId;

use crate::args::Global;
use crate::output::{OutputArgs, Table};
use crate::{Error, Exit, connection, time};

/// What is administered.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tenants, for operators.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Principals of the own tenant.
    #[command(subcommand)]
    Principal(PrincipalCommand),
    /// API keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// What principals may do.
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Identities that others vouch for, for operators.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Who may do what, what was used last and what ends when, in the own tenant.
    Review(review::Args),
}

/// Tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant with its first admin, and a key for it.
    Create {
        /// The tenant's name.
        name: String,
        /// The admin's name.
        #[arg(long, value_name = "NAME", default_value = "admin")]
        admin: String,
        /// Where the admin's key goes.
        #[command(flatten)]
        issue: IssueArgs,
    },
    /// List all tenants.
    List {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Let no principal of a tenant call.
    Disable {
        /// The tenant.
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
    },
    /// Let them call again.
    Enable {
        /// The tenant.
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
    },
    /// Make another admin for a tenant that has lost the keys of its own.
    AddAdmin {
        /// The tenant.
        #[arg(value_parser = tenant_id)]
        tenant: TenantId,
        /// The admin's name.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Where its key goes.
        #[command(flatten)]
        issue: IssueArgs,
    },
}

/// Principals.
#[derive(Debug, Subcommand)]
pub enum PrincipalCommand {
    /// Make a principal, without any right.
    Create {
        /// Its name.
        name: String,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List them.
    List {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Let one not call.
    Disable {
        /// The principal.
        #[arg(value_parser = principal_id)]
        principal: PrincipalId,
    },
    /// Let it call again.
    Enable {
        /// The principal.
        #[arg(value_parser = principal_id)]
        principal: PrincipalId,
    },
}

/// API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a principal.
    Create {
        /// The principal.
        #[arg(value_parser = principal_id)]
        principal: PrincipalId,
        /// When it expires.
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        expires: Option<u64>,
        /// Where it goes.
        #[command(flatten)]
        issue: IssueArgs,
    },
    /// List the keys; nothing of them is secret.
    List {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Make another key for the principal of one, or in the place of the own one.
    Rotate {
        /// The key; without it the one that this call is made with.
        #[arg(value_parser = key_id)]
        key: Option<ApiKeyId>,
        /// How long the old one is still taken, in seconds.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        overlap: u32,
        /// When the new one expires.
        #[arg(long, value_name = "TIME", value_parser = time::parse, requires = "key")]
        expires: Option<u64>,
        /// Where the new one goes.
        #[command(flatten)]
        issue: IssueArgs,
    },
    /// Revoke a key.
    Revoke {
        /// The key.
        #[arg(value_parser = key_id)]
        key: ApiKeyId,
    },
}

/// Grants.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Give a principal a role.
    Add {
        /// The principal.
        #[arg(value_parser = principal_id)]
        principal: PrincipalId,
        /// admin, enroller, matcher or auditor.
        #[arg(value_parser = role)]
        role: Role,
        /// For this gallery alone: its id, which `tyto gallery list` shows.
        #[arg(long, value_name = "ID", value_parser = gallery_id)]
        gallery: Option<GalleryId>,
        /// When it ends.
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        expires: Option<u64>,
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// List them.
    List {
        /// Output.
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Take one away.
    Revoke {
        /// The grant.
        #[arg(value_parser = grant_id)]
        grant: GrantId,
    },
}

/// Identities that others vouch for.
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Let one stand for a principal.
    Bind(SubjectArgs),
    /// Take it away.
    Unbind(SubjectArgs),
}

/// An identity, and the principal that it stands for.
#[derive(Debug, clap::Args)]
pub struct SubjectArgs {
    /// The principal.
    #[arg(value_parser = principal_id)]
    principal: PrincipalId,
    /// The subject of a client certificate.
    #[arg(long, value_name = "SUBJECT", conflicts_with_all = ["issuer", "subject"], required_unless_present = "subject")]
    certificate: Option<String>,
    /// The issuer of a token.
    #[arg(long, value_name = "URL", requires = "subject")]
    issuer: Option<String>,
    /// The subject of a token.
    #[arg(long, value_name = "SUBJECT", requires = "issuer")]
    subject: Option<String>,
}

/// Where a new key goes.
#[derive(Debug, clap::Args)]
pub struct IssueArgs {
    /// A new file for the key, for its owner alone; without it the key is printed, once.
    #[arg(long, value_name = "FILE")]
    key_out: Option<PathBuf>,
    /// Output.
    #[command(flatten)]
    output: OutputArgs,
}

macro_rules! parser {
    ($name:ident, $id:ty, $digits:literal) => {
        fn $name(text: &str) -> Result<$id, String> {
            <$id>::from_hex(text)
                .ok_or_else(|| concat!("expected ", $digits, " hexadecimal digits").to_owned())
        }
    };
}

parser!(tenant_id, TenantId, "32");
parser!(principal_id, PrincipalId, "32");
parser!(grant_id, GrantId, "32");
parser!(gallery_id, GalleryId, "32");
parser!(key_id, ApiKeyId, "16");

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "expected admin, enroller, matcher or auditor".to_owned())
}

/// Runs a command.
///
/// # Errors
/// As [`connection::admin`] and the calls of [`Admin`].
pub async fn run(command: &Command, global: &Global) -> Result<Exit, Error> {
    let admin = connection::admin(global).await?;
    match command {
        Command::Tenant(command) => tenant(command, &admin).await?,
        Command::Principal(command) => principal(command, &admin).await?,
        Command::Key(command) => key(command, &admin).await?,
        Command::Grant(command) => grant(command, &admin).await?,
        Command::Subject(SubjectCommand::Bind(args)) => admin.bind_subject(subject(args)).await?,
        Command::Subject(SubjectCommand::Unbind(args)) => admin.unbind_subject(subject(args)).await?,
        Command::Review(args) => review::run(args, &admin).await?,
    }
    Ok(Exit::Success)
}

async fn tenant(command: &TenantCommand, admin: &Admin) -> Result<(), Error> {
    match command {
        TenantCommand::Create { name, admin: admin_name, issue } => {
            check_new(issue)?;
            let created = admin.create_tenant(name, admin_name).await?;
            issued(issue, Some(&created.tenant), Some(&created.admin.principal), &created.admin.key)
        }
        TenantCommand::AddAdmin { tenant, name, issue } => {
            check_new(issue)?;
            let CreatedAdmin { principal, key } = admin.add_tenant_admin(*tenant, name).await?;
            issued(issue, None, Some(&principal), &key)
        }
        TenantCommand::List { output } => {
            let tenants: Vec<TenantRow> = admin.tenants().await?.iter().map(Into::into).collect();
            output.print(&tenants, |tenants| {
                let mut table = Table::new(["tenant", "name", "state", "created"]);
                for t in tenants {
                    table.row([t.tenant.clone(), t.name.clone(), state(t.disabled), t.created.clone()]);
                }
                table.text()
            })
        }
        TenantCommand::Disable { tenant } => Ok(admin.set_tenant_disabled(*tenant, true).await?),
        TenantCommand::Enable { tenant } => Ok(admin.set_tenant_disabled(*tenant, false).await?),
    }
}

async fn principal(command: &PrincipalCommand, admin: &Admin) -> Result<(), Error> {
    match command {
        PrincipalCommand::Create { name, output } => {
            let row = PrincipalRow::from(&admin.create_principal(name).await?);
            output.print(&row, |row| format!("{}\n", row.principal))
        }
        PrincipalCommand::List { output } => {
            let rows: Vec<PrincipalRow> = admin.review().await?.principals.iter().map(Into::into).collect();
            output.print(&rows, |rows| {
                let mut table = Table::new(["principal", "name", "state", "created"]);
                for p in rows {
                    table.row([p.principal.clone(), p.name.clone(), state(p.disabled), p.created.clone()]);
                }
                table.text()
            })
        }
        PrincipalCommand::Disable { principal } => Ok(admin.set_principal_disabled(*principal, true).await?),
        PrincipalCommand::Enable { principal } => Ok(admin.set_principal_disabled(*principal, false).await?),
    }
}

async fn key(command: &KeyCommand, admin: &Admin) -> Result<(), Error> {
    match command {
        KeyCommand::Create { principal, expires, issue } => {
            check_new(issue)?;
            issued(issue, None, None, &admin.create_key(*principal, *expires).await?)
        }
        KeyCommand::Rotate { key, overlap, expires, issue } => {
            check_new(issue)?;
            let new = match key {
                Some(key) => admin.rotate_key(*key, *overlap, *expires).await?,
                None => admin.rotate_own_key(*overlap).await?,
            };
            issued(issue, None, None, &new)
        }
        KeyCommand::List { output } => {
            let rows: Vec<KeyRow> = admin.review().await?.keys.iter().map(Into::into).collect();
            output.print(&rows, |rows| {
                let heading = ["key", "principal", "created", "last used", "expires", "revoked"];
                let mut table = Table::new(heading);
                for k in rows {
                    let times =
                        [&k.last_used, &k.expires, &k.revoked].map(|time| time.clone().unwrap_or_default());
                    let [last_used, expires, revoked] = times;
                    let (key, principal, created) = (k.key.clone(), k.principal.clone(), k.created.clone());
                    table.row([key, principal, created, last_used, expires, revoked]);
                }
                table.text()
            })
        }
        KeyCommand::Revoke { key } => Ok(admin.revoke_key(*key).await?),
    }
}

async fn grant(command: &GrantCommand, admin: &Admin) -> Result<(), Error> {
    match command {
        GrantCommand::Add { principal, role, gallery, expires, output } => {
            let (principal, role, gallery, expires_ms) = (*principal, *role, *gallery, *expires);
            let grant = admin.add_grant(AddGrant { principal, role, gallery, expires_ms }).await?;
            output.print(&GrantRow::from(&grant), |row| format!("{}\n", row.grant))
        }
        GrantCommand::List { output } => {
            let rows: Vec<GrantRow> = admin.review().await?.grants.iter().map(Into::into).collect();
            output.print(&rows, |rows| {
                let mut table = Table::new(["grant", "principal", "role", "gallery", "expires"]);
                for g in rows {
                    let gallery = g.gallery.clone().unwrap_or_else(|| "all".into());
                    let expires = g.expires.clone().unwrap_or_default();
                    table.row([g.grant.clone(), g.principal.clone(), g.role.into(), gallery, expires]);
                }
                table.text()
            })
        }
        GrantCommand::Revoke { grant } => Ok(admin.revoke_grant(*grant).await?),
    }
}

fn subject(args: &SubjectArgs) -> SubjectRecord {
    let kind = if args.certificate.is_some() { SubjectKind::Certificate } else { SubjectKind::Token };
    let subject = args.certificate.clone().or_else(|| args.subject.clone()).unwrap_or_default();
    let issuer = args.issuer.clone().unwrap_or_default();
    SubjectRecord { kind, issuer, subject, principal: args.principal, created_ms: 0 }
}

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "enabled" }.to_owned()
}

/// Refuses a file that is there already, before the server makes a key that could not be kept.
fn check_new(issue: &IssueArgs) -> Result<(), Error> {
    match &issue.key_out {
        Some(path) if path.exists() => Err(tyto_client::Error::FileExists { path: path.clone() }.into()),
        _ => Ok(()),
    }
}

/// Keeps or shows a new key, and says whose it is.
fn issued(
    issue: &IssueArgs,
    tenant: Option<&TenantRecord>,
    principal: Option<&PrincipalRecord>,
    key: &IssuedKey,
) -> Result<(), Error> {
    if let Some(path) = &issue.key_out {
        tyto_client::Credential::write_new(path, &key.text)?;
    }
    let row = IssuedRow {
        tenant: tenant.map(|tenant| tenant.id.to_string()),
        principal: principal.map_or(key.info.principal, |principal| principal.id).to_string(),
        key: key.info.id.to_string(),
        api_key: issue.key_out.is_none().then(|| key.text.as_str()),
    };
    issue.output.print(&row, |row| {
        let tenant = row.tenant.as_ref().map(|tenant| format!("tenant     {tenant}\n"));
        let api_key = row.api_key.map(|api_key| format!("{api_key}\n"));
        let (tenant, api_key) = (tenant.unwrap_or_default(), api_key.unwrap_or_default());
        format!("{tenant}principal  {}\nkey        {}\n{api_key}", row.principal, row.key)
    })
}

/// A new key as it is printed, once.
#[derive(Serialize)]
struct IssuedRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    principal: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

#[derive(Serialize)]
struct TenantRow {
    tenant: String,
    name: String,
    disabled: bool,
    created: String,
}

impl From<&TenantRecord> for TenantRow {
    fn from(tenant: &TenantRecord) -> Self {
        let created = time::utc(tenant.created_ms);
        Self { tenant: tenant.id.to_string(), name: tenant.name.clone(), disabled: tenant.disabled, created }
    }
}

#[derive(Serialize)]
struct PrincipalRow {
    principal: String,
    name: String,
    operator: bool,
    disabled: bool,
    created: String,
}

impl From<&PrincipalRecord> for PrincipalRow {
    fn from(principal: &PrincipalRecord) -> Self {
        Self {
            principal: principal.id.to_string(),
            name: principal.name.clone(),
            operator: principal.operator,
            disabled: principal.disabled,
            created: time::utc(principal.created_ms),
        }
    }
}

#[derive(Serialize)]
struct KeyRow {
    key: String,
    principal: String,
    created: String,
    last_used: Option<String>,
    expires: Option<String>,
    revoked: Option<String>,
}

impl From<&KeyInfo> for KeyRow {
    fn from(key: &KeyInfo) -> Self {
        Self {
            key: key.id.to_string(),
            principal: key.principal.to_string(),
            created: time::utc(key.created_ms),
            last_used: key.last_used_ms.map(time::utc),
            expires: key.expires_ms.map(time::utc),
            revoked: key.revoked_ms.map(time::utc),
        }
    }
}

#[derive(Serialize)]
struct GrantRow {
    grant: String,
    principal: String,
    role: &'static str,
    gallery: Option<String>,
    created: String,
    expires: Option<String>,
}

impl From<&Grant> for GrantRow {
    fn from(grant: &Grant) -> Self {
        Self {
            grant: grant.id.to_string(),
            principal: grant.principal.to_string(),
            role: grant.role.name(),
            gallery: grant.gallery.map(|gallery| gallery.to_string()),
            created: time::utc(grant.created_ms),
            expires: grant.expires_ms.map(time::utc),
        }
    }
}
