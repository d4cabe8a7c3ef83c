//! A channel between two made-up parties, the same for the same seed.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};
use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use secp256k1::{Keypair, SECP256K1};
use virtual_channels::channel::operator_info::FeePrograms;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::transactions::CloseTemplate;
use virtual_channels::channel::{
    Authorisation, AuthorisationPolicy, Channel, ChannelTerms, ChannelUpdate, Delay, Network, OperatorInfo, Party,
    Payout, Unit, time,
};

pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub fn keypair(rng: &mut StdRng) -> Keypair {
    loop {
        if let Ok(pair) = Keypair::from_seckey_slice(SECP256K1, &rng.r#gen::<[u8; 32]>()) {
            return pair;
        }
    }
}

pub fn sats(amount: u64) -> Amount {
    Amount::from_sat(amount)
}

pub fn payout(rng: &mut StdRng) -> Payout {
    Payout::new(keypair(rng).x_only_public_key().0)
}

pub fn outpoint(rng: &mut StdRng) -> OutPoint {
    OutPoint::new(Txid::from_byte_array(rng.r#gen()), rng.gen_range(0..4))
}

/// Both sides of one channel.
#[derive(Clone)]
pub struct Pair {
    pub payer: Keypair,
    pub receiver: Keypair,
    pub operator: Keypair,
    pub forfeit: Keypair,
    pub info: OperatorInfo,
    pub channel: Channel,
    pub close: CloseTemplate,
}

/// Seconds at which these channels are made.
pub const NOW: u64 = 1_800_000_000;

/// Height at which these channels are made.
pub const HEIGHT: u64 = 1_000;

impl Pair {
    pub fn new(seed: u64, unit: Unit, capacity: u64) -> Self {
        Self::at(&mut rng(seed), Network::Regtest, unit, capacity, outpoint(&mut rng(seed + 1_000_000)))
    }

    pub fn at(rng: &mut StdRng, network: Network, unit: Unit, capacity: u64, funding: OutPoint) -> Self {
        let [payer, receiver, operator, forfeit] = std::array::from_fn(|_| keypair(rng));
        let party = |pair: &Keypair, rng: &mut StdRng| Party {
            key: pair.x_only_public_key().0,
            ark_payout: payout(rng),
            chain_payout: payout(rng),
        };
        let (d1, ahead) = match unit {
            Unit::Seconds => (Delay::seconds(86_528).unwrap(), NOW + 144 * 3600),
            Unit::Blocks => (Delay::blocks(144).unwrap(), HEIGHT + 864),
        };
        let info = info(network, &operator, &forfeit, d1);
        let terms = ChannelTerms {
            network,
            operator: operator.x_only_public_key().0,
            payer: party(&payer, rng),
            receiver: party(&receiver, rng),
            capacity: sats(capacity),
            locktime: time::locktime(unit, ahead).unwrap(),
            d1,
            d2: Delay::at_least(unit, 2 * d1.value()).unwrap(),
            authorisation: AuthorisationPolicy::default(),
        };
        let channel = Channel::new(terms, funding).unwrap();
        let close = channel.close_template(info.checkpoint).unwrap();
        Self { payer, receiver, operator, forfeit, info, channel, close }
    }

    pub fn script(&self) -> CheckpointScript {
        self.info.checkpoint
    }

    /// A script of the same operator with another delay.
    pub fn other_script(&self) -> CheckpointScript {
        let delay = Delay::at_least(self.channel.terms.unit(), 3 * self.script().delay.value()).unwrap();
        CheckpointScript { delay, ..self.script() }
    }

    pub fn update(&self, previous: u64, amount: u64) -> ChannelUpdate {
        ChannelUpdate::sign(&self.channel, &self.close, &self.payer, sats(previous), sats(amount))
    }

    pub fn authorisation(&self) -> Authorisation {
        Authorisation::sign(&self.channel, self.script(), &self.payer).unwrap()
    }
}

pub fn info(network: Network, operator: &Keypair, forfeit: &Keypair, exit_delay: Delay) -> OperatorInfo {
    let checkpoint = CheckpointScript {
        delay: Delay::at_least(exit_delay.unit(), 24 * exit_delay.unit().hour()).unwrap(),
        key: forfeit.x_only_public_key().0,
    };
    OperatorInfo {
        version: "0.9.15".to_string(),
        network,
        signer: operator.x_only_public_key().0,
        forfeit_key: forfeit.x_only_public_key().0,
        forfeit_script: ScriptBuf::new(),
        checkpoint,
        unilateral_exit_delay: exit_delay,
        boarding_exit_delay: Delay::at_least(exit_delay.unit(), 2 * exit_delay.value()).unwrap(),
        session_seconds: 30,
        dust: sats(330),
        vtxo_min: sats(1),
        vtxo_max: None,
        utxo_min: sats(330),
        utxo_max: None,
        fees: FeePrograms::default(),
        deprecated_signers: Vec::new(),
        max_tx_weight: 40_000,
        digest: String::new(),
    }
}
