//! The calls of arkd, and how one is made: a message goes out as bytes and comes back as bytes, so that all calls share
//! one piece of tonic's machinery instead of having one each (docs/adr/0008-size.md).

use std::marker::PhantomData;

use http::uri::PathAndQuery;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use super::client::Headers;
use super::wire;

/// No answer and no event is larger.
const MESSAGE_LIMIT: usize = 16 << 20;

/// A request, and what answers it.
pub(super) trait Call: Message {
    const NAME: &'static str;
    const PATH: &'static str;
    type Answer: Message + Default;
}

macro_rules! calls {
    ($($service:literal: $($name:ident($request:ident) -> $answer:ident,)*)*) => {$($(
        impl Call for wire::$request {
            const NAME: &'static str = stringify!($name);
            const PATH: &'static str = concat!("/ark.v1.", $service, "/", stringify!($name));
            type Answer = wire::$answer;
        }
    )*)*};
}

calls! {
    "ArkService":
        GetInfo(GetInfoRequest) -> GetInfoResponse,
        RegisterIntent(RegisterIntentRequest) -> RegisterIntentResponse,
        EstimateIntentFee(EstimateIntentFeeRequest) -> EstimateIntentFeeResponse,
        DeleteIntent(DeleteIntentRequest) -> DeleteIntentResponse,
        ConfirmRegistration(ConfirmRegistrationRequest) -> ConfirmRegistrationResponse,
        SubmitTreeNonces(SubmitTreeNoncesRequest) -> SubmitTreeNoncesResponse,
        SubmitTreeSignatures(SubmitTreeSignaturesRequest) -> SubmitTreeSignaturesResponse,
        SubmitSignedForfeitTxs(SubmitSignedForfeitTxsRequest) -> SubmitSignedForfeitTxsResponse,
        GetEventStream(GetEventStreamRequest) -> GetEventStreamResponse,
        SubmitTx(SubmitTxRequest) -> SubmitTxResponse,
        FinalizeTx(FinalizeTxRequest) -> FinalizeTxResponse,
        GetPendingTx(GetPendingTxRequest) -> GetPendingTxResponse,
    "IndexerService":
        GetVtxos(GetVtxosRequest) -> GetVtxosResponse,
        GetVtxoChain(GetVtxoChainRequest) -> GetVtxoChainResponse,
        GetVirtualTxs(GetVirtualTxsRequest) -> GetVirtualTxsResponse,
        SubscribeForScripts(SubscribeForScriptsRequest) -> SubscribeForScriptsResponse,
        GetSubscription(GetSubscriptionRequest) -> GetSubscriptionResponse,
}

/// What calls go through.
#[derive(Clone)]
pub(super) struct Client(Grpc<InterceptedService<Channel, Headers>>);

impl Client {
    pub(super) fn new(channel: Channel, headers: Headers) -> Self {
        let grpc = Grpc::new(InterceptedService::new(channel, headers));
        Self(grpc.max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT))
    }

    /// One request, any number of answers.
    pub(super) async fn open<C: Call>(self, request: &C) -> Result<Answers<C>, Status> {
        let stream = self.open_bytes(C::PATH, request.encode_to_vec()).await?;
        Ok(Answers { stream, call: PhantomData })
    }

    /// One request, one answer: see [`decode`].
    pub(super) async fn send(mut self, path: &'static str, request: Vec<u8>) -> Result<Bytes, Status> {
        self.ready().await?;
        let answer = self.0.unary(Request::new(request), PathAndQuery::from_static(path), Raw).await?;
        Ok(answer.into_inner())
    }

    async fn open_bytes(mut self, path: &'static str, request: Vec<u8>) -> Result<Streaming<Bytes>, Status> {
        self.ready().await?;
        let answer = self.0.server_streaming(Request::new(request), PathAndQuery::from_static(path), Raw).await?;
        Ok(answer.into_inner())
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::from_error(error.into()))
    }
}

/// The answers to a call, as they come.
pub(super) struct Answers<C> {
    stream: Streaming<Bytes>,
    call: PhantomData<fn() -> C>,
}

impl<C: Call> Answers<C> {
    /// The next one; `None` when there will be no more.
    pub(super) async fn next(&mut self) -> Result<Option<C::Answer>, Status> {
        self.stream.message().await?.map(decode).transpose()
    }
}

/// A message of its bytes.
pub(super) fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

/// Messages as the bytes that they are.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
