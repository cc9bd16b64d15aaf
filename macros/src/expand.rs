//! What `#[task]` writes.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Path};

use crate::args::{self, Mistakes};
use crate::function::{self, Function};
use crate::trigger::Trigger;
use crate::validate::{self, Declaration};

/// The function as it was, and beside it what makes a task of it or else everything that is wrong.
pub(crate) fn task(brackets: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = args::read(brackets, &mut mistakes);
    let declaration = validate::declaration(&options, &mut mistakes);
    let function = function::read(item.clone(), &mut mistakes);
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
        Trigger::Json(json) => quote!(.declared_trigger(#json)),
        Trigger::Expr(expr) => {
            let trigger = quote_spanned!(expr.span()=> ::core::convert::Into::into(#expr));
            quote!(.try_trigger(|| ::core::result::Result::Ok(#trigger)))
        }
    });
    let carrier = carrier(function, krate, &quote!(#start #trigger #(#calls)*));
    quote! {
        #carrier

        #(#cfgs)*
        const _: () = {
            #krate::inventory::submit! { #krate::__private::TaskEntry { task: #name::task } }
        };
    }
}

/// `task()` is there all the same, so that who calls it is not told a second mistake.
fn refused(function: &Function, krate: &Path, errors: &TokenStream) -> TokenStream {
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
        #[automatically_derived]
        #[allow(deprecated, unreachable_pub, clippy::all, clippy::pedantic, clippy::nursery)]
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
    let Function { name, is_async, arguments, result, .. } = function;
    let Declaration { krate, .. } = declaration;
    let source = match &declaration.state {
        Some(state) => quote!(#krate::Typed<#state>),
        None => quote!(#krate::Provided),
    };
    // One identifier for all its places, as spans tell identifiers apart where a `macro_rules!` writes the function.
    let run = Ident::new("_run", Span::mixed_site());
    let checks = arguments.iter().map(|argument| {
        let (cfgs, ty) = (cfgs_of(&argument.attrs), &argument.ty);
        quote_spanned!(ty.span()=> #(#cfgs)* #krate::__private::Argument::of::<#source, #ty>())
    });
    let values = arguments.iter().map(|argument| {
        let (cfgs, ty) = (cfgs_of(&argument.attrs), &argument.ty);
        quote_spanned!(ty.span()=> #(#cfgs)* #krate::__private::argument::<#source, #ty>(#run)?)
    });
    let handler = match &declaration.handler {
        Some(handler) => handler.to_token_stream(),
        None => {
            let path = format!("::{}", name.unraw());
            quote!(::core::concat!(::core::module_path!(), #path))
        }
    };
    let start = if *is_async { quote!(async_task) } else { quote!(blocking_task) };
    let outcome = match result {
        Some(result) => quote_spanned!(result.span()=> #krate::__private::outcome::<#result>),
        None => quote!(#krate::__private::outcome),
    };
    let call = quote_spanned!(name.span()=> |#run| ::core::result::Result::Ok(#name(#(#values),*)));
    quote! {
        #krate::__private::#start(
            #handler,
            (::core::file!(), ::core::line!()),
            const { &[#(#checks),*] },
            #call,
            #outcome,
        )
    }
}

fn cfgs_of(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"))
}
