//! What a dishonest side does, beside what its wallet would do for it.

use std::path::PathBuf;

use bitcoin::Amount;
use regtest::operator::wire;
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use virtual_channels::channel::intent::{Intent, IntentInput, IntentMessage};
use virtual_channels::channel::terms::leaf;
use virtual_channels::channel::{Authorisation, Channel, ChannelId, ChannelTerms, Network, UpdateMessage, psbt};
use virtual_channels::operator::Operator;
use virtual_channels::store::Store;
use virtual_channels::wallet::{KeyUse, Keys};

use crate::actor::Actor;
use crate::world::World;

/// The payer alone registers the channel VTXO for a batch that gives it everything. Whether the operator took it.
pub async fn lock(payer: &mut Actor, channel: &str) -> bool {
    payer.kill();
    let Some((channel, index)) = stored(payer, channel) else { return false };
    let keys = Keys::from_mnemonic(&World::mnemonic(&payer.home.name), Network::Regtest).expect("keys");
    let key = |key_use| keys.keypair(key_use, index).expect("a key");
    let terms = channel.terms;
    let input = IntentInput::unlocked(channel.funding, terms.capacity, channel.tree().clone(), leaf::UNILATERAL);
    let cosigners = vec![key(KeyUse::Cosigner).public_key()];
    let message = IntentMessage::Register { onchain_outputs: Vec::new(), valid_at: 0, expire_at: 0, cosigners };
    let back = bitcoin::TxOut { value: terms.capacity, script_pubkey: terms.payer.ark_payout.script() };
    let mut intent = Intent::new(&message, &[input], vec![back]).expect("an intent");
    intent.sign_all(&key(KeyUse::Payer)).expect("signed");
    let Ok(operator) = Operator::connect(&payer.home.operator).await else { return false };
    operator.register_intent(&intent).await.is_ok()
}

/// Somebody who knows the transaction's id finalizes it with rubbish: arkd fails it for good.
pub async fn poison(operator: &str, ark_txid: &str) -> bool {
    let Ok(mut client) = ArkServiceClient::connect(operator.to_owned()).await else { return false };
    let request = wire::FinalizeTxRequest { ark_txid: ark_txid.to_owned(), final_checkpoint_txs: Vec::new() };
    client.finalize_tx(request).await.is_err()
}

/// The receiver asks for more than the payer signed: its own signature, and the payer's for another amount. Whether the
/// operator took it.
pub async fn overclaim(receiver: &mut Actor, channel: &str) -> Option<bool> {
    receiver.kill();
    let id: ChannelId = channel.parse().ok()?;
    let store = Store::open(&receiver.home.database).ok()?;
    let row = store.read(|db| db.channel(&id)).ok()??;
    drop(store);
    let (update, authorisation) = (row.hot.update?, Authorisation::from_bytes(&row.authorisation?).ok()?);
    let terms = ChannelTerms::from_canonical(&row.record.terms).ok()?;
    let channel = Channel::new(terms, row.record.funding).ok()?;
    let keys = Keys::from_mnemonic(&World::mnemonic(&receiver.home.name), Network::Regtest).expect("keys");
    let own = keys.keypair(KeyUse::Receiver, row.record.key_index).expect("a key");
    let close = channel.close(&authorisation.script, terms.capacity).ok()?;
    let mut ark = close.ark_psbt().ok()?;
    close.sign_ark(&mut ark, 0, &own).ok()?;
    psbt::add_signature(&mut ark, 0, &close.checkpoint(0).ok()?.leaf, terms.payer.key, update.ark_signature).ok()?;
    let operator = Operator::connect(&receiver.home.operator).await.ok()?;
    Some(operator.submit(&close, &ark, terms.operator).await.is_ok())
}

/// An update of the payer's, said to be built on another amount than it was.
pub fn on_another_base(text: &str, base: Amount) -> Option<String> {
    let mut message = UpdateMessage::parse(text).ok()?;
    message.update.previous = base;
    message.to_text().ok()
}

/// Keeps a copy of a wallet's file, to come back with later.
pub fn keep(actor: &mut Actor) -> PathBuf {
    actor.kill();
    let copy = actor.home.database.with_extension("kept");
    copy_all(&actor.home.database, &copy);
    copy
}

/// The wallet goes on with what it was when the copy was made.
pub fn roll_back(actor: &mut Actor, copy: &std::path::Path) {
    actor.kill();
    copy_all(copy, &actor.home.database);
}

/// The file and its log, as a backup program would take them of a wallet that does not run.
fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    for ending in ["", "-wal"] {
        let with = |path: &std::path::Path| PathBuf::from(format!("{}{ending}", path.display()));
        let _ = std::fs::remove_file(with(to));
        if with(from).exists() {
            std::fs::copy(with(from), with(to)).expect("a copy");
        }
    }
    // It belongs to the log that was there before.
    let _ = std::fs::remove_file(format!("{}-shm", to.display()));
}

fn stored(actor: &Actor, channel: &str) -> Option<(Channel, u32)> {
    let id: ChannelId = channel.parse().ok()?;
    let store = Store::open(&actor.home.database).ok()?;
    let row = store.read(|db| db.channel(&id)).ok()??;
    let terms = ChannelTerms::from_canonical(&row.record.terms).ok()?;
    Some((Channel::new(terms, row.record.funding).ok()?, row.record.key_index))
}
