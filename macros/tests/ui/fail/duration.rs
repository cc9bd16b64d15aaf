use asyncz::task;

#[task(every = "30")]
async fn without_unit() {}

#[task(every = 30)]
async fn number() {}

#[task(every = "0s")]
async fn zero() {}

#[task(every = "900000000w")]
async fn too_long() {}

#[task(every = "1m", jitter = "5 sec", misfire_grace_time = "1.5h")]
async fn two_more() {}

#[task(every = "20000000000w")]
async fn much_too_long() {}

#[task(every = "1m", jitter = 5, misfire_grace_time = -1)]
async fn numbers() {}

#[task(every = "1m", jitter = none)]
async fn no_jitter() {}

fn main() {}
