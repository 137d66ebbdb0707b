//! `tyto.attest.v1.AttestService`.

use super::call;
use crate::app::App;
use crate::service::attest;
use std::sync::Arc;
use std::time::Duration;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tyto_api::attest::GetReceipt;
use tyto_api::proto::attest::v1 as proto;
use tyto_api::proto::attest::v1::attest_service_server::AttestService;

/// What an answer needs of a call's time to arrive.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// The name of a method in the table of rights.
macro_rules! method {
    ($name:literal) => {
        concat!("tyto.attest.v1.AttestService/", $name)
    };
}

/// The handler.
pub(crate) struct AttestHandler(pub(crate) Arc<App>);

#[tonic::async_trait]
impl AttestService for AttestHandler {
    async fn attest(
        &self,
        request: Request<proto::AttestRequest>,
    ) -> Result<Response<proto::AttestResponse>, Status> {
        call(&self.0, "Attest", async {
            let site = self.0.authorise(request.extensions(), method!("Attest"), None)?.site;
            Ok(attest::attest(&self.0, site.principal(), request.into_inner().try_into()?).await?.into())
        })
        .await
    }

    async fn get_checkpoint(
        &self,
        request: Request<proto::GetCheckpointRequest>,
    ) -> Result<Response<proto::GetCheckpointResponse>, Status> {
        call(&self.0, "GetCheckpoint", async {
            self.0.authorise(request.extensions(), method!("GetCheckpoint"), None)?;
            Ok(proto::GetCheckpointResponse { checkpoint: attest::checkpoint(&self.0)? })
        })
        .await
    }

    async fn get_receipt(
        &self,
        request: Request<proto::GetReceiptRequest>,
    ) -> Result<Response<proto::GetReceiptResponse>, Status> {
        call(&self.0, "GetReceipt", async {
            self.0.authorise(request.extensions(), method!("GetReceipt"), None)?;
            let left = time_left(request.metadata()).map(|left| left.saturating_sub(ANSWER_TIME));
            let GetReceipt { leaf_hash, wait_ms } = request.into_inner().try_into()?;
            let wait = Duration::from_millis(wait_ms.into()).min(left.unwrap_or(Duration::MAX));
            Ok(attest::receipt(&self.0, &leaf_hash, wait).await?.into())
        })
        .await
    }

    async fn get_consistency_proof(
        &self,
        request: Request<proto::GetConsistencyProofRequest>,
    ) -> Result<Response<proto::GetConsistencyProofResponse>, Status> {
        call(&self.0, "GetConsistencyProof", async {
            self.0.authorise(request.extensions(), method!("GetConsistencyProof"), None)?;
            let receipt = attest::consistency(&self.0, request.into_inner().try_into()?).await?;
            Ok(proto::GetConsistencyProofResponse { receipt })
        })
        .await
    }

    async fn list_keys(
        &self,
        request: Request<proto::ListKeysRequest>,
    ) -> Result<Response<proto::ListKeysResponse>, Status> {
        call(&self.0, "ListKeys", async {
            self.0.authorise(request.extensions(), method!("ListKeys"), None)?;
            Ok(attest::keys(&self.0).into())
        })
        .await
    }
}

/// How long the caller waits at most, if it said so (gRPC over HTTP/2: a number of up to 8 digits and a unit).
fn time_left(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn the_callers_deadline_is_read_as_grpc_writes_it() {
        let left = |text: &str| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            time_left(&metadata)
        };
        assert_eq!(left("1H"), Some(Duration::from_hours(1)));
        assert_eq!(left("90S"), Some(Duration::from_secs(90)));
        assert_eq!(left("250m"), Some(Duration::from_millis(250)));
        assert_eq!(left("99999999u"), Some(Duration::from_micros(99_999_999)));
        for wrong in ["", "5", "S", "-1S", "1x", "999999999S"] {
            assert_eq!(left(wrong), None, "{wrong}");
        }
        assert_eq!(time_left(&MetadataMap::new()), None);
    }

    #[tokio::test]
    async fn the_callers_deadline_bounds_the_wait_for_a_receipt() {
        let (_dir, app) = crate::fixture::app(|config| config.transparency.receipt_wait_ms = 60_000).await;
        // Another server leads the log, and signs nothing.
        let later_ms = crate::app::unix_ms() + 3_600_000;
        app.store.acquire_log([9; 16], later_ms, 3_600_000).await.unwrap();
        let place = app.log.place().unwrap();
        place.submit_durably(Bytes::from_static(b"entry")).wait(Duration::from_mins(1)).await.unwrap();
        let leaf_hash = tyto_attest::log::leaf_hash(b"entry").to_vec().into();
        let mut request = Request::new(proto::GetReceiptRequest { leaf_hash, wait_ms: 60_000 });
        request.set_timeout(Duration::from_millis(200));
        let started = std::time::Instant::now();
        let answer = AttestHandler(app.app().clone()).get_receipt(request).await.unwrap().into_inner();
        let Some(proto::get_receipt_response::Result::NotCovered(wait)) = answer.result else { panic!() };
        assert!(started.elapsed() < Duration::from_mins(1), "the own limit of the call would be a minute");
        assert!(wait.retry_after_ms > 0);
    }
}
