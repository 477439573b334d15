//! Protocol Buffers, as `tonic-prost` reads and writes them, with buffers that cost a call next to nothing until there is
//! something in them. Its own begin with 8 KiB each, which a stream holds for as long as it lasts, and which the allocator
//! has to search for.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a buffer begins with, in bytes: room for a user. It grows with what it is to hold.
const BUFFER: usize = 512;
/// How much is encoded before it is sent, in bytes, of messages that are there together.
const CHUNK: usize = 32 << 10;

/// The codec of all methods that are made of proto/: tests/generated.rs names it.
pub(super) struct SmallBuffers<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBuffers<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for SmallBuffers<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(BUFFER, CHUNK))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(BUFFER, CHUNK))
    }
}
