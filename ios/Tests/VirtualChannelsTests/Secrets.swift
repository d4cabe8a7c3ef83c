/// A mnemonic of the BIP39 test vectors, and what it leads to on regtest by the paths in src/wallet/keys.rs (each step hardened).
enum Secrets {
    static let mnemonic = String(repeating: "abandon ", count: 11) + "about"

    static let texts: [String: String] = [
        "the mnemonic": mnemonic,
        "two words": "abandon about",
        "the entropy": String(repeating: "0", count: 32),
        "the seed's first half": "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1",
        "the seed's second half": "9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4",
        "the extended key": "tprv8ZgxMBicQKsPe5YMU9gHen4Ez3ApihUfykaqUorj9t6FDqy3nP6eoXiAo2ssvpAjoLroQxHqr3R5nE3a5dU3DHTjTgJDd7zrbniJr6nrCzd",
        "any extended key": "prv8Z",
        "the master key": "1837c1be8e2995ec11cda2b066151be2cfb48adf9e47b151d46adab3a21cdf67",
        "the key of the own branch": "9f46c651ab75e08cf58edec08dbc4ee5abd7d88ddbc44870fc826af5d6b7f0f0",
        "the key of the coin": "104b6700d1b22445bab4a7aa8784881ed50879203486b2a75e39c81faef4c3ef",
        "VTXO branch": "f4906b55a0c8073bb3112ce2723874222c94e6c23167da3dcd6789cb8babfe6b",
        "VTXO key 0": "7e7d404612b985a9868f78de86dc0f079d8b73fa4cd0a4dcd8c71dcc451500e2",
        "VTXO key 1": "54c297c4b358465f93940a628c5fdd37112b2c0432dbec68482d6dbf3d7bfb24",
        "VTXO key 2": "0f861fe6d2b1e945d9d59afaa44559426e02afc6aa71aa3d29214c612922fc5b",
        "VTXO key 3": "68b605562b1850d57bacb43deefb681d674f0be07e96dfe2ae6fa75f8dde0a9c",
        "VTXO key 4": "0463694cc799be70de38324593848af31f7e525e79e2511e247d91563adf61b6",
        "VTXO key 5": "0debbd878f1ad00e3714cba8d197e4ed0679cca98c1f35f044de5baa00ef911e",
        "boarding branch": "acaac06eba14b7bef61100e086ff624a5c9fb8ea98bc6599fb9a884a62dddcb6",
        "boarding key 0": "80e3902f72d1f15895b3dbd654e276c4630aee2447c37d8c433c8459a8ecf780",
        "boarding key 1": "773edc83ec7fdf9133d0f3eca88881a5f57d97fcf0f35c701815e79f7a97068e",
        "boarding key 2": "b2830e1ffe29e782c6d69ea87181f23a0dbd8dea8be1b9d905730377ec2f7d23",
        "boarding key 3": "8e7739228e47315da9bba6dcc11a8d58d1c345cc884f3fa04cee7fb4fec99b9d",
        "boarding key 4": "5f802e5cefdf200f5732e38aa17afa214e3a05c59f35b663c27ac56935157b4c",
        "boarding key 5": "8dc42cfc0596dbe5c59947670417bc1dc7ed8cb2a7899ed1f9c36759f978dfff",
        "payer branch": "7cc32aa94dec97da061d5b3a55d3b9b585db409f7fde5eeb0695d70609eb19db",
        "payer key 0": "6ad353f09c5df22f093cfbf1ae674f75da42638d226bc56618f8d9fbceff8b2e",
        "payer key 1": "9198f3dc1e8cd9c07ba2d977bb6f7b045ea9778d98ff17d146d371eceabd360a",
        "payer key 2": "804f40df4f4d76188360a7b72be99bf8d8e3037233ceb980194f111f11e44d77",
        "payer key 3": "81375f39c88ef158d1bcda170f192be7a94df9bce04dde3674e7a4168b40e60a",
        "payer key 4": "98ecd216c7f153664c69e3cd9b5a27c697533ed5f47d70848c88e8e2c545526d",
        "payer key 5": "3831c8c8f9c34c7526a1fdb51d5b0ac3a9be396dc68780154073fc5dd2a0e6b0",
        "receiver branch": "ee56f95a12e720ff1173eddd2c2a599c5830dd87d957e8f2d26b84bf9d81bfd3",
        "receiver key 0": "d9a6d53d9a600a318d91b7984b32dc20a3b267d8e5de6f33833358415f069568",
        "receiver key 1": "961dbecf3ac343aa809784939bcd65a8dfb5293183179f523666ff7ac2154f2a",
        "receiver key 2": "eba9730aed9ca83412bd48e6ddf98608935245756f80639c61c1eddeed256c76",
        "receiver key 3": "4bd347b90948b78d971c509bd4e714b99441223d335e9f8239eba5b651268bf2",
        "receiver key 4": "afa1387f5455df4889616a61296e519ca770b121d0324e177c4a6c58abd85d95",
        "receiver key 5": "701f669c7e90da7674cb07ec305c21ef847383373c3a7ff06c57fee2c6d597c1",
        "co-signer branch": "337ca2bea7c31d6eeb680aa7299b95c599f2fdae9e798378c4d878341b0288ae",
        "co-signer key 0": "1dc290ad52c8c2c4ee53210b3ae3985f66f28110125285b143b411d9123746e8",
        "co-signer key 1": "281a8e2657111cc29d506bc7222b0dc901a8379492ce1ef80bfee8a0e914be5c",
        "co-signer key 2": "820a362c01a6b4e96964292c474e2e1dc47313663a637838cbe2ea4626816947",
        "co-signer key 3": "2d2f7e38b94dfa746dd780b4941a6fbe9027b9dbc0912edf7c5f7dc7b8aee2a9",
        "co-signer key 4": "42e405dd1c3ddce91aff1ddef4911bb159fa3978aa0ef85532e7f8784ee903cd",
        "co-signer key 5": "565e50f154238cc4ad4e2469ac36dc553ca958d375dac3af499b8af16e28973d",
    ]

    /// What secret the text holds.
    static func found(in text: String) -> [String] {
        let lower = text.lowercased()
        return texts.filter { text.contains($0.value) || lower.contains($0.value) }.map(\.key)
    }
}
