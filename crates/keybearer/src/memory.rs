//! Gives memory back to the system.

use std::hint::black_box;
use std::time::Duration;

/// How often.
const EVERY: Duration = Duration::from_secs(3);
/// A piece of memory so large that it is alone in its page of the allocator, which goes when it is freed.
const ALONE_BYTES: usize = 1 << 20;

/// Has the allocator give back what nobody has used for a second; as long as it is polled.
///
/// mimalloc keeps freed pages for a second, in case they are needed again. It looks at the time only when one more page is
/// freed: a process that rests after its start, or after many calls, frees none and would keep them all.
pub(crate) async fn keep_giving_back() {
    loop {
        tokio::time::sleep(EVERY).await;
        drop(black_box(Vec::<u8>::with_capacity(ALONE_BYTES)));
    }
}
