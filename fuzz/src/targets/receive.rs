//! A receiver and a payer who tries everything: a wallet with two open channels, and payments made, changed, repeated and
//! mixed up as the bytes say.
//!
//! Whatever comes, the amount never goes down, and what is taken is signed for: it makes an exit that the chain takes, and
//! a close.

use std::cell::OnceCell;

use bitcoin::Amount;
use rusqlite::Connection;
use tempfile::TempDir;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{
    Authorisation, Channel, ChannelId, ChannelTerms, ChannelUpdate, Delay, Message, UpdateMessage, psbt,
};
use virtual_channels::store::Store;
use virtual_channels::wallet::{KeyUse, Received, SecretKeypair, Wallet};

use super::Writer;
use super::input::Input;
use crate::ready::Ready;

/// More steps than it takes to reach any state.
const MOST: usize = 12;

/// The channels' capacity in sats.
const CAPACITY: u64 = 1_000_000;

struct Payer {
    channel: Channel,
    keypair: SecretKeypair,
}

struct World {
    ids: Vec<ChannelId>,
    checkpoint: CheckpointScript,
    wallet: Wallet,
    payers: Vec<Payer>,
    /// A second hand on the receiver's file, which puts it back to its beginning.
    raw: Connection,
    _runtime: tokio::runtime::Runtime,
}

thread_local! {
    static WORLD: OnceCell<&'static World> = const { OnceCell::new() };
    /// Apart from what lives in it: it goes when the thread ends.
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let ready = Ready::new(CAPACITY, 2);
        let store = Store::open(&ready.receiver.path).expect("a store");
        let keys = ready.payer.keys();
        let payers = ready.ids.iter().enumerate().map(|(index, id)| {
            let row = store.read(|db| db.channel(id)).expect("a read").expect("a channel");
            let terms = ChannelTerms::from_canonical(&row.record.terms).expect("terms");
            Payer {
                channel: Channel::new(terms, row.record.funding).expect("a channel"),
                keypair: keys.keypair(KeyUse::Payer, index as u32).expect("a key"),
            }
        });
        let payers = payers.collect();
        store.close().expect("a close");
        let wallet = runtime.block_on(ready.receiver.open());
        let raw = Connection::open(&ready.receiver.path).expect("a file");
        raw.execute_batch("PRAGMA synchronous = OFF; DROP TRIGGER channel_update;").expect("SQLite");
        let Ready { folder, info, ids, .. } = ready;
        FOLDER.with(|kept| kept.set(folder)).expect("one world a thread");
        Self { ids, checkpoint: info.checkpoint, wallet, payers, raw, _runtime: runtime }
    }

    fn begin(&self) {
        self.raw
            .execute_batch(
                "BEGIN IMMEDIATE;
                 UPDATE channel_hot SET amount = 0, previous = NULL, ark_signature = NULL, exit_signature = NULL,
                     high = 0, authorisation_hash = NULL;
                 UPDATE channel_rare SET authorisation = NULL;
                 COMMIT;",
            )
            .expect("SQLite");
    }

    fn stored(&self, id: &ChannelId) -> u64 {
        let amount = "SELECT amount FROM channel_hot WHERE id = ?1";
        let amount: i64 = self.raw.query_row(amount, [id.0], |row| row.get(0)).expect("SQLite");
        amount.try_into().expect("an amount")
    }
}

pub fn run(data: &[u8]) -> bool {
    WORLD.with(|world| {
        let world = world.get_or_init(|| Box::leak(Box::new(World::new())));
        world.begin();
        let mut play = Play { world, amounts: vec![0; world.payers.len()], sent: Vec::new(), taken: 0 };
        let mut input = Input::new(data);
        for _ in 0..MOST {
            if input.is_empty() {
                break;
            }
            play.step(&mut input);
        }
        play.taken > 0
    })
}

/// One input while it is played.
struct Play<'a> {
    world: &'a World,
    /// What has been taken so far.
    amounts: Vec<u64>,
    sent: Vec<UpdateMessage>,
    taken: usize,
}

