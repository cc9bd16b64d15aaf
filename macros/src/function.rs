//! The function that `#[task]` stands on: what a handler may be.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, FnArg, PatType, Path, ReturnType, Signature, Type, Visibility};

use crate::args::Mistakes;

/// As many arguments as `TaskFn` is implemented for.
const MOST_ARGUMENTS: usize = 8;

/// A function's head; its body is none of our business and not read.
pub(crate) struct Function {
    /// The `#[cfg]`s that the function stands under, as must what is added to it.
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) name: Ident,
    /// Nothing can be added beside it: it stands in an `impl`, or another `#[task]` adds it.
    pub(crate) stands_alone: bool,
    pub(crate) is_async: bool,
    pub(crate) arguments: Vec<PatType>,
    /// What comes of it when it has run to its end; `None` where it is nothing, or only the compiler knows.
    pub(crate) result: Option<Type>,
}

/// Reads the function's head and says what in it no handler can have. `None`: there is no function.
pub(crate) fn read(item: TokenStream, mistakes: &mut Mistakes) -> Option<Function> {
    let (attributes, vis, signature) = mistakes.take(head.parse2(item))?;
    check(&signature, mistakes);
    let other_task = attributes.iter().find(|attribute| is_task(attribute.path()));
    if let Some(other) = other_task {
        let message = "a function has one `#[task]`: join its triggers by `trigger = \
                       OrTrigger::new([Box::new(…) as Box<dyn Trigger>, Box::new(…)])?`, or write another function that \
                       calls it";
        mistakes.add(syn::Error::new_spanned(other, message));
    }
    let stands_alone = signature.receiver().is_some() || other_task.is_some();
    let cfgs = attributes.into_iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    let (is_async, result) = match &signature.output {
        ReturnType::Default => (signature.asyncness.is_some(), None),
        ReturnType::Type(_, ty) if signature.asyncness.is_none() && is_future(ty) => (true, None),
        ReturnType::Type(_, ty) => (signature.asyncness.is_some(), named(ty)),
    };
    let arguments = signature.inputs.into_iter().filter_map(|argument| match argument {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    });
    Some(Function {
        cfgs,
        vis,
        name: signature.ident,
        stands_alone,
        is_async,
        arguments: arguments.collect(),
        result,
    })
}

fn head(input: ParseStream) -> syn::Result<(Vec<Attribute>, Visibility, Signature)> {
    let attributes = input.call(Attribute::parse_outer)?;
    let vis = input.parse()?;
    if !is_function(input) {
        return Err(input.error("`#[task]` stands on a function: `async fn` or `fn`"));
    }
    let signature = input.parse()?;
    // The body.
    input.parse::<TokenStream>()?;
    Ok((attributes, vis, signature))
}

fn is_task(path: &Path) -> bool {
    let mut names = path.segments.iter().map(|segment| &segment.ident).rev();
    names.next().is_some_and(|last| last == "task") && names.all(|name| name == "asyncz")
}

/// Whether a `fn` comes; without a look into the body, which may be long.
fn is_function(input: ParseStream) -> bool {
    let ahead = input.fork();
    while let Ok(token) = ahead.parse::<TokenTree>() {
        match token {
            TokenTree::Ident(word) if word == "fn" => return true,
            TokenTree::Ident(word) if ["const", "async", "unsafe", "extern"].iter().any(|q| word == q) => {}
            // The `"C"` of an `extern "C" fn`.
            TokenTree::Literal(_) => {}
            _ => return false,
        }
    }
    false
}

fn check(signature: &Signature, mistakes: &mut Mistakes) {
    let mut refuse = |tokens: &dyn ToTokens, message: &str| {
        mistakes.add(syn::Error::new_spanned(tokens.to_token_stream(), message));
    };
    if let Some(constness) = &signature.constness {
        refuse(constness, "a `const fn` can't be a task: leave out `const`");
    }
    if let Some(unsafety) = &signature.unsafety {
        refuse(unsafety, "an `unsafe fn` can't be a task: wrap it in a safe function");
    }
    if let Some(abi) = &signature.abi {
        refuse(abi, "an `extern fn` can't be a task: wrap it in a Rust function");
    }
    if !signature.generics.params.is_empty() {
        refuse(
            &signature.generics,
            "a task can't be generic: the scheduler would not know for what types to call it",
        );
    }
    for argument in &signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => refuse(
                receiver,
                "a method can't be a task: write a function that takes `State<T>` in place of `self`",
            ),
            FnArg::Typed(argument) => match &*argument.ty {
                Type::Reference(_) => refuse(&argument.ty, "a task owns its arguments: leave out the `&`"),
                Type::ImplTrait(_) => {
                    refuse(&argument.ty, "a task can't be generic: write a type in place of `impl`");
                }
                _ => {}
            },
        }
    }
    // Those under a `#[cfg]` may not be there.
    let mut sure = signature.inputs.iter().filter(|argument| match argument {
        FnArg::Typed(argument) => !argument.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")),
        FnArg::Receiver(_) => false,
    });
    if let Some(ninth) = sure.nth(MOST_ARGUMENTS) {
        refuse(ninth, "a task takes up to 8 arguments: put some of them together in one");
    }
}

/// Whether a `fn` gives a future, as far as its type tells by its name: `impl Future`, `BoxFuture`, `Pin<Box<dyn Future>>`.
fn is_future(ty: &Type) -> bool {
    has_word(ty.to_token_stream(), &|word| word.ends_with("Future"))
}

/// The type, where it has a name by which it can be called elsewhere.
fn named(ty: &Type) -> Option<Type> {
    (!has_word(ty.to_token_stream(), &|word| word == "impl")).then(|| ty.clone())
}

fn has_word(tokens: TokenStream, wanted: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => wanted(&word.to_string()),
        TokenTree::Group(group) => has_word(group.stream(), wanted),
        _ => false,
    })
}
