// Writes sdk.json: what the npm package @arkade-os/sdk computes for channels with random terms from a fixed seed.
//
//     npm ci && npm run make
//
// Keys are sha256 of a label, so the file is the same at every run. Amounts are sats, delays are in their `unit`, scripts and
// transactions hex (unsigned, without witnesses), PSBTs base64. `secrets` are the private keys, for tests that sign.

import { createHash } from "node:crypto";
import {
    ArkAddress, CLTVMultisigTapscript, CSVMultisigTapscript, DefaultVtxo, Intent, MultisigTapscript, SingleKey, VtxoScript,
    buildOffchainTx,
} from "@arkade-os/sdk";

const CHANNELS = 24;
const DUST = 330;

const hash = (label) => createHash("sha256").update(`virtual-channels ${label}`).digest();
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
// A whole number in [from, to], from a label.
const number = (label, from, to) => from + (hash(label).readUIntBE(0, 6) % (to - from + 1));
const pick = (label, list) => list[number(label, 0, list.length - 1)];

async function key(label) {
    const secret = hex(hash(label));
    const signer = SingleKey.fromHex(secret);
    return { secret, xonly: await signer.xOnlyPublicKey(), compressed: await signer.compressedPublicKey() };
}

const timelock = ({ unit, value }) => ({ type: unit, value: BigInt(value) });
const unsigned = (tx) => ({ txid: tx.id, hex: hex(tx.unsignedTx), psbt: base64(tx.toPSBT()) });

function describe(script, hrp, operator) {
    return {
        leaves: script.scripts.map(hex),
        taptree: hex(script.encode()),
        script: hex(script.pkScript),
        address: script.address(hrp, operator).encode(),
    };
}

function defaultVtxo(owner, operator, delay) {
    return new DefaultVtxo.Script({ pubKey: owner, serverPubKey: operator, csvTimelock: timelock(delay) });
}

// The four leaves in their order: forfeit, refund, update, unilateral refund.
function channelScript({ payer, receiver, operator, locktime, d1, d2 }) {
    return new VtxoScript([
        MultisigTapscript.encode({ pubkeys: [payer, receiver, operator] }).script,
        CLTVMultisigTapscript.encode({ absoluteTimelock: BigInt(locktime), pubkeys: [payer, operator] }).script,
        CSVMultisigTapscript.encode({ timelock: timelock(d1), pubkeys: [payer, receiver] }).script,
        CSVMultisigTapscript.encode({ timelock: timelock(d2), pubkeys: [payer] }).script,
    ]);
}

// What an off-chain transaction or an intent proof spends.
function coin(script, leaf, { txid, vout }, value) {
    const tapLeafScript = script.findLeaf(hex(script.scripts[leaf]));
    return { txid, vout, value, tapLeafScript, intentTapLeafScript: tapLeafScript, tapTree: script.encode() };
}

function offchain(input, outputs, unroll) {
    const { arkTx, checkpoints } = buildOffchainTx([input], outputs, unroll);
    return { checkpoint: unsigned(checkpoints[0]), ark: unsigned(arkTx) };
}

function proof(message, coins, outputs) {
    const made = Intent.create(message, coins, outputs);
    return { message: Intent.encodeMessage(message), outputs: (outputs ?? []).map(output), ...unsigned(made) };
}

const output = ({ script, amount }) => ({ script: hex(script), amount: Number(amount) });

