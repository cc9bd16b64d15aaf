//! What `#[task]` writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{PatType, Path};

use crate::args::{self, Mistakes};
use crate::function::{self, Function};
use crate::pairs;
use crate::trigger::Trigger;
use crate::validate::{self, Declaration};

/// The function as it was, and beside it what makes a task of it or else everything that is wrong.
pub(crate) fn task(brackets: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = args::read(brackets, &mut mistakes);
    // Beside an option that could not be read, others only seem to be idle.
    let is_all_there = mistakes.is_empty();
    let declaration = validate::declaration(&options, &mut mistakes);
    let function = function::read(item.clone(), &mut mistakes);
    if is_all_there {
        pairs::check(&options, function.as_ref(), &mut mistakes);
    }
    let added = match (function, mistakes.into_compile_errors()) {
        (Some(function), None) => declared(&function, &declaration),
        (Some(function), Some(errors)) => refused(&function, &declaration.krate, &errors),
        (None, errors) => errors.unwrap_or_default(),
    };
    quote!(#item #added)
}

fn declared(function: &Function, declaration: &Declaration) -> TokenStream {
    let Function { cfgs, name, .. } = function;
    let Declaration { krate, calls, .. } = declaration;
    let start = start(function, declaration);
    let trigger = declaration.trigger.as_ref().map(|trigger| match trigger {
        Trigger::Json(json) => {
            let json = format!("r#\"{json}\"#").parse().unwrap_or_else(|_| quote!(#json));
            quote!(.declared_trigger(#json))
        }
        Trigger::Expr(expr) => {
            let trigger = quote_spanned!(expr.span()=> ::core::convert::Into::into(#expr));
            quote!(.try_trigger(|| ::core::result::Result::Ok(#trigger)))
        }
    });
    let doubt = declaration.doubt.as_ref().map(|(span, note)| {
        // There is no other way to a warning.
        let used = Ident::new("WEEKDAY", *span);
        quote! {
            #(#cfgs)*
            const _: () = {
                #[deprecated(note = #note)]
                const WEEKDAY: () = ();
                #used;
            };
        }
    });
    let carrier = carrier(function, krate, &quote!(#start #trigger #(#calls)*));
    // In words that seem to be the user's, a macro is expanded and remembered in less time than in ours.
    let submit = quote_spanned! {name.span()=>
        #krate::inventory::submit! { #krate::__private::TaskEntry { task: #name::task } }
    };
    quote! {
        #carrier
        #doubt
        #(#cfgs)*
        #submit
    }
}

/// `task()` is there all the same, so that who calls it is not told a second mistake.
fn refused(function: &Function, krate: &Path, errors: &TokenStream) -> TokenStream {
    if function.stands_alone {
        return errors.clone();
    }
    let carrier = carrier(function, krate, &quote!(::core::panic!("its declaration is wrong")));
    quote!(#errors #carrier)
}

/// The type of the function's name that has `task()`.
fn carrier(function: &Function, krate: &Path, body: &TokenStream) -> TokenStream {
    let Function { cfgs, vis, name, .. } = function;
    let about =
        format!("What `#[task]` says of the function of this name: `{name}::task()` gives it as a task.");
    quote! {
        #(#cfgs)*
        #[doc = #about]
        #[allow(non_camel_case_types, missing_debug_implementations)]
        #vis enum #name {}

        #(#cfgs)*
        #[allow(deprecated, unreachable_pub, unused_imports, clippy::all, clippy::pedantic, clippy::nursery)]
        impl #name {
            /// The function as a task, with the options that `#[task]` was given.
            pub fn task() -> #krate::Task {
                #body
            }
        }
    }
}

/// The task before its options. Arguments and result are named one by one, with the spans they have in the function, so
/// that the compiler's messages point there.
fn start(function: &Function, declaration: &Declaration) -> TokenStream {
    let Function { name, arguments, result, .. } = function;
    let Declaration { krate, .. } = declaration;
    let source = match &declaration.state {
        Some(state) => quote!(#krate::Typed<#state>),
        None => quote!(#krate::Provided),
    };
    let arguments = arguments.iter().map(|PatType { attrs, ty, .. }| {
        let cfgs = attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
        quote_spanned!(ty.span()=> #(#cfgs)* __private::argument::<#source, #ty>(),)
    });
    let (unkept, outcome) = match result {
        Some(result) => (
            Some(quote!(use #krate::__private::Unkept as _;)),
            quote!(__private::Returned::<#result>::KEPT.outcome::<#result, _>()),
        ),
        None => (None, quote!(__private::outcome)),
    };
    // That a future can't be sent is told of the call that takes it: it is to point at the function.
    let pointing = name.span().resolved_at(Span::call_site());
    let handler = handler(function, declaration);
    let start = if function.is_async { "async_task" } else { "blocking_task" };
    let start = Ident::new(start, pointing);
    let function = quote_spanned!(pointing=> &__private::Function(#name));
    quote! {
        use #krate::__private;
        #unkept
        __private::#start(
            &[#handler],
            (#(#arguments)*),
            #function,
            #outcome,
        )
    }
}

/// The handler's name, in parts.
fn handler(function: &Function, declaration: &Declaration) -> TokenStream {
    match &declaration.handler {
        Some(handler) => handler.to_token_stream(),
        None => {
            let name = function.name.unraw().to_string();
            quote!(::core::module_path!(), #name)
        }
    }
}
