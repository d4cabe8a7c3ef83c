//! Both gRPC services over the operator's parts: headers and faults first, then the work.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::faults::{Action, Call};
use super::garble::garble;
use super::info::{check_headers, info};
use super::server::Line;
use super::shared::{Shared, uuid};
use super::wire::ark_service_server::ArkService;
use super::wire::get_event_stream_response::Event;
use super::wire::indexer_service_server::IndexerService;
use super::wire::update_stream_topics_request::TopicsChange;
use super::{batch_calls, indexer, offchain, pending, register, subscription, wire};

/// The services.
#[derive(Clone)]
pub struct Service {
    /// What they work on.
    pub shared: Arc<Shared>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What still has to go wrong after the work.
struct Afterwards {
    action: Option<Action>,
    line: Option<Arc<Line>>,
}

impl Service {
    /// Until the caller gives up.
    async fn hang(&self) {
        let _held = self.shared.faults.hold();
        std::future::pending::<()>().await;
    }

    /// Headers, and the faults that come before the work.
    async fn enter<Q>(&self, call: Call, request: &Request<Q>, ark: bool) -> Result<Afterwards, Status> {
        let line = request.extensions().get::<Arc<Line>>().cloned();
        let action = self.shared.faults.take_call(call);
        match &action {
            Some(Action::Drop) => {
                if let Some(line) = &line {
                    line.cut();
                }
                return Err(Status::unavailable("dropped on purpose"));
            }
            Some(Action::Hang) => self.hang().await,
            Some(Action::Delay(time)) => tokio::time::sleep(*time).await,
            Some(Action::Refuse(code, text)) => return Err(super::errors::refuse(*code, text.clone()).into()),
            Some(Action::Status(code, text)) => return Err(Status::new(*code, text.clone())),
            _ => {}
        }
        if ark {
            check_headers(&self.shared.settings(), request.metadata(), call != Call::GetInfo)?;
        }
        Ok(Afterwards { action, line })
    }

    async fn unary<Q, A, F>(
        &self,
        call: Call,
        request: Request<Q>,
        ark: bool,
        work: impl FnOnce(Arc<Shared>, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        Q: Any,
        A: Message + Default,
        F: Future<Output = Result<A, Status>>,
    {
        if let Some(submission) = (request.get_ref() as &dyn Any).downcast_ref::<wire::SubmitTxRequest>() {
            self.shared.faults.note_submission(submission.clone());
        }
        let after = self.enter(call, &request, ark).await?;
        let result = work(self.shared.clone(), request.into_inner()).await;
        match (after.action, after.line) {
            (Some(Action::LoseAnswer), Some(line)) => {
                line.cut();
                Err(Status::unavailable("lost on purpose"))
            }
            (Some(Action::RawGarbage), Some(line)) => {
                line.spoil();
                result.map(Response::new)
            }
            (Some(Action::KeepAnswer), _) => {
                self.hang().await;
                Err(Status::unavailable("kept on purpose"))
            }
            (Some(Action::AnswerError), _) => Err(Status::internal("something went wrong")),
            (Some(Action::Garbage), _) => result.map(|a| Response::new(garble(&a))),
            _ => result.map(Response::new),
        }
    }
}

macro_rules! calls {
    ($ark:literal: $($name:ident $call:ident $request:ident $response:ident => $work:path;)*) => {
        // Spelled out as async_trait spells it: it does not look into macros.
        $(fn $name<'life0, 'async_trait>(
            &'life0 self,
            request: Request<wire::$request>,
        ) -> Pin<Box<dyn Future<Output = Result<Response<wire::$response>, Status>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(self.unary(Call::$call, request, $ark, $work))
        })*
    };
}

async fn get_info(shared: Arc<Shared>, _: wire::GetInfoRequest) -> Result<wire::GetInfoResponse, Status> {
    Ok(info(&shared.settings()))
}

async fn update_topics(
    shared: Arc<Shared>,
    request: wire::UpdateStreamTopicsRequest,
) -> Result<wire::UpdateStreamTopicsResponse, Status> {
    let id = request.stream_id;
    if id.is_empty() {
        return Err(Status::invalid_argument("missing stream id"));
    }
    let unknown = || Status::not_found(format!("subscription not found: {id}"));
    match request.topics_change {
        None => Err(Status::invalid_argument("missing topics")),
        Some(TopicsChange::Overwrite(new)) => {
            let all_topics =
                shared.events.change(&id, |t| *t = new.topics.into_iter().collect()).ok_or_else(unknown)?;
            Ok(wire::UpdateStreamTopicsResponse { all_topics, ..Default::default() })
        }
        Some(TopicsChange::Modify(change)) => {
            if change.add_topics.is_empty() && change.remove_topics.is_empty() {
                return Err(Status::invalid_argument("missing topics to add or remove"));
            }
            let apply = |topics: &mut std::collections::BTreeSet<String>| {
                topics.extend(change.add_topics.iter().cloned());
                topics.retain(|t| !change.remove_topics.iter().any(|r| r.eq_ignore_ascii_case(t)));
            };
            let all_topics = shared.events.change(&id, apply).ok_or_else(unknown)?;
            Ok(wire::UpdateStreamTopicsResponse {
                topics_added: change.add_topics,
                topics_removed: change.remove_topics,
                all_topics,
            })
        }
    }
}

#[tonic::async_trait]
impl ArkService for Service {
    type GetEventStreamStream = Answers<wire::GetEventStreamResponse>;

