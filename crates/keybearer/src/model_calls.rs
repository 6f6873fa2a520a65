//! Connects the planes where the control plane wants a model called: the gateway makes the call.

use bytes::Bytes;
use control::models::{CallFailure, ModelCall, ModelCalls, Remedy};
use gateway::{Gateway, InnerCall, InnerFailure};
use vault::BoxFuture;

/// The gateway, as far as the control plane may use it.
pub(crate) struct ThroughGateway(pub(crate) Gateway);

impl ModelCalls for ThroughGateway {
    fn call<'a>(&'a self, call: ModelCall<'a>) -> BoxFuture<'a, Result<Bytes, CallFailure>> {
        let inner = InnerCall {
            request: call.request,
            api_key: call.api_key,
            output: call.output,
            pinned: call.pinned,
            body: call.body,
            max_answer_bytes: call.max_answer_bytes,
        };
        Box::pin(async { self.0.call(inner).await.map_err(failure) })
    }
}

fn failure(failure: InnerFailure) -> CallFailure {
    CallFailure {
        code: failure.code.to_owned(),
        message: failure.message,
        hint: failure.hint,
        remedy: match failure.remedy {
            gateway::Remedy::Time => Remedy::Time,
            gateway::Remedy::Provider => Remedy::Provider,
            gateway::Remedy::Nothing => Remedy::Nothing,
        },
    }
}
