//! Operations with their handlers, described only when somebody asks for the document.
//!
//! A server needs the handlers alone. The document of all operations takes megabytes to put together, of memory and of code
//! that nothing else runs, and a start would wait for.

use axum::Router;
use axum::routing::{MethodFilter, MethodRouter};
use utoipa::openapi::{HttpMethod, OpenApi};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::state::ControlState;

/// Operations with their handlers.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<ControlState>,
    described: Vec<Described>,
}

/// What describes operations.
enum Described {
    Operations(fn() -> UtoipaMethodRouter<ControlState>),
    Below(&'static str, Vec<Described>),
}

/// The operations of one path, as [`routes!`] names them.
pub(crate) struct Operations {
    pub(crate) path: String,
    pub(crate) methods: MethodRouter<ControlState>,
    pub(crate) describe: fn() -> UtoipaMethodRouter<ControlState>,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// These operations, too.
    pub(crate) fn routes(mut self, operations: Operations) -> Self {
        self.router = self.router.route(&operations.path, operations.methods);
        self.described
            .push(Described::Operations(operations.describe));
        self
    }

    /// Those of `other`, too.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.described.extend(other.described);
        self
    }

    /// Those of `other`, too, below `path`.
    pub(crate) fn nest(mut self, path: &'static str, other: Self) -> Self {
        self.router = self.router.nest(path, other.router);
        self.described.push(Described::Below(path, other.described));
        self
    }

    /// The handlers.
    pub(crate) fn into_router(self) -> Router<ControlState> {
        self.router
    }

    /// `base` with all operations.
    pub(crate) fn into_openapi(self, base: OpenApi) -> OpenApi {
        describe(OpenApiRouter::with_openapi(base), self.described).into_openapi()
    }
}

fn describe(
    document: OpenApiRouter<ControlState>,
    described: Vec<Described>,
) -> OpenApiRouter<ControlState> {
    described
        .into_iter()
        .fold(document, |document, described| match described {
            Described::Operations(describe) => document.routes(describe()),
            Described::Below(path, inner) => {
                document.nest(path, describe(OpenApiRouter::default(), inner))
            }
        })
}

/// The filter of these methods.
pub(crate) fn filter(methods: &[HttpMethod]) -> MethodFilter {
    let filters = methods.iter().map(PathItemExt::to_method_filter);
    filters
        .reduce(MethodFilter::or)
        .expect("an operation has a method")
}

/// The operations of these handlers, which have one path.
macro_rules! routes {
    ($module:ident::$handler:ident) => {
        utoipa_axum::paste! {{
            use $module::{$handler, [<__path_ $handler>]};
            $crate::routes::routes!($handler)
        }}
    };
    ($first:ident $(, $more:ident)* $(,)?) => {
        utoipa_axum::paste! {
            $crate::routes::Operations {
                path: <[<__path_ $first>] as utoipa::Path>::path(),
                methods: axum::routing::MethodRouter::new()
                    .on(
                        $crate::routes::filter(&<[<__path_ $first>] as utoipa::Path>::methods()),
                        $first,
                    )
                    $(.on(
                        $crate::routes::filter(&<[<__path_ $more>] as utoipa::Path>::methods()),
                        $more,
                    ))*,
                describe: || utoipa_axum::routes!($first $(, $more)*),
            }
        }
    };
}

pub(crate) use routes;
