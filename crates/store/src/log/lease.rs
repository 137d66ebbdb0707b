//! Who may append: a lease with a fencing token.

use crate::database::{array, number, signed};
use crate::{Error, Store};
use sqlx::SqliteConnection;

const TABLE: &str = "log_lock";

/// What a writer of the log shows at every commit. It is good until someone else acquires the lease, which they can
/// once it has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogToken {
    epoch: u64,
    holder: [u8; 16],
}

impl LogToken {
    /// Larger than that of every earlier token.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Checks, within a transaction, that nobody acquired the lease since.
    pub(super) async fn check(&self, connection: &mut SqliteConnection) -> Result<(), Error> {
        let row = sqlx::query("SELECT epoch, holder FROM log_lock").fetch_one(connection).await?;
        let current = number(&row, "epoch", TABLE)?;
        if current == self.epoch && array(&row, "holder", TABLE)? == self.holder {
            return Ok(());
        }
        Err(Error::LogFenced { epoch: self.epoch, current })
    }
}

impl Store {
    /// Acquires the lease on the log for `lease_ms` from `now_ms`, if it is free, has run out, or is this holder's
    /// already. Every earlier token is void from here on.
    ///
    /// # Errors
    /// [`Error::LogHeld`] if someone else has it.
    pub async fn acquire_log(&self, holder: [u8; 16], now_ms: u64, lease_ms: u64) -> Result<LogToken, Error> {
        let mut tx = self.inner.database.write().await?;
        let row =
            sqlx::query("SELECT epoch, holder, lease_until_ms FROM log_lock").fetch_one(&mut *tx).await?;
        let until_ms = number(&row, "lease_until_ms", TABLE)?;
        if now_ms < until_ms && array(&row, "holder", TABLE)? != holder {
            return Err(Error::LogHeld { until_ms });
        }
        let epoch = number::<u64>(&row, "epoch", TABLE)? + 1;
        let query = sqlx::query("UPDATE log_lock SET epoch = ?, holder = ?, lease_until_ms = ?");
        let query = query.bind(signed(epoch)).bind(holder.as_slice());
        query.bind(signed(now_ms.saturating_add(lease_ms))).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(LogToken { epoch, holder })
    }

    /// Prolongs the lease to `lease_ms` from `now_ms`. One that ran out is prolonged as well, as long as nobody else
    /// acquired it. With a `lease_ms` of 0 it is given back.
    ///
    /// # Errors
    /// [`Error::LogFenced`].
    pub async fn renew_log(&self, token: &LogToken, now_ms: u64, lease_ms: u64) -> Result<(), Error> {
        let mut tx = self.inner.database.write().await?;
        token.check(&mut tx).await?;
        let query = sqlx::query("UPDATE log_lock SET lease_until_ms = ?");
        query.bind(signed(now_ms.saturating_add(lease_ms))).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }
}
