//! Calls recorded as raw gRPC messages, and the details of refusals.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use regtest::operator::Operator;
use regtest::operator::wire;
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::indexer_service_client::IndexerServiceClient;
use serde_json::Value;
use tonic::{Request, Status};

use super::load;

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Outer {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

fn unpack(bytes: &[u8]) -> Option<wire::ErrorDetails> {
    wire::ErrorDetails::decode(&Outer::decode(bytes).ok()?.details.first()?.value[..]).ok()
}

/// The details of a refusal of ours.
pub fn details(status: &Status) -> Option<wire::ErrorDetails> {
    unpack(status.details())
}

/// The details of a recorded refusal.
pub fn recorded_details(call: &Value) -> Option<wire::ErrorDetails> {
    let trailers = call["trailers"].as_array()?;
    let own = trailers.iter().find(|t| t[0] == "grpc-status-details-bin")?;
    unpack(&STANDARD.decode(own[1].as_str()?).ok()?)
}

/// The raw calls of a file.
pub fn wire(name: &str) -> Vec<Value> {
    load(name).as_array().unwrap().clone()
}

/// Sends a raw call; None when the operator has no such call.
pub async fn send_raw(operator: &Operator, call: &Value) -> Option<Result<(), Status>> {
    let bytes = STANDARD.decode(call["request"].as_str()?).unwrap();
    let mut ark = ArkServiceClient::connect(operator.url()).await.unwrap();
    let mut indexer = IndexerServiceClient::connect(operator.url()).await.unwrap();
    fn ask<M: Message + Default>(bytes: &[u8], call: &Value) -> Request<M> {
        let mut request = Request::new(M::decode(bytes).unwrap());
        for pair in call["metadata"].as_array().into_iter().flatten() {
            let name: tonic::metadata::AsciiMetadataKey = pair[0].as_str().unwrap().parse().unwrap();
            request.metadata_mut().insert(name, pair[1].as_str().unwrap().parse().unwrap());
        }
        request
    }
    Some(match call["method"].as_str()? {
        "ArkService/GetInfo" => ark.get_info(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/RegisterIntent" => ark.register_intent(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/DeleteIntent" => ark.delete_intent(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/SubmitTx" => ark.submit_tx(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/FinalizeTx" => ark.finalize_tx(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/GetPendingTx" => ark.get_pending_tx(ask(&bytes, call)).await.map(|_| ()),
        "ArkService/ConfirmRegistration" => ark.confirm_registration(ask(&bytes, call)).await.map(|_| ()),
        "IndexerService/GetVtxos" => indexer.get_vtxos(ask(&bytes, call)).await.map(|_| ()),
        _ => return None,
    })
}
