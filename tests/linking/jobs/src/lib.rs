//! Tasks in modules, two of them of one name.

pub mod mail {
    #[asyncz::task(every = "1h")]
    async fn send() {}
}

pub mod news {
    #[asyncz::task(every = "1h")]
    async fn send() {}
}
