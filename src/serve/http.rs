//! Three pages for machines that watch the server: whether it lives, whether it can answer, what it counts.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::Server;
use crate::error::{Context, Result};

/// Binds the address.
///
/// # Errors
/// When it is taken or not one of this machine.
pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.context(|| format!("--http {address}"))
}

/// Serves the pages until the process ends.
pub(super) async fn serve(listener: TcpListener, server: Arc<Server>) {
    let pages = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(server);
    if let Err(e) = axum::serve(listener, pages).await {
        tracing::error!(error = %e, "the pages for health and metrics are not served any more");
    }
}

/// 200 while statements are answered, 503 with the reason while they are not.
async fn ready(State(server): State<Arc<Server>>) -> (StatusCode, String) {
    match server.not_ready() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(server): State<Arc<Server>>) -> ([(&'static str, &'static str); 1], String) {
    ([("content-type", "text/plain; version=0.0.4")], server.page_of_metrics().await)
}
