//! Lists in pages: a page begins after the last item of the one before, so new rows shift nothing.

use std::str::FromStr;

use crate::error::StoreError;

/// The most items that a page holds.
pub const MAX_PAGE_ITEMS: u32 = 100;

/// Which page of a list.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// How many items at most; held to 1 to [`MAX_PAGE_ITEMS`].
    pub limit: u32,
    /// [`Page::next`] of the page before; `None` for the first page.
    pub after: Option<String>,
}

impl Default for PageRequest {
    /// The first 25 items.
    fn default() -> Self {
        Self {
            limit: 25,
            after: None,
        }
    }
}

/// Some items of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to ask with for the following page; `None` on the last one.
    pub next: Option<String>,
}

/// The name of a list inside its cursors, so that another list's cursor is refused.
#[derive(Clone, Copy)]
pub(crate) struct List(pub(crate) &'static str);

impl List {
    /// Reads the place after which the page begins.
    pub(crate) fn place<T: FromStr>(self, page: &PageRequest) -> Result<Option<T>, StoreError> {
        page.after
            .as_deref()
            .map(|cursor| {
                let place = cursor
                    .strip_prefix(self.0)
                    .and_then(|rest| rest.strip_prefix('.'));
                place
                    .and_then(|place| place.parse().ok())
                    .ok_or(StoreError::InvalidCursor)
            })
            .transpose()
    }

    /// Turns rows, one more than the page holds if there are more, into a page.
    pub(crate) fn page<R, T>(
        self,
        request: &PageRequest,
        mut rows: Vec<R>,
        read: impl Fn(R) -> Result<T, StoreError>,
        place: impl Fn(&T) -> String,
    ) -> Result<Page<T>, StoreError> {
        let limit = request.items() as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let items = rows.into_iter().map(read).collect::<Result<Vec<T>, _>>()?;
        let next = items
            .last()
            .filter(|_| more)
            .map(|item| format!("{}.{}", self.0, place(item)));
        Ok(Page { items, next })
    }
}

impl PageRequest {
    /// How many rows to ask for: one more than the page holds, to know whether another page follows.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.items()) + 1
    }

    fn items(&self) -> u32 {
        self.limit.clamp(1, MAX_PAGE_ITEMS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let request = PageRequest {
            after: Some("users.7".to_owned()),
            ..PageRequest::default()
        };
        assert_eq!(
            List("users").place::<i64>(&request).expect("its own"),
            Some(7)
        );
        for list in [List("user"), List("members"), List("users.7"), List("")] {
            let refused = list.place::<i64>(&request);
            assert!(
                matches!(refused, Err(StoreError::InvalidCursor)),
                "{}",
                list.0
            );
        }
    }

    #[test]
    fn limits_are_held_to_their_range() {
        let rows = |limit| PageRequest { limit, after: None }.rows();
        assert_eq!((rows(0), rows(25), rows(5000)), (2, 26, 101));
    }
}
