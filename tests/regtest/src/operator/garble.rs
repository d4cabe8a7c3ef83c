//! Rubbish in the shape of an answer: every text in a protobuf message is replaced, numbers stay.

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};

const RUBBISH: &[u8] = b"rubbish";

/// The same message with rubbish for texts.
pub fn garble<M: Message + Default>(message: &M) -> M {
    let bytes = message.encode_to_vec();
    walk(&bytes).and_then(|b| M::decode(&b[..]).ok()).unwrap_or_default()
}

fn walk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let (tag, kind) = decode_key(&mut bytes).ok()?;
        encode_key(tag, kind, &mut out);
        match kind {
            WireType::Varint => encode_varint(decode_varint(&mut bytes).ok()?, &mut out),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                let text = !field.is_empty() && field.iter().all(|b| (0x20..0x7f).contains(b));
                let field = if text { RUBBISH.to_vec() } else { walk(field).unwrap_or_else(|| RUBBISH.to_vec()) };
                encode_varint(field.len() as u64, &mut out);
                out.extend(field);
            }
            WireType::SixtyFourBit | WireType::ThirtyTwoBit => {
                let length = if kind == WireType::SixtyFourBit { 8 } else { 4 };
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                out.extend(field);
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::wire;
    use super::*;

    #[test]
    fn texts_go_and_numbers_stay() {
        let outpoint = wire::IndexerOutpoint { txid: "ab".into(), vout: 7 };
        let chain = wire::GetVtxoChainRequest { outpoint: Some(outpoint), ..Default::default() };
        let garbled = garble(&chain).outpoint.unwrap();
        assert_eq!((garbled.txid.as_str(), garbled.vout), ("rubbish", 7));
    }
}