    calls! { true:
        get_info GetInfo GetInfoRequest GetInfoResponse => get_info;
        register_intent RegisterIntent RegisterIntentRequest RegisterIntentResponse => register::register;
        estimate_intent_fee EstimateIntentFee EstimateIntentFeeRequest EstimateIntentFeeResponse => register::estimate;
        delete_intent DeleteIntent DeleteIntentRequest DeleteIntentResponse => register::delete;
        confirm_registration ConfirmRegistration ConfirmRegistrationRequest ConfirmRegistrationResponse
            => batch_calls::confirm;
        submit_tree_nonces SubmitTreeNonces SubmitTreeNoncesRequest SubmitTreeNoncesResponse => batch_calls::nonces;
        submit_tree_signatures SubmitTreeSignatures SubmitTreeSignaturesRequest SubmitTreeSignaturesResponse
            => batch_calls::signatures;
        submit_signed_forfeit_txs SubmitSignedForfeitTxs SubmitSignedForfeitTxsRequest SubmitSignedForfeitTxsResponse
            => batch_calls::forfeits;
        update_stream_topics UpdateStreamTopics UpdateStreamTopicsRequest UpdateStreamTopicsResponse => update_topics;
        submit_tx SubmitTx SubmitTxRequest SubmitTxResponse => offchain::submit;
        finalize_tx FinalizeTx FinalizeTxRequest FinalizeTxResponse => pending::finalize;
        get_pending_tx GetPendingTx GetPendingTxRequest GetPendingTxResponse => pending::pending;
    }

    async fn get_event_stream(
        &self,
        request: Request<wire::GetEventStreamRequest>,
    ) -> Result<Response<Self::GetEventStreamStream>, Status> {
        self.enter(Call::GetEventStream, &request, true).await?;
        let id = uuid();
        let mut events = self.shared.events.listen(&id, &request.into_inner().topics);
        let heartbeat = self.shared.settings().heartbeat;
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            let say = |event| wire::GetEventStreamResponse { event: Some(event) };
            let mut next = Some(say(Event::StreamStarted(wire::StreamStartedEvent { id })));
            while let Some(event) = next {
                if sender.send(Ok(event)).await.is_err() {
                    return;
                }
                next = tokio::select! {
                    () = sender.closed() => None,
                    event = events.recv() => event,
                    () = tokio::time::sleep(heartbeat) => Some(say(Event::Heartbeat(wire::Heartbeat {}))),
                };
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

#[tonic::async_trait]
impl IndexerService for Service {
    type GetSubscriptionStream = Answers<wire::GetSubscriptionResponse>;

    calls! { false:
        get_vtxos GetVtxos GetVtxosRequest GetVtxosResponse => indexer::vtxos;
        get_vtxo_chain GetVtxoChain GetVtxoChainRequest GetVtxoChainResponse => indexer::chain;
        get_virtual_txs GetVirtualTxs GetVirtualTxsRequest GetVirtualTxsResponse => indexer::virtual_txs;
        subscribe_for_scripts SubscribeForScripts SubscribeForScriptsRequest SubscribeForScriptsResponse
            => subscription::subscribe;
        unsubscribe_for_scripts UnsubscribeForScripts UnsubscribeForScriptsRequest UnsubscribeForScriptsResponse
            => subscription::unsubscribe;
    }

    async fn get_subscription(
        &self,
        request: Request<wire::GetSubscriptionRequest>,
    ) -> Result<Response<Self::GetSubscriptionStream>, Status> {
        self.enter(Call::GetSubscription, &request, false).await?;
        let receiver = subscription::stream(&self.shared, request.into_inner())?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(Ok))))
    }
}
