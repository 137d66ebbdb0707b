//! The port for operators: `GET /metrics`, in the Prometheus text format, and nothing else.
//!
//! One small request, one answer, then the connection is closed: an HTTP library would bring more than it is worth.

use crate::app::App;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const MAX_REQUEST_BYTES: usize = 8 << 10;
const MAX_CONNECTIONS: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let app = app.clone();
                tokio::spawn(async move {
                    // A caller that is too slow or breaks off has nothing to be told.
                    let _ = tokio::time::timeout(TIMEOUT, answer(stream, &app)).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, say: wait for better times instead of spinning.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn answer(mut stream: TcpStream, app: &App) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await?;
        request.extend_from_slice(&part[..read]);
        if read == 0 || request.len() > MAX_REQUEST_BYTES {
            return Ok(());
        }
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        ("200 OK", metrics(app))
    } else {
        ("404 Not Found", "there is /metrics and nothing else\n".into())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn metrics(app: &App) -> String {
    let infos = app.galleries.infos();
    let newest = app.log.newest();
    let head = newest.as_ref().map(|newest| *newest.checkpoint.head());
    app.metrics.render(&[
        ("log_size", head.map_or(0, |head| head.size)),
        ("log_checkpoint_unix_seconds", head.map_or(0, |head| head.time_unix_ms / 1000)),
        ("log_queued", app.log.queued() as u64),
        ("galleries", infos.len() as u64),
        ("templates", infos.iter().map(|info| info.templates).sum()),
        ("blocks", infos.iter().map(|info| info.blocks).sum()),
        ("resident_bytes", infos.iter().map(|info| info.resident_bytes).sum()),
    ])
}
