//! The enums that are stored as words, so that a file can be read by eye.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word in the file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The variant for a word in the file.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Which side of a channel this wallet is.
    Role { Payer = "payer", Receiver = "receiver", }
}

words! {
    /// How a channel was funded.
    FundingKind {
        /// In a batch: final once its commitment transaction is buried.
        Batch = "batch",
        /// By an ark transaction: preconfirmed.
        Offchain = "offchain",
    }
}

words! {
    /// Where a channel is in its life. Only `Confirming` and `Open` take payments, and nothing leads back to them.
    ChannelState {
        /// The funding commitment transaction is not deep enough yet.
        Confirming = "confirming",
        Open = "open",
        /// The close has begun; the receiver may have signed the ark transaction.
        Closing = "closing",
        /// The ark transaction is finalized; its result is preconfirmed.
        Closed = "closed",
        /// The result is in a batch whose commitment transaction is confirmed.
        Settled = "settled",
        Refunding = "refunding",
        Refunded = "refunded",
        /// On its way on chain.
        Exiting = "exiting",
        /// Nothing can be claimed any more.
        Lost = "lost",
    }
}

words! {
    /// What a flow of several steps does.
    FlowKind {
        OpenPayer = "open-payer",
        OpenReceiver = "open-receiver",
        OpenOffchain = "open-offchain",
        Close = "close",
        Refund = "refund",
        Release = "release",
        Send = "send",
        Settle = "settle",
        Withdraw = "withdraw",
        /// Leaving a VTXO on chain.
        Exit = "exit",
    }
}

words! {
    /// What kind of output a script of our own makes.
    ScriptKind {
        /// A default VTXO script.
        Vtxo = "vtxo",
        /// A boarding script, on chain.
        Boarding = "boarding",
        /// An on-chain address of the wallet's own (BIP86).
        Chain = "chain",
    }
}
