//! The calls of a workspace for spreadsheets.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Usage;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, LINK};
use http::{HeaderValue, Uri};
use store::{MAX_PAGE_ITEMS, UsageRow};

use crate::access::{Access, ReadUsage};
use crate::api::usage::{UsageQuery, label};
use crate::body::Query;
use crate::error::Problem;
use crate::openapi::Reads;
use crate::ops::labels::LabelSight;
use crate::page::page_request;
use crate::routes::{Routes, routes};
use crate::state::ControlState;

/// The most calls that one answer has. It is put together in memory.
const MAX_ROWS: u32 = 10_000;

const TITLES: &str = "at,request_id,operation,model_requested,provider,model,key_source,key_label,api_key_id,user_id,\
                      status,error_code,streamed,input_tokens,cached_input_tokens,cache_write_tokens,output_tokens,\
                      reasoning_tokens,cost_usd,charge_usd,latency_ms,first_byte_ms,fallback,key_scope\r\n";

/// The routes of this resource.
pub(crate) fn routes() -> Routes {
    Routes::new().routes(routes!(export_usage))
}

/// Get the calls of a workspace as CSV, newest first; for a plain member their own alone.
///
/// The calls and the parameters are those of `list_usage`, but `limit` is 1 to 10000, and 10000 when left out. Where there are
/// more, the header `link` has the URL of the following part with `rel="next"`; each part begins with the line of titles. Texts that
/// a spreadsheet would take for a formula have an apostrophe in front.
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/usage.csv", tag = "usage", params(UsageQuery),
    extensions(("x-action" = json!("read_usage"))),
    responses((status = 200, description = "Lines of comma-separated values (RFC 4180), in UTF-8.",
        content_type = "text/csv", body = String,
        headers(("link" = String, description = "The following part, if there is one."))), Reads))]
async fn export_usage(
    access: Access<ReadUsage>,
    uri: Uri,
    State(state): State<ControlState>,
    Query(query): Query<UsageQuery>,
) -> Result<Response, Problem> {
    let (filter, limit, after) = query.parts();
    let limit = limit.unwrap_or(MAX_ROWS);
    if !(1..=MAX_ROWS).contains(&limit) {
        let rule = format!("limit must be a number from 1 to {MAX_ROWS}");
        return Err(Problem::field("limit", rule));
    }
    let within = state.store.within(&access.scope);
    let sight = LabelSight::of(&state, &access.scope).await?;
    let mut text = TITLES.to_owned();
    let mut page = page_request(Some(limit.min(MAX_PAGE_ITEMS)), after)?;
    let mut left = limit;
    let next = loop {
        let read = within.usage(filter.clone(), &page).await?;
        left = left.saturating_sub(u32::try_from(read.items.len()).unwrap_or(u32::MAX));
        for row in &read.items {
            write_row(&mut text, row, sight);
        }
        if read.next.is_none() || left == 0 {
            break read.next;
        }
        page = page_request(Some(left.min(MAX_PAGE_ITEMS)), read.next)?;
    };
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8"),
    );
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"usage.csv\""),
    );
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&link(&uri, &next))
    {
        headers.insert(LINK, link);
    }
    Ok(response)
}

/// The same request for the following part. A cursor of a list has no character that a query must escape.
fn link(uri: &Uri, next: &str) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let query: String = kept.fold(String::new(), |query, pair| format!("{query}{pair}&"));
    format!("<{}?{query}after={next}>; rel=\"next\"", uri.path())
}

fn write_row(text: &mut String, row: &UsageRow, sight: LabelSight) {
    let label = label(row.key_source, row.key_scope, row.key_label.clone(), sight);
    let tokens =
        |count: fn(&Usage) -> u64| row.usage.as_ref().map(|usage| count(usage).to_string());
    let cells = [
        Some(row.at.to_string()),
        Some(row.request.to_string()),
        Some(row.operation.clone()),
        Some(row.model_requested.clone()),
        row.provider.as_ref().map(ToString::to_string),
        row.model.clone(),
        row.key_source.map(|source| source.to_string()),
        label,
        Some(row.api_key.to_string()),
        Some(row.user.to_string()),
        Some(row.status.to_string()),
        row.error_code.clone(),
        Some(row.streamed.to_string()),
        tokens(|usage| usage.input_tokens),
        tokens(|usage| usage.cached_input_tokens),
        tokens(|usage| usage.cache_write_tokens),
        tokens(|usage| usage.output_tokens),
        tokens(|usage| usage.reasoning_tokens),
        row.cost.map(|cost| cost.to_string()),
        Some(row.charge.to_string()),
        Some(row.latency_ms.to_string()),
        row.first_byte_ms.map(|wait| wait.to_string()),
        Some(row.fallback.to_string()),
        row.key_scope.map(|scope| scope.as_str().to_owned()),
    ];
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        write_cell(text, cell.as_deref().unwrap_or_default());
    }
    text.push_str("\r\n");
}

/// Spreadsheets run what begins like a formula; a client chooses the names of models.
fn write_cell(text: &mut String, cell: &str) {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let mark = if is_formula { "'" } else { "" };
    if cell.contains(['"', ',', '\r', '\n', ';']) || is_formula {
        let _ = write!(text, "\"{mark}{}\"", cell.replace('"', "\"\""));
    } else {
        text.push_str(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut written = String::new();
        write_cell(&mut written, text);
        written
    }

    #[test]
    fn no_cell_is_a_formula_or_ends_early() {
        assert_eq!(cell("gpt-4o"), "gpt-4o");
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"hi\""), "\"say \"\"hi\"\"\"");
        assert_eq!(cell("a\r\nb"), "\"a\r\nb\"");
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=\"\"&A1"] {
            assert!(cell(formula).starts_with("\"'"), "{formula}");
        }
    }

    #[test]
    fn the_following_part_is_the_same_request() {
        let uri: Uri = "/a/usage.csv?model=x&after=old&limit=5"
            .parse()
            .expect("a URI");
        assert_eq!(
            link(&uri, "usage.1.req_2"),
            "</a/usage.csv?model=x&limit=5&after=usage.1.req_2>; rel=\"next\""
        );
        let bare: Uri = "/a/usage.csv".parse().expect("a URI");
        assert_eq!(link(&bare, "c"), "</a/usage.csv?after=c>; rel=\"next\"");
    }
}
