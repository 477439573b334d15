//! The Protocol Buffers codec of `tonic-prost` with small initial buffers, so that a call costs little until there is
//! something to encode. tonic's own buffers begin with 8 KiB each way, which a stream holds for as long as it lasts,
//! and which are slow to allocate. These begin with 512 bytes.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The initial size of a buffer, in bytes: room for a user. Buffers grow as needed.
const BUFFER: usize = 512;
/// The amount of encoded data, in bytes, that is sent at once if several messages are ready.
const CHUNK: usize = 32 << 10;

/// The codec of all generated methods. tests/generated.rs configures it.
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