impl Play<'_> {
    fn step(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let at = usize::from(how >> 7);
        let message = match how % 8 {
            // As it should be, and with any figures.
            0 | 1 => {
                let add = u64::from(input.number()) % 50_000;
                self.message(at, self.amounts[at], self.amounts[at] + add, input.byte())
            }
            2 => {
                let previous = u64::from(input.number()) % (2 * CAPACITY);
                self.message(at, previous, u64::from(input.number()) % (2 * CAPACITY), input.byte())
            }
            // Signed for one amount and said to be another.
            3 => {
                let mut message = self.message(at, self.amounts[at], self.amounts[at] + 1_000, input.byte());
                message.update.amount = Amount::from_sat(u64::from(input.number()) % (2 * CAPACITY));
                message
            }
            // Another channel's.
            4 => {
                let mut message = self.message(at, self.amounts[at], self.amounts[at] + 1_000, input.byte());
                message.update.channel_id = self.world.ids[1 - at];
                message
            }
            5 => {
                let Some(message) = self.sent.get(usize::from(input.byte()) % self.sent.len().max(1)) else { return };
                message.clone()
            }
            // Changed on the way, behind a right checksum.
            6 => {
                let message = self.message(at, self.amounts[at], self.amounts[at] + 1_000, input.byte());
                let mut bytes = Message::Update(Box::new(message)).to_bytes();
                for _ in 0..1 + input.byte() % 3 {
                    let place = 1 + usize::from(input.byte()) % (bytes.len() - 1);
                    bytes[place] ^= 1 << (input.byte() % 8);
                }
                let Ok(Message::Update(message)) = Message::from_bytes(&bytes) else { return };
                *message
            }
            _ => {
                let messages: Vec<UpdateMessage> = self.sent.clone();
                let answers = self.world.wallet.receive_many(&messages).expect("few messages");
                for (message, answer) in messages.iter().zip(answers) {
                    self.judge(message, answer.ok());
                }
                return self.unchanged();
            }
        };
        let answer = self.world.wallet.receive(&message);
        self.judge(&message, answer.ok());
        self.unchanged();
        self.sent.push(message);
    }

    /// A payment; the lowest bits of `extra` say which Authorisation comes with it.
    fn message(&self, at: usize, previous: u64, amount: u64, extra: u8) -> UpdateMessage {
        let Payer { channel, keypair } = &self.world.payers[at];
        let current = self.world.checkpoint;
        let other = CheckpointScript { delay: Delay::seconds(200_192).expect("a delay"), ..current };
        let script = if extra & 4 != 0 { other } else { current };
        let close = channel.close_template(script).expect("a template");
        let update =
            ChannelUpdate::sign(channel, &close, keypair, Amount::from_sat(previous), Amount::from_sat(amount));
        let authorisation = (extra & 1 != 0).then(|| {
            let mut made = Authorisation::sign(channel, script, keypair).expect("an authorisation");
            match extra & 0x18 {
                0x08 => made.checkpoint = Some(update.exit_signature),
                0x10 => made.pending.swap(0, 1),
                0x18 => made.delete[0] = made.delete[1],
                _ => {}
            }
            made
        });
        UpdateMessage { update, authorisation, memo: (extra & 2 != 0).then(|| "a memo".to_owned()) }
    }

    /// What was taken must have been worth it.
    fn judge(&mut self, message: &UpdateMessage, received: Option<Received>) {
        let Some(received) = received else { return };
        let update = &message.update;
        let at = self.world.ids.iter().position(|id| *id == update.channel_id).expect("a known channel");
        let Payer { channel, keypair } = &self.world.payers[at];
        let payer = keypair.x_only_public_key().0;
        let amount = update.amount.to_sat();
        assert_eq!((received.channel_id, received.amount), (update.channel_id, update.amount));
        assert!(amount >= self.amounts[at] && amount <= CAPACITY, "{amount} after {}", self.amounts[at]);
        assert_eq!(received.increase.to_sat(), amount - self.amounts[at]);
        assert!(psbt::verify(&channel.exit_sighash().message(update.amount), &payer, &update.exit_signature));
        let close = channel.close_template(self.world.checkpoint).expect("a template");
        assert!(psbt::verify(&close.ark_sighash().message(update.amount), &payer, &update.ark_signature));
        self.amounts[at] = amount;
        self.taken += 1;
    }

    /// What is stored is what was taken, with the Authorisation to close it.
    fn unchanged(&self) {
        for (id, amount) in self.world.ids.iter().zip(&self.amounts) {
            assert_eq!(self.world.stored(id), *amount);
            let authorised =
                "SELECT r.authorisation FROM channel_rare r JOIN channel_hot h ON h.n = r.n WHERE h.id = ?1";
            let bytes: Option<Vec<u8>> =
                self.world.raw.query_row(authorised, [id.0], |row| row.get(0)).expect("SQLite");
            assert!(*amount == 0 || bytes.is_some());
            if let Some(bytes) = bytes {
                let stored = Authorisation::from_bytes(&bytes).expect("an authorisation");
                let payer = self.world.payers.iter().find(|payer| payer.channel.id == *id).expect("a payer");
                let close = payer.channel.close_template(stored.script).expect("a template");
                assert_eq!(stored.verify(&payer.channel, &close), Ok(()));
                assert_eq!(stored.script, self.world.checkpoint);
            }
        }
    }
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let start = Writer::default();
    let pay = |writer: Writer, how: u8, add: u16, extra: u8| {
        writer.bytes(&[how]).bytes(&u32::from(add).to_le_bytes()).bytes(&[extra])
    };
    let first = pay(start.clone(), 0, 5_000, 1);
    let second = pay(first.clone(), 0, 700, 2);
    let seeds = [
        ("first", first.clone()),
        ("second", second.clone()),
        ("both-channels", pay(pay(second.clone(), 0x80, 900, 1), 0x80, 50, 0)),
        ("without-authorisation", pay(start.clone(), 0, 5_000, 0)),
        ("another-script", pay(second.clone(), 0, 800, 5)),
        ("lower", first.clone().bytes(&[2, 0, 0, 0, 0]).bytes(&2_000u32.to_le_bytes()).bytes(&[0])),
        ("over", first.clone().bytes(&[2, 0, 0, 0, 0]).bytes(&1_200_000u32.to_le_bytes()).bytes(&[0])),
        ("other-amount", first.clone().bytes(&[3, 0]).bytes(&9_000u32.to_le_bytes())),
        ("other-channel", first.clone().bytes(&[4, 1])),
        ("again", second.clone().bytes(&[5, 0, 5, 1])),
        ("changed", second.clone().bytes(&[6, 1, 0, 40, 3])),
        ("all-again", second.bytes(&[7])),
        ("bad-authorisation", pay(pay(start, 0, 5_000, 9), 0, 5_000, 0x11)),
    ];
    seeds.into_iter().map(|(name, seed)| (name.to_owned(), seed.0)).collect()
}
