//! A method is a type.
//!
//! [`contract`](crate::contract) declares a domain trait and names each of its methods by a type. Whatever is done to
//! *every* call (policy, wire, tests' faults) is then written once, as an [`Invoke<M>`] for any [`Method`], and never
//! sees a trait. Two adapters close the circle: [`To`] enters a trait object, [`Via`] becomes one.
use crate::{Call, CallError, Key};
use std::sync::Arc;

/// One method of a domain trait.
pub trait Method: Send + Sync + 'static {
    type Request: Send + 'static;
    type Answer: Send + 'static;
    type Error: Send + 'static;
    const SPEC: &'static Spec;
    /// What makes a repeated request the same one; there for every idempotent method.
    fn key(request: &Self::Request) -> Option<Key>;
}

pub type Outcome<M> = Result<<M as Method>::Answer, CallError<<M as Method>::Error>>;

/// What policy must know of a method.
#[derive(Debug)]
pub struct Spec {
    /// The gRPC name of the trait, such as `cleave.products.v1.Stock`.
    pub service: &'static str,
    pub method: &'static str,
    pub effect: Effect,
    pub needs: Needs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "written as keywords in `#[contract]` traits")]
pub enum Effect {
    /// Changes nothing: retried freely, dropped with its caller.
    read,
    /// A change that its key makes repeatable: retried, never dropped half way.
    idempotent,
    /// A change that is tried once.
    once,
}

/// What a caller must hold: of a trait's method or of an HTTP route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: a public route. The handler still checks whose the thing is.
    Nothing,
    /// Being a peer that `boundaries.toml` lists.
    Peer,
    /// Being a signed-in user; what is another's is not found.
    User,
    /// The user must hold this permission.
    Permission(&'static str),
}

#[diagnostic::on_unimplemented(
    message = "an idempotent method's request needs a key, and `{Self}` has none",
    label = "give `{Self}` an `impl Keyed`, or declare the method `once`"
)]
/// What makes a second try the same change.
///
/// ```
/// # mod api {
/// # use kernel::{Call, CallError, Id, Key, Keyed, Kind, contract};
/// # use std::convert::Infallible;
/// # pub enum Crate {}
/// # impl Kind for Crate { const PREFIX: &'static str = "crate"; }
/// pub struct Take { id: Id<Crate> }
/// impl Keyed for Take {
///     fn key(&self) -> Key {
///         self.id.into()
///     }
/// }
/// #[contract(shelf = "cleave.probe.v1.Shelf")]
/// pub trait Shelf {
///     #[idempotent(Peer)]
///     async fn take(&self, call: &Call, request: Take) -> Result<(), CallError<Infallible>>;
/// }
/// # }
/// ```
///
/// Without it an idempotent method does not compile, since nothing could repeat it:
///
/// ```compile_fail,E0277
/// # mod api {
/// # use kernel::{Call, CallError, Id, Key, Keyed, Kind, contract};
/// # use std::convert::Infallible;
/// # pub enum Crate {}
/// # impl Kind for Crate { const PREFIX: &'static str = "crate"; }
/// pub struct Take { id: Id<Crate> }
/// #[contract(shelf = "cleave.probe.v1.Shelf")]
/// pub trait Shelf {
///     #[idempotent(Peer)]
///     async fn take(&self, call: &Call, request: Take) -> Result<(), CallError<Infallible>>;
/// }
/// # }
/// ```
pub trait Keyed {
    fn key(&self) -> Key;
}

/// Anything that can carry out `M`: a service, a policy before one, a wire to one.
#[diagnostic::on_unimplemented(message = "`{Self}` cannot carry out `{M}`")]
pub trait Invoke<M: Method>: Send + Sync + 'static {
    fn invoke(&self, call: Call, request: M::Request) -> impl Future<Output = Outcome<M>> + Send;
}

/// Enters a trait object: `To<dyn Stock>` is `Invoke<stock::reserve>` and so on.
pub struct To<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for To<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Becomes a trait object: `Via<I>` is `Stock` when `I` can carry out each of Stock's methods.
pub struct Via<I>(pub I);

/// `dyn Stock` as data.
pub trait Contract: Send + Sync + 'static {
    const SERVICE: &'static str;
    const METHODS: &'static [&'static Spec];
}
/// Wraps what can carry out each method into the trait object.
pub trait Handle<I>: Contract {
    fn handle(invoke: I) -> Arc<Self>;
}
/// Shows each method to a visitor: how a server finds what to serve.
pub trait Each<V>: Contract {
    fn each(visitor: &mut V);
}
pub trait Visit<M: Method> {
    fn visit(&mut self);
}
