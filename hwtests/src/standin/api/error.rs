//! Failures of the API, in the shape a client sees them (metav1.Status).

use serde_json::{Value, json};

use super::resource::Resource;

/// A refused request. `code` is the HTTP status, `reason` the machine-readable word of metav1.StatusReason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// metav1.StatusReason.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            code,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn not_found(resource: Resource, name: &str) -> ApiError {
        ApiError::new(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", resource.qualified()),
        )
    }

    pub(crate) fn already_exists(resource: Resource, name: &str) -> ApiError {
        ApiError::new(
            409,
            "AlreadyExists",
            format!("{} \"{name}\" already exists", resource.qualified()),
        )
    }

    pub(crate) fn conflict(resource: Resource, name: &str, why: &str) -> ApiError {
        let what = resource.qualified();
        ApiError::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {what} \"{name}\": {why}"),
        )
    }

    pub(crate) fn invalid(resource: Resource, name: &str, why: &str) -> ApiError {
        let kind = resource.kind();
        ApiError::new(
            422,
            "Invalid",
            format!("{kind} \"{name}\" is invalid: {why}"),
        )
    }

    pub(crate) fn bad_request(why: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", why)
    }

    pub(crate) fn method_not_allowed() -> ApiError {
        ApiError::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    pub(crate) fn unsupported_media(content_type: &str) -> ApiError {
        let why = format!("the body of the request was in an unknown format: {content_type}");
        ApiError::new(415, "UnsupportedMediaType", why)
    }

    /// Nobody that the server knows.
    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(resource: Resource, name: &str, why: &str) -> ApiError {
        let what = resource.qualified();
        let quoted = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        ApiError::new(
            403,
            "Forbidden",
            format!("{what}{quoted} is forbidden: {why}"),
        )
    }

    pub(crate) fn too_large() -> ApiError {
        ApiError::new(
            413,
            "RequestEntityTooLarge",
            "Request entity too large: limit is 3145728",
        )
    }

    pub(crate) fn expired(asked: u64, oldest: u64) -> ApiError {
        ApiError::new(
            410,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// The metav1.Status a client receives.
    pub fn status(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        })
    }

    /// True for 404.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }
}
