//! Allocate: devices are noted as given away, then made ready; an error takes all of it back.

use std::sync::Arc;

use proto::deviceplugin::{AllocateRequest, AllocateResponse};
use tonic::Status;
use tracing::info;

use super::pool::Context;
use crate::{
    access::{self, Access},
    allocate, failure,
    inventory::Before,
    node::DeviceId,
    plan::Device,
};

/// Answers a request; all or nothing.
pub(super) fn grant(
    context: &Context,
    request: &AllocateRequest,
) -> Result<AllocateResponse, Status> {
    let mut notes = Notes {
        context,
        taken: Vec::new(),
    };
    let mut answer = AllocateResponse::default();
    for container in &request.container_requests {
        let devices = notes.take(&container.devices_ids)?;
        let mut granted: Vec<(&Device, Access)> = Vec::new();
        for device in &devices {
            let access = access::access(&context.shared.roots, device).map_err(|error| {
                // The node is not what the last scan saw.
                context.shared.device_changes.announce();
                Status::failed_precondition(failure::chain(&error))
            })?;
            granted.push((device, access));
        }
        let handover = &context.shared.handover;
        for (device, access) in &granted {
            let given = handover.give(&context.name, device, access);
            given.map_err(|error| Status::internal(failure::chain(&*error)))?;
        }
        let ids: Vec<String> = granted
            .iter()
            .map(|(device, _)| device.function.id.to_string())
            .collect();
        info!(resource = %context.name, devices = ids.join(","), "allocated");
        answer
            .container_responses
            .push(allocate::response(&context.name, &granted, &handover.cdi));
    }
    notes.taken.clear();
    Ok(answer)
}

/// Devices that were noted as given away. Dropped with any, they are free again.
struct Notes<'a> {
    context: &'a Context,
    taken: Vec<(DeviceId, Before)>,
}

impl Notes<'_> {
    /// Between the look at the list and the note no other list can be published.
    fn take(&mut self, ids: &[String]) -> Result<Vec<Arc<Device>>, Status> {
        let Context {
            shared,
            name,
            offer,
            ..
        } = self.context;
        let mut pages = shared.book.lock();
        let offer = Arc::clone(&offer.borrow());
        let found = allocate::devices(name, &offer.listing, ids)
            .map_err(|refused| Status::not_found(refused.to_string()))?;
        let mut devices = Vec::new();
        for device in found {
            let device = Arc::new(device.clone());
            let before = pages.inventory.grant(name, &device, offer.selectors);
            self.taken.push((device.function.id(), before));
            devices.push(device);
        }
        pages.save();
        Ok(devices)
    }
}

impl Drop for Notes<'_> {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut pages = self.context.shared.book.lock();
        for (id, before) in self.taken.drain(..).rev() {
            pages.inventory.revoke(&self.context.name, &id, before);
        }
        pages.save();
    }
}
