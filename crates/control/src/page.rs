//! Lists: what the client asks for and what it gets.

use serde::{Deserialize, Serialize};
use store::{MAX_PAGE_ITEMS, PageRequest};
use utoipa::{IntoParams, ToSchema};

use crate::error::Problem;

/// Entries of a list when the client names no number.
const DEFAULT_LIMIT: u32 = 25;
/// The longest cursor that is looked at.
const MAX_CURSOR_BYTES: usize = 128;

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most entries to answer with, 1 to 100; 25 when left out.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// The `next` of the part before.
    pub after: Option<String>,
}

impl PageQuery {
    /// The request to the store.
    ///
    /// # Errors
    /// `invalid_request` when the number is out of range or the cursor is too long to be one of ours.
    pub fn request(self) -> Result<PageRequest, Problem> {
        page_request(self.limit, self.after)
    }
}

/// The request to the store, for queries that have more fields than these two.
///
/// # Errors
/// As [`PageQuery::request`].
pub fn page_request(limit: Option<u32>, after: Option<String>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_PAGE_ITEMS).contains(&limit) {
        let rule = format!("limit must be a number from 1 to {MAX_PAGE_ITEMS}");
        return Err(Problem::field("limit", rule));
    }
    if after
        .as_ref()
        .is_some_and(|cursor| cursor.len() > MAX_CURSOR_BYTES)
    {
        return Err(Problem::field(
            "after",
            "after is the `next` of an earlier answer",
        ));
    }
    Ok(PageRequest { limit, after })
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T: ToSchema> {
    /// The entries.
    pub data: Vec<T>,
    /// Given as `after`, gets the following part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T: ToSchema> List<T> {
    /// A list that fits into one part.
    pub fn whole(data: impl IntoIterator<Item = T>) -> Self {
        Self {
            data: data.into_iter().collect(),
            next: None,
        }
    }

    /// The part of a list that the store answered, as the client sees it.
    pub fn of<R>(page: store::Page<R>, view: impl FnMut(R) -> T) -> Self {
        Self {
            data: page.items.into_iter().map(view).collect(),
            next: page.next,
        }
    }
}
