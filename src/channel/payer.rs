//! payer
