//! `#[contract(stock = "cleave.products.v1.Stock")]` on an ordinary trait.
//!
//! Every method says its effect and what it needs, `#[read(Permission("stock:read"))]`, and takes
//! `(&self, call: &Call, request: Request)`. The attribute leaves the trait as it is and adds, in a module named by the
//! first word, a type per method (`kernel::Method`), and the two adapters `kernel::To` and `kernel::Via`.
//! It knows no transport and no policy: those are generic over the types it makes.
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ItemTrait, LitStr, PathArguments, Result, ReturnType, Token,
    TraitItem, TraitItemFn, Type, parse::Parse, parse_macro_input, spanned::Spanned,
};

struct Name {
    module: Ident,
    service: LitStr,
}

impl Parse for Name {
    fn parse(input: syn::parse::ParseStream) -> Result<Self> {
        let module = input.parse()?;
        input.parse::<Token![=]>()?;
        Ok(Self { module, service: input.parse()? })
    }
}

#[proc_macro_attribute]
pub fn contract(args: TokenStream, item: TokenStream) -> TokenStream {
    let (name, item) = (parse_macro_input!(args as Name), parse_macro_input!(item as ItemTrait));
    expand(name, item).unwrap_or_else(Error::into_compile_error).into()
}

struct Method {
    name: Ident,
    effect: Ident,
    needs: Expr,
    request: Type,
    answer: Type,
    error: Type,
}

fn expand(Name { module, service }: Name, mut item: ItemTrait) -> Result<Tokens> {
    let mut methods = Vec::new();
    let mut problems: Option<Error> = None;
    for part in &mut item.items {
        let read = match part {
            TraitItem::Fn(method) => read_method(method),
            other => Err(Error::new(other.span(), "a contract has methods only")),
        };
        match (read, &mut problems) {
            (Ok(method), _) => methods.push(method),
            (Err(error), Some(all)) => all.combine(error),
            (Err(error), none) => *none = Some(error),
        }
    }
    problems.map_or(Ok(()), Err)?;
    item.supertraits.extend::<[syn::TypeParamBound; 3]>([
        syn::parse_quote!(Send),
        syn::parse_quote!(Sync),
        syn::parse_quote!('static),
    ]);
    let (t, vis) = (&item.ident, &item.vis);
    let names: Vec<_> = methods.iter().map(|m| &m.name).collect();
    let types = methods.iter().map(|Method { name, effect, needs, request, answer, error }| {
        let key = if effect == "idempotent" { quote_spanned!(request.span()=> Some(<#request as kernel::Keyed>::key(request))) } else { quote!({ let _ = request; None }) };
        quote! {
            pub struct #name;
            impl kernel::Method for #name {
                type Request = #request;
                type Answer = #answer;
                type Error = #error;
                const SPEC: &'static kernel::Spec = &kernel::Spec {
                    service: #service, method: stringify!(#name), effect: kernel::Effect::#effect, needs: { use kernel::Needs::*; #needs },
                };
                fn key(request: &#request) -> Option<kernel::Key> { #key }
            }
            impl<T: #t + ?Sized> kernel::Invoke<#name> for kernel::To<T> {
                async fn invoke(&self, call: kernel::Call, request: #request) -> kernel::Outcome<#name> { self.0.#name(&call, request).await }
            }
        }
    });
    let via = methods.iter().map(|Method { name, request, answer, error, .. }| {
        quote! {
            async fn #name(&self, call: &kernel::Call, request: #request) -> Result<#answer, kernel::CallError<#error>> {
                kernel::Invoke::<#module::#name>::invoke(&self.0, call.clone(), request).await
            }
        }
    });
    let invokes = quote!(#(kernel::Invoke<#module::#names> +)*);
    Ok(quote! {
        #[kernel::async_trait] #item
        #[expect(non_camel_case_types, reason = "a method's type has the method's name")] #vis mod #module { use super::*; #(#types)* }
        #[kernel::async_trait] impl<I: #invokes> #t for kernel::Via<I> { #(#via)* }
        impl kernel::Contract for dyn #t {
            const SERVICE: &'static str = #service;
            const METHODS: &'static [&'static kernel::Spec] = &[#(<#module::#names as kernel::Method>::SPEC),*];
        }
        impl<I: #invokes> kernel::Handle<I> for dyn #t { fn handle(invoke: I) -> std::sync::Arc<Self> { std::sync::Arc::new(kernel::Via(invoke)) } }
        impl<V: #(kernel::Visit<#module::#names> +)*> kernel::Each<V> for dyn #t { fn each(visitor: &mut V) { #(kernel::Visit::<#module::#names>::visit(visitor);)* } }
    })
}

fn read_method(method: &mut TraitItemFn) -> Result<Method> {
    let of_effect = |a: &Attribute| ["read", "idempotent", "once"].iter().any(|e| a.path().is_ident(e));
    let name = method.sig.ident.clone();
    let at = method.attrs.iter().position(of_effect).ok_or_else(|| {
        Error::new(name.span(), format!("`{name}` says neither #[read(..)], #[idempotent(..)] nor #[once(..)]"))
    })?;
    let attribute = method.attrs.remove(at);
    let [_, _, FnArg::Typed(request)] = &*method.sig.inputs.iter().collect::<Vec<_>>() else {
        return Err(Error::new(method.sig.inputs.span(), "a method takes (&self, call: &Call, request: Request)"));
    };
    let ReturnType::Type(_, output) = &method.sig.output else {
        return Err(Error::new(name.span(), "a method answers Result<Answer, CallError<Error>>"));
    };
    let pair = generics(output, "Result").filter(|g| g.len() == 2);
    let error = pair.as_ref().and_then(|g| generics(&g[1], "CallError"));
    let (Some(pair), Some([error])) = (&pair, error.as_deref()) else {
        return Err(Error::new(output.span(), "a method answers Result<Answer, CallError<Error>>"));
    };
    Ok(Method {
        name,
        needs: attribute.parse_args()?,
        effect: attribute.path().require_ident()?.clone(),
        request: (*request.ty).clone(),
        answer: pair[0].clone(),
        error: error.clone(),
    })
}

/// `name<A, B>` as `[A, B]`.
fn generics(ty: &Type, name: &str) -> Option<Vec<Type>> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|s| s.ident == name)?;
    let PathArguments::AngleBracketed(args) = &last.arguments else { return None };
    Some(
        args.args
            .iter()
            .filter_map(|a| match a {
                GenericArgument::Type(t) => Some(t.clone()),
                _ => None,
            })
            .collect(),
    )
}
