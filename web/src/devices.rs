//! Devices: sessions and passkeys, listed and ended.

use axum::Json;
use axum::extract::State;
use wsm_api::device::Device;
use wsm_api::problem::Problem;

use crate::Edge;
use crate::extract::{Caller, Path};
use crate::problem::Answer;

#[utoipa::path(get, path = "/v1/devices",
    responses((status = 200, body = Vec<Device>), (status = "default", body = Problem)))]
/// The caller's devices; an admin sees all.
pub(crate) async fn list(State(edge): State<Edge>, caller: Caller) -> Answer<Vec<Device>> {
    Ok(Json(edge.daemon.devices(&caller.actor).await?))
}

#[utoipa::path(delete, path = "/v1/devices/{device}",
    params(("device" = String, Path, description = "Id")),
    responses((status = 200, body = Device), (status = "default", body = Problem)))]
/// Ends a device at once, and what it holds open.
pub(crate) async fn remove(
    State(edge): State<Edge>,
    caller: Caller,
    Path(device): Path<String>,
) -> Answer<Device> {
    Ok(Json(
        edge.daemon.device_remove(&caller.actor, &device).await?,
    ))
}
