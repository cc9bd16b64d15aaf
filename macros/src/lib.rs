//! The `#[task]` attribute of asyncz; use it as `asyncz::task`.

mod args;
mod expand;
mod function;
mod pairs;
mod trigger;
mod validate;

use proc_macro::TokenStream;

#[doc = include_str!("task.md")]
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    let expansion = TokenStream::from(expand::task(options.into(), function.into()));
    if std::env::var_os("ASYNCZ_MACROS_DEBUG").is_some_and(|value| value == "1") {
        show(&expansion);
    }
    expansion
}

#[expect(clippy::print_stderr, reason = "who asks for it with `ASYNCZ_MACROS_DEBUG=1` wants to see it")]
fn show(expansion: &TokenStream) {
    eprintln!("{expansion}");
}