async function channel(i) {
    const at = (name) => `channel ${i} ${name}`;
    const unit = i % 2 ? "blocks" : "seconds";
    const hrp = pick(at("network"), ["ark", "tark"]);
    const delay = (name, from, to) =>
        unit === "blocks" ? { unit, value: number(at(name), from, to) } : { unit, value: 512 * number(at(name), from, to) };

    const keys = {};
    for (const name of ["payer", "receiver", "operator", "forfeit", "payer_owner", "receiver_owner", "payer_cosigner", "receiver_cosigner"])
        keys[name] = await key(at(name));
    const x = (name) => keys[name].xonly;

    // Small heights and delays reach every length of the number's push (1 to 4 bytes).
    const exitDelay = delay("exit delay", 1, 60);
    const d1 = { unit, value: exitDelay.value + (unit === "blocks" ? number(at("margin"), 0, 90) : 512 * number(at("margin"), 0, 90)) };
    const d2 = { unit, value: 2 * d1.value };
    const locktime = unit === "blocks"
        ? number(at("locktime"), 1, pick(at("size"), [16, 127, 128, 300, 40000, 900000]))
        : number(at("locktime"), 500000000, 2147483647);
    const capacity = number(at("capacity"), 2 * DUST, 50000000);
    // Some are paid in full: the payer's output is left out.
    const amount = i % 6 === 5 ? capacity : number(at("amount"), DUST, capacity - DUST);
    const checkpointDelay = delay("checkpoint delay", 1, 170);
    const unroll = CSVMultisigTapscript.encode({ timelock: timelock(checkpointDelay), pubkeys: [x("forfeit")] });
    const outpoint = { txid: hex(hash(at("outpoint"))), vout: number(at("vout"), 0, 3) };

    const script = channelScript({ payer: x("payer"), receiver: x("receiver"), operator: x("operator"), locktime, d1, d2 });
    const payerVtxo = defaultVtxo(x("payer_owner"), x("operator"), exitDelay);
    const receiverVtxo = defaultVtxo(x("receiver_owner"), x("operator"), exitDelay);
    const boardingDelay = delay("boarding delay", 61, 200);
    const boarding = defaultVtxo(x("payer_owner"), x("operator"), boardingDelay);

    const split = [{ script: receiverVtxo.pkScript, amount: BigInt(amount) }];
    if (amount < capacity) split.push({ script: payerVtxo.pkScript, amount: BigInt(capacity - amount) });
    const closing = coin(script, 0, outpoint, capacity);

    // Opening in a batch: one VTXO or boarding coin of the payer goes in, the channel and the change come out.
    const source = { txid: hex(hash(at("source"))), vout: number(at("source vout"), 0, 3) };
    const change = number(at("change"), DUST, 1000000);
    const opened = [
        { script: script.pkScript, amount: BigInt(capacity) },
        { script: payerVtxo.pkScript, amount: BigInt(change) },
    ];
    const register = {
        type: "register", onchain_output_indexes: [], valid_at: 0, expire_at: 0,
        cosigners_public_keys: [hex(keys.payer_cosigner.compressed), hex(keys.receiver_cosigner.compressed)],
    };
    const from = (owned) => [coin(owned, 0, source, capacity + change)];

    return {
        network_hrp: hrp,
        terms: {
            payer: hex(x("payer")), receiver: hex(x("receiver")), operator: hex(x("operator")), locktime, d1, d2, capacity,
            payer_owner: hex(x("payer_owner")), receiver_owner: hex(x("receiver_owner")), exit_delay: exitDelay,
        },
        secrets: Object.fromEntries(Object.entries(keys).map(([name, { secret }]) => [name, secret])),
        channel: describe(script, hrp, x("operator")),
        payer_vtxo: describe(payerVtxo, hrp, x("operator")),
        receiver_vtxo: describe(receiverVtxo, hrp, x("operator")),
        boarding: { exit_delay: boardingDelay, ...describe(boarding, hrp, x("operator")) },
        checkpoint_delay: checkpointDelay,
        checkpoint_tapscript: hex(unroll.script),
        outpoint,
        amount,
        update: offchain(closing, split, unroll),
        refund: offchain(coin(script, 1, outpoint, capacity), [{ script: payerVtxo.pkScript, amount: BigInt(capacity) }], unroll),
        proofs: {
            pending: proof({ type: "get-pending-tx", expire_at: 0 }, [closing]),
            delete: proof({ type: "delete", expire_at: unit === "seconds" ? locktime : 0 }, [closing]),
            register_from_vtxo: { source, change, ...proof(register, from(payerVtxo), opened) },
            register_from_boarding: { source, change, ...proof(register, from(boarding), opened) },
        },
    };
}

const channels = [];
for (let i = 0; i < CHANNELS; i++) channels.push(await channel(i));
for (const { channel: { address, script } } of channels)
    if (hex(ArkAddress.decode(address).pkScript) !== script) throw new Error(`${address} does not decode to ${script}`);
console.log(JSON.stringify({ made_with: "@arkade-os/sdk 0.4.56", channels }, null, 1));
