//! Every call of a wallet, each with something to work on.

use virtual_channels::channel::message::{Accept, Invite, Offer, UpdateMessage};
use virtual_channels::channel::{ChannelId, Receipt};
use virtual_channels::wallet::{FundingChoice, InviteRequest, Wallet, WalletError};

use crate::pair::sats;
use crate::world::request;

/// What the calls are given.
pub struct Things {
    pub id: ChannelId,
    pub update: UpdateMessage,
    pub receipt: Receipt,
    pub invite: Invite,
    pub offer: Option<(Offer, Accept)>,
}

/// Calls everything; answers the name of each call with its error, if it failed.
pub async fn all(wallet: &Wallet, with: &Things) -> Vec<(&'static str, Option<Box<WalletError>>)> {
    let (id, update, invite) = (&with.id, &with.update, &with.invite);
    let address = "bcrt1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqvx0yhk";
    let choice = request(10_000, FundingChoice::Batch);
    let mut answers = vec![
        ("ark_address", wallet.ark_address().err()),
        ("new_ark_address", wallet.new_ark_address().err()),
        ("boarding_address", wallet.boarding_address().err()),
        ("balance", wallet.balance().await.err()),
        ("channels", wallet.channels().err()),
        ("channel", wallet.channel(id).err()),
        ("create_invite", wallet.create_invite(&InviteRequest::default()).err()),
        ("pending_events", wallet.pending_events(10).err()),
        ("acknowledge_event", wallet.acknowledge_event("e:1").err()),
        ("pay", wallet.pay(id, sats(1_000), "one more", None).err()),
        ("latest_update", wallet.latest_update(id).err()),
        ("reauthorise", wallet.reauthorise(id).await.err()),
        ("catch_up", wallet.catch_up(update).err()),
        ("acknowledge", wallet.acknowledge(&with.receipt).err()),
        ("receive", wallet.receive(update).err()),
        ("receive_many", wallet.receive_many(std::slice::from_ref(update)).err()),
        ("receipt", wallet.receipt(id, None).err()),
        ("offer", wallet.offer(id).err()),
        ("propose", wallet.propose(invite, &choice).await.err()),
        ("quote_open", wallet.quote_open(invite, &choice).await.err()),
        ("quote_refund", wallet.quote_refund(id).await.err()),
        ("quote_settle", wallet.quote_settle(false).await.err()),
        ("quote_withdraw", wallet.quote_withdraw(address, None).await.err()),
        ("cancel_proposal", wallet.cancel_proposal(&[7; 32]).err()),
        ("settle", wallet.settle(false).await.err()),
        ("withdraw", wallet.withdraw(address, None).await.err()),
        ("send", wallet.send(address, sats(1_000)).await.err()),
        ("watch", wallet.watch(id).await.err()),
        ("close_channel", wallet.close_channel(id).await.err()),
        ("refund", wallet.refund(id).await.err()),
        ("resume", wallet.resume().await.err()),
    ];
    if let Some((offer, accept)) = &with.offer {
        answers.push(("accept", wallet.accept(offer).await.err()));
        answers.push(("open_channel", wallet.open_channel(accept).await.err()));
    }
    answers
}
