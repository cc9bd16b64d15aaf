//! The `#[task]` attribute of asyncz; use it as `asyncz::task`.

mod args;
mod expand;
mod function;
mod trigger;
mod validate;

use proc_macro::TokenStream;

/// Declares a function as a task.
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::task(options.into(), function.into()).into()
}
